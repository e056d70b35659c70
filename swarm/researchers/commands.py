"""What the search researcher asks of its shell: several commands in one text, since each sandbox has a price."""

from __future__ import annotations

import json
import os
import re
import shlex
from typing import Any

from swarm.researchers import Outcome
from swarm.researchers.words import Post

MOST_READ, MOST_BYTES, PAGE, MOST_PEOPLE = 6, 6000, 50, 6000
"""What a command may print is limited to 60 kB: so many method files of others of so many bytes, so many verdicts, so
many bytes of what people wrote. What does not fit comes with the next command."""
MOST_NOTES = 40_000
"""Bytes of the notebook before it is put away under notes/ and a new one begun."""

NEWS = """
import json, sys
after, most, me, files = (len(sys.argv[1]), sys.argv[1]), int(sys.argv[2]), sys.argv[3], int(sys.argv[4])
keys = "submission agent commit method status track rung draws pgr lift lift_low same_as".split()
order = lambda v: (len(v["submission"]), v["submission"])
news = sorted((v for v in json.load(sys.stdin) if order(v) > after), key=order)[:most]
for verdict in news:
    print(json.dumps({key: verdict.get(key) for key in keys}))
others = [v for v in news if v["agent"] != me]
others.sort(key=lambda v: -9 if v["lift_low"] is None else v["lift_low"], reverse=True)
for verdict in others[:files]:
    print("show %(commit)s %(method)s" % verdict)
"""
"""Run inside: new verdicts in few words, and which files of others to show."""


class Script:
    """Shell commands in one text, their outputs told apart by lines that nobody who prints can guess."""

    def __init__(self) -> None:
        self.mark = f"-- {os.urandom(8).hex()} "
        self.text = ""

    def run(self, command: str, name: str = "") -> None:
        self.text += f"echo; echo '{self.mark}{name}'\n{command}\n"

    def parts(self, outcome: Outcome) -> dict[str, str]:
        """Name -> what its command printed."""
        sections = (section.partition("\n") for section in outcome.output.split(f"\n{self.mark}")[1:])
        return {name.strip(): text for name, _, text in sections}

    def post(self, posts: list[Post], agent: str) -> None:
        """Post what waits, unless it was posted in an earlier life."""
        for post in posts:
            there = f'grep -qsFe {shlex.quote(post.title)} "$AAR_FORUM"/*-{agent}-*.md'
            options = f"--type {post.type} --title {shlex.quote(post.title)}"
            if post.submission:
                options += f" --submission {shlex.quote(post.submission)}"
            find = "first="
            if post.replies_to:
                find = f'first=$(grep -lsx {shlex.quote("submission: " + post.replies_to)} "$AAR_FORUM"/*.md | head -1)'
                options += ' ${first:+--replies-to "$(basename "$first")"}'
            self.run(f"{find}\n{there} || printf %s {shlex.quote(post.body)} | aar post {options}", "post")

    def look(self, known_up_to: str, agent: str) -> None:
        """Ask for new verdicts, the best method files among them, and what people wrote."""
        filtered = f"python3 -I -S -c {shlex.quote(NEWS)} {known_up_to} {PAGE} {shlex.quote(agent)} {MOST_READ}"
        self.run(f"news=$(aar scores --json | {filtered})\nprintf '%s\\n' \"$news\"", "scores")
        show = f'echo; echo "{self.mark}$commit"; git show "$commit:$method" | head -c {MOST_BYTES}'
        self.run(f"printf '%s\\n' \"$news\" | sed -n 's/^show //p' | while read -r commit method; do {show}; done")
        self.run(
            'find "$AAR_FORUM" -name "*.md" ! -name "*-agent-*" ! -name "README*" -exec cat {} + '
            f"| tail -c {MOST_PEOPLE}",
            "people",
        )


def notebook(head: str, lines: list[str], cycle: int) -> str:
    """Commands that bring notebook.md up to date. A line that is there already is not written twice."""
    begin = f"[ -s notebook.md ] || printf %s {shlex.quote(head)} > notebook.md\n"
    put_away = f"[ $(wc -c < notebook.md) -lt {MOST_NOTES} ] || mv notebook.md notes/until-{cycle:05d}.md\n"
    quoted = map(shlex.quote, lines)
    added = (f"grep -qFe {line} notebook.md || printf '%s\\n' {line} >> notebook.md\n" for line in quoted)
    return begin + put_away + begin + "".join(added)


def last_object(text: str) -> dict[str, Any] | None:
    """The JSON object in what a command printed, even if it said something else before."""
    for start in (match.start() for match in re.finditer(r"^\{", text, re.MULTILINE)):
        try:
            value = json.loads(text[start:])
        except ValueError:
            continue
        return value if isinstance(value, dict) else None
    return None
