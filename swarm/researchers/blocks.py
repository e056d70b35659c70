"""The building blocks of the search researcher, as they stand in the method files that it writes.

This file is read as text by `recipe.py`: a written method gets the functions that it calls, and what those call, word
for word. So the blocks are ordinary code that can be read, tested and run; the agent process itself never imports
them, nor numpy. A cleaning block takes the pool's `targets` (n,), the chance of the positive class in [0, 1], and
`weights` (n,) >= 0, and returns both anew. `student` stands for the options of the student that a block trains.
"""

import numpy as np


def teacher_labels(w2s):
    """The teacher's answers taken at face value."""
    targets = (w2s.weak[:, 1] > 0.5).astype(float)
    return targets, np.ones(len(targets))


def teacher_chances(w2s):
    """The teacher's chances as they are (Hinton et al. 2015, arXiv 1503.02531)."""
    return w2s.weak[:, 1].astype(float), np.ones(len(w2s.weak))


def log_odds(chance):
    chance = np.clip(chance, 1e-4, 1 - 1e-4)
    return np.log(chance / (1 - chance))


def standard(scores):
    """Scores centred on their median, with unit spread: what two judges need before their votes are added."""
    scores = scores - np.median(scores)
    return scores / (scores.std() + 1e-9)


def threshold(w2s, scores):
    """Where to cut scores to get as many positives as the teacher gives."""
    return np.quantile(scores, 1 - (w2s.weak[:, 1] > 0.5).mean())


def cut(w2s, scores):
    """Labels from scores, as many of them positive as the teacher's."""
    return (scores > threshold(w2s, scores)).astype(float)


def chances(w2s, scores, scale=1.0):
    """Soft labels from scores, even at the cut."""
    return 1 / (1 + np.exp(-scale * (scores - threshold(w2s, scores))))


def surest(scores, targets, share):
    """Mask of the `share` of each class with the highest scores, so that no class dies out."""
    keep = np.zeros(len(targets), bool)
    for label in (0, 1):
        members = np.flatnonzero((targets > 0.5) == label)
        count = min(len(members), max(5, int(share * len(members))))
        keep[members[np.argsort(-scores[members], kind="stable")[:count]]] = True
    return keep


def cross_fitted(w2s, targets, weights, l2=0.1, folds=5, **student):
    """Log odds (n,), each from a student that did not see that item's label."""
    fold = w2s.rng.permutation(len(targets)) % folds
    scores = np.empty(len(targets))
    for k in range(folds):
        train, held = (fold != k) & (weights > 0), fold == k
        model = w2s.student(**student).fit(w2s.texts[train], targets[train], weights[train], l2=l2)
        scores[held] = log_odds(model.predict_proba(w2s.texts[held])[:, 1])
    return scores


def coordinates(w2s, components, **student):
    """The pool (n, components) in its principal components, each with unit spread."""
    x = w2s.student(**student).embed(w2s.texts)
    x = (x - x.mean(axis=0)) / (x.std(axis=0) + 1e-6)
    axes = np.linalg.eigh(x.T @ x)[1][:, ::-1][:, :components]
    z = x @ axes
    return z / z.std(axis=0)


def keep_confident(w2s, targets, weights, share):
    """Train only where the teacher is sure (Burns et al. 2023, arXiv 2312.09390)."""
    keep = surest(np.abs(log_odds(w2s.weak[:, 1])), targets, share)
    return targets, weights * keep


def weigh_by_confidence(w2s, targets, weights, power):
    """Let each label count by the teacher's margin |2p - 1| (reweighting as in Jiang & Nachum, arXiv 1901.04966)."""
    return targets, weights * (np.abs(2 * w2s.weak[:, 1] - 1) ** power + 1e-6)


def smooth_over_neighbours(w2s, targets, weights, neighbours, components, **student):
    """Ask the teacher about an item's neighbours (deep k-NN: Bahri et al. 2020, arXiv 2004.12289)."""
    z = coordinates(w2s, components, **student)
    z /= np.linalg.norm(z, axis=1, keepdims=True)
    near = z @ z.T
    np.fill_diagonal(near, -9)
    near = np.argpartition(-near, neighbours, axis=1)[:, :neighbours]
    return cut(w2s, log_odds(w2s.weak[:, 1])[near].mean(axis=1)), np.ones(len(targets))


def keep_agreed(w2s, targets, weights, **student):
    """Drop the labels that a cross-fitted student contradicts (Northcutt et al. 2021, arXiv 1911.00068)."""
    agreed = cut(w2s, cross_fitted(w2s, targets, weights, **student)) == (targets > 0.5)
    return targets, weights * agreed


def keep_easy(w2s, targets, weights, share, **student):
    """Keep what is learned with little loss: noise is hard to learn (Han et al. 2018, arXiv 1804.06872)."""
    scores = standard(cross_fitted(w2s, targets, weights, **student))
    ease = np.where(targets > 0.5, scores, -scores)
    return targets, weights * surest(ease, targets, share)


def self_train(w2s, targets, weights, rounds, **student):
    """Replace the labels by a cross-fitted student's, several times over (Lee 2013, pseudo-labels)."""
    for _ in range(rounds):
        targets = cut(w2s, cross_fitted(w2s, targets, weights, **student))
        weights = np.ones(len(targets))
    return targets, weights


def born_again(w2s, targets, weights, rounds, **student):
    """Teach a like student with the last one's chances (Furlanello et al. 2018, arXiv 1805.04770)."""
    for _ in range(rounds):
        scores = standard(cross_fitted(w2s, targets, weights, **student))
        targets, weights = chances(w2s, scores, scale=2), np.ones(len(targets))
    return targets, weights


def grow_from_sure(w2s, targets, weights, rounds, share, **student):
    """Teacher and student relabel together; the sure part trains and grows (easy to hard: arXiv 2401.06751)."""
    teacher = standard(log_odds(w2s.weak[:, 1]))
    for step in range(1, rounds + 1):
        both = standard(teacher + 2 * standard(cross_fitted(w2s, targets, weights, **student)))
        targets = cut(w2s, both)
        weights = surest(np.abs(both), targets, share + (0.9 - share) * step / rounds).astype(float)
    return targets, weights


def multiply_with_student(w2s, targets, weights, trust, **student):
    """Product of experts: teacher and student vote with their log odds (Hinton 2002)."""
    scores = cross_fitted(w2s, targets, weights, **student)
    return cut(w2s, standard(log_odds(w2s.weak[:, 1])) + trust * standard(scores)), np.ones(len(targets))


def mix_in_student(w2s, targets, weights, share, **student):
    """Let the student's own answers be part of the target (auxiliary confidence, arXiv 2312.09390; 1412.6596)."""
    answers = cut(w2s, cross_fitted(w2s, targets, weights, **student))
    return (1 - share) * targets + share * answers, weights


def forgive_outliers(w2s, targets, weights, q, rounds, **student):
    """Generalised cross-entropy, whose gradient is cross-entropy's times p(label)^q (Zhang & Sabuncu, 1805.07836)."""
    base = weights
    for _ in range(rounds):
        chance = chances(w2s, standard(cross_fitted(w2s, targets, weights, **student)), scale=2)
        weights = base * (targets * chance + (1 - targets) * (1 - chance)) ** q
    return targets, weights


def noisy_channel(w2s, targets, weights, bins, rounds, **student):
    """EM: the teacher's confidence is a noisy channel of the truth, the student is the prior (Raykar et al. 2010)."""
    rank = np.argsort(np.argsort(w2s.weak[:, 1], kind="stable"), kind="stable")
    bin_of = rank * bins // len(rank)
    for _ in range(rounds):
        prior = cross_fitted(w2s, targets, weights, **student)
        belief = chances(w2s, prior)
        positive = np.bincount(bin_of, belief, bins) + 2
        negative = np.bincount(bin_of, 1 - belief, bins) + 2
        channel = np.log(positive / positive.sum()) - np.log(negative / negative.sum())
        targets, weights = chances(w2s, prior + channel[bin_of]), np.ones(len(targets))
    return targets, weights


def teach_each_other(w2s, targets, weights, rounds, other, **student):
    """Co-training: two views of the hidden states label for one another (Blum & Mitchell 1998)."""
    mine, theirs = (targets, weights), (targets, weights)
    for _ in range(rounds):
        here = standard(cross_fitted(w2s, *theirs, **student))
        there = standard(cross_fitted(w2s, *mine, **{**student, "view": other}))
        mine, theirs = ((cut(w2s, scores), np.ones(len(targets))) for scores in (here, there))
    return cut(w2s, here + there), np.ones(len(targets))


def shift_by_means(w2s, targets, weights, shrink, components, **student):
    """Label along the difference of the class means in a shrunk metric (Marks & Tegmark 2023, arXiv 2310.06824)."""
    z = coordinates(w2s, components, **student)
    difference = np.average(z, axis=0, weights=weights * targets + 1e-9)
    difference = difference - np.average(z, axis=0, weights=weights * (1 - targets) + 1e-9)
    metric = (1 - shrink) * np.cov(z.T) + shrink * np.eye(components)
    return cut(w2s, z @ np.linalg.solve(metric, difference)), np.ones(len(targets))


def best_axis(w2s, targets, weights, components, **student):
    """One unsupervised axis; the teacher only picks it and its sign (Zou et al. 2023, arXiv 2310.01405)."""
    z = coordinates(w2s, components, **student)
    fit = np.average(z * (2 * targets - 1)[:, None], axis=0, weights=weights)
    axis = np.argmax(np.abs(fit))
    return cut(w2s, np.sign(fit[axis]) * z[:, axis]), np.ones(len(targets))


def two_clusters(w2s, targets, weights, rounds, components, **student):
    """EM for two Gaussians of one shape, begun at the teacher's labels (McLachlan 1975; Nigam et al. 2000)."""
    z = coordinates(w2s, components, **student)
    for _ in range(rounds):
        share = np.stack([weights * (1 - targets), weights * targets])
        means = share @ z / share.sum(axis=1, keepdims=True)
        scatter = [(row[:, None] * (z - mean)).T @ (z - mean) for row, mean in zip(share, means, strict=True)]
        spread = sum(scatter) / share.sum()
        direction = np.linalg.solve(spread + 0.1 * np.eye(components), means[1] - means[0])
        targets, weights = chances(w2s, z @ direction), np.ones(len(targets))
    return targets, weights


def evolve_direction(w2s, targets, weights, generations, components, **student):
    """Search the direction that contradicts the fewest labels by a cross-entropy method, no gradient
    (Rubinstein 1999; the 0-1 loss forgives noise: Manwani & Sastry 2013, arXiv 1109.5231)."""
    z = coordinates(w2s, components, **student)
    centre, spread = np.zeros(components), np.ones(components)
    for _ in range(generations):
        tries = centre + spread * w2s.rng.standard_normal((64, components))
        scores = tries @ z.T
        side = scores > np.median(scores, axis=1, keepdims=True)
        agreement = np.where(side, targets, 1 - targets) @ weights
        best = tries[np.argsort(-agreement)[:12]]
        centre, spread = best.mean(axis=0), best.std(axis=0) + 0.02
    return cut(w2s, z @ centre), np.ones(len(targets))


class Average:
    """Several heads that answer with the mean of their chances."""

    def __init__(self, heads):
        self.heads = heads

    def predict_proba(self, batch):
        return np.mean([head.predict_proba(batch) for head in self.heads], axis=0)
