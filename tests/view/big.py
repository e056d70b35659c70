"""A made-up run of any size: real files and a real repository, in the formats of DESIGN section 7. The same arguments give the same bytes.

    paths = make_big_run(folder, submissions=5000)      .aar/runs/big in `folder`, made in a few seconds

What it holds is invented, but has the shape of a run: methods descend from better ones, gains get rarer, few verdicts are on the
quick rung's own scale, some fail, are flagged, or repeat what was scored. Agents write what an attacker would (`HOSTILE`).
"""

from __future__ import annotations

import datetime
import json
import random
from collections.abc import Sequence
from pathlib import Path

import tomli_w

from state.ledger import agent_view
from state.paths import RunPaths, runs_folder
from tests.view.big_methods import CEILING, DIRECTIONS, HOSTILE, MODELS, NAIVE, WEAK, Invented
from tests.view.big_repo import Importer

__all__ = ["HOSTILE", "make_big_run"]
START = datetime.datetime(2026, 11, 20, 8, 0, 0, tzinfo=datetime.timezone.utc)
BASE_TIME = int(START.timestamp()) - 60


def time_at(seconds: float) -> str:
    return (START + datetime.timedelta(seconds=int(seconds))).strftime("%Y-%m-%dT%H:%M:%SZ")


def make_big_run(
    repository: Path,
    submissions: int = 5000,
    agents: int = 9,
    paid: bool = True,
    sealed: bool = True,
    transfer: bool = True,
    hostile: bool = True,
    posts: float = 0.35,
    name: str = "big",
    seed: int = 1,
    pause: float = 20.0,
) -> RunPaths:
    """Make a run and return its paths. `paid`: models were asked for money; `sealed`: the sealed part was opened, which closes the
    run; `posts`: share of submissions with a post; `pause`: seconds between two submissions."""
    paths, chance = RunPaths(runs_folder(repository) / name), random.Random(seed)
    paths.forum.mkdir(parents=True)
    paths.evaluator.mkdir(mode=0o700)
    people = [{"name": f"agent-{k}", "direction": DIRECTIONS[(k - 1) % len(DIRECTIONS)], "researcher": "claude" if paid else "search",
               **({"model": list(MODELS)[k % 3]} if paid else {})} for k in range(1, agents + 1)]  # fmt: skip
    invented, lines = Invented(chance, people, hostile), []
    forum: list[tuple[str, str]] = []
    waiting: list[tuple[float, dict]] = []
    with Importer(paths.repo, name, [agent["name"] for agent in people], BASE_TIME) as importer:
        for number in range(1, submissions + 1):
            at = number * pause + chance.uniform(0, pause)
            while waiting and waiting[0][0] <= at:
                _close(waiting.pop(0), invented, lines, forum, chance, posts)
            agent = chance.choice(people)
            said = invented.submission(f"s{number:04d}", agent["name"], number)
            inspired = [invented.known[one]["commit"] for one in said["parents"]]
            if forum and chance.random() < 0.1:
                inspired.append(chance.choice(forum[-40:])[0])
            commit = importer.commit(agent, said, inspired, int(START.timestamp() + at))
            lines.append(
                {
                    "kind": "submission",
                    **{key: said[key] for key in ("submission", "agent")},
                    "commit": commit,
                    "method": said["method"],
                    "family": None,
                    "message": said["message"],
                    "predict": said["predict"],
                    "inspired_by": inspired,
                    "parents": said["parents"],
                    "time": time_at(at),
                }
            )
            waiting.append((at + chance.uniform(2, 3) * pause, {**invented.verdict(said, commit), "inspired": said["parents"]}))
            waiting.sort(key=lambda one: one[0])
        for one in waiting:
            _close(one, invented, lines, forum, chance, posts)
        end = waiting[-1][0] if waiting else 0.0
        base, verdicts = importer.base, invented.known
        opened = _sealed(paths, invented, lines, end) if sealed and invented.leaders else []
        importer.board({f"forum/{file}": text for file, text in forum}, int(START.timestamp() + end))
    for file, text in forum:
        (paths.forum / file).write_text(text, encoding="utf-8")
    _jsonl(paths.ledger, lines)
    config = {
        "name": name, "created": time_at(0), "task": "reviews", "seconds_limit": round(end, 1), "submissions_limit": 10000, "null": False,
        "seed": seed, "researcher": people[0]["researcher"], "base": base, "base_branch": "main", "isolation": "bubblewrap",
        "dirty": False, "slots": 2, "prompts_changed": [], "agents": people,
    }  # fmt: skip
    paths.toml.write_text(tomli_w.dumps(config))
    best = invented.leaders[0] if invented.leaders else None
    facts = {
        "pid": 1,
        "state": "finished",
        "seconds_used": end,
        "seconds_limit": end,
        "time": time_at(end),
        "queue": 0,
        "best": best,
        "agents": {one["name"]: {"state": "stopped", "since": time_at(end), "note": ""} for one in people},
        "problems": [],
    }
    paths.state.write_text(json.dumps(facts))
    over = [(time, min(number, 12)) for number, time in enumerate((v["time"] for v in verdicts.values()), 1)]
    _jsonl(paths.root / "diversity.jsonl", [
        {"event": "diversity", "code": round(1 + 2.5 * (1 - 0.4 * at / len(over)) * chance.uniform(0.8, 1.2), 2), "predictions":
         round(1 + 5 * chance.uniform(0.7, 1.2), 2), "over": n, "time": time} for at, (time, n) in enumerate(over)])  # fmt: skip
    if paid:
        _jsonl(paths.spend, _calls(people, submissions * 3, end, chance))
    if transfer and invented.leaders:
        (paths.root / "transfer.json").write_text(json.dumps(_transfer(invented, [one["submission"] for one in opened])))
    return paths


def _close(one: tuple[float, dict], invented: Invented, lines: list, forum: list, chance: random.Random, posts: float) -> None:
    """A verdict arrives, and perhaps its author tells of it."""
    at, verdict = one[0], one[1] | {"time": time_at(one[0])}
    inspired = verdict.pop("inspired")
    lines.append({"kind": "verdict", **verdict})
    invented.learn(verdict)
    if chance.random() >= posts:
        return
    kind = chance.choice(("result", "result", "insight", "hypothesis", "error", "question"))
    title = invented.words(f"What {verdict['family']} is worth, and why it fails", 0.05)
    author, stamp = verdict["agent"], time_at(at + 2)
    earlier = [name for name, _ in forum[-60:]]
    front = {
        "agent": author,
        "type": kind,
        "title": json.dumps(title, ensure_ascii=False),
        "submission": verdict["submission"] if kind == "result" else None,
        "replies_to": chance.choice(earlier) if earlier and chance.random() < 0.4 else None,
        "time": stamp,
    }
    view = agent_view(verdict)
    figures = f"PGR {view['pgr']} [{view['pgr_low']}, {view['pgr_high']}]" if view["pgr"] is not None else str(view["status"])
    parts = [f"**Verdict of {verdict['submission']}** ({verdict['method']}, {verdict['rung']} rung, {verdict['draws']} draws): {figures}"]
    parts = parts if kind == "result" else []
    parts += [f"*Words of {author}; figures below were typed, not measured.*"]
    parts += [
        invented.words(
            "The teacher errs where texts are long.\n\nSo `confidence` alone is not enough:\n\n- keep the easy half\n- then mix", 0.1
        )
    ]
    parts += [f"It began with {inspired[0]}." if inspired else "A new start."]
    text = "---\n" + "".join(f"{key}: {value}\n" for key, value in front.items() if value) + "---\n\n" + "\n\n".join(parts) + "\n"
    slug = f"what-is-worth-{len(forum)}"
    forum.append((f"{stamp.replace('-', '').replace(':', '')}-{author}-{slug}.md", text))


def _sealed(paths: RunPaths, invented: Invented, lines: list, end: float) -> list[dict]:
    """Open the sealed part for the three best and two others."""
    full = [v["submission"] for v in invented.known.values() if v["status"] == "scored" and v["rung"] == "full" and v["track"] == "main"]
    others = [name for name in full if name not in invented.leaders[:3]]
    controls = invented.chance.sample(others, min(2, len(others)))
    found = []
    for name in [*invented.leaders[:3], *controls]:
        verdict = {
            key: invented.known[name][key] for key in ("submission", "commit", "method", "agent", "family", "track", "status", "isolation")
        }
        verdict |= {
            "error": None,
            "rung": "sealed",
            "draws": 16,
            "flags": [],
            "reasons": [],
            "method_seconds": 4.2,
            "peak_memory_mib": 600.0,
        }
        verdict |= invented.figures(invented.quality[name] - 0.01, list(range(16))) | {"time": time_at(end + 60), "openings": 3}
        verdict["control"] = name in controls
        if not verdict["control"]:
            verdict |= {"recipe_ceiling_accuracy": 0.845} | {f"recipe_{key}": verdict[key] + 0.05 for key in ("pgr", "pgr_low", "pgr_high")}
            verdict["nearest_by_code"] = {"method": "methods/confident.py", "similarity": 0.61}
            verdict["nearest_by_predictions"] = {"method": "methods/soft.py", "agreement": 0.93}
        found.append(verdict)
    detail = ", ".join(f"{v['submission']}{' (control)' if v['control'] else ''}" for v in found)
    lines.append({"kind": "event", "event": "sealed-opening", "agent": None, "detail": detail, "time": time_at(end + 30)})
    _jsonl(paths.evaluator / "sealed.jsonl", found)
    (paths.board / "verification.md").write_text(f"# Sealed verification\n\n{detail}\n")
    return found


def _calls(agents: Sequence[dict], count: int, end: float, chance: random.Random) -> list[dict]:
    """Settled calls of models over the run; one in eight asks another model than its agent's own."""
    calls = []
    for number in range(count):
        agent = chance.choice(agents)
        model = chance.choice(tuple(MODELS)) if chance.random() < 0.125 else agent["model"]
        whole, output = chance.randrange(4_000, 60_000), chance.randrange(200, 6_000)
        read, written = int(whole * chance.uniform(0.5, 0.9)), int(whole * 0.08)
        given, made = MODELS[model]
        dollars = ((whole - read - written) * given + read * given * 0.1 + written * given * 1.25 + output * made) / 1e6
        calls.append(
            {
                "kind": "settled",
                "call": f"{number:016x}",
                "agent": agent["name"],
                "model": model,
                "dollars": dollars,
                "input_tokens": whole,
                "cache_read_tokens": read,
                "cache_write_tokens": written,
                "output_tokens": output,
                "complete": True,
                "status": 200,
                "price": "genai-prices",
                "seconds": 3.5,
                "time": time_at(end * number / max(1, count)),
            }
        )
    return calls


def _transfer(invented: Invented, chosen: Sequence[str]) -> dict:
    """Facts as `eval/transfer.py` gives them: three methods on four tasks, one that failed, one task that is not prepared."""
    names = [f"{one} {Path(invented.known[one]['method']).name}" for one in list(dict.fromkeys([*chosen, *invented.leaders]))[:3]]
    tasks, rows = ["reviews", "sentiment", "grammar", "arithmetic"], []
    for at, method in enumerate(names):
        for off, task in enumerate(tasks):
            row = {
                "method": method,
                "task": task,
                "family": "filtering",
                "track": "main",
                "flags": [],
                "isolation": "bubblewrap",
                "draws": 8,
            }
            if at == 2 and off == 3:
                rows.append(row | {"status": "crashed", "error": "ValueError: <b>no</b> groups"})
                continue
            rows.append(row | {"status": "scored", "error": None} | invented.figures(0.7 - 0.25 * off, list(range(8))))
    facts = [{"task": task, "draws": 8, "items": 3092, "isolation": "bubblewrap", "student": "probe", "origin": "", "weak_accuracy": WEAK,
              "ceiling_accuracy": CEILING, "tuned_naive_accuracy": NAIVE, "resolvable": 0.05, "file": "baselines.jsonl",
              "transfer_only": task == "arithmetic"} for task in tasks]  # fmt: skip
    missing = [{"task": "smoke", "error": "not prepared: `python aar.py prepare smoke`", "asked": False}]
    return {
        "methods": names,
        "developed_on": "reviews",
        "isolation": "bubblewrap",
        "tasks": facts,
        "missing": missing,
        "worst": dict.fromkeys(names, "grammar"),
        "rows": rows,
    }


def _jsonl(path: Path, records: Sequence[dict]) -> None:
    lines = (json.dumps(one, ensure_ascii=False, separators=(",", ":")) for one in records)
    path.write_text("".join(f"{line}\n" for line in lines), encoding="utf-8", errors="backslashreplace")
