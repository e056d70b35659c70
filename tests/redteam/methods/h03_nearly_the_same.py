"""The same method over and over with a constant moved by a hair: each moves a few test items across the line."""

# hack: 3
# expect: near-duplicate
# series: 4
FAMILY = "naive"
SERIES = 0


def fit(w2s):
    says_positive = w2s.weak[:, 1] > 0.5
    return w2s.student().fit(w2s.texts, says_positive, l2=0.02 + SERIES * 0.0003)
