"""Every method of the library fits, answers about each item alone, and is on the track that it claims."""
import ast
import importlib.util
import inspect
import re
from pathlib import Path

import numpy as np
import pytest

from eval.scan import scan
from eval.w2s import W2S, Batch, Students

FOLDER = Path(__file__).parents[2] / "methods"
METHODS = sorted(FOLDER.glob("*.py"))
every_method = pytest.mark.parametrize("path", METHODS, ids=lambda path: path.stem)
ELICITATION = {"zero_shot", "zero_shot_consistency", "ccs", "ccs_evolution"}
PROBES_ONLY = {"low_rank", "selftrain_pca", "bootstrapping", "co_training"}
ASKED_FOR = {
    "naive", "tuned_naive", "soft", "early_stopping", "confident", "confidence_weights", "aux_confidence", "bootstrapping",
    "product_of_confidences", "gce", "symmetric_ce", "forward_correction", "backward_correction", "reverse_kl", "small_loss",
    "co_teaching", "dividemix", "em_channel", "cross_fitted", "born_again", "teacher_ensemble", "zero_shot_consistency", "ccs",
    "ccs_evolution", "label_propagation", "difference_in_means", "low_rank", "easy_to_hard", "overlap_density",
}  # fmt: skip


def load(path):
    spec = importlib.util.spec_from_file_location(f"method_{path.stem}", path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def document(path):
    return " ".join(inspect.getdoc(load(path)).split())


def planted(seed, n=1200, d=64, prompts=False, perfect=False, views=("last:1", "mean:1"), ask=None):
    """A pool whose class is the widest direction, with a teacher that is better the surer it is; a test batch; its classes.

    Items come in groups of two. One view is as good as the other. With `prompts`, the strong model answers well when asked,
    and under contrast prompts its hidden states move along the class, one way or the other. The teacher can be trained anew,
    or `ask` answers for it; where it is `perfect` its labels are true."""
    rng = np.random.default_rng(seed)
    truth = rng.integers(0, 2, 2 * n)
    sign = 2 * truth - 1
    towards = np.where(np.arange(d) < d // 2, 0.45, 0.0)

    def states(shift):
        return (rng.normal(size=(2 * n, d)) * 0.8 + shift[:, None] * towards).astype(np.float16)

    def opinion():
        logit = 0.25 * sign[:n] + rng.normal(size=n)
        positive = 1 / (1 + np.exp(-(logit - np.median(logit))))
        return np.stack([1 - positive, positive], 1)

    blocks = {view: states(sign) for view in views}
    known, students = {}, Students()
    if prompts:
        students = Students("probe", {}, (" no", " yes"), "{text}?", "{text}?{answer}")
        known = {"zero-shot": {"answers": np.stack([-sign, sign], 1) + rng.normal(size=(2 * n, 2))},
                 "contrast-0": {"last:1": states(-sign)}, "contrast-1": {"last:1": states(sign)}}
    texts = [f"item {i}" for i in range(2 * n)]
    fields = [{"text": text} for text in texts]

    def part(blocks, rows):
        return {view: block[rows] for view, block in blocks.items()}

    weak = np.stack([1 - truth[:n], truth[:n]], 1) if perfect else opinion()

    pool, test = slice(0, n), slice(n, None)
    w2s = W2S(texts[pool], fields[pool], np.arange(n) // 2, weak[None], part(blocks, pool), "last:1", seed, 60.0, "{text}",
              students, {name: part(known[name], pool) for name in known}, ask=ask or (lambda question: opinion()))
    return w2s, Batch(texts[test], fields[test], None, part(blocks, test)), truth[test]


def fitted(path, seed=0, n=240, d=24):
    w2s, batch, _ = planted(seed, n, d, prompts=path.stem in ELICITATION)
    return load(path).fit(w2s), batch


def part_of(batch, rows):
    return Batch(batch.texts[rows], [item.fields for item in batch.items[rows]], None,
                 {view: block[rows] for view, block in batch.features.items()})


def accuracy(name, seed, **world):
    w2s, batch, truth = planted(seed, **world)
    return ((load(FOLDER / f"{name}.py").fit(w2s).predict_proba(batch)[:, 1] > 0.5) == truth).mean()


def test_the_library_holds_what_was_asked_for():
    assert ASKED_FOR <= {path.stem for path in METHODS}


@every_method
def test_a_method_answers_with_chances_and_about_each_item_alone(path):
    model, batch = fitted(path)
    chances = model.predict_proba(batch)
    assert chances.shape == (len(batch), 2) and np.isfinite(chances).all()
    assert np.allclose(chances.sum(1), 1, atol=1e-5) and (chances >= 0).all()
    assert 0.1 < (chances[:, 1] > 0.5).mean() < 0.9
    assert np.allclose(model.predict_proba(part_of(batch, slice(7, 19)))[:, 1], chances[7:19, 1], atol=1e-4)


@every_method
def test_the_same_draw_and_seed_give_the_same_student(path):
    (first, batch), (second, _) = fitted(path), fitted(path)
    assert np.array_equal(first.predict_proba(batch), second.predict_proba(batch))


@every_method
def test_a_method_learns_from_a_perfect_teacher(path):
    """As it must where a ceiling is made by its own recipe."""
    assert accuracy(path.stem, 0, n=600, d=24, perfect=True, prompts=path.stem in ELICITATION) > 0.85


@every_method
def test_a_method_is_short_and_says_its_idea_source_and_family(path):
    method, text = load(path), path.read_text(encoding="utf-8")
    assert len(text.splitlines()) < 60
    assert isinstance(method.FAMILY, str) and scan(text.encode(), path.name).family == method.FAMILY
    assert len(document(path)) > 150
    if path.stem not in {"naive", "tuned_naive", "low_rank", "selftrain_pca"}:  # ours
        assert re.search(r"\b(19|20)\d\d\b", document(path)), "no source with its year"


@every_method
def test_a_method_is_on_the_track_that_it_claims(path):
    found = scan(path.read_bytes(), path.name)
    assert found.problem is None and "large-literals" not in found.flags and "word-list" not in found.flags
    assert found.track == ("elicitation" if path.stem in ELICITATION else "main")
    assert ("elicitation track" in document(path)) == (path.stem in ELICITATION)


@pytest.mark.parametrize("name", sorted(ELICITATION))
def test_a_task_without_prompts_is_refused_in_one_line(name):
    w2s, _, _ = planted(0, 40, 8)
    with pytest.raises(ValueError, match=rf"^{name} needs a task with \[prompts\]$"):
        load(FOLDER / f"{name}.py").fit(w2s)


@every_method
def test_only_methods_for_probes_use_what_fine_tuned_students_do_not_have(path):
    """`init` is of both kinds; `components`, `view` and `hidden` are of probes."""
    calls = [node for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
             if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.func.attr == "student"]
    options = {keyword.arg for call in calls for keyword in call.keywords} - {"init"}
    assert calls and bool(options) == (path.stem in PROBES_ONLY)
    assert ("probes only" in document(path)) == (path.stem in PROBES_ONLY)


@every_method
def test_the_readme_lists_the_method_under_its_family(path):
    lines = (FOLDER / "README.md").read_text(encoding="utf-8").splitlines()
    families = [line.split("|")[2].strip() for line in lines if line.startswith(f"| `{path.name}` |")]
    assert load(path).FAMILY in families


def test_co_training_says_that_it_needs_two_views():
    w2s, _, _ = planted(0, 40, 8, views=("last:1",))
    with pytest.raises(ValueError, match="two feature views"):
        load(FOLDER / "co_training.py").fit(w2s)


def test_a_teacher_ensemble_asks_no_more_than_it_may_and_does_without_where_nobody_answers():
    method, asked = load(FOLDER / "teacher_ensemble.py"), []

    def answer(question):
        asked.append(question)
        return np.full((100, 2), 0.5)

    def refuse(question):
        raise ValueError("not now")

    method.fit(planted(0, 100, 8, ask=answer)[0])
    assert len(asked) == 3 and all(question["ask"] == "refit" for question in asked)
    w2s, batch, _ = planted(0, 100, 8, ask=refuse)
    soft = load(FOLDER / "soft.py").fit(w2s)
    assert np.allclose(method.fit(w2s).predict_proba(batch), soft.predict_proba(batch), atol=1e-3)


def test_a_bias_for_few_directions_finds_a_concept_that_a_noisy_teacher_hides():
    seeds = range(3)
    naive = np.mean([accuracy("naive", seed) for seed in seeds])
    for name in ("selftrain_pca", "low_rank", "tuned_naive", "bootstrapping", "aux_confidence", "difference_in_means"):
        assert np.mean([accuracy(name, seed) for seed in seeds]) > naive + 0.05, name


def test_several_teachers_are_better_than_one():
    seeds = range(3)
    one, many = (np.mean([accuracy(name, seed) for seed in seeds]) for name in ("soft", "teacher_ensemble"))
    assert 1 - many < 0.7 * (1 - one)


@pytest.mark.parametrize("name", sorted(ELICITATION))
def test_asking_the_strong_model_finds_what_it_knows(name):
    assert accuracy(name, 0, prompts=True) > 0.9


@every_method
def test_a_method_does_without_a_large_pool(path):
    model, batch = fitted(path, n=30, d=24)
    assert np.isfinite(model.predict_proba(batch)).all()


def test_label_propagation_ends_where_the_published_formula_does():
    """F = (1 - a) (I - a S)^-1 Y with S = D^-1/2 W D^-1/2 (Zhou et al. 2004), here on a graph of its own."""
    method, seen = load(FOLDER / "label_propagation.py"), []
    w2s, _, _ = planted(0, 80, 8)
    w2s.student = lambda: type("Student", (), {
        "embed": lambda self, texts: w2s._pool.inputs(texts, ("last:1",), None),
        "fit": lambda self, texts, labels: seen.append(labels) or self, "match_prior": lambda self, texts, rate: self})()
    method.fit(w2s)
    near = method.neighbours(w2s.student().embed(w2s.texts))
    weights = np.zeros((80, 80))
    np.add.at(weights, (np.repeat(np.arange(80), near.shape[1]), near.ravel()), 1.0)
    weights += weights.T
    root = 1 / np.sqrt(weights.sum(1))
    opinion = np.log(w2s.weak[:, 1] / w2s.weak[:, 0])
    score = (1 - method.SPREAD) * np.linalg.solve(np.eye(80) - method.SPREAD * root[:, None] * weights * root, opinion)
    rate = (w2s.weak[:, 1] > 0.5).mean()
    assert np.array_equal(seen[0], score > np.quantile(score, 1 - rate))


def test_self_training_keeps_the_items_of_a_group_in_one_fold():
    w2s, _, _ = planted(0, 240, 24)
    make, trained = w2s.student, []

    def student(**options):
        one = make(**options)
        fit, logits = one.fit, one.logits
        one.fit = lambda texts, *rest, **more: trained.append(set(texts)) or fit(texts, *rest, **more)
        one.logits = lambda texts: asked.append((trained[-1], texts)) or logits(texts)
        return one

    asked: list = []
    w2s.student = student
    load(FOLDER / "selftrain_pca.py").fit(w2s)
    group_of = dict(zip(w2s.texts, w2s.groups))
    pairs = [(known, out) for known, out in asked if len(out) < 240]
    assert pairs and not any({group_of[text] for text in known} & {group_of[text] for text in out} for known, out in pairs)
