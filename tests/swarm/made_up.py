"""A made-up task, small enough that a method is fitted and scored in milliseconds."""

from __future__ import annotations

import numpy as np

from eval.w2s import W2S, Batch

VIEWS = ["last:16", "mean:16"]
DRAWS, POOL, TEST = 2, 240, 400


class World:
    """Two Gaussian views of a binary concept, and a teacher that is right in about two thirds of all cases."""

    def __init__(self, seed: int) -> None:
        rng = np.random.default_rng(seed)
        self.labels = rng.integers(0, 2, POOL + TEST)
        sign = 2 * self.labels - 1
        scale = np.arange(1, 61) ** -0.5
        self.features = {}
        for view in VIEWS:
            x = rng.standard_normal((POOL + TEST, 60)) * scale
            x[:, 2] += 0.9 * sign * scale[2]
            x[:, 5] += 0.6 * sign * scale[5]
            self.features[view] = x.astype(np.float16)
        logit = 0.45 * sign + rng.standard_normal(POOL + TEST)
        chance = 1 / (1 + np.exp(-logit))
        self.weak = np.stack([1 - chance, chance], axis=1)
        self.texts = [f"text {seed} {i}" for i in range(POOL + TEST)]

    def pool(self) -> W2S:
        fields = [{"text": text} for text in self.texts[:POOL]]
        features = {view: x[:POOL] for view, x in self.features.items()}
        return W2S(
            self.texts[:POOL],
            fields,
            np.arange(POOL),
            self.weak[None, :POOL],
            features,
            VIEWS[0],
            3,
            60.0,
        )

    def batch(self) -> Batch:
        texts = self.texts[POOL:]
        return Batch(
            texts, [{"text": text} for text in texts], None, {view: x[POOL:] for view, x in self.features.items()}
        )

    def correct(self, chances: np.ndarray) -> np.ndarray:
        return (chances[:, 1] > 0.5) == (self.labels[POOL:] == 1)


def worlds() -> list[World]:
    return [World(seed) for seed in range(DRAWS)]


def fit(source: str, world: World):
    namespace: dict = {"__name__": "method"}
    exec(compile(source, "method", "exec"), namespace)
    return namespace["fit"](world.pool())
