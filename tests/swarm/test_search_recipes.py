"""Recipes and the method files that they become."""

from __future__ import annotations

import ast
import random
from pathlib import Path

import numpy as np
import pytest

from eval.scan import scan
from swarm.researchers.archive import taste
from swarm.researchers.catalogue import BLOCKS, CUTS, HEAD_COMPONENTS
from swarm.researchers.forecast import Forecast
from swarm.researchers.method_file import read, write
from swarm.researchers.recipe import Recipe, Step, cost, describe, file_name
from swarm.researchers.variation import Variation, ablations
from swarm.worktree import METHOD
from tests.swarm.made_up import VIEWS, fit, worlds

ROOT = Path(__file__).resolve().parents[2]


def some_recipes(count: int, seed: int = 0) -> list[Recipe]:
    vary = Variation(taste("", VIEWS), Forecast([]), random.Random(seed))
    fresh = [vary.random_recipe() for _ in range(count // 2)]
    return fresh + [vary.mutated(vary.mutated(recipe)) for recipe in fresh]


def one_step(block: str) -> Recipe:
    vary = Variation(taste("", VIEWS), Forecast([]), random.Random(0))
    return Recipe(steps=(vary.step(block, middle=True),), l2=0.1)


def test_what_is_written_is_read_back() -> None:
    for recipe in some_recipes(200):
        assert read(write(recipe)) == recipe
        assert Recipe.from_json(recipe.to_json()) == recipe


def test_every_written_file_passes_the_scan_on_the_main_track_with_its_family() -> None:
    for recipe in some_recipes(60):
        found = scan(write(recipe).encode(), "methods/x.py")
        assert (found.problem, found.flags, found.track, found.family) == (None, [], "main", recipe.family)
        assert METHOD.fullmatch(f"methods/{file_name(recipe)[:50]}.py")


@pytest.mark.parametrize("block", BLOCKS)
def test_a_method_of_one_block_does_better_than_chance(block: str) -> None:
    for world in worlds():
        chances = fit(write(one_step(block)), world).predict_proba(world.batch())
        assert np.isfinite(chances).all() and np.allclose(chances.sum(axis=1), 1, atol=1e-5)
        assert world.correct(chances).mean() > 0.5


@pytest.mark.parametrize(
    "recipe",
    [
        Recipe(),
        *(
            Recipe(cut=cut, components=components)
            for cut in CUTS
            for components in HEAD_COMPONENTS
            if components in (2, None)
        ),
        Recipe(start="teacher_chances", second=("components", 5)),
        Recipe(view="mean:16", second=("components", 5)),
        Recipe(components=10, second=("view", "mean:16")),
    ],
    ids=describe,
)
def test_every_head_runs(recipe: Recipe) -> None:
    world = worlds()[0]
    assert read(write(recipe)) == recipe
    assert world.correct(fit(write(recipe), world).predict_proba(world.batch())).mean() > 0.5


def test_random_combinations_run() -> None:
    world = worlds()[0]
    for recipe in some_recipes(30, seed=4):
        assert fit(write(recipe), world).predict_proba(world.batch()).shape == (400, 2)


def test_a_file_with_a_changed_helper_is_not_taken_for_the_recipe_it_looks_like() -> None:
    source = write(one_step("keep_confident"))
    assert read(source) is not None
    for old, new in (
        (".weak[:, 1]))", ".weak[:, 0]))"),
        ("l2=0.1)", "l2=0.1, epochs=3)"),
        ("def fit", "SECRET = 1\n\n\ndef fit"),
        ("return student", "return student.match_prior(w2s.texts, 0.7)"),
        ("import numpy as np", "import numpy"),
    ):
        assert source != source.replace(old, new) and read(source.replace(old, new)) is None
    assert read("def fit(w2s): return w2s.student().fit(w2s.texts, w2s.weak)") is None
    assert read("this is no Python") is None


def test_words_around_the_code_and_new_constants_do_not_stop_the_reading() -> None:
    source = write(one_step("keep_confident")).replace("share=0.25", "share=0.3")
    tree = ast.parse(source)
    recipe = read('"""Another story."""\n# and a remark\n' + ast.unparse(ast.Module(tree.body[1:], [])))
    assert recipe is not None and recipe.steps[0].values == {"share": 0.3}


def test_methods_of_people_that_follow_no_recipe_are_left_alone() -> None:
    for path in (ROOT / "methods").glob("*.py"):
        assert read(path.read_text()) is None


def test_every_block_names_its_source_and_every_file_is_short() -> None:
    for block in BLOCKS:
        text = write(one_step(block))
        node = next(n for n in ast.parse(text).body if isinstance(n, ast.FunctionDef) and n.name == block)
        doc = ast.get_docstring(node) or ""
        assert "(" in doc and any(character.isdigit() for character in doc), block
        assert len(text.splitlines()) <= 80
        assert max(map(len, text.splitlines())) <= 120


def test_an_ablation_lacks_exactly_one_part() -> None:
    recipe = Recipe(
        "teacher_chances",
        (Step("keep_confident", (("share", 0.25),)), one_step("self_train").steps[0]),
        "mean:16",
        10,
        0.1,
        "pool median",
        ("components", 50),
    )
    less = ablations(recipe)
    assert len(less) == 6 and len({lesser for lesser, _ in less}) == 6
    assert all(cost(lesser) <= cost(recipe) * 1.01 for lesser, _ in less)
    assert ablations(Recipe()) == []
