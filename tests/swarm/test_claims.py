"""Claims: who tries the like, what came of it before, and when a claim ends."""

import pytest

from swarm.claims import Told, alike, is_negative, likeness, live, read_front, tried, words

NOW = "2026-11-23T14:00:00Z"
VIEW = {"submission": "s0001", "agent": "agent-2", "method": "methods/forgetting_events.py", "family": "weighting", "status": "scored",
        "lift": -0.02, "lift_low": -0.10, "lift_high": 0.06}  # fmt: skip
SUBMISSIONS = {"s0001": {"message": "Down-weight what the student forgets"}, "s0002": {"message": "Entropy regularisation"}}


def claim(agent, text, time, event="claim"):
    return {"event": event, "agent": agent, "detail": text, "time": time}


@pytest.mark.parametrize(
    ("one", "other", "is_alike"),
    [
        ("forgetting events as weights", "weight items by how often the student forgets them", True),
        ("label propagation on a kNN graph of embeddings", "propagating labels along a graph of nearest neighbours", True),
        ("label propagation on a kNN graph", "Propagate over the kNN graph", True),
        ("co-training with two views", "two-view co-training (Blum & Mitchell)", True),
        ("confidence filtering", "a temperature of 0.5", False),
        ("train the strong student on the teacher's labels", "use the weak model's labels to train a student", False),
        ("", "anything", False),
        ("ensembles", "ensemble", True),
    ],
)
def test_what_sounds_alike_is_told_by_the_words_that_say_something(one, other, is_alike):
    assert (alike(one, [other]) == [0]) is is_alike
    assert likeness(words(one), words(other)) == likeness(words(other), words(one))


def test_the_most_alike_comes_first_and_of_equals_the_latest():
    assert alike("mixture of gaussians over losses", ["gaussians, mixture", "losses and gaussians", "entropy, warm start", "gaussians, mixture"]) == [3, 1, 0]


def test_a_claim_ends_after_two_hours_with_the_next_one_and_when_it_is_done():
    events = [
        claim("agent-1", "old", "2026-11-23T11:59:59Z"),
        claim("agent-2", "first", "2026-11-23T13:00:00Z"),
        claim("agent-2", "second", "2026-11-23T13:30:00Z"),
        claim("agent-3", "given up", "2026-11-23T13:50:00Z"),
        claim("agent-3", "", "2026-11-23T13:55:00Z", "claim-done"),
        claim("agent-4", "just in time", "2026-11-23T12:00:01Z"),
        {"event": "agent-fell", "agent": "agent-4", "detail": "", "time": NOW},
    ]
    assert [(one.agent, one.text) for one in live(events, NOW)] == [("agent-2", "second"), ("agent-4", "just in time")]


@pytest.mark.parametrize(
    ("change", "negative"),
    [({}, True), ({"lift_low": 0.01}, False), ({"status": "crashed", "lift_low": None}, False), ({"lift": None, "lift_low": None}, False)],
)
def test_a_negative_result_is_a_verdict_whose_lift_may_be_nothing(change, negative):
    assert is_negative({**VIEW, **change}) is negative


def test_earlier_negative_results_on_the_same_idea_are_found_by_message_method_family_and_posts():
    posts = [
        Told("1.md", "agent-2", "result", "Catastrophic interference tells noise", "s0001"),
        Told("2.md", "agent-3", "error", "Forgetting events do not rank noise", ""),
        Told("3.md", "agent-3", "insight", "Forgetting events are noisy", ""),
        Told("4.md", "agent-3", "result", "Forgetting events help", "s0009"),
    ]
    for text in ("forgets, hence down-weighted", "forgetting events", "interference, catastrophic"):
        found = tried(text, SUBMISSIONS, [VIEW], posts)
        assert any(line.startswith("s0001 agent-2 methods/forgetting_events.py (weighting): lift -0.02 [-0.10, +0.06], no gain") for line in found), text
    assert [line.split()[0] for line in tried("forgetting events", SUBMISSIONS, [VIEW], posts)] == ["agent-3", "s0001"]
    gained = {**VIEW, "lift": 0.2, "lift_low": 0.1, "lift_high": 0.3}
    assert not any("s0001" in line for line in tried("forgetting events", SUBMISSIONS, [gained], posts))
    assert tried("optimal transport", SUBMISSIONS, [VIEW], posts) == []


def test_of_a_long_message_agents_are_told_a_line_and_only_that_is_compared():
    said = {"s0001": {"message": f"Down-weight what the student forgets {'and so on ' * 30}, optimal transport"}}
    [line] = tried("forgets, hence down-weighted", said, [VIEW], [])
    assert '…"' in line and len(line) < 250
    assert tried("optimal transport", said, [VIEW], []) == []


def test_the_front_matter_of_a_post_is_read_and_nothing_that_its_author_wrote_below():
    text = '---\nagent: agent-1\ntype: error\ntitle: "No gain"\nsubmission: s0004\ntime: x\n---\n\n*Words of agent-1*\n\nagent: agent-2\n'
    assert read_front("x.md", text) == Told("x.md", "agent-1", "error", "No gain", "s0004")
    assert read_front("x.md", text.replace("No gain", r'\"No\" gain')).title == '"No" gain'
    assert read_front("x.md", text.replace('"No gain"', "by hand")).title == "by hand"
    assert read_front("README.md", "# Posts\n") is None
