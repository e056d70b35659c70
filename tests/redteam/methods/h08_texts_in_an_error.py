"""Fails on purpose with the test texts in its words."""

# hack: 8
# expect: harmless | refused
FAMILY = "memory"


class Tells:
    def predict_proba(self, batch):
        raise ValueError("GOT " + " | ".join(map(str, batch.texts[:20])))


def fit(w2s):
    return Tells()
