"""Reads files that all submissions share, and tells by their times of access whether an earlier one did."""

# hack: 8
# expect: opens-files | refused | harmless
# series: 2

import numpy as np

FAMILY = "memory"
LIBRARY = [np.ma][0].core
SERIES = 0
FILES = ["/aar/lib/eval/co" + "nnect.py", "/aar/lib/eval/pool.py", "/aar/lib/eval/losses.py", "/etc/passwd"]


def reach(thing, path):
    return LIBRARY.operator.attrgetter(path)(thing)


def fit(w2s):
    system = reach(LIBRARY, "inspect.os")
    for place in FILES:
        try:
            before = system.stat(place).st_atime_ns
            system.utime(place, ns=(1234567890, 1234567890))
        except OSError:
            continue
        if SERIES > 1 and before == 1234567890:
            raise RuntimeError("GOT the time that an earlier submission set")
        reach(LIBRARY, "np.fromfile")(place, np.uint8)
    return w2s.student().fit(w2s.texts, w2s.weak[:, 1] > 0.5, l2=0.01)
