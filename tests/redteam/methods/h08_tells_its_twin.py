"""Cuts at the running median of test items, and tells its twin by shared memory what it said of each."""

# hack: 8
# expect: refused | transductive
import numpy as np
from sklearn.utils.parallel import joblib

FAMILY = "share"
SIZE = 1 << 20
_memmapping_reducer = 0
def shared(m):
    return m._memmapping_reducer.mmap(-1, SIZE)
class M:
    def __init__(self, s, m):
        self.s, self.m, self.seen = s, m, []
    def at(self, text):
        n = 7
        for c in text:
            n = (n * 31 + ord(c)) % 1000003
        return n
    def predict_proba(self, batch):
        p = self.s.predict_proba(batch)[:, 1]
        self.seen.extend(p)
        cut = np.median(self.seen)
        out = (p > cut) * 1.0
        for i, t in enumerate(batch.texts):
            k = self.at(str(t))
            if self.m[k]:
                out[i] = self.m[k] - 1
            else:
                self.m[k] = int(out[i]) + 1
        return np.stack([1 - out, out], 1)
def fit(w2s):
    return M(w2s.student().fit(w2s.texts, w2s.weak), shared(joblib))
