"""What an agent hears between its turns: once, of others, and nothing that was switched off."""

import json

import pytest

from swarm.care import say_in_forum
from swarm.news import news_for
from tests.swarm.opened import NAIVE, Run
from tests.waiting import until


@pytest.fixture(scope="module")
def run(smoke, module_checkout):
    run = Run(module_checkout, "news")
    yield run
    run.close()


def kinds(news):
    return [item["kind"] for item in news]


def test_posts_of_others_are_told_once_and_ones_own_never(run):
    _, cursor = news_for(run.desk, "agent-1", None)
    _, own = news_for(run.desk, "agent-2", None)
    run.desk.post("agent-2", "insight", "Margins", "They matter.", None, None)
    news, cursor = news_for(run.desk, "agent-1", cursor)
    assert kinds(news) == ["posts"] and 'agent-2 posted (insight): "Margins"' in news[0]["text"]
    assert news_for(run.desk, "agent-1", cursor)[0] == [] == news_for(run.desk, "agent-2", own)[0]


def test_what_a_person_says_is_told_whole_and_also_to_who_starts_later(run):
    _, cursor = news_for(run.desk, "agent-1", None)
    say_in_forum(run.paths, "ada", "question", "A hint", "Look at the\nthresholds of the teacher.")
    for heard in (cursor, None):
        told = [item["text"] for item in news_for(run.desk, "agent-1", heard)[0] if item["kind"] == "people"]
        assert len(told) == 1 and "ada, a person" in told[0] and "Look at the thresholds of the teacher." in told[0]


def test_a_new_best_of_another_is_told_and_a_verdict_that_nobody_waited_for(run):
    _, cursor = news_for(run.desk, "agent-1", None)
    _, other = news_for(run.desk, "agent-2", None)
    verdict = run.submit(NAIVE.replace("{l2}", "0.3"), agent="agent-2")
    news, _ = news_for(run.desk, "agent-1", cursor)
    assert ("best" in kinds(news)) == (run.desk.ledger.verdicts[verdict["submission"]]["pgr"] is not None)
    assert any(verdict["submission"] in item["text"] for item in news)
    assert "verdict" not in kinds(news_for(run.desk, "agent-2", other)[0]), "it was told by --wait"
    outcome = run.sh("cat > methods/y.py && aar submit methods/y.py --json", NAIVE.replace("{l2}", "3.0"), agent="agent-2")
    until(lambda: json.loads(outcome.output)["submission"] in run.desk.ledger.verdicts)
    assert "verdict" in kinds(news_for(run.desk, "agent-2", other)[0])


def test_the_same_news_can_be_had_in_the_shell_and_only_once(run):
    run.sh("aar news", agent="agent-2")
    run.desk.post("agent-1", "insight", "In the shell", "x", None, None)
    assert "In the shell" in run.sh("aar news", agent="agent-2").output
    assert run.sh("aar news", agent="agent-2").output.strip() == "no news"


def test_a_budget_is_told_when_its_rest_falls_below_a_share_and_not_again(run):
    limit, used = run.desk.config["seconds_limit"], run.desk.seconds_used
    try:
        _, cursor = news_for(run.desk, "agent-1", None)
        run.desk.seconds_used = lambda: 0.6 * limit
        news, cursor = news_for(run.desk, "agent-1", cursor)
        assert kinds(news) == ["budget"] and "24 of 60 minutes" in news[0]["text"]
        assert news_for(run.desk, "agent-1", cursor)[0] == []
        run.desk.seconds_used = lambda: 0.97 * limit
        news, cursor = news_for(run.desk, "agent-1", cursor)
        assert kinds(news) == ["budget"]
        run.desk.seconds_used = lambda: limit + 1
        news, cursor = news_for(run.desk, "agent-1", cursor)
        assert kinds(news) == ["budget"] and "nothing more is taken to be scored" in news[0]["text"]
        assert news_for(run.desk, "agent-1", cursor)[0] == []
    finally:
        run.desk.seconds_used = used


def test_who_gains_nothing_in_many_verdicts_is_nudged_once_for_so_many(run):
    run.desk.config["news"]["stuck"] = 3
    _, cursor = news_for(run.desk, "agent-1", None)
    for number in range(4):  # files that crash gain nothing, and cost nothing
        run.submit(f'"""Number {number}."""\nFAMILY = "x"\n\n\ndef fit(w2s):\n    raise ValueError({number})\n', f"methods/c{number}.py")
        news, cursor = news_for(run.desk, "agent-1", cursor)
        assert kinds(news).count("stuck") == (number == 2)


def test_what_is_switched_off_is_not_told(run):
    run.desk.config["news"] |= {"posts": False, "people": False, "stuck": 0}
    try:
        _, cursor = news_for(run.desk, "agent-1", None)
        run.desk.post("agent-2", "insight", "Unheard", "x", None, None)
        say_in_forum(run.paths, "ada", "insight", "Unheard too", "x")
        assert news_for(run.desk, "agent-1", cursor)[0] == []
    finally:
        run.desk.config["news"] |= {"posts": True, "people": True}


@pytest.mark.parametrize("cursor", [{"heard": "x"}, {"heard": ["a" * 300]}, {"jobs": -1}, [], "x"])
def test_a_cursor_that_is_none_is_refused_in_one_line(run, cursor):
    outcome = run.sh("cat > $HOME/.aar-heard.json; aar news; echo code $?", json.dumps(cursor), agent="agent-2")
    assert "code 2" in outcome.output and outcome.output.count("\n") == 2
