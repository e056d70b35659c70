"""Several weak teachers, their mean opinion: what they are right about they share, what they are wrong about less so.

Uses all teachers of the task. Where there is one, it is trained anew on the same labelled items with something before each
text, which shuffles what a weak model picks up by chance (bagging, Breiman 1996, without new labels). In an open kit nobody
can train it anew; then this is `soft.py`.
"""
import numpy as np

FAMILY = "teacher-ensemble"

PREFIXES = ("Item: ", "Read this: ", "- ")


def fit(w2s):
    opinions = list(w2s.teachers)
    try:
        opinions += [w2s.teacher.refit(prefix) for prefix in PREFIXES[: max(0, 4 - len(opinions))]]
    except ValueError:   # nobody there to ask
        pass
    chances = np.clip([opinion[:, 1] for opinion in opinions], 1e-4, 1 - 1e-4)
    mean = 1 / (1 + np.exp(-np.log(chances / (1 - chances)).mean(0)))
    w2s.log("teachers", len(opinions))
    return w2s.student().fit(w2s.texts, mean).match_prior(w2s.texts, (w2s.weak[:, 1] > 0.5).mean())
