"""What an agent hears of the world between its turns, in a few lines: posts, a new best, what is left to it, what people say.

    news, cursor = news_for(desk, agent, cursor)        # cursor: what it has heard already; None at first

Each kind can be switched off in aar.toml. Nothing here is told that the agent could not read for itself. Words of others are
quoted, and named as theirs.
"""

from __future__ import annotations

from datetime import datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

from pydantic import BaseModel, ConfigDict, Field

from state.ledger import agent_view
from stats.ranking import contenders
from swarm.claims import read_front
from swarm.door import line
from swarm.forum import one_line

if TYPE_CHECKING:
    from swarm.desk import Desk

MOST_POSTS = 12
MOST_WORDS = 3000
"""Characters of what a person says; the whole stands in the forum."""
LATE = timedelta(minutes=10)
"""A post may appear so long after one with a later name. Until then names are remembered one by one."""
SHARES = (0.75, 0.5, 0.25, 0.1, 0.05)
"""What is left of a budget is told when it falls below these."""

_Name = Annotated[str, Field(max_length=200)]


class Cursor(BaseModel):
    """What an agent has heard. Comes back from its sandbox, so it is checked."""

    model_config = ConfigDict(extra="ignore")
    heard: list[_Name] = Field([], max_length=5000)
    before: _Name = ""
    best: _Name = ""
    verdicts: int = Field(0, ge=0)
    left: dict[_Name, int] = Field({}, max_length=20)
    stuck: int = Field(0, ge=0)
    narrow: str = Field("", max_length=500)
    jobs: int = Field(0, ge=0)


def words_of(file: Path) -> str:
    """What the author wrote, without front matter and figures."""
    text = file.read_text(encoding="utf-8", errors="replace").split("\n---\n", 1)[-1]
    return text.partition("*Words of ")[2].partition("\n")[2].strip()


def news_for(desk: Desk, agent: str, cursor: dict | None) -> tuple[list[dict[str, str]], dict]:
    """News as `{"kind", "text"}`, and the cursor for the next time. The first time what was there before is not told, but for
    what people said."""
    seen, first = Cursor.model_validate(cursor or {}), cursor is None
    wanted = desk.config.get("news", {})
    news: list[dict[str, str]] = []

    def tell(kind: str, text: str) -> None:
        if wanted.get(kind, True) is not False:
            news.append({"kind": kind, "text": text})

    _posts(desk, agent, seen, first, tell)
    _verdicts(desk, agent, seen, first, tell)
    if wanted.get("stuck", 8):
        _stuck(desk, agent, seen, wanted.get("stuck", 8), tell)
    narrow = desk.narrowing() if desk.sees_all(agent) else None
    if narrow and narrow != seen.narrow:
        tell("narrow", narrow)
    seen.narrow = narrow or ""
    for text in desk.jobs.ended_since(agent, seen.jobs):
        seen.jobs += 1
        tell("job", text)
    _left(desk, agent, seen, tell)
    return news, seen.model_dump()


def _posts(desk: Desk, agent: str, seen: Cursor, first: bool, tell) -> None:
    fresh = []
    for file in sorted(desk.paths.forum.glob("2*.md")):
        if file.name < seen.before or file.name in seen.heard:
            continue
        seen.heard.append(file.name)
        post = read_front(file.name, file.read_text(encoding="utf-8", errors="replace"))
        if post is not None and post.author != agent:
            fresh.append((file, post))
    _forget(seen)
    told = 0
    for file, post in fresh:
        if post.author not in desk.directions:
            body = one_line(words_of(file), MOST_WORDS)
            title = "" if body.startswith(post.title.rstrip("…")) else f'"{post.title}" '
            tell("people", f"{post.author}, a person, says: {title}{body} ({post.name})")
        elif not first and desk.sees_all(agent):
            told += 1
            if told <= MOST_POSTS:
                tell("posts", f'{post.author} posted ({post.kind}): "{post.title}" ({post.name})')
    if told > MOST_POSTS:
        tell("posts", f"and {told - MOST_POSTS} posts more: see $AAR_FORUM")


def _when(name: str) -> datetime:
    try:
        return datetime.strptime(name[:16], "%Y%m%dT%H%M%SZ")
    except ValueError:  # no name of a post
        return datetime.max


def _forget(seen: Cursor) -> None:
    """Of names that lie far back only the newest is kept: everything before it was heard."""
    seen.heard.sort()
    old = [name for name in seen.heard if _when(seen.heard[-1]) - _when(name) > LATE]
    if old:
        seen.before = max(seen.before, old[-1] + "\0")
        seen.heard = [name for name in seen.heard if name not in old]


def _verdicts(desk: Desk, agent: str, seen: Cursor, first: bool, tell) -> None:
    verdicts = list(desk.ledger.verdicts.values())
    mine = [verdict for verdict in verdicts if verdict["agent"] == agent]
    for verdict in mine[seen.verdicts :]:
        if not first and verdict["submission"] not in desk.waited_for:
            tell("verdict", f"your verdict is there: {line(agent_view(verdict))}")
    seen.verdicts = len(mine)
    best = contenders(verdicts)[:1] if desk.sees_all(agent) else []
    if best and best[0]["submission"] != seen.best:
        seen.best = best[0]["submission"]
        if not first and best[0]["agent"] != agent:
            tell("best", f"a new best of the run: {line(agent_view(best[0]))}")


def _stuck(desk: Desk, agent: str, seen: Cursor, most: int, tell) -> None:
    mine = [verdict for verdict in list(desk.ledger.verdicts.values()) if verdict["agent"] == agent]
    best = contenders(mine)[:1]
    since = len(mine) - 1 - mine.index(best[0]) if best else len(mine)
    if since >= most and len(mine) >= seen.stuck + most:
        seen.stuck = len(mine)
        tell("stuck", f"your last {since} verdicts brought no gain over your best: what would have to be true for this line to be wrong? "
             "Another direction, the work of others, or a test of your assumption may be worth more than the next variation.")  # fmt: skip


def _left(desk: Desk, agent: str, seen: Cursor, tell) -> None:
    """Each budget when its rest falls below the next of SHARES."""
    lines = []
    for name, (left, limit, words) in budgets_of(desk, agent).items():
        step = sum(left < share * limit for share in SHARES) + (left <= 0)
        if step > seen.left.get(name, 0):
            lines.append(words)
        seen.left[name] = step
    if lines:
        tell("budget", f"left: {'; '.join(lines)}. What is not written down when it runs out is lost.")


def budgets_of(desk: Desk, agent: str) -> dict[str, tuple[float, float, str]]:
    """What an agent has left: name -> (rest, limit, both in words). Only what has a limit."""
    limit, left = desk.config["seconds_limit"], desk.config["seconds_limit"] - desk.seconds_used()
    words = f"{left / 60:.0f} of {limit / 60:.0f} minutes of the run"
    if left <= 0:
        words = "no time (nothing more is taken to be scored: write down what you learned, and end)"
    found = {} if desk.kept_open else {"time": (left, limit, words)}
    if most := desk.config.get("submissions_limit"):
        rest = desk.left(agent)["agent"]
        found["submissions"] = (rest, most, f"{rest} of your {most} submissions")
    return found | (desk.purse.left(agent) if desk.purse is not None else {})
