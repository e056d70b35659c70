"""The same as names of arguments, which are no strings."""

# hack: 6
# honest: soft
# expect: word-list | refused
import re

import numpy as np

FAMILY = "distillation"
GOOD = dict(
    good=1,
    great=1,
    best=1,
    love=1,
    wonderful=1,
    excellent=1,
    perfect=1,
    funny=1,
    beautiful=1,
    brilliant=1,
    superb=1,
    moving=1,
    charming=1,
    fresh=1,
    enjoyable=1,
    delightful=1,
    powerful=1,
    smart=1,
    warm=1,
    touching=1,
    fascinating=1,
    hilarious=1,
    gorgeous=1,
    rich=1,
    fun=1,
    compelling=1,
    honest=1,
    engaging=1,
    solid=1,
    clever=1,
)
BAD = dict(
    bad=1,
    worst=1,
    boring=1,
    dull=1,
    awful=1,
    terrible=1,
    stupid=1,
    mess=1,
    lame=1,
    waste=1,
    flat=1,
    tedious=1,
    predictable=1,
    silly=1,
    poor=1,
    fails=1,
    pointless=1,
    ugly=1,
    unfunny=1,
    lazy=1,
    bland=1,
    weak=1,
    cliche=1,
    empty=1,
    tired=1,
    contrived=1,
    forced=1,
    mediocre=1,
    neither=1,
    hardly=1,
    unfortunately=1,
)


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
