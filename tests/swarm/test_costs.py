"""What a run will cost is told and agreed to before it starts, and before it goes on: no key spends by surprise."""

import json

import pytest
import tomli_w

from state.config import read_config
from state.errors import UserError
from state.files import append_jsonl
from state.paths import RunPaths, runs_folder
from swarm.access import current_budget, hold_run
from swarm.costs import forecast, forecast_text
from swarm.operation import paid_again
from swarm.options import Said
from swarm.settings import read_settings
from tests.messages_server import MessagesServer, turn

MODEL = "claude-opus-5-5"
FREE = "[prices.mine]\ninput = 0.0\noutput = 0.0\n"


def told(folder, toml="", models=(MODEL,), **said):
    (folder / "aar.toml").write_text(toml)
    return forecast(folder, read_settings(folder, Said(**said), {}), list(models), "smoke", slots=1, seconds=3600)


def earlier_run(folder, dollars: float) -> RunPaths:
    """A run of one agent that asked MODEL for an hour and spent so much."""
    paths = RunPaths(runs_folder(folder) / "earlier")
    paths.root.mkdir(parents=True)
    config = {"name": "earlier", "task": "smoke", "model": {"base_url": "http://127.0.0.1:9"}, "budget": {"dollars": 5.0}, "prices": {},
              "agents": [{"name": "agent-1", "direction": "none", "researcher": "claude", "model": MODEL}]}  # fmt: skip
    paths.toml.write_text(tomli_w.dumps(config))
    paths.state.write_text(json.dumps({"agents": {"agent-1": {"seconds": 3600.0}}}))
    if dollars:
        append_jsonl(paths.spend, {"kind": "settled", "call": "1", "agent": "agent-1", "model": MODEL, "dollars": dollars, "input_tokens": 9,
                                   "cache_read_tokens": 0, "output_tokens": 9, "time": "2026-11-23T14:00:00Z"})  # fmt: skip
    return paths


def test_the_forecast_is_what_earlier_runs_cost_and_else_the_studys_figure_by_price(smoke, tmp_path):
    guessed = told(tmp_path, budget=5.0)
    assert "published study" in forecast_text(guessed) and 5 < guessed["dollars_an_hour"] < 50
    earlier_run(tmp_path, 3.5)
    measured = told(tmp_path, models=[MODEL] * 2, budget=5.0)
    assert measured["dollars_an_hour"] == pytest.approx(7.0) and "measured in run earlier" in forecast_text(measured)
    assert "the budget of $5.00 ends it after about 42.9 minutes" in forecast_text(measured)


def test_only_prices_of_ones_own_make_a_run_free_and_not_an_earlier_one_whose_api_never_answered(smoke, tmp_path):
    assert told(tmp_path, FREE, ["mine"])["free"] and "at no cost" in forecast_text(told(tmp_path, FREE, ["mine"]))
    earlier_run(tmp_path, 0.0)
    paid = told(tmp_path)
    assert not paid["free"] and paid["dollars_an_hour"] > 0 and "costs money" in forecast_text(paid)
    assert not told(tmp_path, FREE, ["mine", MODEL])["free"] and not told(tmp_path, "", ["a-model-that-nobody-knows"])["free"]


def test_a_key_in_the_environment_is_not_used_before_somebody_agrees(smoke, module_checkout):
    with MessagesServer(lambda call: turn("hello")) as server:
        def ask(*arguments: str, key: str = "a-key") -> str:
            with pytest.MonkeyPatch.context() as patch:
                patch.setenv("ANTHROPIC_BASE_URL", server.url)
                if key:
                    patch.setenv("ANTHROPIC_API_KEY", key)
                code, said = module_checkout.aar("--task", "smoke", "--run", "unagreed", *arguments)
            assert code == 2, said
            return said

        assert "say --yes where there is no terminal" in (said := ask("--agents", "2", "--budget", "5")) and "an agent-hour" in said
        assert "--budget DOLLARS" in ask("--agents", "2", "--model", "opus", "--yes")
        assert "asks no model" in ask("--agents", "2", "--researcher", "search", "--budget", "5", "--yes")
        assert "no API key" in ask("--agents", "2", "--budget", "5", "--yes", "--base-url", "https://api.anthropic.com", key="")
        assert server.requests == [] and not (runs_folder(module_checkout.folder) / "unagreed").exists()


@pytest.mark.parametrize("budget", [float("nan"), float("inf"), -1.0, 3.5])
def test_a_new_limit_is_more_than_was_spent_and_a_number(tmp_path, budget):
    paths = earlier_run(tmp_path, 3.5)
    with pytest.raises(UserError, match="has spent"):
        paid_again(paths, budget, False, lambda text: None)
    assert current_budget(paths, read_config(paths)) == {"dollars": 5.0}


def test_a_new_limit_counts_once_it_is_agreed_to_and_not_for_a_run_that_goes_on(tmp_path):
    paths, asked = earlier_run(tmp_path, 3.5), []

    def never(text: str) -> None:
        asked.append(text)
        raise UserError("no")

    with pytest.raises(UserError, match="no"):
        paid_again(paths, 9.0, False, never)
    assert "$3.50 spent of $9.00" in asked[0]
    lock = hold_run(paths)
    with pytest.raises(UserError, match="is going on"):
        paid_again(paths, 9.0, False, asked.append)
    lock.release()
    assert current_budget(paths, read_config(paths)) == {"dollars": 5.0}
    paid_again(paths, 9.0, False, asked.append)
    assert current_budget(paths, read_config(paths)) == {"dollars": 9.0}
