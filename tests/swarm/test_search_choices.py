"""The choices of the search researcher, which are functions of an archive, a direction and a seed."""

from __future__ import annotations

import random
from pathlib import Path

import pytest

from swarm.researchers.archive import Found, taste
from swarm.researchers.catalogue import BLOCKS, MOST_COST, MOST_STEPS
from swarm.researchers.evolve import Evolution, Plan, choose
from swarm.researchers.forecast import Forecast, distance
from swarm.researchers.recipe import Recipe, cost
from swarm.researchers.variation import difference
from swarm.researchers.words import learned, note, post_about

DIRECTIONS = sorted((Path(__file__).resolve().parents[2] / "prompts" / "directions").glob("*.md"))
VIEWS = ["last:16", "mean:16", "last:12"]


def evolution(archive: list[Found], seed: int = 0, me: str = "agent-1", direction: str = "") -> Evolution:
    seen = {found.recipe for found in archive if found.recipe}
    return Evolution(archive, me, taste(direction, VIEWS), seen, random.Random(seed))


def archive(count: int, seed: int = 0) -> list[Found]:
    """Verdicts of three agents in a world where one block lifts and one spoils."""
    rng, maker, found = random.Random(seed), evolution([], seed), []
    for i in range(count):
        recipe = maker.vary.random_recipe()
        lift = 0.15 * ("self_train" in recipe.parts) - 0.15 * ("best_axis" in recipe.parts) + rng.gauss(0, 0.03)
        found.append(
            Found(f"s{i + 1:04d}", f"agent-{i % 3 + 1}", f"{i:040x}", recipe, True, 0.4 + lift, lift, lift - 0.06)
        )
    return found


def test_there_are_nine_directions_and_each_begins_with_a_method_of_its_own() -> None:
    starts = {path.stem: evolution([], 1, direction=path.read_text()).start().recipe for path in DIRECTIONS}
    assert len(DIRECTIONS) == 9 and len(set(starts.values())) == 9
    assert all(len(recipe.steps) == 1 for recipe in starts.values())


def test_the_words_of_a_direction_decide_what_is_tried() -> None:
    plain, keen = taste("Do what you like.", VIEWS), taste("Clusters! Find the clusters.", VIEWS)
    assert set(plain.blocks.values()) == {1}
    assert keen.blocks["two_clusters"] == max(keen.blocks.values()) > keen.blocks["self_train"]


def test_a_task_with_one_view_never_gets_a_method_of_two() -> None:
    maker = Evolution([], "agent-1", taste("layers, views, each other", ["only"]), set(), random.Random(0))
    for _ in range(200):
        recipe = maker.vary.mutated(maker.vary.random_recipe())
        assert recipe.view is None and "teach_each_other" not in recipe.parts
        assert recipe.second is None or recipe.second[0] == "components"


def test_the_same_archive_and_seed_give_the_same_plan() -> None:
    known = archive(12)
    assert [choose(evolution(known, s), 5, False) for s in range(20)] == [
        choose(evolution(known, s), 5, False) for s in range(20)
    ]


@pytest.mark.parametrize("count", [0, 1, 5, 40])
def test_plans_are_new_affordable_and_predicted(count: int) -> None:
    known = archive(count)
    seen = {found.recipe for found in known}
    for seed in range(60):
        plan = choose(evolution(known, seed), seed % 3, False)
        assert plan.recipe not in seen and cost(plan.recipe) <= MOST_COST and len(plan.recipe.steps) <= MOST_STEPS
        assert -1 <= plan.predict <= 1 and plan.why
        assert len(plan.inspired_by) == len(plan.parents)


def test_all_moves_happen_and_crosses_name_both_parents() -> None:
    known = archive(30)
    plans = [choose(evolution(known, seed), 9, False) for seed in range(200)]
    assert {plan.move for plan in plans} >= {"fresh", "change", "tune", "cross", "drop"}
    crossed = next(plan for plan in plans if plan.move == "cross")
    agents = {found.agent for found in known if found.submission in crossed.parents}
    assert len(agents) == 2 and "agent-1" in agents


def test_what_cannot_be_read_or_competes_elsewhere_is_no_parent() -> None:
    foreign = [
        Found("s0001", "agent-2", "a" * 40, None, True, 0.9, 0.5, 0.4),
        Found("s0002", "agent-2", "b" * 40, Recipe(l2=0.03), False, None, None, None),
    ]
    for seed in range(40):
        assert choose(evolution(foreign, seed), 3, False).parents == ()


def test_credit_goes_to_the_part_that_lifts() -> None:
    parts = Forecast(archive(60)).credit
    assert max(parts, key=parts.__getitem__) == "self_train" and min(parts, key=parts.__getitem__) == "best_axis"


def test_a_forecast_is_best_near_what_was_seen_and_says_how_little_it_knows() -> None:
    known = archive(60)
    seen = known[0]
    forecast, maker = Forecast(known), evolution([], 9)
    like, unlike = maker.vary.tuned(seen.recipe), Recipe(start="teacher_chances", view="last:12", components=2)
    assert distance(seen.recipe, seen.recipe) == 0 < distance(seen.recipe, like) < distance(seen.recipe, unlike)
    assert forecast.of(like)[1] < forecast.of(unlike)[1] <= 1
    others = [maker.vary.random_recipe() for _ in range(200)]
    lifted = [forecast.of(r)[0] for r in others if "self_train" in r.parts and "best_axis" not in r.parts]
    spoiled = [forecast.of(r)[0] for r in others if "best_axis" in r.parts and "self_train" not in r.parts]
    assert sum(lifted) / len(lifted) > sum(spoiled) / len(spoiled) + 0.1
    assert Forecast([]).of(Recipe()) == (0.0, 1.0)


def test_parts_that_lift_are_tried_more_often() -> None:
    maker = evolution(archive(60), 3)
    drawn = [maker.vary.block() for _ in range(600)]
    assert drawn.count("self_train") > 2 * drawn.count("best_axis")
    assert set(drawn) == set(BLOCKS)  # but nothing is given up


def test_an_ablation_is_posted_with_what_the_part_was_worth() -> None:
    known = archive(30)
    plan = next(plan for seed in range(200) if (plan := choose(evolution(known, seed), 9, False)).move == "drop")
    parent = next(found for found in known if found.submission == plan.parents[0])
    verdict = {
        "submission": "s0099",
        "status": "scored",
        "pgr": round(parent.pgr - 0.1, 2),
        "lift": 0.0,
        "rung": "full",
        "draws": 8,
        "against_parent": "worse",
    }
    post = post_about(plan, verdict, parent, is_best=False, first=False)
    assert post is not None and post.type == "insight" and "worth +0.1" in post.body and "worse" in post.body


def test_a_crash_is_told_and_a_plain_failure_is_only_noted() -> None:
    plan = Plan(Recipe(), "fresh", (), (), 0.4, "a new combination")
    crash = {"submission": "s0001", "status": "crashed", "error": "ValueError in line 3"}
    poor = {"submission": "s0002", "status": "scored", "pgr": 0.1, "lift": -0.3, "rung": "quick", "draws": 1}
    assert post_about(plan, crash, None, False, False).type == "error"
    assert post_about(plan, poor, None, False, False) is None
    assert note(plan, poor).startswith("- s0002 ") and "\n" not in note(plan, crash)


def test_what_was_learned_is_told_only_when_there_is_enough_of_it() -> None:
    assert learned(archive(3)) is None
    post = learned(archive(60))
    assert post is not None and "self_train: +" in post.body


def test_a_change_is_told_in_words() -> None:
    old = archive(1)[0].recipe
    assert difference(old, old) == "the same"
    assert "l2" in difference(Recipe(l2=0.1), Recipe(l2=0.3))
