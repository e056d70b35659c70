"""Hard weak labels, taken at their word: the plain baseline that every other method starts from.

The student is trained as the ceiling is, only on what the teacher says instead of on what is true, and with hardly any
regularisation: it learns the teacher's mistakes as well.
"""
FAMILY = "naive"


def fit(w2s):
    says_positive = w2s.weak[:, 1] > 0.5
    return w2s.student().fit(w2s.texts, says_positive, l2=0.01)
