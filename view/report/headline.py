"""The first screen of a report: what was found, can it be believed, what did it cost, what next.

`headline(record)` is a dict of plain text; the page escapes it. Each check says yes, no, or that it is not known, and why.
"""

from __future__ import annotations

import math
import shlex
from pathlib import PurePosixPath

from state.config import is_person
from state.ledger import NULL_STAMP
from state.record import Record, completing
from stats.ablation import steps
from stats.progress import compute_seconds
from stats.ranking import contenders
from stats.ranking import ranked as stats_ranked
from stats.selection import Z, leaders, luck, own_noise, owed_to_selection, role, selection_gap
from view.format import NONE_STAMP, clean, count, duration, figure, interval, lift_of, pgr_of, recipe_pgr_of
from view.git_words import branch, git_words, is_opened
from view.opened import GIVEN, machine
from view.report.yardstick import library_figures, nearest_by_code, yardstick
from view.scores import exposure_told, teacher_words
from view.status import ALIVE, UNREAD, being_verified, cut_off, run_state

SMALL = 0.05
"""PGR that overfitting to public items may be worth without weakening a finding."""


def winner(record: Record) -> tuple[dict | None, dict | None]:
    """The public verdict of the run's best method, and its sealed one: of what was verified the one that led in public, so that nothing
    is chosen by sealed figures; the leader where nothing was."""
    ranked = contenders(list(record.verdicts.values()))
    sealed = {verdict["submission"]: verdict for verdict in record.sealed if verdict["status"] == "scored" and not verdict.get("control")}
    names = [verdict["submission"] for verdict in [*ranked, *stats_ranked(list(record.verdicts.values()))]]
    verified = next((name for name in names if name in sealed), None)
    if verified is not None:
        return record.verdicts[verified], sealed[verified]
    return (ranked[0], None) if ranked else (None, None)


def headline(record: Record) -> dict:
    """Under `run`, `task`, `state`, `given`, `who`, `created`, `stamps`, `best`, `figures`, `believe`, `cost`, `next`: see the template."""
    public, sealed = winner(record)
    return {
        "run": record.name, "task": clean(record.config["task"], 40), "state": _state(record), "who": _who(record.config),
        "given": GIVEN if is_opened(record) else "", "created": record.config.get("created", ""), "stamps": _stamps(record), "best": _best(record, public),
        "figures": _figures(record, public, sealed) if public else [], "believe": _believe(record, public, sealed) if public else [],
        "cost": cost(record, public), "next": _next(record, public),
    }  # fmt: skip


def _state(record: Record) -> str:
    if record.closed:
        return "verified on the sealed part, closed"
    if cut_off(record.paths, record.events):
        return "verification cut off"
    now = run_state(record.paths, record.state)
    last = max((one.get("time") or "" for some in (record.verdicts.values(), record.events) for one in some), default="")
    now = "stopped" if now == "crashed" and is_opened(record) else now
    now = "being verified" if being_verified(record.paths, record.events) else now
    goes_on = f"{now}, as of {last[11:19] or 'its start'} UTC: load it again for news"
    return {"finished": "finished, not verified", "stopped": "stopped, not verified", "crashed": "cut off, can go on"}.get(now, goes_on)


def _who(config: dict) -> str:
    people = sum(map(is_person, config["agents"]))
    models = sorted({clean(agent["model"], 40) for agent in config["agents"] if agent.get("model")})
    agents = count(len(config["agents"]) - people, "agent") + f" ({clean(config.get('researcher', '?'), 20)}{': ' + ', '.join(models) if models else ''})"
    return agents + (f" and {'1 person' if people == 1 else f'{people} people'}" if people else "")


def _stamps(record: Record) -> list[str]:
    config = record.config
    stamps = [NONE_STAMP] * (config.get("isolation") == "none") + [NULL_STAMP] * bool(config.get("null"))
    return stamps + ["STARTED FROM UNCOMMITTED CHANGES: the base commit alone does not reproduce this run"] * bool(config.get("dirty"))


def _best(record: Record, public: dict | None) -> dict | None:
    if public is None:
        return None
    name = public["submission"]
    source = record.source(name) or ""
    return {
        "submission": name, "method": clean(PurePosixPath(public["method"]).name, 80), "agent": clean(public["agent"], 40),
        "family": clean(public.get("family") or "not declared", 40), "commit": public["commit"],
        "idea": clean(record.submissions.get(name, {}).get("message") or "", 300), "docstring": clean(docstring(source), 600),
    }  # fmt: skip


def docstring(source: str) -> str:
    """What a method file says of itself at its top; "" where it says nothing."""
    import ast

    if steps(source) is None:
        return ""
    return ast.get_docstring(ast.parse(source)) or ""


def _figures(record: Record, public: dict, sealed: dict | None) -> list[dict]:
    name = public["submission"]
    rows = []
    if sealed:
        opened = f"on {count(sealed['draws'], 'draw')} that nobody met; opening {sealed.get('openings', '?')} of this task's sealed part {machine(is_opened(record))}"
        rows += [_figure("PGR, sealed", pgr_of(sealed), opened, "#sealed"), _figure("lift over tuned naive, sealed", lift_of(sealed), "paired on draws and items", "#sealed")]
        if sealed.get("recipe_pgr") is not None:
            against = f"the same recipe on true labels reaches accuracy {figure(sealed['recipe_ceiling_accuracy'], digits=3)}"
            rows.append(_figure("PGR against its own recipe's ceiling", recipe_pgr_of(sealed), against, "#sealed"))
    rows += [_figure("PGR, public", pgr_of(public), _why_this(record, public), f"#{name}"), _figure("lift over tuned naive, public", lift_of(public), f"{public['rung']} rung, {count(public['draws'], 'draw')}", f"#{name}")]
    best = library_figures(record)[:1]
    if best:
        rows.append(_figure("best of the library", pgr_of(best[0]), clean(best[0]["method"], 60) + ", public", "#yardstick"))
    known = yardstick(record)
    if known:
        rows.append(_figure("search yardstick", known["value"], known["words"], "#yardstick"))
    return rows + _nearest(record, name, sealed or {})


def _why_this(record: Record, public: dict) -> str:
    """How a method came to speak for its run, and what is left of its PGR without the luck of that."""
    verdicts, name = list(record.verdicts.values()), public["submission"]
    if role(public, leaders(record.verdicts)) == "asked for":
        return "asked for by its name, not chosen for this figure"
    found = luck(verdicts)
    if found is None or name not in found.shrunken:
        return "chosen for this figure"
    first, left = contenders(verdicts)[0]["submission"] == name, found.shrunken[name]
    shrunk = f": {figure(left, digits=2)} shrunk towards the others" if left < public["pgr"] else ""
    return f"{'the best' if first else 'among the best'} of {found.count}{shrunk}"


def _nearest(record: Record, name: str, sealed: dict) -> list[dict]:
    """The known methods that it is most like, by its code and by what it answers, or why that is not known."""
    by_code = _figure("nearest in the library, by code", "n/a", "its code, or that of the library, cannot be read here", f"#{name}")
    by_answers = _figure("nearest in the library, by answers", "n/a", "compared once it is verified on the sealed part", "#sealed")
    if near := nearest_by_code(record, name) or sealed.get("nearest_by_code"):
        by_code |= {"value": _file_name(near["method"]), "note": f"{near['similarity']:.0%} of its code"}
    if answers := sealed.get("nearest_by_predictions"):
        by_answers |= {"value": _file_name(answers["method"]), "note": f"{answers['agreement']:.0%} of its answers", "href": "#audit"}
    elif sealed:
        by_answers["note"] = "not compared: fine-tuned students are too dear for it, or no method of the library could be run"
    elif record.sealed_unread:
        by_answers["note"] = UNREAD
    return [by_code, by_answers]


def _file_name(method: str) -> str:
    return clean(PurePosixPath(method).name, 60)


def _figure(label: str, value: str, note: str, href: str) -> dict:
    return {"label": label, "value": value, "note": note, "href": href}


def _check(mark: bool | None, text: str, href: str) -> dict:
    return {"mark": "unknown" if mark is None else "yes" if mark else "no", "text": text, "href": href}


def _believe(record: Record, public: dict, sealed: dict | None) -> list[dict]:
    """Checks, those that weigh most first."""
    checks = [_check(None, f"{GIVEN}, and nothing was scored here", "#sealed")] if is_opened(record) else []
    if sealed is None:
        why = f"it was verified, but {UNREAD}" if record.sealed_unread else "not verified"
        checks.append(_check(None, f"{why}: the public figure is that of the best of many and looks better than it is", "#sealed"))
        if public.get("lift_low") is not None and public["lift_low"] <= 0:
            checks.append(_check(False, f"even in public its lift over tuned naive reaches 0: {lift_of(public)}", f"#{public['submission']}"))
    elif sealed.get("lift_low") is None:
        checks.append(_check(None, "the gap between weak and ceiling is not established on the sealed part: PGR is n/a", "#sealed"))
    else:
        holds = sealed["lift_low"] > 0
        checks.append(_check(holds, f"its lift {'holds' if holds else 'does not hold'} on the sealed part: {lift_of(sealed)}", "#sealed"))
        if owed := owed_to_selection(record.sealed, record.verdicts):
            gap = selection_gap(record.sealed, record.verdicts)
            checks.append(_check(gap.kept if gap else None, owed[:1].lower() + owed[1:].removesuffix("."), "#sealed"))
        opened = max(one.get("openings") or 1 for one in record.sealed)  # the last one counts, whichever submission it was for
        here = "there" if is_opened(record) else "here"
        text = f"the sealed part of this task was opened for the first time {here}" if opened == 1 else (
            f"the sealed part was opened {opened} times {here}: who chooses among runs by it widens the interval (`compare` does)")
        checks.append(_check(True if opened == 1 else None, text, "#sealed"))
    checks.append(_flags(record, public, sealed))
    checks += _against_the_known(record, public, sealed or {})
    if teacher := teacher_words(public):
        checks.append(_check(*teacher, "#audit"))
    near = _rivals(record, public)
    if near:
        checks.append(_check(None, f"{count(near, 'other method')} {'lies' if near == 1 else 'lie'} within its public interval: which of them is best is not told", "#leaderboard"))
    walls = record.config.get("isolation") != "none"
    tried = record.isolation.get("attempts") or []
    blocked = f"; {len(tried)} escape attempts were blocked at the start" if tried and walls else ""
    checks.append(_check(walls, f"walls: {clean(record.config.get('isolation', '?'), 20)}{blocked}" if walls else NONE_STAMP, "#audit"))
    told = exposure_told(record)
    if told.items is not None:
        bound = "only the sealed part tells what was gained by that" if told.pgr is None else f"who used them all gains at most {told.pgr:.2f} PGR"
        checks.append(_check(True if told.pgr is not None and told.pgr <= SMALL else None, f"{told.verdicts} verdicts told of the public items: {bound}", "#audit"))
    return checks + [_check(False, stamp, "#audit") for stamp in _stamps(record) if stamp != NONE_STAMP]


def _flags(record: Record, public: dict, sealed: dict | None) -> dict:
    """Whether an audit flagged the winner, and how many of the others."""
    flags = [*(public.get("flags") or ()), *((sealed or {}).get("flags") or ())]
    words = f"flagged: {clean(', '.join(dict.fromkeys(flags)), 200)}" if flags else "no audit flagged it"
    others = [verdict for verdict in record.verdicts.values() if verdict["submission"] != public["submission"]]
    flagged, out = sum(bool(one.get("flags")) for one in others), sum(one.get("track") == "disqualified" for one in others)
    if others:
        words += f"; of the others {flagged:,} {'was' if flagged == 1 else 'were'} flagged, {out:,} disqualified"
    return _check(not flags, words, "#audit")


def _against_the_known(record: Record, public: dict, sealed: dict) -> list[dict]:
    """Whether the winner is better than what was there before: the library, and the search without a model."""
    library, known, pgr, checks = library_figures(record)[:1], yardstick(record), public.get("pgr"), []
    if (near := sealed.get("nearest_by_predictions")) and near.get("over") is not None:
        name, over = _file_name(near["method"]), interval(near["over"], near["over_low"], near["over_high"], signed=True)
        beats = True if near["over_low"] > 0 else False if near["over"] <= 0 else None
        words = {True: "better than", False: "no better than", None: "not told from"}[beats]
        checks.append(_check(beats, f"{words} the library's {name}, whose answers are nearest: {over} PGR, sealed", "#audit"))
    if not library and not record.withheld:
        checks.append(_check(None, "the library was not scored here: whether it has as good a one is not told", "#yardstick"))
    if library and pgr is not None:
        best = library[0]
        noises = own_noise(public), own_noise(best)
        half = Z * math.hypot(*noises) if None not in noises else math.inf
        name, over = clean(best["method"], 60), pgr - best["pgr"]
        beats = True if over > half else False if over <= 0 else None
        words = {True: f"better than the library's best, {name}", False: f"no better than the library's {name}, which was known before",
                 None: f"not told from the library's {name}, which was known before"}[beats]  # fmt: skip
        checks.append(_check(beats, f"{words}: {pgr:.2f} against {best['pgr']:.2f}, both public", "#yardstick"))
    if known and pgr is not None and record.config.get("researcher") != "search":
        beats = True if (public.get("pgr_low") or pgr) > known["pgr"] else False if pgr <= known["pgr"] else None
        words = {True: "beats", False: "does not beat", None: "is not told from"}[beats]
        checks.append(_check(beats, f"{words} the search yardstick at equal evaluations: {pgr:.2f} against {known['pgr']:.2f}", "#yardstick"))
    return checks


def _rivals(record: Record, public: dict) -> int:
    if public.get("pgr_low") is None:
        return 0
    others = contenders(list(record.verdicts.values()))
    return sum(v["submission"] != public["submission"] and v["rung"] == public["rung"] and (v.get("pgr") or -9) >= public["pgr_low"] for v in others)


def cost(record: Record, public: dict | None) -> list[dict]:
    """What the run took, as labels and values."""
    verdicts = list(record.verdicts.values())
    computed = sum(map(compute_seconds, verdicts))
    used = record.state.get("seconds_used")
    ended = max((record.seconds(one.get("time")) for one in [*verdicts, *record.events]), default=0.0)
    scored = sum(verdict["status"] == "scored" for verdict in verdicts)
    again = sum(bool(verdict.get("same_as")) for verdict in verdicts)
    repeats = f", {again:,} of them code of an earlier one" if again else ""
    rows = [
        {"label": "time", "value": duration(used if used is not None else ended)},
        {"label": "submissions", "value": f"{len(record.submissions):,}, {scored:,} scored{repeats}"},
        {"label": "compute", "value": f"{duration(computed)} in {count(record.config.get('slots') or 1, 'slot')}"},
    ]
    if record.calls or record.config.get("budget"):
        spent = sum(call["dollars"] for call in record.calls)
        limit = record.config.get("budget", {}).get("dollars")
        rows.append({"label": "models", "value": f"${spent:.2f}" + (f" of ${limit:.2f}" if limit else "")})
        if scored:
            rows.append({"label": "a verdict", "value": f"${spent / scored:.2f}"})
        if public and public.get("pgr") and public["pgr"] > 0:
            rows.append({"label": "each .01 of PGR", "value": f"${spent / (100 * public['pgr']):.2f}"})
        tokens = sum(call["input_tokens"] + call["output_tokens"] for call in record.calls)
        rows.append({"label": "tokens", "value": f"{tokens:,}"})
    else:
        rows.append({"label": "models", "value": "none asked, $0"})
    return rows


def _goes_on(record: Record, now: str) -> list[dict]:
    """How a run that is not over goes on."""
    run, used = record.name, record.state.get("seconds_used") or 0.0
    limit = record.state.get("seconds_limit") or record.config.get("seconds_limit") or 0.0
    if used >= limit:
        return []
    if record.config.get("budget") and now == "finished":
        return [{"text": f"its agents ended after {duration(used)} of {duration(limit)}, their money spent: give it more", "command": f"python aar.py resume {run} --budget DOLLARS"}]
    return [{"text": f"go on with it, {duration(limit - used)} are left", "command": f"python aar.py resume {run}"}]


def _next(record: Record, public: dict | None) -> list[dict]:
    run = record.name
    if public is None:
        return [{"text": "see why nothing was scored", "command": f"python aar.py log {run} --type verdict,error"}]
    name = public["submission"]
    rows = [{"text": "read the method", "command": f"python aar.py show {name} {run}"}]
    now = run_state(record.paths, record.state)
    if not record.closed and (now in ALIVE or being_verified(record.paths, record.events)):
        rows.insert(0, {"text": "see what it is doing now", "command": f"python aar.py status {run} --watch"})
    elif opening := cut_off(record.paths, record.events):
        rows.append({"text": "complete its verification, which was cut off", "command": completing(run, opening)})
    elif not record.closed and not is_opened(record):
        rows += _goes_on(record, now)
        rows.append({"text": "score it once on the sealed part, which closes the run", "command": f"python aar.py verify {run}"})
    elif record.closed:
        if not library_figures(record) and not is_opened(record):  # before other tasks: is it better than what was known on this one
            task = clean(record.config["task"], 40)
            rows.append({"text": "score what was known before on the same draws", "command": f"python aar.py baselines {task}"})
        else:
            rows.append({"text": "score it, as it is, on other tasks", "command": f"python aar.py transfer {run}"})
        rows.append({"text": "take it over as a clean branch, an idea a commit", "command": f"python aar.py finalize {run} {name}"})
    told = [*git_words(record, on_a_page=True), "log", f"{record.config.get('base', '')[:12]}..{branch(record, clean(public['agent'], 40))}"]
    rows.append({"text": "see all that its agent did", "command": shlex.join(told)})
    rows.append({"text": "try another prompt, and see which is better", "command": f"python aar.py compare {run} OTHER_RUN"})
    return rows


