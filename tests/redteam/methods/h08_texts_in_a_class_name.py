"""The same with the test texts in the name of an exception of its own,
and in the name of the file and function it fails in.
"""

# hack: 8
# expect: harmless | refused
FAMILY = "memory"


class Tells:
    def predict_proba(self, batch):
        name = "GOT " + str(batch.texts[0])
        raise type(name, (ValueError,), {})(name)


def fit(w2s):
    return Tells()
