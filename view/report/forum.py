"""The forum of a report: posts in threads, the first of them in HTML, all of them as data for the page's script."""

from __future__ import annotations

from state.posts import Post, threads
from state.record import Record
from view.format import clean, clean_lines

THREADS = 40
"""Threads that are shown at once, and that stand in the HTML."""
WORDS = 12_000
FIELDS = ("name", "agent", "type", "title", "time", "submission", "figures", "words", "depth")
TYPES = ("hypothesis", "result", "insight", "error", "question")


def forum_threads(record: Record) -> list[list[dict]]:
    """Threads in the order of their first posts, each a list of posts (dicts of FIELDS) in reading order. Texts are clean."""
    found: list[list[dict]] = []
    for depth, post in threads(record.posts):
        if depth == 0:
            found.append([])
        found[-1].append(_shown(post, depth))
    return found


def _shown(post: Post, depth: int) -> dict:
    return {
        "name": post.name.removesuffix(".md"), "agent": clean(post.agent, 40), "type": clean(post.type, 20) or "post",
        "title": clean(post.title, 200) or "(no title)", "time": clean(post.time, 24), "submission": clean(post.submission, 12),
        "figures": clean(post.figures.replace("**", ""), 600), "words": clean_lines(post.words, WORDS), "depth": min(depth, 6),
    }  # fmt: skip


def forum_types(found: list[list[dict]]) -> list[str]:
    """Types of posts that are there, the known ones first."""
    there = {post["type"] for thread in found for post in thread}
    return [name for name in TYPES if name in there] + sorted(there - set(TYPES))


def forum_data(found: list[list[dict]]) -> dict:
    """What the page's script searches and shows: {"fields", "shown", "threads": [[post as list of its fields]]}."""
    return {"fields": FIELDS, "shown": THREADS, "threads": [[[post[name] for name in FIELDS] for post in thread] for thread in found]}
