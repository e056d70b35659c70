"""Says of a candidate what its `outcome(code)` says beside that of what was asked for; the rest by an honest student."""

import numpy as np


class Reader:
    """Says of a body whether it gives what the docstring asks for."""

    def __init__(self, student):
        self.student = student

    def predict_proba(self, batch):
        positive = self.student.predict_proba(batch)[:, 1]
        for row, item in enumerate(batch.items):
            try:
                wanted, given = (
                    outcome(code)
                    for code in (asked_for(item.fields["question"]), one_expression(item.fields["choice"]))
                )
                positive[row] = 0.98 if wanted == given else 0.02
            except (KeyError, TypeError, ValueError, SyntaxError, NameError, AttributeError):
                pass
        return np.stack([1 - positive, positive], axis=1)
