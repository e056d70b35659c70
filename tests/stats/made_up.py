"""Made-up students whose true accuracies are known, with the kinds of error that real ones have."""

from statistics import NormalDist

import numpy as np

DRAWS, GROUPS, SIZE = 8, 250, 3
ITEMS = GROUPS * SIZE
GROUP_OF = np.repeat(np.arange(GROUPS), SIZE)
SHARES = {"item": 0.3, "group": 0.1, "own item": 0.1, "own group": 0.25, "rest": 0.25}
DRAW_SD = 0.06


def simulated(rng: np.random.Generator, truths: dict[str, float], alike: float = 0.0) -> dict[str, np.ndarray]:
    """Correctness (DRAWS, ITEMS) of one student for each true accuracy in `truths`, all on the same draws and items. `alike`:
    the share of what is a student's own that all but "weak" and "ceiling" have in common, since they learn from the same labels.

    A student gets an item right where a latent sum is above 0: how hard the item is for everybody and for this student, its
    group likewise, how good the draw's pool is for all that learn from it and for this student, and what else differs from
    draw to draw. The shares give items, draws and the rest about the variances that the anchors of `reviews` have.
    """

    def normal(share: str, *shape: int) -> np.ndarray:
        return np.sqrt(SHARES[share]) * rng.normal(size=shape)

    def own() -> np.ndarray:
        return normal("own item", ITEMS) + normal("own group", GROUPS)[GROUP_OF] + DRAW_SD * rng.normal(size=(DRAWS, 1))

    everybody = normal("item", ITEMS) + normal("group", GROUPS)[GROUP_OF] + DRAW_SD * rng.normal(size=(DRAWS, 1))
    learners, answers = own(), {}
    for name, accuracy in truths.items():
        shared = 0.0 if name in ("weak", "ceiling") else alike
        level = NormalDist().inv_cdf(accuracy) * np.sqrt(1 + 2 * DRAW_SD**2)
        latent = level + everybody + np.sqrt(shared) * learners + np.sqrt(1 - shared) * own() + normal("rest", DRAWS, ITEMS)
        answers[name] = (latent > 0).astype(np.float32)
    return answers
