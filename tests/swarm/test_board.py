"""What the board says of a run's results: predicted against observed."""

import pytest

from state.ledger import Ledger
from swarm.board import results_table, results_text

VERDICT = {
    "method": "methods/x.py", "commit": "c", "track": "main", "status": "scored", "rung": "full", "draws": 3, "flags": [], "reasons": [],
    "isolation": "bubblewrap", "weak_accuracy": 0.6, "ceiling_accuracy": 0.9, "independent_items": 400.0, "family": "f",
}  # fmt: skip


@pytest.fixture
def ledger(tmp_path):
    ledger = Ledger(tmp_path / "ledger.jsonl")

    def add(agent, predict, pgr, message=""):
        name = ledger.next_submission()
        ledger.append("submission", submission=name, agent=agent, commit="c", method="methods/x.py", predict=predict, message=message, inspired_by=[])
        ledger.append("verdict", submission=name, agent=agent, pgr=pgr, pgr_low=pgr - 0.1, pgr_high=pgr + 0.1, lift=pgr - 0.4,
                      lift_low=pgr - 0.45, lift_high=pgr - 0.35, **VERDICT)  # fmt: skip

    ledger.add = add
    return ledger


def test_predictions_are_held_against_what_was_found_for_each_agent_and_the_latest_pairs_are_shown(ledger):
    ledger.add("agent-1", 0.7, 0.4)
    ledger.add("agent-1", 0.5, 0.5)
    ledger.add("agent-2", None, 0.6)
    ledger.add("agent-2", 0.2, 0.6)
    text = results_text(ledger, null=False)
    assert "| agent-1 | 2 | +0.15 | 0.15 | 50% |" in text and "| agent-2 | 1 | -0.40 | 0.40 | 0% |" in text
    assert "| all | 3 | -0.03 | 0.23 | 33% |" in text
    assert text.index("| s0004 | agent-2 | 0.20 | 0.60 | [0.50, 0.70] |") < text.index("| s0001 | agent-1 | 0.70 | 0.40 |")
    assert "s0003" not in text
    assert results_table(ledger).splitlines()[0].count("predict") == 1


def test_only_the_latest_twenty_pairs_are_shown_and_all_are_counted(ledger):
    for _ in range(25):
        ledger.add("agent-1", 0.5, 0.5)
    text = results_text(ledger, null=False)
    assert "| s0025 |" in text and "| s0006 |" in text and "| s0005 |" not in text and "| agent-1 | 25 |" in text


def test_a_long_message_is_a_line_of_the_table(ledger):
    ledger.add("agent-1", None, 0.5, "It goes on and on. " * 200)
    header, row = (line.split("\t") for line in results_table(ledger).splitlines())
    said = row[header.index("message")]
    assert said.endswith("…") and len(said) <= 120


def test_where_nobody_predicts_anything_there_is_no_such_section(ledger):
    ledger.add("agent-1", None, 0.5)
    assert "Predicted" not in results_text(ledger, null=False)
