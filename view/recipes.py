"""What runs were started with, as far as it decides how they go: which of them are replicates, and how others differ.

    recipe(record)                  key -> value; runs with equal recipes are replicates of one side
    split_sides(["a1,a2", "b1"])    what the command line names
    group(records, sides)           the sides of a comparison
    differences(sides)              how they differ, key by key
    changed(record)                 what was changed of it while the run went on

Part of it is the researcher, its models and their settings, prompts by their hashes, directions, agents and people, what may be spent
(as it was in the end: `resume` may raise it), what agents hear. Not part of it: names, times, seeds. Nor is the commit a run was started
from, since with every edit of a prompt it is another one: where the code differs that is told, and whoever compares two versions of it
groups the runs by commas.
"""

from __future__ import annotations

import difflib
import json
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from state.config import is_person
from state.errors import UserError
from state.objects import read_tree
from state.record import Record
from view.format import clean, clean_lines

SINGLE = ("share_after_seconds", "submissions_limit", "fleet_submissions_limit", "slots", "null", "isolation")
TABLES = ("model", "budget", "news", "command", "prices")
NO_MATTER = {"model.outage_hours"}
DIRECTIONS = "prompts/directions/"
CODE = ("methods", "swarm", "eval", "sandbox", "stats", "state")
"""Folders whose code may change how a run goes."""
ALLOWED = ("seconds_limit", "submissions_limit", "fleet_submissions_limit", "budget", "slots", "agents")
"""Keys that say how much a run may do."""
BUDGET = "budget.json"
"""In the folder of a run: what `resume --budget` said since it was started."""
MOST_LINES = 600
"""Of a diff of prompts."""
NONE = "none"


@dataclass(frozen=True)
class Side:
    """Replicates, called by one letter."""

    name: str
    records: tuple[Record, ...]


def split_sides(arguments: Sequence[str]) -> tuple[list[str], list[list[str]] | None]:
    """The runs that a command line names, and how it groups them: `a1,a2 b1` makes two sides; None without commas. UserError for a run that
    is named twice, fewer than two runs, or one group alone."""
    sides = [[name.strip() for name in argument.split(",") if name.strip()] for argument in arguments]
    sides = [side for side in sides if side]
    names = [name for side in sides for name in side]
    twice = [name for name, times in Counter(names).items() if times > 1]
    if twice:
        raise UserError(f"run {twice[0]} is named twice: a run is on one side only")
    if len(names) < 2:
        raise UserError("compare needs two runs at least: python aar.py compare RUN_A RUN_B, or with commas compare A1,A2 B1,B2")
    if not any("," in argument for argument in arguments):
        return names, None
    if len(sides) < 2:
        raise UserError(f"all runs are in one group: put a blank between sides, as in compare {names[0]} {','.join(names[1:])}")
    return names, sides


def recipe(record: Record) -> dict[str, str]:
    """What decides how a run goes, as flat text; "none" where nothing is said."""
    config = record.config
    agents = [agent for agent in config["agents"] if not is_person(agent)]
    made = {
        "researcher": _counted(agent.get("researcher") for agent in agents) if agents else NONE,
        "models": _counted(agent["model"] for agent in agents if agent.get("model")),
        "directions": _counted(agent.get("direction") or NONE for agent in agents),
        "agents": str(len(agents)),
        "people": str(len(config["agents"]) - len(agents)),
        "seconds_limit": _text(_seconds_limit(record)),
    }
    made |= {key: _text(config.get(key)) for key in SINGLE}
    for table in TABLES:
        values = config.get(table, {}) | (_later_budget(record) if table == "budget" else {})
        made |= {f"{table}.{key}": _text(value) for key, value in values.items()}
    used = {f"{DIRECTIONS}{agent.get('direction')}.md" for agent in agents}
    made |= {path: sha[:12] for path, sha in config.get("prompts", {}).items() if not path.startswith(DIRECTIONS) or path in used}
    return {key: value for key, value in made.items() if key not in NO_MATTER}


def changed(record: Record) -> list[str]:
    """Limits that were moved while the run went on, in words: a run that was allowed more is no replicate of one that was not."""
    config, seconds = record.config, _seconds_limit(record)
    start, later = config.get("budget", {}), _later_budget(record)
    moved = [(f"budget.{key}", start.get(key), value) for key, value in later.items() if value != start.get(key)]
    if seconds != config.get("seconds_limit", 0.0):
        moved.append(("seconds_limit", config.get("seconds_limit"), seconds))
    said = [(clean(key, 40), clean(_text(old), 20), clean(_text(new), 20)) for key, old, new in moved]
    return [f"its {key} was changed by `resume`: {old} at the start, {new} since" for key, old, new in said]


def _seconds_limit(record: Record) -> float:
    return max(record.config.get("seconds_limit", 0.0), record.state.get("seconds_limit") or 0.0)


def _later_budget(record: Record) -> dict:
    """What budget.json says; {} where there is none."""
    file = record.paths.root / BUDGET
    try:
        later = json.loads(file.read_text(encoding="utf-8"))
    except FileNotFoundError:
        return {}
    except ValueError as error:
        raise UserError(f"{file} is not JSON ({error}): `python aar.py resume {record.name} --budget DOLLARS` writes it anew") from None
    if not isinstance(later, dict):
        raise UserError(f"{file} holds no limits by name: `python aar.py resume {record.name} --budget DOLLARS` writes it anew")
    return later


def _text(value: object) -> str:
    if value is None:
        return NONE
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)


def _counted(names: Iterable[object]) -> str:
    """["a", "b", "a"] -> "a x2, b"."""
    counts = Counter(str(name) for name in names)
    return ", ".join(name if times == 1 else f"{name} x{times}" for name, times in sorted(counts.items())) or NONE


def group(records: Sequence[Record], sides: Sequence[Sequence[str]] | None = None) -> list[Side]:
    """Sides in the order in which the first of their runs is named; `sides`: names, as grouped by hand. UserError where runs are of
    different tasks, one of them stands there twice, or all are of one recipe and not grouped by hand."""
    tasks = {record.config["task"]: record.name for record in reversed(records)}
    if len(tasks) > 1:
        (one, first), (other, second) = list(tasks.items())[::-1][:2]
        raise UserError(f"{first} is on task {clean(one, 40)} and {second} on {clean(other, 40)}: figures of different tasks cannot be compared")
    seen: dict[tuple, str] = {}
    for record in records:  # also by other names: a bundle may have been opened beside the run that it was packed from
        same = identity(record)
        if same in seen:
            raise UserError(f"{seen[same]} and {record.name} are the same run, {clean(same[0], 40)}: a run counts once, on one side")
        seen[same] = record.name
    if sides is not None:
        by_name = {record.name: record for record in records}
        made = [[by_name[name] for name in side] for side in sides]
    else:
        found: dict[str, list[Record]] = {}
        for record in records:
            found.setdefault(json.dumps(recipe(record), sort_keys=True), []).append(record)
        made = list(found.values())
    if len(made) < 2:
        names, code = [record.name for record in records], code_differences([Side("", (record,)) for record in records])
        apart = f" (only their code differs: {', '.join(code)})" if code else ""
        by_hand = f"`python aar.py compare {names[0]}, {','.join(names[1:])}` compares them all the same (a comma says that sides are told by hand)"
        raise UserError(f"{', '.join(names)} have the same recipe{apart}: {by_hand}")
    return [Side(_letter(number), tuple(some)) for number, some in enumerate(made)]


def identity(record: Record) -> tuple:
    """What a run is told by, whatever its folder is called: its copies have the same."""
    return tuple(record.config.get(key) for key in ("name", "created", "base", "seed"))


def _letter(number: int) -> str:
    return chr(ord("A") + number) if number < 26 else f"{chr(ord('A') + number // 26 - 1)}{chr(ord('A') + number % 26)}"


def differences(sides: Sequence[Side]) -> list[dict]:
    """{"key", "values": side -> text} of what is not the same on all sides; several values of one side stand behind each other."""
    found = {side.name: [recipe(record) for record in side.records] for side in sides}
    keys = dict.fromkeys(key for recipes in found.values() for one in recipes for key in one)
    rows = []
    for key in keys:
        values = {name: sorted({one.get(key, NONE) for one in recipes}) for name, recipes in found.items()}
        if len(set(map(tuple, values.values()))) > 1:
            rows.append({"key": key, "values": {name: " | ".join(clean(value, 300) for value in some) for name, some in values.items()}})
    apart = {row["key"] for row in rows}
    # Who has a direction and who has not is told by their names.
    rows = [row for row in rows if not (row["key"].startswith(DIRECTIONS) and "directions" in apart and NONE in row["values"].values())]
    return _joined(rows, [side.name for side in sides])


def _joined(rows: Sequence[dict], sides: Sequence[str]) -> list[dict]:
    """Rows with one for all settings of a table that some sides do not have at all, such as those of a model where none is asked."""
    of: dict[str, list[dict]] = {}
    for row in rows:
        of.setdefault(row["key"].partition(".")[0] if row["key"].partition(".")[0] in TABLES else row["key"], []).append(row)
    made = []
    for key, some in of.items():
        lack = [name for name in sides if all(row["values"][name] == NONE for row in some)]
        if key not in TABLES or not lack:
            made += some
            continue
        words = {name: ", ".join(f"{row['key'].partition('.')[2]} {row['values'][name]}" for row in some) for name in sides}
        made.append({"key": key, "values": {name: NONE if name in lack else words[name] for name in sides}})
    return made


def within(side: Side) -> list[str]:
    """Keys in which the runs of one side differ, which was then grouped by hand."""
    return [row["key"] for row in differences([Side(record.name, (record,)) for record in side.records])]


def code_differences(sides: Sequence[Side]) -> list[str]:
    """Folders of CODE that are not the same in all the commits that runs were started from; [] where a repository cannot tell."""
    records = [record for side in sides for record in side.records]
    if len({record.config.get("base") for record in records}) < 2:
        return []
    trees = [read_tree(record.paths.repo, record.config.get("base", "")) for record in records]
    trees = [tree for tree in trees if tree]
    return [f"{name}/" for name in CODE if len({tree.get(name) for tree in trees}) > 1]


def prompt_diffs(first: Side, second: Side) -> list[dict]:
    """{"path", "added", "removed", "diff"} of each frozen text that two sides do not share, from their first runs; a text that one side lacks
    is added or removed as a whole."""
    found = []
    one, other = first.records[0], second.records[0]
    mine, yours = recipe(one), recipe(other)
    for path in sorted({key for key in (*mine, *yours) if key.startswith("prompts/") and mine.get(key) != yours.get(key)}):
        texts = [_frozen(record, path).splitlines() if path in said else [] for record, said in ((one, mine), (other, yours))]
        lines = list(difflib.unified_diff(*texts, f"{first.name}: {path}", f"{second.name}: {path}", lineterm=""))
        marks = Counter(line[:1] for line in lines[2:])
        rest = [f"... and {len(lines) - MOST_LINES} more lines"] if len(lines) > MOST_LINES else []
        shown = "\n".join(clean_lines(line, 2000) for line in [*lines[:MOST_LINES], *rest])
        found.append({"path": clean(path, 120), "added": marks["+"], "removed": marks["-"], "diff": shown})
    return found


def _frozen(record: Record, path: str) -> str:
    file = record.paths.board / path
    inside = file.resolve().is_relative_to(record.paths.board.resolve())
    return file.read_text(encoding="utf-8", errors="replace") if inside and file.is_file() else ""


def same_draws(records: Sequence[Record]) -> bool:
    """Whether all figures that these runs have in common were measured on the same draws and items, by the anchors and the size of each
    rung: what another machine prepared differs in them."""
    seen: dict[tuple, set[tuple]] = {}
    for record in records:
        for verdict in [*record.verdicts.values(), *record.sealed]:
            scale = tuple(verdict.get(key) for key in ("weak_accuracy", "ceiling_accuracy", "independent_items"))
            if verdict.get("status") == "scored" and None not in scale:
                seen.setdefault((verdict["rung"], verdict["draws"]), set()).add(tuple(round(value, 6) for value in scale))
    return all(len(scales) == 1 for scales in seen.values())
