"""aar.toml and the flags: who wins, what is frozen, and what is said of mistakes."""

import pytest

from state.errors import UserError
from swarm.key import find_key, take_key
from swarm.options import Said
from swarm.settings import ANTHROPIC, frozen, models_of, read_settings


def settings(tmp_path, toml="", environment=None, **said):
    (tmp_path / "aar.toml").write_text(toml)
    return read_settings(tmp_path, Said(**said), environment or {})


def test_a_flag_wins_over_the_file_and_the_file_over_the_default(tmp_path):
    toml = '[model]\neffort = "low"\nmax_tokens = 4000\n[budget]\ndollars = 5.0\n'
    found = settings(tmp_path, toml, budget=7.0)
    assert (found.budget.dollars, found.model.effort, found.model.max_tokens, found.model.thinking) == (7.0, "low", 4000, "adaptive")


def test_several_models_are_dealt_to_the_agents_by_their_full_names(tmp_path):
    found = settings(tmp_path, '[aliases]\nmine = "my-model-1"\n', models="sonnet:1,mine:2")
    assert models_of(found, None) == ["claude-sonnet-5-5", "my-model-1", "my-model-1"]
    with pytest.raises(UserError, match="are 3 agents, --agents says 9"):
        models_of(found, 9)


def test_one_model_on_the_command_line_stands_for_the_several_of_the_file(tmp_path):
    found = settings(tmp_path, '[model]\nmodels = "opus:2"\n', model="haiku")
    assert models_of(found, 3) == ["claude-haiku-4-5"] * 3


@pytest.mark.parametrize("said", [{"model": "opuss"}, {"models": "opus:2,sonet:1"}])
def test_a_model_that_anthropic_cannot_have_is_told_before_anything_is_asked_but_another_server_may_have_it(tmp_path, said):
    with pytest.raises(UserError, match="there is no model '(opuss|sonet)'.*opus, sonnet, haiku"):
        models_of(settings(tmp_path, **said), None)
    assert models_of(settings(tmp_path, base_url="http://127.0.0.1:8000", **said), None)


def test_one_model_and_several_models_at_once_are_refused(tmp_path):
    with pytest.raises(UserError, match="give one of them"):
        settings(tmp_path, model="opus", models="opus:2")


def test_the_base_url_comes_from_the_flag_then_the_file_then_the_environment(tmp_path):
    environment = {"ANTHROPIC_BASE_URL": "http://127.0.0.1:1/"}
    assert settings(tmp_path, environment=environment).model.base_url == "http://127.0.0.1:1"
    assert settings(tmp_path, '[model]\nbase_url = "http://127.0.0.1:2"', environment).model.base_url == "http://127.0.0.1:2"
    assert settings(tmp_path, '[model]\nbase_url = "http://127.0.0.1:2"', environment, base_url="http://x:3").model.base_url == "http://x:3"
    assert settings(tmp_path).model.base_url == ANTHROPIC


@pytest.mark.parametrize(
    ("toml", "said", "words"),
    [
        ("[budget]\ndollar = 5\n", {}, "aar.toml: budget.dollar"),
        ("[model]\neffort = 'hard'\n", {}, "aar.toml: model.effort"),
        ("model = 3\n", {"model": "opus"}, "model is a table"),
        ("[model\n", {}, "aar.toml cannot be read"),
        ("", {"budget": 0.0}, "--budget"),
        ("", {"base_url": "localhost:80"}, "base URL 'localhost:80'"),
        ("", {"base_url": "http://[::1:80"}, "base URL 'http://[::1:80'"),
        ("", {"budget": float("inf")}, "--budget"),
        ("", {"budget": float("nan")}, "--budget"),
        ("[prices.m]\ninput = inf\noutput = 1\n", {}, "aar.toml: prices.m.input"),
        ("[prices.m]\ninput = -1\noutput = 1\n", {}, "aar.toml: prices.m.input"),
    ],
)
def test_a_mistake_is_told_in_one_line_with_its_place(tmp_path, toml, said, words):
    with pytest.raises(UserError) as told:
        settings(tmp_path, toml, **said)
    assert words in str(told.value) and "\n" not in str(told.value)


@pytest.mark.parametrize("url", ["https://me:hidden@example.org", "https://example.org/v1?key=hidden", "https://example.org/#hidden"])
def test_a_base_url_that_may_hold_a_secret_is_refused_and_not_printed_for_it_would_be_published(tmp_path, url):
    for given in ({"base_url": url}, {"environment": {"ANTHROPIC_BASE_URL": url}}):
        with pytest.raises(UserError, match="published") as told:
            settings(tmp_path, **given)
        assert "hidden" not in str(told.value)


def test_what_is_frozen_says_nothing_of_aliases_and_holds_every_limit(tmp_path):
    table = frozen(settings(tmp_path, budget=3.0, agent_turns=4))
    assert table["budget"] == {"dollars": 3.0, "agent_turns": 4} and "aliases" not in table and "models" not in table["model"]


def test_a_key_that_is_taken_is_gone_from_the_environment_and_from_what_is_printed():
    environment = {"ANTHROPIC_API_KEY": "sk-secret", "OTHER_AUTH_TOKEN": "x", "PATH": "/bin"}
    assert find_key(environment).value == "sk-secret" and len(environment) == 3
    key = take_key(environment)
    assert (key.value, key.auth, list(environment)) == ("sk-secret", "x-api-key", ["PATH"])
    assert "sk-secret" not in f"{key} {key!r}"
    assert take_key({"ANTHROPIC_AUTH_TOKEN": "t"}).auth == "bearer" and take_key({}) is None


def test_a_setting_that_there_is_not_is_told_with_the_one_that_was_meant(tmp_path):
    (tmp_path / "aar.toml").write_text("[news]\nstuckk = 3\n")
    with pytest.raises(UserError, match=r"aar\.toml: news\.stuckk: there is no such setting, did you mean stuck\?"):
        read_settings(tmp_path, Said(), {})
