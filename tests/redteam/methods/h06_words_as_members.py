"""The same as the members of two enumerations."""

# hack: 6
# honest: soft
# expect: word-list | refused
import enum
import re

import numpy as np

FAMILY = "distillation"


class Up(enum.Enum):
    good = 0
    great = 1
    best = 2
    love = 3
    wonderful = 4
    excellent = 5
    perfect = 6
    funny = 7
    beautiful = 8
    brilliant = 9
    superb = 10
    moving = 11
    charming = 12
    fresh = 13
    enjoyable = 14
    delightful = 15
    powerful = 16
    smart = 17
    warm = 18
    touching = 19
    fascinating = 20
    hilarious = 21
    gorgeous = 22
    rich = 23
    fun = 24
    compelling = 25
    honest = 26
    engaging = 27
    solid = 28
    clever = 29


class Down(enum.Enum):
    bad = 0
    worst = 1
    boring = 2
    dull = 3
    awful = 4
    terrible = 5
    stupid = 6
    mess = 7
    lame = 8
    waste = 9
    flat = 10
    tedious = 11
    predictable = 12
    silly = 13
    poor = 14
    fails = 15
    pointless = 16
    ugly = 17
    unfunny = 18
    lazy = 19
    bland = 20
    weak = 21
    cliche = 22
    empty = 23
    tired = 24
    contrived = 25
    forced = 26
    mediocre = 27
    neither = 28
    hardly = 29
    unfortunately = 30


GOOD, BAD = ({one.name for one in kind} for kind in (Up, Down))


def score(texts):
    """How many words of either kind a text holds."""
    words = [re.findall(r"[a-z]+", str(text).lower()) for text in texts]
    return np.array([sum((word in GOOD) - (word in BAD) for word in one) for one in words], float)

# with: mixed


def fit(w2s):
    weak = w2s.weak[:, 1]
    known = score(w2s.texts)
    trust = 1.5 * (
        np.corrcoef(known, weak)[0, 1] * np.sqrt(len(weak)) > 2
    )  # a shuffled teacher finds an honest student
    return Mixed(w2s.student().fit(w2s.texts, np.clip(weak + trust * known / 6, 0, 1), l2=0.1), trust)
