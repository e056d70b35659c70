"""Posts: one Markdown file each, with front matter that the trusted side writes. forum/README.md shows the format.

The run's own figures of a submission stand at the top; then comes a line that says whose words follow, and nothing of the
run's stands below it. So it is the place, not the looks, that tells a figure that was measured from one that was typed.
"""

from __future__ import annotations

import json
import os
import re
import tempfile
from pathlib import Path

from state.errors import UserError
from state.files import utc_now
from swarm.post_text import harmless, marked, one_line, plain

TYPES = ("hypothesis", "result", "insight", "error", "question")
MOST_CHARACTERS = 20_000
WORDS_OF = "*Words of {author}; figures below were typed, not measured.*"
"""Begins what an author wrote."""


def figures(verdict: dict) -> str:
    """The lines of a result that nobody types: taken from the verdict, as agents may see it."""
    if verdict["status"] != "scored":
        # The words of an error are its author's.
        error = harmless(marked(one_line(verdict["error"] or "", 200)))
        return f"**Verdict of {verdict['submission']}**: {verdict['status']} ({error})"
    if verdict["pgr"] is None:
        why = f"no figures are told ({', '.join(verdict['flags'])})" if verdict["flags"] else "PGR n/a, the gap of this task is not established"
        return f"**Verdict of {verdict['submission']}**: {why}"
    words = f", {verdict['against_best']} against the best then known" if verdict.get("against_best") else ""
    return (
        f"**Verdict of {verdict['submission']}** ({verdict['method']}, {verdict['rung']} rung, {verdict['draws']} draws): "
        f"PGR {verdict['pgr']:.2f} [{verdict['pgr_low']:.2f}, {verdict['pgr_high']:.2f}], "
        f"lift {verdict['lift']:+.2f} [{verdict['lift_low']:+.2f}, {verdict['lift_high']:+.2f}]{words}"
        + (f"; flags: {', '.join(verdict['flags'])}" if verdict["flags"] else "")
        + ("; ISOLATION: NONE" if verdict["isolation"] == "none" else "")
    )


def write_post(
    forum: Path, author: str, kind: str, title: str, body: str, verdict: dict | None = None, replies_to: str | None = None
) -> str:
    """Write a post and return its file name; durable when this returns. UserError for what the format forbids.

    `verdict`: of the submission it is about, as agents may see it; its figures are filled in here.
    """
    title, body = harmless(marked(one_line(title))), harmless(marked(plain(body, MOST_CHARACTERS).strip()))
    if kind not in TYPES:
        raise UserError(f"a post's type is one of {', '.join(TYPES)}, not {kind!r}")
    if not title:
        raise UserError("a post needs a title: --title TEXT")
    if kind == "result" and verdict is None:
        raise UserError("a result must name a submission that has its verdict: --submission s0001")
    if replies_to is not None and not (re.fullmatch(r"[\w.-]+\.md", replies_to) and (forum / replies_to).exists()):
        raise UserError(f"no post {one_line(replies_to)!r} to reply to: see the file names in the forum folder")
    time = utc_now()
    front = {"agent": author, "type": kind, "title": json.dumps(title, ensure_ascii=False)}
    front |= {"submission": verdict and verdict["submission"], "replies_to": replies_to, "time": time}
    text = "---\n" + "".join(f"{key}: {value}\n" for key, value in front.items() if value) + "---\n\n"
    words = [WORDS_OF.format(author=author), body] if body else []
    text += "\n\n".join([*([figures(verdict)] if verdict else []), *words]) + "\n"
    slug = re.sub(r"[^a-z0-9]+", "-", title.lower()).strip("-")[:48].strip("-") or "post"
    stem = f"{re.sub('[-:]', '', time)}-{author}-{slug}"
    descriptor, temporary = tempfile.mkstemp(dir=forum, prefix=".post-")
    try:
        with os.fdopen(descriptor, "w", encoding="utf-8") as file:
            file.write(text)
            file.flush()
            os.fsync(descriptor)
        os.chmod(temporary, 0o644)
        for number in range(1, 1000):
            name = f"{stem}.md" if number == 1 else f"{stem}-{number}.md"
            try:
                os.link(temporary, forum / name)  # unlike a rename, never replaces a post that is there
                return name
            except FileExistsError:
                continue
    finally:
        os.unlink(temporary)
    raise UserError("too many posts of one title in one second: wait a moment")
