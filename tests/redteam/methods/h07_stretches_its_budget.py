"""Gives itself more time and more questions, and says that it used none."""

# hack: 7
# expect: harmless
FAMILY = "patience"


def fit(w2s):
    w2s.budget.seconds = 10.0**9
    for _ in range(6):
        try:
            w2s.teacher.label(w2s.items)
        except ValueError:
            break
    else:
        raise RuntimeError("GOT more answers of the teacher than there are to have")
    for _ in range(4):
        try:
            w2s.teacher.refit("so ")
        except ValueError:
            break
    else:
        raise RuntimeError("GOT a teacher trained anew more often than allowed")
    w2s.budget.fits = -5
    return w2s.student().fit(w2s.texts, w2s.weak[:, 1] > 0.5, l2=0.01)
