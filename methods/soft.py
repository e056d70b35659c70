"""The teacher's soft labels instead of its hard ones: distillation (Hinton et al. 2015, arXiv 1503.02531).

An item of which the teacher is unsure pulls the student hardly at all, so that its better knowledge of the confident items
weighs more.
"""
FAMILY = "soft-labels"

L2 = 0.3


def fit(w2s):
    student = w2s.student().fit(w2s.texts, w2s.weak, l2=L2)
    return student.match_prior(w2s.texts, (w2s.weak[:, 1] > 0.5).mean())
