"""Everything about one submission: behind `python aar.py show s0007 [RUN]`.

    facts = show_facts(record, "s0007")        or "best"
    print(show_text(facts))

Its verdicts, its idea and what was predicted, where it comes from, its code and what changed in it, what was said of it, what it cost,
and the commands that reproduce it.
"""

from __future__ import annotations

import difflib
import shlex
from collections.abc import Iterable, Iterator

from rich.text import Text

from state.errors import UserError
from state.names import BEST, submission_name
from state.record import Record, completing, parse_time
from stats.ranking import contenders
from view.format import clean, clean_lines, count, duration, figure, fold, interval, name_of, recipe_pgr_of, terminal_width
from view.git_words import git_words, is_opened
from view.opened import GIVEN, machine
from view.report.data import visible
from view.scores import teacher_words, verdict_text
from view.screen import painted
from view.status import being_verified, cut_off

MOST_CODE = 60_000
MOST_WORDS = 4000
MOST_LISTED = 12
REJECTED = "rejected"
MEASURES = {
    "permuted_pgr": "PGR with teachers shuffled", "blind_pgr": "PGR with hidden states of other items",
    "other_company": "answers changed in other batches",
}  # fmt: skip


def show_facts(record: Record, submission: str) -> dict:
    """What the files say of a submission; `best` is the leader of the main track. UserError where there is no such submission."""
    name = _named(record, submission)
    said, verdict = record.submissions[name], record.verdicts.get(name)
    agents = {agent["name"]: agent for agent in record.config["agents"]}
    parents = [parent for parent in said.get("parents") or () if parent in record.submissions]
    ranked = [one["submission"] for one in contenders(list(record.verdicts.values()))]
    code, before = record.source(name), record.source(parents[0]) if parents else None
    by_commit = {one["commit"]: other for other, one in record.submissions.items()}
    return {
        "submission": name, "run": record.name, "task": record.config["task"], "closed": record.closed, "opened": is_opened(record),
        "agent": said["agent"],
        "direction": agents.get(said["agent"], {}).get("direction"), "model": agents.get(said["agent"], {}).get("model"), "time": said["time"],
        "method": said["method"], "commit": said["commit"], "branch": f"aar/{record.config.get('name', record.name)}/{said['agent']}", "message": said.get("message") or "",
        "predict": said.get("predict"), "rank": ranked.index(name) + 1 if name in ranked else None, "of": len(ranked), "verdict": verdict,
        "sealed": next((one for one in record.sealed if one["submission"] == name), None), "parents": parents,
        "inspired_by": [by_commit.get(one, one) for one in said.get("inspired_by") or ()],
        "children": [other for other, one in record.submissions.items() if name in (one.get("parents") or ())],
        "diff": _diff(record, parents[0], name, before, code) if before is not None and code is not None else None, "code": code,
        "posts": [{"file": post.name, **{key: getattr(post, key) for key in ("agent", "type", "title", "time", "words")}}
                  for post in record.posts if post.submission == name],
        "cost": _cost(record, name, verdict), "ledger": {kind: record.lines.get((kind, name)) for kind in ("submission", "verdict")},
        "commands": _commands(record, name, said, parents, verdict),
    }  # fmt: skip


def _named(record: Record, said: str) -> str:
    names, submission = list(record.submissions), submission_name(said)
    if not names:
        raise UserError(f"run {record.name} has no submission yet")
    if submission == BEST:
        ranked = contenders(list(record.verdicts.values()))
        if not ranked:
            raise UserError(f"run {record.name} has no best yet: nothing was scored on the main track; it has {names[0]} to {names[-1]}")
        return ranked[0]["submission"]
    if submission not in record.submissions:
        raise UserError(f"no submission {said!r} in run {record.name}: it has {names[0]} to {names[-1]}, and `{BEST}` names the best")
    return submission


def _diff(record: Record, parent: str, name: str, before: str, after: str) -> str:
    """How the method file differs from its parent's; "" where it does not."""
    files = [f"{one} {record.submissions[one]['method']}" for one in (parent, name)]
    return "\n".join(difflib.unified_diff(before[:MOST_CODE].splitlines(), after[:MOST_CODE].splitlines(), *files, lineterm=""))


def _cost(record: Record, name: str, verdict: dict | None) -> dict:
    """`waited_seconds`: from submission to verdict. `dollars`: what models cost the agent between its previous submission and this one,
    None where no model was asked."""
    said, keys = record.submissions[name], ("method_seconds", "overhead_seconds", "audit_seconds", "peak_memory_mib")
    cost = {key: (verdict or {}).get(key) for key in keys} | {"waited_seconds": None, "dollars": None, "since": None}
    began, ended = parse_time(said["time"]), parse_time((verdict or {}).get("time"))
    if began and ended:
        cost["waited_seconds"] = (ended - began).total_seconds()
    if record.calls:
        mine = [other for other, one in record.submissions.items() if one["agent"] == said["agent"]]
        at = mine.index(name)
        cost["since"] = mine[at - 1] if at else None
        start = record.submissions[mine[at - 1]]["time"] if at else ""
        cost["dollars"] = sum(call["dollars"] for call in record.calls if call["agent"] == said["agent"] and start < call["time"] <= said["time"])
    return cost


def _commands(record: Record, name: str, said: dict, parents: list[str], verdict: dict | None) -> list[dict]:
    """What reproduces it. A run that was opened from a bundle has its own repository only, and no secret to score with again."""
    commit, method = said["commit"][:12], said["method"]
    opened, git = is_opened(record), git_words(record)
    found = [("its code", [*git, "show", f"{commit}:{method}"])]
    if parents:
        other = record.submissions[parents[0]]
        found.append((f"what changed since {parents[0]}", [*git, "diff", f"{other['commit'][:12]}:{other['method']}", f"{commit}:{method}"]))
    if (verdict or {}).get("status") == REJECTED:  # whatever scores it rejects it again
        return _typed(found)
    if opened:
        file = f"methods/{name}_{record.name.replace('-', '_')}.py"  # a name of its own: nothing of the project is written over
        written = {"does": "write its file out", "command": f"{shlex.join([*git, 'show', f'{commit}:{method}'])} > {file}"}
        scored = ["python", "aar.py", "eval", file, "--task", record.config["task"]]
        return [*_typed(found), written, *_typed([("score that, on draws of this machine", scored)])]
    found.append(("score it again, on the same draws", ["python", "aar.py", "eval", name, "--run", record.name]))
    if opening := cut_off(record.paths, record.events):
        found.append(("complete the verification, which was cut off", completing(record.name, opening).split()))
    elif not record.closed and not being_verified(record.paths, record.events) and (verdict or {}).get("status") == "scored":
        found.append(("on the sealed part, which closes the run", ["python", "aar.py", "verify", record.name, name]))
    return _typed(found)


def _typed(found: Iterable[tuple[str, list[str]]]) -> list[dict]:
    return [{"does": words, "command": shlex.join(command)} for words, command in found]


# -- text ------------------------------------------------------------------------------------------------------------------------


def show_text(facts: dict, width: int | None = None) -> str:
    """The facts of `show_facts`: plain in a pipe; for a terminal as wide as it is (or `width`), with colours."""
    width = width or terminal_width()
    lines: list = []
    for title, body in _sections(facts):
        lines += [Text(), Text(title, "bold")] if lines else [Text(title, "bold")]
        for line in body:
            lines += [Text(part) for part in fold(line, width, len(line) - len(line.lstrip()) + 2)]
    lines += _changes(facts, width) + _code(facts, width)
    lines += [Text(), Text("reproduce", "bold")]
    wide = max(len(one["does"]) for one in facts["commands"])
    for one in facts["commands"]:
        lines += [Text(line) for line in _command(one["does"], one["command"], wide, width)]
    lines += [Text(line, "dim") for line in fold(f"  the commit is on branch {facts['branch']}", width, 2)]
    return painted(lines, width)


def _command(does: str, command: str, wide: int, width: int | None) -> list[str]:
    """A command beside what it does, or below where that is too narrow; its lines can be copied as they are."""
    line = f"  {does.ljust(wide)}  {command}"
    if width is None or len(line) <= width:
        return [line]
    parts = fold(f"    {command}", width - 2, 6)
    return [f"  {does}:", *(f"{part} \\" for part in parts[:-1]), parts[-1]]


def _sections(facts: dict) -> Iterator[tuple[str, list[str]]]:
    name, verdict = facts["submission"], facts["verdict"]
    direction = f", direction {clean(facts['direction'], 40)}" if facts["direction"] else ""
    model = f", model {clean(facts['model'], 60)}" if facts["model"] else ""
    place = f", number {facts['rank']} of {count(facts['of'], 'method')} that compete" if facts["rank"] else ""
    lines = [f"run {facts['run']}, task {clean(facts['task'], 40)}{place}", f"by {clean(facts['agent'], 40)}{direction}{model}, {facts['time']}"]
    if facts["opened"]:
        lines.append(GIVEN)
    numbers = [f"{number} ({kind})" for kind, number in facts["ledger"].items() if number]
    lines.append(f"commit {facts['commit']}" + (f"; ledger.jsonl lines {', '.join(numbers)}" if numbers else ""))
    yield f"{name} {name_of(facts['method'], 120)}", lines
    yield "idea", [*(f"  {line}" for line in clean_lines(facts["message"] or "(nothing was said)", MOST_WORDS).splitlines()), *_origin(facts)]
    if verdict is None:
        yield "verdict", ["  none yet: it waits to be scored"]
    else:
        yield "verdict", _verdict(verdict, facts["opened"]) + _predicted(facts)
    if facts["sealed"]:
        yield f"on the sealed part{', as a control' if facts['sealed'].get('control') else ''}", _verdict(facts["sealed"], facts["opened"])
    if lines := _cost_lines(facts["cost"], (verdict or {}).get("status") == REJECTED):
        yield "cost", lines
    if facts["posts"]:
        yield f"posts about it ({len(facts['posts'])})", list(_posts(facts["posts"]))


def _origin(facts: dict) -> list[str]:
    lines = []
    others = [clean(one, 100) for one in facts["inspired_by"] if one not in facts["parents"]]
    if facts["parents"]:
        lines.append(f"  from {_listed(facts['parents'])}")
    if others:
        lines.append(f"  inspired by {_listed(others)}")
    if facts["children"]:
        lines.append(f"  {_listed(facts['children'])} build on it")
    return lines


def _listed(names: list[str]) -> str:
    more = f" and {len(names) - MOST_LISTED} more" if len(names) > MOST_LISTED else ""
    return ", ".join(names[:MOST_LISTED]) + more


def _verdict(verdict: dict, opened: bool) -> list[str]:
    """A verdict in full: what is printed of one by hand, and what only a run's verdicts have."""
    lines = [f"  {line}" for line in verdict_text({**verdict, "submission": None, "method": ""}).splitlines() if line.strip()]
    if verdict.get("promotion"):
        lines.append(f"  sent to the full rung by: {clean(verdict['promotion'], 40)}")
    if verdict.get("same_as"):
        lines.append(f"  the same code as {clean(verdict['same_as'], 12)}, whose verdict it has")
    if verdict.get("recipe_pgr") is not None:
        ceiling = f", which reaches accuracy {figure(verdict.get('recipe_ceiling_accuracy'), digits=3)} on true labels"
        lines.append(f"  against the ceiling of its own recipe{ceiling}: PGR {recipe_pgr_of(verdict)}")
    for what, words in (("best", "the best then"), ("parent", "its parent")):
        if not verdict.get(what):
            continue
        found = clean(verdict.get(f"against_{what}") or "not known", 20)
        if verdict.get(f"over_{what}") is not None:
            over = interval(*(verdict.get(f"over_{what}{end}") for end in ("", "_low", "_high")), signed=True)
            found += f", paired difference {over}"
        lines.append(f"  against {words} ({clean(verdict[what], 12)}): {found}")
    for key, words in (("pgr_by_draw", "PGR by draw"), ("lift_by_draw", "lift by draw")):
        if verdict.get(key):
            lines.append(f"  {words}: {'  '.join(figure(value, signed=key[0] == 'l') for value in verdict[key])}")
    teacher = teacher_words(verdict)
    lines += [f"  {teacher[1]}"] if teacher else []
    told = [key for key in MEASURES if verdict.get(key) is not None and not (teacher and key == "permuted_pgr")]
    lines += [f"  {MEASURES[key]}: {figure(verdict[key])}" for key in told]
    for key, words in (("nearest_by_code", "by its code"), ("nearest_by_predictions", "by its answers")):
        if isinstance(near := verdict.get(key), dict):
            alike = near.get("similarity", near.get("agreement"))
            share = f", {alike:.0%}" if alike is not None else ""
            lines.append(f"  nearest in the library {words}: {name_of(near.get('method') or '?', 80)}{share}")
    if verdict.get("openings"):
        lines.append(f"  openings of this task's sealed part {machine(opened)}: {verdict['openings']}")
    return lines


def _predicted(facts: dict) -> list[str]:
    expected, verdict = facts["predict"], facts["verdict"]
    if expected is None:
        return ["  nothing was predicted"]
    low, high = verdict.get("pgr_low"), verdict.get("pgr_high")
    if verdict.get("pgr") is None or low is None:
        return [f"  predicted PGR {figure(expected)}"]
    words = "too much was expected" if expected > high else "too little was expected" if expected < low else "within its interval"
    return [f"  predicted PGR {figure(expected)}, found {figure(verdict['pgr'])}: {words}"]


def _cost_lines(cost: dict, rejected: bool) -> list[str]:
    """Of what was rejected only what models cost."""
    parts = [("in the method", "method_seconds"), ("around it", "overhead_seconds"), ("in audits", "audit_seconds")]
    seconds = [f"{figure(cost[key], digits=1)} s {words}" for words, key in parts if cost[key] is not None]
    seconds += [f"verdict {duration(cost['waited_seconds'])} after the submission"] if cost["waited_seconds"] is not None else []
    lines = [f"  {', '.join(seconds)}"] if seconds and not rejected else []
    if cost["dollars"] is not None:
        since = f"its agent's calls since {cost['since']}" if cost["since"] else "its agent's calls until then"
        lines.append(f"  about ${cost['dollars']:.2f} for models: {since}")
    return lines or ([] if rejected else ["  not known"])


def _posts(posts: Iterable[dict]) -> Iterator[str]:
    for post in posts:
        yield f'  {clean(post["type"], 20)} "{clean(post["title"], 200)}" by {clean(post["agent"], 40)}, board/forum/{clean(post["file"], 200)}'
        yield from (f"    {line}" for line in clean_lines(post["words"], MOST_WORDS).splitlines())


def _changes(facts: dict, width: int | None) -> list:
    if facts["diff"] is None:
        words = f"(the file of {facts['parents'][0]} is not in the repository here)" if facts["parents"] else "(the first of its line)"
        return [Text(), Text("what changed", "bold"), Text(f"  {words}")]
    lines = [Text(), Text(f"what changed since {facts['parents'][0]}", "bold")]
    colours = {"+": "green", "-": "red", "@": "cyan"}
    for line in visible(facts["diff"] or "  (nothing)").split("\n"):
        lines += [Text(part, colours.get(line[:1], "")) for part in fold(line.replace("\t", "    "), width, 1)]
    return lines


def _code(facts: dict, width: int | None) -> list:
    lines: list = [Text(), Text("code", "bold")]
    if facts["code"] is None:
        return [*lines, Text("  (the commit is not in the repository here)")]
    code = visible(facts["code"][:MOST_CODE].replace("\r\n", "\n").replace("\t", "    ")).rstrip("\n")
    if width is None:
        lines.append(Text(code))
    else:
        from rich.syntax import Syntax

        lines.append(Syntax(code, "python", theme="ansi_light", word_wrap=True, background_color="default"))
    if len(facts["code"]) > MOST_CODE:
        lines.append(Text(f"  (cut here: {len(facts['code']):,} characters)", "dim"))
    return lines
