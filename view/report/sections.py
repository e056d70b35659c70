"""The tables of a report: ablations, yardsticks, costs, audits. Each section is a dict of plain text, which the page escapes.

    {"id", "title", "intro", "tables": [{"caption", "header", "rows", "right"}], "notes"}; a cell is a text, or {"text", "href"};
    a table with "stacked": True is shown on a phone as a card for each row, its last cell below the others
"""

from __future__ import annotations

from collections import Counter, defaultdict

from state.ledger import NULL_STAMP
from state.record import Record
from stats.exposure import exposure_words, luck_words
from stats.progress import compute_seconds
from stats.rejections import rejections_words, wrong_rejections
from view.format import NONE_STAMP, clean, count, figure, interval, lift_of, pgr_of
from view.report.components import components
from view.report.headline import winner
from view.report.yardstick import library_figures, nearest_by_code, only_search, yardstick
from view.scores import exposure_told

MOST_FLAGGED = 200
MOST_LIBRARY = 12


def sections(record: Record) -> list[dict]:
    """Those that this record has something for, in the order of the page."""
    made = (components_section(record), yardstick_section(record), cost_section(record), audit_section(record))
    return [one for one in made if one is not None]


def _link(submission: str) -> dict:
    return {"text": submission, "href": f"#{submission}"}


def _table(caption: str, header: list[str], rows: list[list], right: list[str] | None = None) -> dict:
    return {"caption": caption, "header": header, "rows": rows, "right": right or []}


def components_section(record: Record) -> dict | None:
    """What each component of the winner is worth."""
    public, _ = winner(record)
    if public is None:
        return None
    name = public["submission"]
    parts = components(record, name)
    intro = (
        f"Submissions that differ from the winner {name} in one statement, or only lack something, compared on the same draws and items. "
        "Worth: PGR of the winner less theirs. They were found in the ledger, not made for the purpose."
    )
    if not parts:
        hope = "the search researcher cannot be asked for ablations, but a longer run may come upon some" if only_search(record) else "ask an agent for ablations"
        return {"id": "components", "title": "What each component of the winner is worth", "intro": f"No submission differs from {name} in so little "
                f"that it tells what a part of it is worth: {hope}.", "tables": [], "notes": []}  # fmt: skip
    rows = [[_link(part.other), clean(part.words + ("" if part.draws is None or part.draws == public["draws"] else f" (on {count(part.draws, 'shared draw')})"), 300), interval(part.worth, part.low, part.high, signed=True)] for part in parts]
    notes = [] if all(part.exact for part in parts) else [
        "Intervals are put together from those of two lifts and wider than a paired comparison; `python aar.py report RUN` makes the paired ones."]
    return {"id": "components", "title": "What each component of the winner is worth", "intro": intro,
            "tables": [_table("The other method", ["submission", "is the winner ...", "worth"], rows, ["worth"])], "notes": notes}  # fmt: skip


def yardstick_section(record: Record) -> dict | None:
    """The library and the search without a language model, on the same task."""
    rows, known = library_figures(record), yardstick(record)
    public, _ = winner(record)
    if record.withheld:
        intro = "While agents still submit, how the library and other runs do on the public part is not told here: it would tell them more than is counted."
        return {"id": "yardstick", "title": "Against the library and the search", "intro": intro, "tables": [], "notes": []}
    if not rows and known is None:
        task = clean(record.config["task"], 40)
        other = "this run is the search yardstick itself" if only_search(record) else f"`python aar.py --agents 9 --task {task}` is the search yardstick"
        intro = f"Nothing to hold this against yet: `python aar.py baselines {task}` scores the library, {other}."
        return {"id": "yardstick", "title": "Against the library and the search", "intro": intro, "tables": [], "notes": []}
    shown = [[clean(row["method"], 60), pgr_of(row), lift_of(row)] for row in rows[:MOST_LIBRARY]]
    if public:
        shown.insert(0, [{"text": f"{public['submission']} (this run's best)", "href": f"#{public['submission']}"}, pgr_of(public), lift_of(public)])
    tables = [_table("Public part of the same task; the library's best of the main track", ["method", "PGR", "lift"], shown, ["PGR", "lift"])] if rows else []
    notes = [f"Search yardstick: PGR {known['value']}, {known['words']}. A swarm that thinks has to beat it."] if known else []
    return {"id": "yardstick", "title": "Against the library and the search",
            "intro": "The winner is the best of many, a row of the library is not: their difference is kinder to the winner than the truth.",
            "tables": tables, "notes": notes}  # fmt: skip


def cost_section(record: Record) -> dict:
    """What each agent and model cost, tokens by kind, dollars a verdict."""
    by_agent: dict[str, Counter] = defaultdict(Counter)
    by_model: dict[str, Counter] = defaultdict(Counter)
    for call in record.calls:
        fresh = call["input_tokens"] - call["cache_read_tokens"] - call.get("cache_write_tokens", 0)
        kinds = {"calls": 1, "dollars": call["dollars"], "fresh": fresh, "read": call["cache_read_tokens"],
                 "written": call.get("cache_write_tokens", 0), "output": call["output_tokens"]}  # fmt: skip
        by_agent[call["agent"]].update(kinds)
        by_model[call["model"]].update(kinds)
    scored: Counter = Counter(v["agent"] for v in record.verdicts.values() if v["status"] == "scored")
    made: Counter = Counter(s["agent"] for s in record.submissions.values())
    compute: Counter = Counter()
    for verdict in record.verdicts.values():
        compute[verdict["agent"]] += compute_seconds(verdict)
    paid, models = bool(record.calls), {agent["name"]: agent.get("model") or "none" for agent in record.config["agents"]}
    header = ["agent", "model", "submissions", "scored", "compute, s"] + (["dollars", "a verdict", "calls", "input", "from cache", "output"] if paid else [])
    rows = []
    for agent in record.config["agents"]:
        name, used = agent["name"], by_agent[agent["name"]]
        row = [{"text": clean(name, 40), "href": f"#agent-{clean(name, 40)}"}, clean(models[name], 40), f"{made[name]:,}", f"{scored[name]:,}", f"{compute[name]:,.0f}"]
        rows.append(row + (_money(used, scored[name]) if paid else []))
    tables = [_table("By agent", header, rows, header[2:])]
    if paid:
        of_model = ["model", "dollars", "calls", "fresh input", "cache read", "cache written", "output", "dollars a million tokens"]
        rows = [[clean(name, 60), f"${used['dollars']:.2f}", *(f"{used[kind]:,}" for kind in ("calls", "fresh", "read", "written", "output")),
                 f"${1e6 * used['dollars'] / max(1, used['fresh'] + used['read'] + used['written'] + used['output']):.2f}"]
                for name, used in sorted(by_model.items())]  # fmt: skip
        tables.append(_table("By model; tokens by kind", of_model, rows, of_model[1:]))
    intro = "Dollars are those of the model proxy, which counts each call by the usage that the server told." if paid else "No model was asked: compute is all it cost."
    return {"id": "cost", "title": "What it cost", "intro": intro, "tables": tables, "notes": []}


def _money(used: Counter, scored: int) -> list[str]:
    total = used["fresh"] + used["read"] + used["written"]
    return [f"${used['dollars']:.2f}", f"${used['dollars'] / scored:.2f}" if scored else "n/a", f"{used['calls']:,}", f"{total:,}",
            f"{used['read'] / total:.0%}" if total else "n/a", f"{used['output']:,}"]  # fmt: skip


def audit_section(record: Record) -> dict:
    """Flags and reasons, what verdicts told, what the quick rung lost, walls."""
    config, verdicts = record.config, list(record.verdicts.values())
    notes = [NONE_STAMP] * (config.get("isolation") == "none") + [NULL_STAMP] * bool(config.get("null"))
    told = exposure_told(record)
    notes += [exposure_words(told), *([words] if (words := luck_words(told)) else [])]
    if not record.public or record.closed:
        notes.append(rejections_words(wrong_rejections(record.verdicts)))
    flags = Counter(flag for verdict in verdicts for flag in verdict.get("flags") or ())
    tracks = Counter(verdict.get("track") or "main" for verdict in verdicts if verdict["status"] == "scored")
    status = Counter(verdict["status"] for verdict in verdicts)
    tables = [
        _table("Verdicts", ["status", "number"], [[clean(name, 20), f"{number:,}"] for name, number in status.most_common()], ["number"]),
        _table("Tracks of what was scored", ["track", "number"], [[clean(name, 20), f"{number:,}"] for name, number in tracks.most_common()], ["number"]),
    ]
    if flags:
        tables.append(_table("Flags", ["flag", "number"], [[clean(name, 40), f"{number:,}"] for name, number in flags.most_common()], ["number"]))
        flagged = [v for v in verdicts if v.get("flags")]
        rows = [[_link(v["submission"]), clean(v["agent"], 40), clean(v.get("track") or "main", 20), clean(", ".join(v["flags"]), 120),
                 clean("; ".join(v.get("reasons") or ()), 400)] for v in flagged[-MOST_FLAGGED:]]  # fmt: skip
        less = f" (the last {MOST_FLAGGED} of {len(flagged):,})" if len(flagged) > MOST_FLAGGED else ""
        tables.append(_table(f"Flagged submissions{less}", ["submission", "agent", "track", "flags", "reasons"], rows) | {"stacked": True})
    winning, opened = winner(record)
    if winning is not None:
        tables.append(_table(f"Audits of the winner {winning['submission']}", ["audit", "found"], _audits(winning)))
        near = nearest_by_code(record, winning["submission"])
        if near:
            tables[-1]["rows"].append(["nearest method of the library by code", f"{clean(near['method'], 60)}, {near['similarity']:.0%}"])
        answers = (opened or {}).get("nearest_by_predictions")
        if answers:
            tables[-1]["rows"].append(["nearest by answers, sealed", f"{clean(answers['method'], 60)}, {answers['agreement']:.0%}"])
    attempts = record.isolation.get("attempts") or []
    rows = [[clean(one["name"], 60), clean(one.get("sandbox") or "", 20), "blocked" if one["blocked"] else "NOT BLOCKED"] for one in attempts]
    if rows:
        tables.append(_table("Escape attempts at the run's start", ["attempt", "sandbox", "outcome"], rows))
    walls = f"Isolation of this run: {clean(config.get('isolation', '?'), 20)}. `python aar.py doctor` plays all attempts, each beside one without walls."
    return {"id": "audit", "title": "Audits and isolation", "intro": walls, "tables": tables, "notes": notes}


def _audits(verdict: dict) -> list[list]:
    words = {
        "permuted_pgr": "PGR with teachers shuffled", "permuted_distance": "distance of its answers with teachers shuffled",
        "blind_pgr": "PGR with hidden states of other items", "other_company": "share of answers that change in other batches",
        "teacher_agreement": "agreement with the teacher", "accuracy_where_teacher_wrong": "accuracy where the teacher is wrong",
        "accuracy_where_teacher_right": "accuracy where the teacher is right",
    }  # fmt: skip
    rows = [[text, figure(verdict[name], digits=3)] for name, text in words.items() if verdict.get(name) is not None]
    return [*rows, ["flags", clean(", ".join(verdict.get("flags") or ()) or "none", 200)]]
