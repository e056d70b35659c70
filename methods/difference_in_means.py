"""The direction from the mean of the negatives to the mean of the positives, nothing trained.

Mass-mean probing (Marks and Tegmark 2023, arXiv 2310.06824): the mean difference finds a concept's direction even where a
trained probe finds a better separating but less causal one; corrected by a shrunken covariance. Noise in the labels only
shortens it. Over the teacher's most confident items.
"""
import numpy as np

FAMILY = "difference-in-means"

SHARE = 0.25       # of each class
COMPONENTS = 20
SHRINKAGE = 0.5    # of the covariance towards a multiple of the identity


def fit(w2s):
    return Direction(w2s, w2s.student())


class Direction:
    def __init__(self, w2s, student):
        positive = w2s.weak[:, 1]
        says = positive > 0.5
        states = student.embed(w2s.texts)
        self.student, self.mean, self.spread = student, states.mean(0), states.std(0) + 1e-6
        x = (states - self.mean) / self.spread
        variance, axes = np.linalg.eigh(x.T @ x / len(x))
        variance, axes = variance[-COMPONENTS:], axes[:, -COMPONENTS:]
        means = [x[top(sign * positive, rows)].mean(0) for sign, rows in ((1, says), (-1, ~says))]
        shrunken = (1 - SHRINKAGE) * variance + SHRINKAGE * variance.mean()
        direction = axes @ ((means[0] - means[1]) @ axes / shrunken)
        self.direction, self.cut = direction / (x @ direction).std(), 0.0
        self.cut = np.quantile(self.logits(w2s.texts), 1 - says.mean())

    def logits(self, source):
        return (self.student.embed(source) - self.mean) / self.spread @ self.direction - self.cut

    def predict_proba(self, source):
        positive = 1 / (1 + np.exp(-self.logits(source)))
        return np.stack([1 - positive, positive], axis=1)


def top(score, mask):
    """Positions of the highest scores among the items of the mask, a share of them."""
    rows = np.flatnonzero(mask)
    return rows[np.argsort(-score[rows])[: max(5, int(SHARE * len(rows)))]]
