"""The posts of a run as records: what forum/README.md says a post is, read back.

    read_posts(folder)      all of them, oldest first
    threads(posts)          (depth, post) in reading order: each post under the one that it replies to

Front matter is written by the trusted side; the words below the line `*Words of ...*` are an agent's, and hostile.
"""

from __future__ import annotations

import contextlib
import json
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from state.markdown import as_written

WORDS_OF = re.compile(r"(?m)^\*Words of [^\n]*\*$\n*")


@dataclass(frozen=True)
class Post:
    """`name` of the file; `agent` who wrote it; `figures` what the run filled in, "" where it names no submission; `words` the
    author's. `submission`, `replies_to`: "" where none is named. `time` as in the ledger."""

    name: str
    agent: str
    type: str
    title: str
    submission: str
    replies_to: str
    time: str
    figures: str
    words: str


def read_post(name: str, text: str) -> Post | None:
    """A post from its text, with words as their author wrote them: `<` where the file has `&lt;`. None for what is no post."""
    if not text.startswith("---\n"):
        return None
    front, _, body = text[4:].partition("\n---\n")
    fields = dict(re.findall(r"(?m)^(\w+): (.*)$", front))
    if "agent" not in fields:
        return None
    title = fields.get("title", "")
    with contextlib.suppress(ValueError):  # a file that a person put there by hand
        title = str(json.loads(title))
    line = WORDS_OF.search(body)
    figures, words = (body[: line.start()], body[line.end() :]) if line else (body, "")
    names = ("submission", "replies_to", "time")
    title, figures, words = map(as_written, (title, figures.strip(), words.strip()))
    return Post(name, fields["agent"], fields.get("type", ""), title, *(fields.get(key, "") for key in names), figures, words)


def read_posts(forum: Path) -> list[Post]:
    """The posts of a forum folder, oldest first; [] where there is none."""
    found = []
    for file in sorted(forum.glob("*.md")):
        if file.name.startswith(".") or file.name == "README.md" or file.is_symlink():
            continue
        post = read_post(file.name, file.read_text(encoding="utf-8", errors="replace"))
        if post is not None:
            found.append(post)
    return sorted(found, key=lambda post: (post.time, post.name))


def threads(posts: Sequence[Post]) -> Iterator[tuple[int, Post]]:
    """Each post with its depth, replies behind what they reply to; threads in the order of their first posts.

    What replies to a post that is not there begins a thread of its own, and so does what would close a circle.
    """
    known = {post.name for post in posts}
    replies: dict[str, list[Post]] = {}
    for post in posts:
        if post.replies_to in known and post.replies_to < post.name:  # names begin with the time
            replies.setdefault(post.replies_to, []).append(post)
    below = {post.name for some in replies.values() for post in some}
    waiting = [(0, post) for post in reversed(posts) if post.name not in below]
    while waiting:
        depth, post = waiting.pop()
        yield depth, post
        waiting += [(depth + 1, reply) for reply in reversed(replies.get(post.name, []))]
