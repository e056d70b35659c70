"""The leaderboard of a report: a row for every submission, in the order of `aar.py scores`, as the page's table holds them."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import PurePosixPath

from markupsafe import Markup

from state.record import Record
from stats.ranking import ranked
from stats.selection import luck
from view.format import clean, duration, figure
from view.report.data import rounded
from view.scores import TRACKS, failure_words

CHUNK = 50
"""Submissions whose details lie in one compressed text, in the order of the ledger."""
PAGE = 50
"""Rows a page; so many stand in the HTML and can be read without JavaScript."""


@dataclass(frozen=True)
class Column:
    """`key`: of FIELDS; `down`: whether its first click sorts the highest first; `about`: what it says, for who does not know."""

    key: str
    title: str
    number: bool = False
    down: bool = False
    about: str = ""


COLUMNS = (
    Column("rank", "rank", True, about="by the lower bound of PGR, a track and a rung each for itself"),
    Column("submission", "submission"),
    Column("agent", "agent"),
    Column("pgr", "PGR", True, True, "0: no better than the teacher, 1: as good as true labels; with its 95 % interval"),
    Column("lift", "lift", True, True, "over the tuned naive student, paired on draws and items"),
    Column("flags", "flags", about="what audits found, or why it was not scored"),
    Column("method", "method"),
    Column("idea", "idea", about="in the words of its author"),
    Column("track", "track"),
    Column("family", "family"),
    Column("shrunk", "shrunk", True, True, "what is left of PGR when the luck of the best of many is taken off; below the middle PGR itself"),
    Column("predict", "predicted", True, True, "the PGR that its author expected"),
    Column("draws", "draws", True, True),
    Column("seconds", "seconds", True, True, "in the method itself"),
    Column("at", "time", True, about="since the run's start"),
    Column("low", "lower", True, True, "lower end of the interval, by which the leaderboard is ordered"),
    Column("rung", "rung"),
)
"""In this order: the first, down to the idea, are seen in a window of 1280 pixels without scrolling sideways (static/report.css)."""
FIELDS = ("submission", "rank", "agent", "method", "idea", "family", "track", "status", "rung", "draws", "pgr", "low", "high",
          "shrunk", "lift", "lift_low", "lift_high", "predict", "flags", "seconds", "at", "chunk")  # fmt: skip
IDEA = (34, 62)
"""Characters of an idea's beginning and end that its cell shows at most: what is new about it is often said last."""
BAR = (0.0, 1.0)
"""PGR at the ends of the bar under a figure."""


def leaderboard_rows(record: Record) -> list[dict]:
    """A dict of FIELDS for each submission: what competes first, best first, then other tracks, failures, repeats of earlier code,
    and what waits for its verdict. Texts are clean; figures are None where there are none."""
    verdicts = list(record.verdicts.values())
    first = [verdict for verdict in verdicts if not verdict.get("same_as")]
    found = luck(first)
    left = found.shrunken if found else {}
    rows, count = [], {}
    for verdict in sorted(ranked(first), key=_place):
        rank = None
        if verdict["status"] == "scored":
            track = verdict.get("track") or "main"
            rank = count[track] = count.get(track, 0) + 1
        rows.append(_row(record, verdict, rank, left.get(verdict["submission"])))
    rows += [_row(record, verdict, None, None) for verdict in verdicts if verdict.get("same_as")]
    waiting = [one for name, one in record.submissions.items() if name not in record.verdicts]
    rows += [_row(record, {**one, "status": unscored(record)}, None, None) for one in waiting]
    number = {name: at // CHUNK for at, name in enumerate(record.submissions)}
    return [{**row, "chunk": number.get(row["submission"])} for row in rows]


def unscored(record: Record) -> str:
    """What a submission without a verdict is."""
    return "never scored" if record.closed else "waiting"


def _place(verdict: dict) -> tuple:
    track = verdict.get("track") or "main"
    known = TRACKS.index(track) if track in TRACKS else len(TRACKS)
    return verdict["status"] != "scored", track == "disqualified", known, track


def _row(record: Record, verdict: dict, rank: int | None, shrunk: float | None) -> dict:
    name = verdict["submission"]
    said = record.submissions.get(name, {})
    status = verdict["status"]
    flags = ", ".join(verdict.get("flags") or ())
    if verdict.get("same_as"):
        flags = ", ".join([f"same code as {verdict['same_as']}", *([flags] if flags else [])])
    elif status not in ("scored", unscored(record)):
        flags = f"{status}: {failure_words(verdict)}"
    elif (track := verdict.get("track") or "main") != "main":
        flags = f"{track}: {flags}" if flags else track
    return {
        "submission": name, "rank": rank, "agent": clean(verdict.get("agent") or "", 40),
        "method": clean(PurePosixPath(verdict.get("method") or "").name, 80), "idea": ends(clean(said.get("message") or "", 2000), 70, 110),
        "family": clean(verdict.get("family") or "", 40), "track": clean(verdict.get("track") or ("main" if status == "scored" else ""), 20),
        "status": clean(status, 20), "rung": clean(verdict.get("rung") or "", 12) if status == "scored" else "",
        "draws": rounded(verdict.get("draws")) if status == "scored" else None, "pgr": rounded(verdict.get("pgr")),
        "low": rounded(verdict.get("pgr_low")), "high": rounded(verdict.get("pgr_high")), "shrunk": rounded(shrunk),
        "lift": rounded(verdict.get("lift")), "lift_low": rounded(verdict.get("lift_low")), "lift_high": rounded(verdict.get("lift_high")),
        "predict": rounded(said.get("predict"), 2), "flags": clean(flags, 160), "seconds": rounded(verdict.get("method_seconds"), 1),
        "at": round(record.seconds(verdict.get("time"))),
    }  # fmt: skip


def table_data(rows: list[dict]) -> dict:
    """What the page's script sorts, filters and shows: {"columns": keys, "fields": names, "rows": lists in their order}."""
    return {
        "columns": [[column.key, column.title, column.number, column.down] for column in COLUMNS], "fields": FIELDS, "page": PAGE, "bar": BAR, "idea": IDEA,
        "rows": [[row[name] for name in FIELDS] for row in rows],
    }  # fmt: skip


def cell_html(row: dict, column: Column) -> Markup:
    """A cell as the script of the page makes it too (static/leaderboard.js)."""
    key = column.key
    kind = Markup(' class="{}"').format(f"c-{key}{' num' if column.number else ''}")
    label = Markup(' data-label="{}"').format(column.title)
    if key == "submission":
        return Markup('<th scope="row"{}{}><a href="#{}">{}</a></th>').format(kind, label, row[key], row[key])
    if key == "pgr" and row["pgr"] is not None:
        inside = Markup('<span class="bar" style="{}"></span>{} <span class="interval">[{}, {}]</span>').format(
            _bar(row), figure(row["pgr"]), figure(row["low"]), figure(row["high"]))  # fmt: skip
    elif key == "lift" and row["lift"] is not None:
        inside = Markup('{} <span class="interval">[{}, {}]</span>').format(*(figure(row[name], True) for name in ("lift", "lift_low", "lift_high")))
    elif key in ("idea", "flags", "method"):
        shown = soft(row[key]) if key == "method" else ends(row[key], *IDEA) if key == "idea" else row[key]
        inside = Markup('<span class="clip">{}</span>').format(shown)
    else:
        inside = Markup.escape(_text(row, key))
    return Markup("<td{}{}>{}</td>").format(kind, label, inside)


def ends(text: str, head: int, tail: int) -> str:
    """`text`, where it is longer than that with so many characters of its beginning and of its end at most, in whole words."""
    if len(text) <= head + tail + 3:
        return text
    return f"{text[:head].rsplit(' ', 1)[0]} … {text[-tail:].split(' ', 1)[-1]}"


def soft(name: str) -> Markup:
    """A name that may be broken behind its underscores."""
    return Markup("_<wbr>").join(Markup.escape(part) for part in name.split("_"))


def _text(row: dict, key: str) -> str:
    value = row[key]
    if key == "pgr":
        return row["status"] if row["status"] != "scored" else "n/a"
    if value is None:
        return "–" if key == "rank" else ""
    if key == "at":
        return duration(value)
    return str(value) if isinstance(value, str) or key in ("rank", "draws") else figure(value, digits=1 if key == "seconds" else 2)


def _bar(row: dict) -> str:
    ends = (row[end] if row[end] is not None else row["pgr"] for end in ("low", "high"))
    low, high = (100 * (min(max(end, BAR[0]), BAR[1]) - BAR[0]) / (BAR[1] - BAR[0]) for end in ends)
    return f"--from:{low:.1f}%;--to:{high:.1f}%"
