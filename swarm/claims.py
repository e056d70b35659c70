"""Who tries what, so that two agents do not do the same work, and what came of it before.

    aar claim "what I try"      answers with live claims that sound alike and with earlier negative results on the same idea

A claim is no lock: it ends after two hours, with the agent's next claim, or with `aar claim --done`. What sounds alike is
told by the words in common, no more; it can miss a paraphrase, and who reads the answer judges.
"""

from __future__ import annotations

import contextlib
import json
import re
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime

from swarm.post_text import one_line

LASTS_SECONDS = 2 * 3600.0
MOST_TOLD = 8
ALIKE = 0.5
"""Share of the words of the shorter text that the other one has as well."""
COMMON = frozenset(
    "a about after again all an and any are as at be been before but by can does each first for from get gets has have how i if in "
    "instead into is it its itself just like made make makes may more most my new no not of off on once one only or other our out "
    "over own per same see should so some submit such than that the their them then there these they this those through to too try tries "
    "two under up us use used uses using very via was we what when where which while who will with without work works would you "
    "better good idea method methods model models fit fits fitted train trained training student students teacher teachers label "
    "labels labelled weak strong supervision item items pool task data set result results test tests py pgr lift accuracy".split()
)
"""Words that say nothing about an idea here."""


ENDINGS = ("ations", "ation", "ating", "ated", "ates", "ate", "ings", "ing", "ness", "ies", "ers", "ed", "er", "es", "ly", "s", "e")


@dataclass(frozen=True)
class Claim:
    agent: str
    text: str
    time: str


@dataclass(frozen=True)
class Told:
    """What a post says about itself in its front matter. `submission`: "" where it names none."""

    name: str
    author: str
    kind: str
    title: str
    submission: str


def words(text: str) -> frozenset[str]:
    """What a text is about: its words in lower case without common ones and without endings."""
    return frozenset(_stem(word) for word in re.findall(r"[a-z0-9]+", text.lower()) if word not in COMMON and len(word) > 1)


def _stem(word: str) -> str:
    for ending in ENDINGS:
        if word.endswith(ending) and len(word) - len(ending) >= 4:
            stem = word[: -len(ending)]
            return stem[:-1] if stem[-1] == stem[-2] and stem[-1] not in "aeiouls" else stem  # forgetting, forgets
    return word


def likeness(one: frozenset[str], other: frozenset[str]) -> float:
    """Share of the words of the shorter one that both have; 0 where that is one word by chance out of several."""
    both, least = len(one & other), min(len(one), len(other))
    return both / least if both >= min(2, least) and both else 0.0


def alike(text: str, others: Iterable[str]) -> list[int]:
    """Which of `others` sound like `text`, as indices, most alike first."""
    mine = words(text)
    found = [(-likeness(mine, words(other)), -number) for number, other in enumerate(others)]
    return [-number for less, number in sorted(found) if less <= -ALIKE]


def live(events: Iterable[dict], now: str) -> list[Claim]:
    """The claims that have not ended, oldest first. `events` and `now` as in the ledger."""
    latest: dict[str, Claim] = {}
    for event in events:
        if event["event"] in ("claim", "claim-done"):
            latest.pop(event["agent"], None)
        if event["event"] == "claim":
            latest[event["agent"]] = Claim(event["agent"], event["detail"], event["time"])
    return [claim for claim in latest.values() if seconds_between(claim.time, now) < LASTS_SECONDS]


def seconds_between(earlier: str, later: str) -> float:
    """Of two times as in the ledger."""
    form = "%Y-%m-%dT%H:%M:%SZ"
    return (datetime.strptime(later, form) - datetime.strptime(earlier, form)).total_seconds()


def claim_words(claim: Claim, now: str) -> str:
    """A claim on a line."""
    return f'{claim.agent}, {seconds_between(claim.time, now) / 60:.0f} minutes ago: "{claim.text}"'


def is_negative(view: dict) -> bool:
    """Whether a verdict, as agents may see it, found no gain over tuned naive."""
    return view["status"] == "scored" and view["lift_low"] is not None and view["lift_low"] <= 0


def read_front(name: str, text: str) -> Told | None:
    """What a post says about itself; None where that is no post."""
    fields = dict(re.findall(r"(?m)^(\w+): (.*)$", text.split("\n---\n", 1)[0]))
    if "agent" not in fields:
        return None
    title = fields.get("title", "")
    with contextlib.suppress(ValueError):  # a file that a person put there by hand
        title = str(json.loads(title))
    return Told(name, fields["agent"], fields.get("type", ""), one_line(title), fields.get("submission", ""))


def tried(text: str, submissions: dict[str, dict], views: Iterable[dict], posts: Iterable[Told]) -> list[str]:
    """Earlier negative results on the same idea, a line each, most alike first.

    `views`: verdicts as the agent may see them; `posts` that it may read. A post beside its own submission is named there.
    """
    told: list[tuple[str, str]] = []
    about, verdicts = list(posts), {view["submission"]: view for view in views}
    for name, view in verdicts.items():
        if is_negative(view):
            said = one_line(submissions[name]["message"])
            texts = [post for post in about if post.submission == name]
            line = (
                f"{name} {view['agent']} {view['method']} ({view['family'] or 'no family'}): lift {view['lift']:+.2f} "
                f"[{view['lift_low']:+.2f}, {view['lift_high']:+.2f}], no gain: \"{said}\""
            )
            line += f" ({', '.join(post.name for post in texts)})" if texts else ""
            titles = " ".join(post.title for post in texts)
            told.append((f"{said} {view['method'].split('/')[-1]} {view['family'] or ''} {titles}".replace("_", " "), line))
    for post in about:
        if post.kind == "error" and post.submission not in verdicts:
            told.append((post.title, f'{post.author} posted ({post.kind}): "{post.title}" ({post.name})'))
    return [told[number][1] for number in alike(text, [words for words, _ in told])][:MOST_TOLD]
