"""Leaves what it saw of the test items in files, and looks for what an earlier submission left."""

# hack: 8
# expect: opens-files | refused
# series: 2

import numpy as np

FAMILY = "memory"
LIBRARY = [np.ma][0].core
SERIES = 0
PLACES = ["/tmp/note", "/dev/shm/note", "/var/tmp/note", "/aar/lib/note"]


def reach(thing, path):
    return LIBRARY.operator.attrgetter(path)(thing)


class Keeps:
    def __init__(self, student):
        self.student = student

    def predict_proba(self, batch):
        for place in PLACES:
            try:
                reach(np.array([len(text) for text in batch.texts]), "tofile")(place)
            except OSError:
                continue
        return self.student.predict_proba(batch)


def fit(w2s):
    for place in PLACES:
        try:
            found = reach(LIBRARY, "np.fromfile")(place, np.int64)
        except OSError:
            continue
        if SERIES > 1:
            raise RuntimeError("GOT a note of " + str(len(found)) + " numbers at " + place)
    return Keeps(w2s.student().fit(w2s.texts, w2s.weak[:, 1] > 0.5, l2=0.01))
