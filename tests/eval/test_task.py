import re

import pytest
from pydantic import ValidationError

from eval.task import Split, Task, load_task, task_names
from state.errors import UserError


def test_every_task_of_the_folder_loads_under_its_name():
    assert {"reviews", "smoke"} <= set(task_names())
    for name in task_names():
        assert load_task(name).name == name


def test_an_unknown_task_is_refused_with_the_names_there_are():
    with pytest.raises(UserError, match="unknown task 'revues': choose from .*reviews.*smoke"):
        load_task("revues")


def test_a_name_that_is_a_path_is_refused():
    with pytest.raises(UserError):
        load_task("../tasks/smoke")


def test_overlapping_parts_are_refused():
    with pytest.raises(ValidationError, match="overlap"):
        Split(validation=(0, 500), public=(499, 1000), sealed=(1000, 2000), region=(2000, 3000))


def test_a_misspelt_field_is_refused():
    values = load_task("smoke").model_dump()
    with pytest.raises(ValidationError, match="pools"):
        Task.model_validate({**values, "pools": 3})


def test_no_item_that_one_task_tests_on_is_in_a_pool_of_another():
    same_data = [task for task in map(load_task, task_names()) if task.data == load_task("reviews").data]
    assert {"reviews", "smoke"} <= {task.name for task in same_data}
    for value in range(10_000):
        parts = {task.split.part_of(value) for task in same_data} - {None}
        assert len(parts) <= 1, f"items with hash {value} are in {parts}"


def test_search_and_sealed_draws_have_no_number_in_common():
    task = load_task("reviews")
    assert list(task.draws("search")) == list(range(8))
    assert list(task.draws("sealed")) == list(range(8, 24))
    with pytest.raises(ValueError):
        task.draws("public")


def test_the_key_changes_with_what_a_preparation_depends_on():
    task = load_task("smoke")
    assert task.key("pool", "views") == load_task("smoke").key("views", "pool")
    assert task.key("pool") != task.model_copy(update={"pool": task.pool + 1}).key("pool")


def test_descriptions_are_prose_for_agents_and_name_the_default_view():
    for name in task_names():
        task = load_task(name)
        assert re.search(r"class 1", task.description) and task.default_view in task.description
