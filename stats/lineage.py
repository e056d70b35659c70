"""Which submission descends from which: by what its author named as parents, and by what its commit says it was inspired by.

edges = descent(submissions, posts, trailers)     (parent, child), as the children came
ancestry(edges, "s0185")                          all that it descends from, itself included
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

INSPIRED = "Inspired-by"


def descent(submissions: Mapping[str, dict], posts: Mapping[str, str] | None = None,
            trailers: Mapping[str, Mapping[str, list[str]]] | None = None) -> list[tuple[str, str]]:  # fmt: skip
    """(parent, child) for all `submissions`, name -> record in the order they came; each pair once.

    `posts`: file name -> the submission that it tells of; `trailers`: commit -> trailers. What a submission names may be another's
    commit or a post; what is not known, came later, or is itself, is left out, so that there are no circles.
    """
    posts, trailers = posts or {}, trailers or {}
    order = {name: number for number, name in enumerate(submissions)}
    by_commit: dict[str, list[str]] = {}
    for name, one in submissions.items():
        by_commit.setdefault(one.get("commit"), []).append(name)
    edges: dict[tuple[str, str], None] = {}
    for name, one in submissions.items():
        named = [*(one.get("inspired_by") or ()), *trailers.get(one.get("commit"), {}).get(INSPIRED, ())]
        parents = list(one.get("parents") or ())
        for source in dict.fromkeys(named):
            parents += by_commit.get(source) or ([posts[source]] if source in posts else [])
        for parent in parents:
            if order.get(parent, len(order)) < order[name]:
                edges[parent, name] = None
    return list(edges)


def ancestry(edges: Iterable[tuple[str, str]], name: str) -> set[str]:
    """All submissions that `name` descends from, and itself."""
    parents: dict[str, list[str]] = {}
    for parent, child in edges:
        parents.setdefault(child, []).append(parent)
    found, waiting = {name}, [name]
    while waiting:
        for parent in parents.get(waiting.pop(), ()):
            if parent not in found:
                found.add(parent)
                waiting.append(parent)
    return found
