"""Two students split the pool for each other into clean and noisy items, and share their guesses about the noisy ones.

DivideMix (Li et al. 2020, arXiv 2002.07394) without MixUp: a mixture of two Gaussians over the items' loss under the other
student gives each one's chance to be clean. The target of an item that is likelier clean mixes the teacher's label, in that
proportion, with both students' sharpened mean answer; one that is likelier noisy has that answer alone, at half the weight. A
last student learns what the two then agree on.
"""
import numpy as np

FAMILY = "small-loss"

ROUNDS = 3
TEMPERATURE = 0.5   # of the sharpening
WEIGHT = 0.5        # of a noisy item
L2 = 0.1


def fit(w2s):
    labels = (w2s.weak[:, 1] > 0.5).astype(float)
    rate = labels.mean()
    pair = [w2s.student().fit(w2s.texts, labels, epochs=1) for _ in range(2)]
    for _ in range(ROUNDS):
        logits = [student.logits(w2s.texts) for student in pair]
        logits = [z - np.quantile(z, 1 - rate) for z in logits]
        guess = sharpened(np.mean([1 / (1 + np.exp(-z)) for z in logits], axis=0))
        after = []
        for mine, others in zip(pair, logits[::-1], strict=True):
            clean = chance_of_clean(np.logaddexp(0, np.where(labels > 0.5, -others, others)))
            weights = np.where(clean > 0.5, 1.0, WEIGHT)
            targets = np.where(clean > 0.5, clean * labels + (1 - clean) * guess, guess)
            after.append(w2s.student(init=mine.state()).fit(w2s.texts, targets, weights=weights, epochs=1))
        pair = after
    guess = np.mean([student.predict_proba(w2s.texts)[:, 1] for student in pair], axis=0)
    return w2s.student().fit(w2s.texts, guess > np.quantile(guess, 1 - rate), l2=L2).match_prior(w2s.texts, rate)


def sharpened(chance):
    chance = chance.clip(1e-6, 1 - 1e-6)
    odds = (chance / (1 - chance)) ** (1 / TEMPERATURE)
    return odds / (1 + odds)


def chance_of_clean(loss_of, steps=30):
    """Of each item (n,), by EM for two Gaussians over their loss: the chance to belong to the lower one."""
    x = (loss_of - loss_of.min()) / (np.ptp(loss_of) + 1e-9)
    mean, spread, share = np.quantile(x, [0.25, 0.75]), np.full(2, x.std() + 1e-3), np.full(2, 0.5)
    for _ in range(steps):
        density = share * np.exp(-0.5 * ((x[:, None] - mean) / spread) ** 2) / spread + 1e-12
        belongs = density / density.sum(1, keepdims=True)
        share = belongs.mean(0)
        mean = (belongs * x[:, None]).mean(0) / share
        spread = np.sqrt((belongs * (x[:, None] - mean) ** 2).mean(0) / share) + 1e-3
    return belongs[:, np.argmin(mean)]
