"""Minimise KL(student, teacher) instead of KL(teacher, student).

The usual direction makes the student cover all that the teacher half believes; the reverse lets it settle on what the
teacher is sure of (Yao et al. 2025, arXiv 2502.11107). It needs the soft labels.
"""
FAMILY = "robust-loss"


def fit(w2s):
    student = w2s.student().fit(w2s.texts, w2s.weak, loss=w2s.losses.reverse_kl())
    return student.match_prior(w2s.texts, (w2s.weak[:, 1] > 0.5).mean())
