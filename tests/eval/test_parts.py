import numpy as np
import pytest

from eval.data.rows import Row
from eval.draws import sample
from eval.parts import divide, part_of
from eval.task import load_task
from state.errors import UserError


class Region:
    """The region as `sample` sees it."""

    def __init__(self, groups, files=None):
        self.groups = np.asarray(groups)
        self.files = np.array([""] * len(groups) if files is None else files)


def rows(count, choices=1, file=None):
    return [Row({"text": f"{question} {choice}"}, (question + choice) % 2, f"q{question}", file) for question in range(count)
            for choice in range(choices)]


def test_a_group_is_never_in_two_parts():
    parts = divide(load_task("reviews"), rows(4000, 3))
    groups = [{row.group for row in kept} for kept in parts.values()]
    assert sum(map(len, groups)) == len(set().union(*groups)) == 4000


def test_rows_that_come_split_keep_to_their_side():
    split = load_task("reviews").split
    found = {file: {part_of(row, split) for row in rows(2000, file=file)} for file in ("test", "labelled", "pool")}
    assert found == {"test": {"public", "sealed"}, "labelled": {"validation", "region"}, "pool": {"region"}}


def test_test_rows_are_shared_out_as_the_spans_say():
    split = load_task("reviews").split.model_copy(update={"public": (500, 2500), "sealed": (2500, 3500)})
    found = [part_of(row, split) for row in rows(3000, file="test")]
    assert abs(found.count("public") / 3000 - 2 / 3) < 0.04


def test_a_part_with_one_class_is_refused_with_what_to_do():
    with pytest.raises(UserError, match=r"validation part has \d+ items of 1 classes.*bring more rows"):
        divide(load_task("reviews"), [Row({"text": str(i)}, 1, str(i)) for i in range(3000)])


def test_no_group_is_both_labelled_and_in_the_pool():
    task = load_task("reviews").model_copy(update={"labelled": 100, "pool": 300})
    region = Region(np.repeat(np.arange(200), 6))
    labelled, pool = sample(region, task, seed=5)
    assert len(labelled) == 100 and len(pool) == 300
    assert not set(region.groups[labelled]) & set(region.groups[pool])


def test_data_that_come_split_give_labelled_and_pool_items_from_their_own_files():
    task = load_task("reviews").model_copy(update={"labelled": 100, "pool": 300})
    region = Region(np.arange(1000), ["labelled"] * 400 + ["pool"] * 600)
    labelled, pool = sample(region, task, seed=5)
    assert set(region.files[labelled]) == {"labelled"} and set(region.files[pool]) == {"pool"}


def test_of_scarce_files_draws_still_differ():
    task = load_task("reviews").model_copy(update={"labelled": 500, "pool": 500})
    region = Region(np.arange(200), ["labelled"] * 100 + ["pool"] * 100)
    first, second = (sample(region, task, seed)[0] for seed in (1, 2))
    assert len(first) == 80 and set(first) != set(second)


def test_too_few_items_for_a_draw_are_told_with_the_numbers():
    task = load_task("reviews").model_copy(update={"labelled": 500, "pool": 1500})
    with pytest.raises(UserError, match="500 labelled items and 100 pool items, it needs 500 and 1500"):
        sample(Region(np.arange(600)), task, seed=1)


def test_a_question_with_rows_in_both_files_is_on_one_side_of_a_draw_and_not_always_on_the_same():
    task = load_task("reviews").model_copy(update={"labelled": 200, "pool": 600})
    # 300 questions with a labelled row and three of the pool, 50 with labelled rows alone, 50 with pool rows alone.
    groups = [*np.repeat(np.arange(300), 4), *range(300, 350), *range(350, 400)]
    region = Region(groups, [*["labelled", "pool", "pool", "pool"] * 300, *["labelled"] * 50, *["pool"] * 50])
    sides = []
    for seed in (1, 2):
        labelled, pool = sample(region, task, seed)
        assert set(region.files[labelled]) == {"labelled"} and set(region.files[pool]) == {"pool"}
        assert not set(region.groups[labelled]) & set(region.groups[pool])
        assert len(labelled) > 80 and len(pool) > 450, "no side is starved"
        sides.append(set(region.groups[labelled]) & set(range(300)))
    assert len(sides[0]) > 30 and sides[0] != sides[1]
