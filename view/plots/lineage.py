"""Who built on whom: a lane for each agent, submissions in their order, lines from parents to children."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from matplotlib.patches import PathPatch
from matplotlib.path import Path

from stats.lineage import ancestry
from view.format import clean, count, figure
from view.plots.chart import Chart
from view.plots.drawing import BEST, MUTED, SERIES, Sheet, plot

MOST_SHOWN = 400
"""Submissions up to which all are drawn."""
MOST_CROSSING, MOST_LANES, MOST_ANCESTORS = 150, 24, 120
TOP = 5
CROSSING = SERIES[4]


@dataclass(frozen=True)
class Node:
    """A submission: who made it, its PGR (None: none is told), and what its mark says."""

    agent: str
    pgr: float | None
    says: str


def lineage_chart(nodes: Mapping[str, Node], edges: Sequence[tuple[str, str]], leaders: Sequence[str]) -> Chart | None:
    """`nodes`: name -> Node in the order they came; `edges`: (parent, child); `leaders`: the best, best first. None where nothing descends
    from anything."""
    edges = [(a, b) for a, b in edges if a in nodes and b in nodes]
    if not edges or not leaders:
        return None
    order = {name: at for at, name in enumerate(nodes, 1)}
    line = ancestry(edges, leaders[0])
    lanes, left_out = _lanes(nodes, edges, line)
    shown_edges, dots, thinned = _chosen(nodes, edges, leaders, lanes)
    crossing = [(a, b) for a, b in shown_edges if nodes[a].agent != nodes[b].agent]
    strong = [(a, b) for a, b in shown_edges if a in line and b in line]
    linked = _linked(line, leaders, lanes, nodes, order)

    def draw(sheet: Sheet) -> None:
        names = [clean(name, 11 if sheet.narrow else 24) for name in lanes]
        axes = sheet.axes(sheet.room(names, most=80 if sheet.narrow else 170), 20, 10, 40, grid="")
        axes.set(xlim=(0, len(nodes) + 1), ylim=(len(lanes) - 0.4, -0.6))
        axes.set_xlabel("submissions in their order", fontsize=sheet.size - 1)
        sheet.ticks(axes, 4 if sheet.narrow else 8, whole=True)
        axes.set_yticks([])
        left = axes.get_position().x0 * sheet.width
        for at, (lane, name) in enumerate(zip(lanes, names, strict=True)):
            axes.axhline(at, color=MUTED, linewidth=0.6, alpha=0.5)
            y = sheet.height - float(axes.transData.transform((0, at))[1])
            sheet.text(
                axes, left - 6, y, name, most=40, scale="pixels", ha="right", va="center_baseline", url=sheet.mark(f"#agent-{lane}", lane)
            )
        place = {name: (order[name], lanes[nodes[name].agent]) for name in nodes if nodes[name].agent in lanes}
        _lines(axes, [(place[a], place[b]) for a, b in shown_edges if nodes[a].agent == nodes[b].agent], MUTED, 1, 0.55, bend=0.22)
        _lines(axes, [(place[a], place[b]) for a, b in crossing if (a, b) not in strong], CROSSING, 1, 0.6 if len(crossing) < 80 else 0.4)
        sheet.dots(axes, [place[name][0] for name in dots], [place[name][1] for name in dots], MUTED, 3.5, 0.7)
        _lines(axes, [(place[a], place[b]) for a, b in strong], BEST, 2.2, 1, bend=0.22)
        for name in linked:
            top = name == leaders[0]
            sheet.points(
                axes,
                [place[name][0]],
                [place[name][1]],
                [sheet.mark(f"#{name}", nodes[name].says)],
                BEST,
                11 if top else 7 if len(line) < 60 else 5,
                hollow=name not in line,
            )

    own = ancestry([(a, b) for a, b in edges if nodes[a].agent == nodes[b].agent == nodes[leaders[0]].agent], leaders[0])
    agents = {nodes[name].agent for name in line if name != leaders[0]}
    across = sum(nodes[a].agent != nodes[b].agent for a, b in edges)
    best = nodes[leaders[0]]
    title = (
        f"The best, {leaders[0]} by {best.agent}, descends from {count(len(line) - 1, 'submission')} of {count(len(agents), 'agent')}"
        if len(line) > 1
        else f"The best, {leaders[0]} by {best.agent}, names no parent"
    )
    alt = (
        f"Lanes of {count(len(lanes), 'agent')} over {count(len(nodes), 'submission')}, with lines from "
        f"parents to children. {title}, {len(own) - 1} of them in its own line; "
        f"{across} of {count(len(edges), 'descent')} cross from one agent to another "
        f"({across / len(edges):.0%}). Its PGR is {figure(best.pgr)}."
    )
    note = (
        f"Blue: all that the best descends from; yellow: one agent built on another's work ({across} of "
        f"{len(edges)} times); grey: on its own. Circles: others of the {TOP} best. "
        "Parents are what an author named, and what its commit says it was inspired by, also by a post."
    )
    note += f" Left out: {'; '.join([*thinned, *left_out])}." if thinned or left_out else ""
    heights = tuple(len(lanes) * tall + 60 for tall in (34, 30))
    return plot("lineage", title, alt, draw, heights, note)


def _lanes(nodes: Mapping[str, Node], edges: Sequence[tuple[str, str]], line: set[str]) -> tuple[dict[str, int], list[str]]:
    """Agent -> lane, as they came; where there are too many, those of the winner's line and those that are built on most."""
    agents = list(dict.fromkeys(node.agent for node in nodes.values()))
    if len(agents) <= MOST_LANES:
        return {name: at for at, name in enumerate(agents)}, []
    weight = dict.fromkeys(agents, 0)
    for parent, _ in edges:
        weight[nodes[parent].agent] += 1
    in_line = {nodes[name].agent for name in line}
    kept = set(sorted(agents, key=lambda name: (name not in in_line, -weight[name], name))[:MOST_LANES])
    return {name: at for at, name in enumerate(one for one in agents if one in kept)}, [f"lanes of {len(agents) - MOST_LANES} agents"]


def _chosen(
    nodes: Mapping[str, Node], edges: Sequence[tuple[str, str]], leaders: Sequence[str], lanes: Mapping[str, int]
) -> tuple[list, list[str], list[str]]:
    """Edges and dots to draw, and what was thinned out, in words."""
    edges = [(a, b) for a, b in edges if nodes[a].agent in lanes and nodes[b].agent in lanes]
    names = [name for name in nodes if nodes[name].agent in lanes]
    if len(nodes) <= MOST_SHOWN:
        return edges, names, []
    kept: set[str] = set()
    for leader in leaders[:TOP]:
        kept |= ancestry(edges, leader)
    inner = [(a, b) for a, b in edges if a in kept and b in kept]
    crossing = [(a, b) for a, b in edges if nodes[a].agent != nodes[b].agent and not (a in kept and b in kept)]
    crossing.sort(key=lambda edge: (-(nodes[edge[1]].pgr if nodes[edge[1]].pgr is not None else -9.0), edge))
    shown = inner + crossing[:MOST_CROSSING]
    words = [
        f"{len(edges) - len(shown)} of {len(edges)} lines (shown are those that the {TOP} best descend from, "
        f"and of the others between agents the {min(len(crossing), MOST_CROSSING)} "
        "that led to the highest PGR)"
    ]
    return shown, names, words


def _linked(
    line: set[str], leaders: Sequence[str], lanes: Mapping[str, int], nodes: Mapping[str, Node], order: Mapping[str, int]
) -> list[str]:
    """What leads to its details: the best and what it descends from, the latest where there are too many. The best last, on top."""
    chosen = sorted((name for name in line if nodes[name].agent in lanes), key=order.__getitem__)[-MOST_ANCESTORS:]
    chosen += [name for name in leaders[:TOP] if name in nodes and nodes[name].agent in lanes and name not in chosen]
    return [name for name in chosen if name != leaders[0]] + [name for name in leaders[:1] if name in chosen]


def _lines(axes, ends: Sequence[tuple], colour: str, width: float, alpha: float, bend: float = 0.0) -> None:
    """One path of all lines: curves from lane to lane, arcs of height `bend` within one."""
    vertices, codes = [], []
    for (x0, y0), (x1, y1) in ends:
        if y0 == y1:
            middle, rise = (x0 + x1) / 2, 2 * bend * min(1.0, 0.35 + (x1 - x0) / axes.get_xlim()[1])
            vertices += [(x0, y0), (middle, y0 - rise), (x1, y1)]
            codes += [Path.MOVETO, Path.CURVE3, Path.CURVE3]
        else:
            middle = (x0 + x1) / 2
            vertices += [(x0, y0), (middle, y0), (middle, y1), (x1, y1)]
            codes += [Path.MOVETO, Path.CURVE4, Path.CURVE4, Path.CURVE4]
    if vertices:
        axes.add_patch(
            PathPatch(Path(vertices, codes), fill=False, edgecolor=colour, linewidth=width, alpha=alpha, zorder=3 if alpha == 1 else 2)
        )
