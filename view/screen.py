"""A run as lines of text: the one renderer of `status`, `status --watch`, the operator's live table and `replay`.

    lines = screen(facts, width, height)    facts: as `view.status.status_facts` gives them; None: a pipe, or no end below
    painted(lines, width)                   as one string, with colours where it is for a terminal

Problems stand first. In a pipe an agent has one line with all that there is of it; on a terminal it has a second line where one has no
room for all, and what is left out even so is named.
"""

from __future__ import annotations

import io
import os
from collections.abc import Sequence
from typing import TYPE_CHECKING

from rich.cells import cell_len
from rich.console import Console
from rich.text import Text

from stats.exposure import Exposure, exposure_words, luck_words
from stats.rejections import Rejections, rejections_words
from view.format import clean, columns, count, duration, figure, fold, interval, left_out_words, lift_of, name_of, pgr_of, short
from view.opened import GIVEN, machine
from view.scores import failure_words

if TYPE_CHECKING:
    from rich.syntax import Syntax

RATES = {"dollars_a_verdict": "a verdict", "dollars_a_point": "for each .01 of PGR"}
COLOURS = {"present": "green", "away": "dim", "scoring": "green", "thinking": "cyan", "acting": "cyan", "working": "cyan", "waiting": "yellow",
           "queued": "yellow", "parked": "bold red", "stopped": "dim", "starting": "dim"}  # fmt: skip
COLUMNS = ("agent", "state", "for", "submissions", "last PGR", "best PGR", "turns", "spent", "seen", "direction", "note", "idea")
RIGHT = ("for", "submissions", "last PGR", "turns", "spent", "seen")
PAID = ("turns", "spent")
"""Columns that only a run has which asks models."""
BEHIND = ("direction", "turns", "note", "idea")
"""What stands on an agent's second line where the first has no room for it."""
SPARE = ("for", "last PGR", "seen", "spent", "submissions")
"""What the first line does without in the end."""
LABEL = 8
"""Columns of the words before a line: run, time, budget, ..."""
MOST_PROBLEMS = 5
IDEA = 30
"""Columns that an idea needs to stand on the same line as the rest."""


def painted(lines: Sequence[Text | Syntax], width: int | None) -> str:
    """The lines as one string. `width`: of the terminal that it is for, whose colours are used; None: plain text."""
    if width is not None:
        out = io.StringIO()
        console = Console(file=out, force_terminal=True, width=width, highlight=False, markup=False, emoji=False)
        if not console.is_dumb_terminal and not os.environ.get("NO_COLOR"):
            for line in lines:
                console.print(line, soft_wrap=isinstance(line, Text))
            return out.getvalue().rstrip("\n")
    return "\n".join(line.plain.rstrip() if isinstance(line, Text) else line.code.rstrip("\n") for line in lines)


def screen(facts: dict, width: int | None = None, height: int | None = None) -> list[Text]:
    """The lines of a run, none wider than `width` and at most `height` of them; what that leaves out is said in the last ones."""
    lines = _laid_out(facts, width, height)
    for line in lines if width is not None else ():
        line.truncate(width, overflow="ellipsis")
    return lines


def _laid_out(facts: dict, width: int | None, height: int | None) -> list[Text]:
    alike = _alike(facts)
    head, rest = _head(facts, alike, width), _afterwards(facts, width)
    facts = {**facts, "agents": [{**agent, "note": "" if agent["note"] in alike else agent["note"]} for agent in facts["agents"]]}
    if width is None:
        return [*head, *map(Text, _pipe_table(facts)), *rest]
    for behind, about in ((True, rest), (True, []), (False, [])):
        table, left_out = _table(facts, width, behind)
        left_out += [] if about else ["what was told and what luck is worth"]
        note = [Text(line, "dim") for line in fold(left_out_words(left_out, "wider" if height is None else "larger"), width)] if left_out else []
        lines = [*head, *table, *about, *note]
        if height is None or len(lines) <= height:
            return lines
    most = max(1, height - len(note) - 1)
    top = head[: max(most - len(table), most // 2)]
    body = [*top, *table][:most]
    left_out.insert(0, count(len(head) + len(table) - len(body), "line"))
    return [*body, *(Text(line, "dim") for line in fold(left_out_words(left_out, "wider" if height is None else "larger"), width))][:height]


def _alike(facts: dict) -> dict[str, str]:
    """Of a run that is over: notes that several agents have, and whose they are, in words. Said once, they leave room for ideas."""
    whose: dict[str, list[str]] = {}
    for agent in facts["agents"] if not facts["alive"] else ():
        whose.setdefault(agent["note"] or "", []).append(clean(agent["name"], 40))
    found = {}
    for note, names in whose.items():
        if note and len(names) > 1:
            others = [clean(agent["name"], 40) for agent in facts["agents"] if agent["note"] != note]
            but = f"all but {', '.join(others)}" if others else "all agents"
            found[note] = but if len(others) < len(names) else ", ".join(names)
    return found


def _head(facts: dict, alike: dict[str, str], width: int | None) -> list[Text]:
    """Problems, then the run as a whole, with what is `alike` for its agents."""
    lines: list[Text] = []
    problems = facts["problems"]
    shown = problems if width is None else problems[:MOST_PROBLEMS]
    for problem in shown:
        lines += _labelled("problem: ", clean(problem, 300), width, "bold yellow", "yellow")
    if len(problems) > len(shown):
        lines += [Text(short(f"... and {count(len(problems) - len(shown), 'earlier problem')} (--json shows them)", width), "yellow")]
    lines += _labelled(f"run {facts['run']}: ", run_words(facts), width, "bold", "bold", indent=LABEL)
    if facts["state"] != "open":
        lines += _bar("time", facts["seconds_used"], facts["seconds_limit"], time_words(facts), width, "cyan")
    if facts["models"] or facts["spend_dollars"]:
        models = f" ({', '.join(clean(model, 60) for model in facts['models'])})" if facts["models"] else ""
        lines += _bar("budget", facts["spend_dollars"], facts.get("spend_limit"), money_words(facts) + models, width, "magenta")
    lines += _labelled("work", work_words(facts), width)
    lines += _labelled("best", best_words(facts["best_verdict"]), width, "", "green")
    for verdict in facts["sealed"]:
        lines += _labelled("sealed", sealed_words(verdict, facts["opened"]), width, "", "green")
    for note, whose in alike.items():
        lines += _labelled("note", f"{clean(note, 120)} ({whose})", width)
    return [*lines, Text()]


def _labelled(label: str, words: str, width: int | None, style: str = "", rest: str = "", indent: int | None = None) -> list[Text]:
    """Words behind a label; a label without a colon is as wide as LABEL."""
    start = label if label.endswith(": ") else label.ljust(LABEL)
    lines = [Text(line, rest) for line in fold(start + words, width, len(start) if indent is None else indent)]
    lines[0].stylize(style or "dim", 0, len(start))
    return lines


def _bar(label: str, used: float, most: float | None, words: str, width: int | None, style: str) -> list[Text]:
    """A bar of how much of something is used, where it has a limit, with words behind it."""
    if not most:
        return _labelled(label, words, width)
    cells = 20 if width is None or width >= 120 else 12
    full = round(cells * min(1.0, max(0.0, used / most)))
    bar = "█" * full + "░" * (cells - full) if width is not None else f"[{'#' * full}{'.' * (cells - full)}]"
    lines = _labelled(label, f"{bar} {words}", width, indent=LABEL + len(bar) + 1)
    lines[0].stylize(style, LABEL, LABEL + len(bar))
    return lines


def _afterwards(facts: dict, width: int | None) -> list[Text]:
    """What the figures are worth, after the table."""
    told = Exposure(**facts["exposure"])
    words = [exposure_words(told), luck_words(told), rejections_words(Rejections(**facts["wrong_rejections"]))]
    return [Text(), *(Text(line, "dim") for one in words if one for line in fold(one, width, 2))]


# -- words -----------------------------------------------------------------------------------------------------------------------


def state_words(facts: dict) -> str:
    """`running`, `finished`, and of a run whose winner was tested on the sealed part `verified`."""
    return "verified" if facts.get("verified") else facts["state"]


def run_words(facts: dict) -> str:
    """`verified (finished), task reviews, 9 agents and 1 person`; of a run that is open for people, who is there."""
    state = facts["state"]
    if facts["verified"]:
        state = f"verified ({state})"
    elif at := facts["verifying"]:
        state += f", {at['of']} being scored on the sealed part" if at["done"] is None else f", {at['done']} of {at['of']} scored on the sealed part"
    words = f"{state}, task {clean(facts['task'], 40)}"
    if facts["state"] == "open":
        return f"{words}, {duration(facts['seconds_used'])} used, {present_words(facts['people'])}"
    people = sum(agent["person"] for agent in facts["agents"])
    words += f", {count(len(facts['agents']) - people, 'agent')}"
    words += f" and {'1 person' if people == 1 else f'{people} people'}" if people else ""
    words += f", {present_words(facts['people'])}" if facts["people"] else ""
    return words + (f", {GIVEN}" if facts["opened"] else "")


def time_words(facts: dict) -> str:
    """`4m10s of 10m00s used, 5m50s left`."""
    used, limit = facts["seconds_used"], facts["seconds_limit"]
    return f"{duration(used)} of {duration(limit)} used" + (f", {duration(limit - used)} left" if facts["alive"] else "")


def present_words(number: int) -> str:
    """How many people there are, in words."""
    return "1 person is there" if number == 1 else f"{number or 'no'} people are there"


def money_words(state: dict) -> str:
    """`spent $3.10 of $200.00, $196.90 left, $13.20 an hour: gone in 14h54m, $0.04 a verdict, $0.05 for each .01 of PGR`, from
    state.json or `status_facts`."""
    spent, limit, rate = state.get("spend_dollars") or 0.0, state.get("spend_limit"), state.get("dollars_an_hour")
    words = [f"spent ${spent:.2f}" + (f" of ${limit:.2f}, ${max(0.0, limit - spent):.2f} left" if limit else "")]
    if rate is not None and state.get("alive", True):
        words.append(f"${rate:.2f} an hour{_gone(state, limit, spent, rate)}")
    words += [f"${state[name]:.2f} {about}" for name, about in RATES.items() if state.get(name) is not None]
    return ", ".join(words)


def _gone(state: dict, limit: float | None, spent: float, rate: float) -> str:
    """When there is nothing left at this rate, in words."""
    if not limit or rate <= 0 or spent >= limit:
        return ""
    seconds = 3600 * (limit - spent) / rate
    left = state.get("seconds_limit", 0.0) - state.get("seconds_used", 0.0)
    return f": gone in {duration(seconds)}" if seconds < left else ": enough until the time is over"


def work_words(facts: dict) -> str:
    """`1 of 2 slots in use, 3 in the queue; 286 submissions of 2000, 280 scored, 99 posts`."""
    slots, used = facts.get("slots"), facts.get("slots_used")
    known = [] if slots is None or not facts["alive"] else [f"{used} of {count(slots, 'slot')} in use" if used is not None else count(slots, "slot")]
    left = "never scored" if facts["verified"] else "in the queue"
    known += [f"{facts['queue']} {left}"] if facts["alive"] or facts["queue"] else []
    limit = f" of {facts['fleet_submissions_limit']}" if facts["fleet_submissions_limit"] else ""
    made = f"{count(facts['submissions'], 'submission')}{limit}, {facts['scored']} scored, {count(facts['posts'], 'post')}"
    return f"{', '.join(known)}; {made}" if known else made


def best_words(verdict: dict | None) -> str:
    """`s0007 methods/x.py by agent-3, PGR 0.67 [0.61, 0.72], lift ...`, or "none yet"."""
    if verdict is None:
        return "none yet"
    who = f"{clean(verdict['submission'], 12)} {name_of(verdict['method'])} by {clean(verdict['agent'], 40)}"
    known = verdict.get("pgr") is not None or verdict.get("accuracy") is None
    found = f"PGR {pgr_of(verdict)}" if known else f"accuracy {figure(verdict['accuracy'], digits=3)} (PGR is n/a: the gap is not established)"
    return f"{who}, {found}, lift {lift_of(verdict)} ({clean(verdict['rung'], 8)} rung)"


def sealed_words(verdict: dict, opened: bool = False) -> str:
    """A sealed verdict beside the public one of the winner. `opened`: the run was, from a bundle."""
    if verdict["status"] != "scored":
        return f"{clean(verdict['submission'], 12)}: {failure_words(verdict)}"
    openings = f", {count(verdict['openings'], 'opening')} of this task's sealed part {machine(opened)}" if verdict.get("openings") else ""
    return f"{clean(verdict['submission'], 12)} PGR {pgr_of(verdict)}, lift {lift_of(verdict)} ({count(verdict['draws'], 'draw')}{openings})"


# -- agents ----------------------------------------------------------------------------------------------------------------------


def agent_row(agent: dict) -> dict[str, str]:
    """One agent under COLUMNS, cleaned. `for`: how long it has been in its state; `seen`: how long ago it gave a sign of life."""
    restarts, last = agent.get("restarts") or 0, agent["last_pgr"]
    failed = agent["last_status"] not in (None, "scored")
    best = interval(agent["best_pgr"], agent["best_low"], agent["best_high"])
    if agent["best_pgr"] is None:
        best = "-" if agent["best_accuracy"] is None else f"accuracy {figure(agent['best_accuracy'], digits=3)}"
    note = ", ".join(filter(None, [count(restarts, "restart") if restarts else "", clean(agent["note"] or "", 120)]))
    return {
        "agent": clean(agent["name"], 40), "state": clean(agent["state"], 12), "for": duration(agent["state_seconds"]),
        "submissions": str(agent["submissions"]), "last PGR": clean(agent["last_status"], 9) if failed else "-" if last is None else figure(last),
        "best PGR": best, "turns": str(agent.get("turns", 0)), "spent": f"${agent.get('dollars', 0.0):.2f}", "seen": duration(agent["sign_seconds"]),
        "direction": clean(agent["direction"] or "-", 28), "note": note or "-", "idea": clean(agent["idea"] or "", 300) or "-",
    }  # fmt: skip


def _shown(facts: dict) -> list[str]:
    return [name for name in COLUMNS if facts["models"] or facts["spend_dollars"] or name not in PAID]


def _pipe_table(facts: dict) -> list[str]:
    names = _shown(facts)
    rows = [[row[name] for name in names] for row in map(agent_row, facts["agents"])]
    return columns(names, rows, right=RIGHT).splitlines()


def _table(facts: dict, width: int, behind: bool) -> tuple[list[Text], list[str]]:
    """The agents on a terminal, and the names of what is left out. `behind`: whether they may have second lines."""
    rows = list(map(agent_row, facts["agents"]))
    for row in rows:
        row["agent"] = short(row["agent"], max(7, width // 5))
    names = [name for name in _shown(facts) if name in ("agent", "state", "submissions", "best PGR", "idea") or any(row[name] != "-" for row in rows)]
    titles = {name: {"submissions": "subs"}.get(name, name) for name in names}
    widths = {name: max(cell_len(titles[name]), *(cell_len(row[name]) for row in rows), 0) for name in names}
    for name, most in (("note", 28), ("direction", 16)):
        if name in widths:
            widths[name] = min(widths[name], most)
    widths["idea"] = min(widths["idea"], IDEA)
    one_line = _wide(widths, names) <= width
    first = names if one_line else [name for name in names if name not in BEHIND]
    left_out = [] if one_line or behind else [name for name in names if name in BEHIND]
    for name in SPARE:
        if _wide(widths, first) <= width:
            break
        if name in first:
            first.remove(name)
            left_out.append(name)
    if one_line:
        widths["idea"] += width - _wide(widths, names)
    elif not behind and _wide(widths, first) + 2 + widths.get("note", width) <= width:  # a note is worth more than white
        first, left_out = [*first, "note"], [name for name in left_out if name != "note"]
    lines = [Text(_line(titles, first, widths), "dim")]
    for row in rows:
        line = Text(_line(row, first, widths))
        start = widths["agent"] + 2
        line.stylize(COLOURS.get(row["state"], ""), start, start + len(row["state"]))
        lines.append(line)
        if not one_line and behind and (more := _second(row, names)):
            lines.append(Text(short("  " + more, width), "dim"))
    return lines, left_out


def _wide(widths: dict[str, int], names: Sequence[str]) -> int:
    return sum(widths[name] for name in names) + 2 * (len(names) - 1)


def _line(row: dict[str, str], names: Sequence[str], widths: dict[str, int]) -> str:
    cells = []
    for name in names:
        cell = short(row[name], widths[name])
        padding = " " * (widths[name] - cell_len(cell))
        cells.append(padding + cell if name in RIGHT else cell + padding)
    return "  ".join(cells).rstrip()


def _second(row: dict[str, str], names: Sequence[str]) -> str:
    """What an agent's first line has no room for."""
    words = {"turns": f"{row['turns']} turns", "idea": f'"{row["idea"]}"'}
    return " · ".join(words.get(name, row[name]) for name in BEHIND if name in names and row[name] not in ("-", "0"))
