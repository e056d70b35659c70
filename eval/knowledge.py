"""What of a task's own an author may know: the words that name it, those that tell its classes apart, and its items.

    knows = knowledge_of(prepared)          # under half a second for 10,000 items: keep it
    scan(source, name, knows)

It is made of labels of the region that pools are drawn from, so what it says of a file must not become an answer to
questions: a flag is all that is told.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from eval.prepared import Prepared

WORD = re.compile(r"[A-Z]?[^\W\d_A-Z]{2,}|[A-Z]{3,}")
"""A word of natural language, or of a name: `keepBest_of` holds keep, Best and of."""
TELLS = 2.5
"""A word tells the classes apart where it stands in so many standard errors more items of one than of the other."""
PIECE = 25
"""Characters of an item that nobody writes by chance."""
READ = 40
"""Words that are read of the beginning of an item, and of its end."""
SAID_BY_ALL = frozenset(
    "about above answer answers asked because best class classes does each either enough fewer first from good have "
    "item items label labels less likely mean model more most much need needs none number only other pool positive prompt prompts "
    "negative right score should some task teacher test text than that their them then there these they this those "
    "train true false under value weak strong what when where whether which while with without words wrong your".split()
)
"""Words of which no task is told by."""


@dataclass(frozen=True)
class Knowledge:
    """`words` name the task; `telling` tell its classes apart; `pieces` are hashes, of this process, of runs of words of the
    items in the region of its pools."""

    words: frozenset[str] = frozenset()
    telling: frozenset[str] = frozenset()
    pieces: frozenset[int] = frozenset()


def knowledge_of(prepared: Prepared) -> Knowledge:
    """Of a prepared task: of the question in its description, its prompts, and the items and labels of the region."""
    task, region = prepared.task, prepared.region
    said = re.split(r"\?\s" if "?" in task.description else r"\.\s", task.description, maxsplit=1)[0].rpartition(":")[2]
    if task.prompts is not None:
        said = " ".join([said, task.prompts.zero_shot, task.prompts.contrast or "", *task.prompts.answers])
    said = re.sub(r"\{\w*\}", " ", said + " " + task.template)
    words = {stem(word) for word in words_of(said) if len(word) > 3} - {stem(word) for word in SAID_BY_ALL}
    pieces: set[int] = set()
    counts: tuple[Counter, Counter] = (Counter(), Counter())
    for fields, label in zip(region.fields, region.labels.tolist()):
        read = [_ends(plain(value)) for value in fields.values() if isinstance(value, str)]
        pieces.update(hash(run) for one in read for run in runs(one))
        if label in (0, 1):
            counts[label].update({word for one in read for word in one})
    return Knowledge(frozenset(words), frozenset(_telling(*counts)), frozenset(pieces))


def plain(text: str) -> list[str]:
    """Its words and numbers; case, marks and line breaks do not count."""
    return re.findall(r"\w+", text.lower())


def _ends(words: list[str]) -> list[str]:
    return words if len(words) <= 2 * READ else words[:READ] + words[-READ:]


def _telling(no: Counter, yes: Counter) -> Iterator[str]:
    """Words of three letters and more that stand in far more items of one class than of the other."""
    total = (sum(no.values()) or 1, sum(yes.values()) or 1)
    share = total[1] / (total[0] + total[1])
    for word in no.keys() | yes.keys():
        count = no[word] + yes[word]
        if (
            count > 4
            and len(word) > 2
            and word.isalpha()
            and abs(yes[word] - share * count) > TELLS * (share * (1 - share) * count) ** 0.5
        ):
            yield word


def words_of(text: str) -> list[str]:
    """Its words of two letters and more, in lower case."""
    return [word.lower() for word in WORD.findall(text)]


def stem(word: str) -> str:
    """Without the endings of plural and tense, roughly."""
    return re.sub(r"(?:ies|es|s|ing|ed|y|e)$", "", word.lower()) or word


def runs(words: list[str]) -> Iterator[str]:
    """From each word on, the shortest run of them of at least PIECE characters."""
    joined, start = " ".join(words), 0
    while len(joined) - start >= PIECE:
        end = joined.find(" ", start + PIECE)
        yield joined[start : end if end > 0 else None]
        start = joined.find(" ", start) + 1 or len(joined)
