"""The configuration of a run, as its start and the people who joined since make it."""

import pytest

from state.config import JOINED, is_person, note_person, read_config
from state.errors import UserError
from state.paths import RunPaths


def run_of(tmp_path, toml='name = "first"\n[[agents]]\nname = "agent-1"\ndirection = "idea"\nresearcher = "search"\n') -> RunPaths:
    paths = RunPaths(tmp_path / "first")
    paths.root.mkdir()
    paths.toml.write_text(toml)
    return paths


def test_people_stand_behind_the_agents_in_the_order_in_which_they_joined(tmp_path):
    paths = run_of(tmp_path)
    note_person(paths, "zoe", "none")
    note_person(paths, "ada", "people/ada")
    agents = read_config(paths)["agents"]
    assert [(agent["name"], agent["direction"], is_person(agent)) for agent in agents] == [
        ("agent-1", "idea", False), ("zoe", "none", True), ("ada", "people/ada", True),
    ]  # fmt: skip


def test_a_name_is_one_agent_and_a_line_that_was_cut_off_is_nobody(tmp_path):
    paths = run_of(tmp_path)
    for name in ("ada", "ada", "agent-1"):
        note_person(paths, name, "none")
    with open(paths.root / JOINED, "a") as file:
        file.write('{"name":"bo')
    agents = read_config(paths)["agents"]
    assert [agent["name"] for agent in agents] == ["agent-1", "ada"] and not is_person(agents[0])


def test_a_run_without_agents_has_an_empty_list_of_them(tmp_path):
    assert read_config(run_of(tmp_path, 'name = "first"\n'))["agents"] == []


def test_a_configuration_that_cannot_be_read_says_where_there_is_a_copy(tmp_path):
    with pytest.raises(UserError, match="board:run.toml"):
        read_config(run_of(tmp_path, "name = \n"))
