import importlib.util
import inspect
from pathlib import Path

import numpy as np
import pytest

from eval.draws import as_batch, handed
from eval.w2s import W2S, Batch

METHODS = sorted(path for path in (Path(__file__).parents[2] / "methods").glob("*.py"))


def load(path):
    spec = importlib.util.spec_from_file_location(f"method_{path.stem}", path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def planted(seed, n=1200, d=64):
    """A pool whose class is the widest direction but one, with a teacher that is better the surer it is; and a test batch."""
    rng = np.random.default_rng(seed)
    truth = rng.integers(0, 2, 2 * n)
    x = rng.normal(size=(2 * n, d)) * 0.8
    x[:, : d // 2] += 0.45 * (2 * truth[:, None] - 1)
    logit = 0.25 * (2 * truth - 1) + rng.normal(size=2 * n)
    positive = 1 / (1 + np.exp(-(logit - np.median(logit[:n]))))
    weak = np.stack([1 - positive, positive], 1)[:n]
    texts = [f"item {i}" for i in range(n)]
    x = x.astype(np.float16)
    w2s = W2S(texts, [{} for _ in texts], np.arange(n), weak, weak[None], {"last:1": x[:n]}, "last:1", seed, 60.0)
    return w2s, Batch(texts, [{} for _ in texts], None, {"last:1": x[n:]}), truth[n:]


def accuracy(name, seed):
    w2s, batch, truth = planted(seed)
    return ((load(METHODS[0].with_name(f"{name}.py")).fit(w2s).predict_proba(batch)[:, 1] > 0.5) == truth).mean()


def test_the_baselines_of_the_readme_are_there():
    assert {"naive", "tuned_naive", "soft", "confident", "selftrain_pca", "low_rank"} <= {path.stem for path in METHODS}


@pytest.mark.parametrize("path", METHODS, ids=lambda path: path.stem)
def test_a_method_says_its_idea_and_family_and_answers_with_chances(path, smoke):
    method = load(path)
    assert inspect.getdoc(method) and isinstance(method.FAMILY, str)
    model = method.fit(handed(smoke.task, smoke.draw(0), seed=5))
    chances = model.predict_proba(as_batch(smoke.parts["public"]))
    assert chances.shape == (len(smoke.parts["public"].texts), 2)
    assert np.allclose(chances.sum(1), 1, atol=1e-5) and (chances >= 0).all()


@pytest.mark.parametrize("path", METHODS, ids=lambda path: path.stem)
def test_the_same_draw_and_seed_give_the_same_student(path, smoke):
    batch = as_batch(smoke.parts["validation"])
    first, second = (load(path).fit(handed(smoke.task, smoke.draw(1), seed=5)).predict_proba(batch) for _ in range(2))
    assert np.array_equal(first, second)


def test_a_bias_for_few_directions_finds_a_concept_that_a_noisy_teacher_hides():
    seeds = range(3)
    naive = np.mean([accuracy("naive", seed) for seed in seeds])
    for name in ("selftrain_pca", "low_rank", "tuned_naive"):
        assert np.mean([accuracy(name, seed) for seed in seeds]) > naive + 0.05, name
