"""Searches the memory of its process for arrays as long as the pool that nobody handed to it."""

# hack: 5
# expect: inspects | imports | refused

import numpy as np

FAMILY = "introspection"
LIBRARY = [np.ma][0].core


def reach(thing, path):
    return LIBRARY.operator.attrgetter(path)(thing)


def fit(w2s):
    collector = reach(LIBRARY, "builtins._" + "_imp" + "ort_" + "_")("gc")
    handed = {id(w2s.weak), id(w2s.teachers), id(w2s.groups)}
    for one in collector.get_objects():
        arrays = one.values() if type(one) is dict else one if type(one) in (list, tuple) else [one]
        for array in arrays:
            if (
                type(array) is np.ndarray
                and id(array) not in handed
                and array.shape == w2s.groups.shape
                and array.dtype == np.uint8
            ):
                raise RuntimeError("GOT an array of labels")
    return w2s.student().fit(w2s.texts, w2s.weak[:, 1] > 0.5, l2=0.01)
