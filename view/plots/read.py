"""Reads off a record what each chart takes, section by section. Behind the plots of `report`."""

from __future__ import annotations

from collections.abc import Sequence

from state.config import is_person
from state.ledger import NULL_STAMP, agent_view
from state.record import Record
from stats.calibration import forecasts
from stats.lineage import descent
from stats.progress import Point, curve
from stats.ranking import contenders
from stats.selection import leaders
from view.format import NONE_STAMP, clean, pgr_of
from view.plots.agents import agents_chart
from view.plots.chart import Chart, stamped
from view.plots.cost import dollars_chart, tokens_chart
from view.plots.diversity import diversity_chart, families_chart, families_over_time
from view.plots.lineage import Node, lineage_chart
from view.plots.progress import Curve, floor_of, progress_chart, tuned_naive
from view.plots.rows import Row, components_chart, lift_by_draw_chart, sealed_chart
from view.plots.scatter import errors_chart, predicted_chart, teacher_chart
from view.plots.transfer import transfer_chart

WINDOW = 12
"""Submissions that the diversity of families looks back over, as that of code and answers does."""


def read_charts(record: Record, winner: tuple[dict | None, dict | None], parts: Sequence[tuple]) -> dict[str, list[Chart]]:
    """See `view.plots.charts`. `winner`: its public and its sealed verdict; `parts`: what components_chart takes."""
    public, sealed = winner
    points = points_of(record, list(record.verdicts.values()))
    found = {
        "headline": [_lift(public, sealed)], "progress": _progress(record, points, sealed), "agents": [_agents(record, points)],
        "sealed": [sealed_chart([(record.verdicts.get(one["submission"], {}), one) for one in record.sealed], leaders(record.verdicts))],
        "teacher": [teacher_chart(list(record.verdicts.values()), _leaders(record))], "predicted": _predicted(record),
        "components": [components_chart(parts)], "diversity": _diversity(record), "lineage": [_lineage(record)],
        "transfer": [transfer_chart(record.transfer)], "cost": [dollars_chart(record.calls), tokens_chart(record.calls)],
    }  # fmt: skip
    stamps = _stamps(record)
    kept = {name: [stamped(chart, stamps) for chart in some if chart is not None] for name, some in found.items()}
    return {name: some for name, some in kept.items() if some}


def _stamps(record: Record) -> list[str]:
    """What must stand on every plot."""
    bare = record.config.get("isolation") == "none" or any(v.get("isolation") == "none" for v in record.verdicts.values())
    return [NONE_STAMP] * bare + [NULL_STAMP] * bool(record.config.get("null"))


def _leaders(record: Record) -> list[str]:
    return [verdict["submission"] for verdict in contenders(list(record.verdicts.values()))]


def points_of(record: Record, verdicts: Sequence[dict]) -> list[Point]:
    """The progress curve of some of a record's verdicts."""
    return curve(verdicts, lambda verdict: record.seconds(verdict.get("time")), record.dollars())


def _lift(public: dict | None, sealed: dict | None) -> Chart | None:
    """The headline's chart: lift of the winner draw by draw."""
    rows = [
        Row(name, one["lift"], one["lift_low"], one["lift_high"], href, one.get("lift_by_draw") or ())
        for name, one, href in (("public", public, f"#{(public or {}).get('submission')}"), ("sealed", sealed, "#sealed"))
        if one and one.get("lift") is not None
    ]
    return lift_by_draw_chart(rows, public["submission"]) if public and rows else None


def _progress(record: Record, points: list[Point], sealed: dict | None) -> list[Chart | None]:
    verdicts = [point.verdict for point in points]
    floor, naive = floor_of(points), tuned_naive(verdicts)
    axes = ["evaluations", "seconds"]
    axes += ["dollars"] if points and points[-1].dollars > 0 else []
    axes += ["compute_seconds"] if points and points[-1].compute_seconds > 0 else []
    one = [Curve(record.name, points)]
    return [progress_chart(one, axis, floor, naive, sealed, brief=axis != "evaluations") for axis in axes]


def _agents(record: Record, points: list[Point]) -> Chart | None:
    of: dict[str, list[dict]] = {agent["name"]: [] for agent in record.config["agents"]}
    for verdict in record.verdicts.values():
        of.setdefault(verdict["agent"], []).append(verdict)
    directions = _directions(record)
    curves = [(Curve(name, points_of(record, some)), directions.get(name, "")) for name, some in of.items() if some]
    people = [agent["name"] for agent in record.config["agents"] if is_person(agent)]
    return agents_chart(curves, Curve("fleet", points), people) if len(curves) > 1 else None


def _directions(record: Record) -> dict[str, str]:
    return {agent["name"]: agent.get("direction") or "" for agent in record.config["agents"]}


def _predicted(record: Record) -> list[Chart | None]:
    views = [verdict if record.withheld else agent_view(verdict) for verdict in record.verdicts.values()]
    made = forecasts(record.submissions, views)
    return [predicted_chart(made, next(iter(_leaders(record)), None)), errors_chart(made, _directions(record))]


def _diversity(record: Record) -> list[Chart | None]:
    families = [
        (record.seconds(v["time"]), clean(v["family"], 40)) for v in record.verdicts.values() if v.get("family") and not v.get("same_as")
    ]
    window = max((int(one["over"]) for one in record.diversity), default=WINDOW)
    times = [record.seconds(one["time"]) for one in record.diversity]
    series = [families_over_time(families, window)] if families else []
    series += [(name, times, [float(one[key]) for one in record.diversity]) for name, key in (("code", "code"), ("answers", "predictions"))]
    return [diversity_chart(series, window), families_chart([name for _, name in families])]


def _lineage(record: Record) -> Chart | None:
    nodes = {}
    for name, one in record.submissions.items():
        verdict = record.verdicts.get(name, {})
        figures = f"PGR {pgr_of(verdict)}" if verdict.get("pgr") is not None else str(verdict.get("status", "waiting"))
        nodes[name] = Node(one["agent"], verdict.get("pgr"), f"{name} by {one['agent']}: {figures}. {clean(one.get('message') or '', 120)}")
    posts = {post.name: post.submission for post in record.posts if post.submission}
    return lineage_chart(nodes, descent(record.submissions, posts, record.trailers()), _leaders(record))
