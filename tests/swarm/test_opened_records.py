"""What `open` lets through, every view can read: also where all that may be missing is missing, and all that may be null is null."""

import json
import random
import shutil
import types
import typing
from pathlib import Path

import pytest
import tomli
import tomli_w
from pydantic import BaseModel, ValidationError

from state.errors import UserError
from state.ledger import Ledger
from state.paths import RunPaths
from state.record import read_record
from swarm.bundle_file import Manifest, Member
from swarm.opened_files import LISTS, SINGLE, check_files
from swarm.opened_records import Config
from tests.view.big import make_big_run
from view.log import log_facts, log_text
from view.report.build import write_report
from view.scores import leaderboard, scores_text
from view.show import show_facts, show_text
from view.status import status_facts, status_text

TIME = "2026-11-20T08:00:00Z"
CALL = {"kind": "reserved", "call": "c", "agent": "agent-1", "model": "m", "dollars": 0.1, "tokens": 10, "time": TIME}
EVENTS = [
    {"kind": "event", "event": "claim", "agent": "agent-1", "detail": "a", "time": TIME},
    {"kind": "event", "event": "joined", "agent": "alice", "detail": None, "time": TIME},
]


def append(file: Path, *records: dict) -> None:
    with open(file, "a", encoding="utf-8") as opened:
        opened.writelines(json.dumps(record) + "\n" for record in records)


@pytest.fixture(scope="module")
def sent(tmp_path_factory) -> RunPaths:
    """A run that has some of all that a run can have."""
    paths = make_big_run(tmp_path_factory.mktemp("sent"), submissions=40, agents=3, hostile=False, name="sent")
    append(paths.ledger, *EVENTS)
    append(paths.spend, CALL)
    append(paths.root / "joined.jsonl", {"name": "alice", "direction": "person", "researcher": "shell", "time": TIME})
    state = json.loads(paths.state.read_text())
    state["agents"] = {name: {**agent, "submissions": 3} for name, agent in state["agents"].items()}
    paths.state.write_text(json.dumps(state))
    attempts = [{"name": "reads labels", "sandbox": "method", "blocked": True, "control": True, "detail": "x"}]
    (paths.root / "isolation.json").write_text(json.dumps({"isolation": "bubblewrap", "attempts": attempts}))
    best = max((v for v in Ledger(paths.ledger).verdicts.values() if v["pgr"] is not None and v["track"] == "main"), key=lambda v: v["pgr_low"])
    others = [name for name in Ledger(paths.ledger).verdicts if name != best["submission"]]
    pairs = [{"submission": name, "difference": 0.1, "low": 0.0, "high": 0.2, "draws": 8} for name in others]
    (paths.root / "pairs.json").write_text(json.dumps({"winner": best["submission"], "pairs": pairs}))
    return paths


@pytest.fixture
def run(sent, tmp_path) -> RunPaths:
    """The same in a folder of its own, to be changed."""
    root = tmp_path / ".aar" / "runs" / "sent"
    shutil.copytree(sent.root, root)
    return RunPaths(root)


def checked(paths: RunPaths) -> None:
    config = tomli.loads(paths.toml.read_text())
    members = [Member(name=f"{file.parent.name}/{file.name}", sha256="0" * 64, bytes=0) for file in paths.root.glob("agent-*/transcript.jsonl")]
    told = {"run": config["name"], "base": config["base"], "task": config["task"], "branches": {}, "members": members}
    check_files(paths.root, Manifest.model_construct(**told))


def seen(paths: RunPaths) -> None:
    """All that is shown of a run, by every view."""
    record = read_record(paths)
    assert status_text(status_facts(paths)) and scores_text(leaderboard(Ledger(paths.ledger))) and log_text(log_facts(record))
    for name in record.submissions:
        assert show_text(show_facts(record, name))
    assert write_report(paths, paths.root / "report.html", False, None)["bytes"] > 10_000


def of_type(kind) -> list:
    """The members of a union; the type itself where it is none."""
    if typing.get_origin(kind) is typing.Annotated:
        kind = typing.get_args(kind)[0]
    return list(typing.get_args(kind)) if typing.get_origin(kind) in (typing.Union, types.UnionType) else [kind]


def model_of(kind) -> type[BaseModel] | None:
    return next((one for one in of_type(kind) if isinstance(one, type) and issubclass(one, BaseModel)), None)


def changed(model: type[BaseModel], record: dict, how: str, chance: random.Random) -> dict:
    """A record with all that its model lets be missing left out ("missing"), or null where it lets that be ("null"), or some of it one way
    or the other ("some")."""
    made = dict(record)
    for name, field in model.model_fields.items():
        does = how if how != "some" else chance.choice(("missing", "null", "nothing", "nothing"))
        inner = model_of(field.annotation) or next(filter(None, map(model_of, typing.get_args(field.annotation)[-1:])), None)
        if does == "missing" and not field.is_required():
            made.pop(name, None)
        elif does == "null" and type(None) in of_type(field.annotation):
            made[name] = None
        elif name in made and inner and isinstance(made[name], list):
            made[name] = [changed(inner, one, how, chance) for one in made[name]]
        elif name in made and inner and isinstance(made[name], dict):
            of = made[name]
            one = model_of(field.annotation) is not None
            made[name] = changed(inner, of, how, chance) if one else {key: changed(inner, value, how, chance) for key, value in of.items()}
    return made


def let_through(model: type[BaseModel], record: dict, how: str, chance: random.Random) -> dict:
    """A change of a record that its model lets through; the record itself where twenty are refused."""
    for _ in range(20):
        made = changed(model, record, how, chance)
        try:
            model.model_validate(made)
        except ValidationError:
            made = {**made, **{name: record[name] for name in ("rung", "draws", "methods", "tasks", "rows") if name in record}}
            try:
                model.model_validate(made)
            except ValidationError:
                continue
        return made
    return record


@pytest.mark.parametrize("how, seed", [("missing", 0), ("null", 0), *(("some", seed) for seed in range(4))])
def test_a_run_that_passes_is_shown_by_every_view_whatever_it_leaves_out(how, seed, run):
    chance = random.Random(seed)
    for name, model in LISTS.items():
        file = run.root / name
        records = [json.loads(line) for line in file.read_text().splitlines()]
        file.write_text("")
        append(file, *(let_through(model(record), record, how, chance) for record in records))
    for name, model in SINGLE.items():
        if (run.root / name).exists():
            (run.root / name).write_text(json.dumps(let_through(model, json.loads((run.root / name).read_text()), how, chance)))
    config = tomli.loads(run.toml.read_text())
    run.toml.write_text(tomli_w.dumps(let_through(Config, config, "missing", chance)))
    checked(run)
    seen(run)


def line_of(name: str, **fields: object):
    """Change fields in the first line of a file that has them all, or in the first verdict that was scored."""

    def change(paths: RunPaths) -> None:
        lines = [json.loads(line) for line in (paths.root / name).read_text().splitlines()]
        at = next(number for number, one in enumerate(lines) if one.get("status", 200) in ("scored", 200) and one.get("kind") != "submission")
        lines[at] = {key: value for key, value in {**lines[at], **fields}.items() if value != "GONE"}
        (paths.root / name).write_text("".join(json.dumps(one) + "\n" for one in lines))

    return change


def whole(name: str, **fields: object):
    def change(paths: RunPaths) -> None:
        (paths.root / name).write_text(json.dumps({**json.loads((paths.root / name).read_text()), **fields}))

    return change


def post(time: str):
    def change(paths: RunPaths) -> None:
        (paths.forum / "20261119T080000Z-agent-1-x.md").write_text(f"---\nagent: agent-1\ntitle: \"x\"\ntime: {time}\n---\n\nx\n")

    return change


def transcript(paths: RunPaths) -> None:
    paths.agent("agent-1").mkdir()
    (paths.agent("agent-1") / "transcript.jsonl").write_text(json.dumps({"kind": "finished", "reason": "x", "time": "\x1b]0;owned\x07"}) + "\n")


ROW = {"method": "s0001 a.py", "task": "grammar", "track": "main", "status": "scored"}


@pytest.mark.parametrize("spoil, words", [
    (whole("isolation.json", attempts=[{}]), "isolation.json .*attempts.0.name"),
    (whole("isolation.json", attempts=[{"name": "x"}]), "isolation.json .*attempts.0.blocked"),
    (whole("transfer.json", rows=[{}]), "transfer.json .*rows.0.track"),
    (whole("transfer.json", rows=[{**ROW, "pgr": 0.5}]), "transfer.json .*rows.0"),
    (whole("transfer.json", rows=[ROW], tasks=[]), "transfer.json .*rows without methods or tasks"),
    (whole("transfer.json", tasks=[{"task": "grammar"}]), "transfer.json .*tasks.0.draws"),
    (whole("transfer.json", missing=[{}]), "transfer.json .*missing.0.task"), (whole("transfer.json", worst={"a": 1}), "transfer.json .*worst.a"),
    (whole("pairs.json", pairs=[{"submission": "s0001", "difference": 0.1, "low": 0.0}]), "pairs.json .*pairs.0"),
    (line_of("spend.jsonl", model="GONE"), "spend.jsonl line 1 .*model"),
    (line_of("spend.jsonl", input_tokens="GONE"), "spend.jsonl line 1 .*input_tokens"),
    (line_of("spend.jsonl", time=None), "spend.jsonl line 1 .*time"), (line_of("spend.jsonl", kind="GONE"), "spend.jsonl line 1 .*kind"),
    (line_of("diversity.jsonl", over="GONE"), "diversity.jsonl line 1 .*over"),
    (line_of("diversity.jsonl", code=None), "diversity.jsonl line 1 .*code"),
    (line_of("evaluator/sealed.jsonl", nearest_by_predictions={"method": 1}), "sealed.jsonl line 1 .*nearest_by_predictions.method"),
    (line_of("evaluator/sealed.jsonl", nearest_by_predictions={"method": "x"}), "sealed.jsonl line 1 .*nearest_by_predictions.agreement"),
    (line_of("evaluator/sealed.jsonl", nearest_by_code={"method": "x", "similarity": "0.5"}), "sealed.jsonl line 1 .*nearest_by_code.similarity"),
    (line_of("evaluator/sealed.jsonl", nearest_by_predictions={"method": "x", "agreement": 0.5, "over": 0.1}), "over without its interval"),
    (line_of("ledger.jsonl", over_best="x"), "ledger.jsonl line .*over_best"),
    (line_of("ledger.jsonl", over_parent=0.1, over_parent_low=None), "over_parent without its interval"),
    (line_of("evaluator/sealed.jsonl", pgr=0.95, pgr_low=0.15, pgr_high=0.71), r"pgr 0.95 is not within its interval .0.15, 0.71."),
    (line_of("evaluator/sealed.jsonl", lift_low=0.9, lift_high=0.1), "lift .* is not within its interval"),
    (line_of("evaluator/sealed.jsonl", pgr=0.5, pgr_low=0.3, pgr_high=0.7, pgr_by_draw=[0.3, 0.4]), "pgr 0.5 is not the mean of its draws, 0.35"),
    (whole("pairs.json", pairs=[{"submission": "s0001", "difference": 0.4, "low": 0.0, "high": 0.1}]), "difference 0.4 is not within"),
    (post("2026-11-19T08:00:00Z\x1b[2J"), "x.md .*time"), (post("2026-11-19\x1b08:00:00Z"), "x.md .*time"),
    (transcript, "agent-1/transcript.jsonl line 1 .*time"),
])  # fmt: skip
def test_what_a_view_would_fall_over_or_print_as_it_stands_is_refused_with_file_line_and_field(spoil, words, run):
    spoil(run)
    with pytest.raises(UserError, match=words) as told:
        checked(run)
    assert "\n" not in str(told.value) and str(told.value).isprintable()


def test_times_of_posts_and_transcripts_that_are_as_they_should_be_pass(run):
    post("2026-11-19T08:00:00Z")(run)
    paths = run.agent("agent-1")
    paths.mkdir()
    append(paths / "transcript.jsonl", {"kind": "finished", "reason": "x", "time": TIME}, {"kind": "assistant"})
    checked(run)
