"""verification.md is complete and readable, also for verdicts of earlier versions; controls are drawn by chance."""

import pytest

from state.errors import UserError
from state.files import append_jsonl
from state.ledger import NULL_STAMP, Ledger
from state.record import read_record
from swarm.verification import controls, verification_text, verify
from tests.view.made import add, make_run, verdict
from view.log import Follower, log_facts
from view.plots import charts
from view.report.tables import sealed_section
from view.scores import sealed_text
from view.status import cut_off


def rows(text: str) -> list[list[str]]:
    return [[cell.strip() for cell in line.strip("|").split("|")] for line in text.splitlines() if line.startswith("|")]


def test_every_row_has_a_cell_for_each_column_and_old_verdicts_have_no_own_ceiling(tmp_path):
    paths = make_run(tmp_path)
    add(paths, verdict("s0001", pgr=0.7))
    plain = verdict("s0001", pgr=0.66, rung="sealed", draws=16, openings=1)
    own = {"recipe_ceiling_accuracy": 0.851, "recipe_pgr": 0.71, "recipe_pgr_low": 0.65, "recipe_pgr_high": 0.77}
    header, _, old, new = rows(verification_text([plain, {**plain, **own}], Ledger(paths.ledger)))
    assert len(header) == len(old) == len(new)
    assert new[header.index("own ceiling")] == "0.851" and new[header.index("own ceiling PGR")] == "0.71 [0.65, 0.77]"
    assert old[header.index("own ceiling")] == old[header.index("own ceiling PGR")] == "n/a"
    assert old[header.index("role")] == "finalist"


def test_controls_stand_behind_finalists_and_say_what_was_owed_to_selection(tmp_path):
    paths = make_run(tmp_path)
    for name, pgr in (("s0001", 0.5), ("s0002", 0.7)):
        add(paths, verdict(name, pgr=pgr))
    sealed = [verdict("s0001", pgr=0.48, control=True, openings=1), verdict("s0002", pgr=0.6, control=False, openings=1)]
    text = verification_text(sealed, Ledger(paths.ledger), null=True)
    header, _, first, second = rows(text)
    assert [first[0], second[0]] == ["s0002", "s0001"]
    assert [row[header.index("role")] for row in (first, second)] == ["finalist", "control"]
    assert "finalists changed by -0.10 PGR and controls by -0.02" in text and "+0.08 [-0.02, +0.18], cannot be told from so few" in text
    assert NULL_STAMP in text and NULL_STAMP not in verification_text(sealed, Ledger(paths.ledger))


def test_what_somebody_named_is_asked_for_wherever_its_role_is_told(tmp_path):
    paths = make_run(tmp_path)
    for number in range(1, 9):
        add(paths, verdict(f"s{number:04d}", pgr=0.1 * number))
    ledger = Ledger(paths.ledger)
    sealed = [verdict(name, pgr=0.3, rung="sealed", openings=1) for name in ("s0002", "s0008")]
    header, _, *found = rows(verification_text(sealed, ledger))
    assert [row[header.index("role")] for row in found] == ["asked for", "finalist"]
    paths.evaluator.mkdir()
    for one in sealed:
        append_jsonl(paths.evaluator / "sealed.jsonl", one)
    append_jsonl(paths.ledger, {"kind": "event", "event": "sealed-opening", "agent": None, "detail": "s0002, s0008",
                                "time": "2026-11-23T15:00:00Z"})  # fmt: skip
    (paths.board / "verification.md").write_text("# Sealed verification\n")
    record = read_record(paths)
    texts = [sealed_text(sealed, ledger.verdicts), charts(record)["sealed"][0].alt]
    for told in [*texts, *map(str, (sealed_section(record), log_facts(record), Follower(paths).more()))]:
        assert "asked for" in told and "s0002 finalist" not in told and "finalist: s0002" not in told


def test_controls_are_others_of_the_main_track_drawn_by_the_secret_alone(tmp_path):
    paths = make_run(tmp_path)
    for number in range(30):
        add(paths, verdict(f"s{number:04d}", pgr=0.1 + number / 100))
    add(paths, verdict("s0030", track="disqualified"))
    add(paths, verdict("s0031", rung="quick", draws=1))
    add(paths, verdict("s0032", same_as="s0001"))
    add(paths, verdict("s0033", pgr=None, status="crashed"))
    ledger = Ledger(paths.ledger)
    drawn = {number: controls(ledger, bytes([number]) * 32, ["s0029"], 2) for number in range(60)}
    assert controls(ledger, bytes(32), ["s0029"], 2) == drawn[0] != drawn[1]
    names = [name for two in drawn.values() for name in two]
    assert all(len(set(two)) == 2 for two in drawn.values()) and not {"s0029", "s0030", "s0031", "s0032", "s0033"} & set(names)
    assert len(set(names)) > 20, "anybody may be drawn"


def test_where_the_main_track_has_too_few_any_scored_submission_may_be_a_control(tmp_path):
    paths = make_run(tmp_path)
    add(paths, verdict("s0001"))
    add(paths, verdict("s0002", rung="quick"))
    add(paths, verdict("s0003", track="prior"))
    ledger = Ledger(paths.ledger)
    assert set(controls(ledger, b"x", ["s0001"], 2)) == {"s0002", "s0003"}
    assert controls(ledger, b"x", ["s0001"], 0) == []


def test_a_verification_that_ends_early_says_in_one_line_why_and_what_completes_it(tmp_path, monkeypatch):
    (tmp_path / "scripted" / "eval").mkdir(parents=True)
    (tmp_path / "scripted" / "eval" / "sealed.py").write_text("import sys\nsys.exit('aar: a method sandbox did not start: no process is left')\n")
    monkeypatch.setattr("eval.client.PROJECT", tmp_path / "scripted")
    paths = make_run(tmp_path)
    for number in range(4):
        add(paths, verdict(f"s000{number}"))
    paths.evaluator.mkdir()
    (paths.evaluator / "secret").write_bytes(bytes(32))
    for beside, command in ((2, "verify first"), (0, "verify first s0001")):
        with pytest.raises(UserError) as failed:
            verify(paths, ["s0001"], lambda done, total: None, beside)
        assert str(failed.value) == (
            "a method sandbox did not start: no process is left; "
            f"the verification of run first was cut off: `python aar.py {command}` completes it"
        )
        assert cut_off(paths, Ledger(paths.ledger).events)
