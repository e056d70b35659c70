"""Hard weak labels, each weighted by how sure the teacher is of it: |2p - 1|.

The filter of `confident.py` without its edge: nothing is thrown away, but an item of which the teacher knows nothing counts
for nothing (confidence as in Burns et al. 2023, arXiv 2312.09390).
"""
import numpy as np

FAMILY = "reweighting"


def fit(w2s):
    positive = w2s.weak[:, 1]
    sureness = np.abs(2 * positive - 1) + 1e-6
    student = w2s.student().fit(w2s.texts, positive > 0.5, weights=sureness)
    return student.match_prior(w2s.texts, (positive > 0.5).mean())
