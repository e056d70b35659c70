"""Until its own first verdict an agent sees of the run its own work and what people say; afterwards everything."""

import json
import math
import re

import pytest

from sandbox.box import CAPTURE, start
from swarm.boxes import agent_box
from swarm.care import say_in_forum
from swarm.forum import write_post
from swarm.hands import Hands
from tests.swarm.opened import NAIVE, Run
from tests.waiting import until

NUMBER, OWN = 0.456, 0.789
SECRET, MINE = f"l2={NUMBER}", f"l2={OWN}"
"""Put together here, since this file is in the base commit, which all see."""
OBJECTS = "git cat-file --batch-all-objects --batch-check | awk '$2 == \"blob\" {print $1}' | git cat-file --batch | grep -a -o 'l2=0.[0-9]*'"
LOOK = {
    "code, in every object of git": OBJECTS,
    "refs": "git for-each-ref --format='%(refname)'; cat /aar/repo.git/packed-refs; find /aar/repo.git/worktrees",
    "posts": "cat /aar/forum/*.md",
    "scores": "aar scores",
    "a verdict": "aar wait s0001 --timeout 0",
    "claims": "aar claims",
}
FOUND = {
    "code, in every object of git": SECRET, "refs": "/agent-2", "posts": "what agent-2 found", "scores": "agent-2", "a verdict": "PGR",
    "claims": "agent-2",
}  # fmt: skip


@pytest.fixture
def run(smoke, module_checkout, request):
    """A run with an evaluator, or with none for tests that ask for no verdict: `@unscored`."""
    number, scores = len(list(module_checkout.folder.glob(".aar/runs/*"))), not getattr(request, "param", None)
    run = Run(module_checkout, f"alone{number}", share_after_minutes=20, scores=scores)
    yield run
    run.close()


unscored = pytest.mark.parametrize("run", ["unscored"], indirect=True)


def others_work(run):
    """agent-2 commits, posts and claims, and gets a verdict where there is an evaluator; a person says something."""
    if run.scores:
        run.submit(NAIVE.format(l2=NUMBER), "methods/theirs.py", agent="agent-2")
    else:
        run.sh("cat > methods/theirs.py; aar commit", NAIVE.format(l2=NUMBER), "agent-2")
    post = run.sh("aar post --type insight --title 'what agent-2 found'", "words", agent="agent-2").output.split()[1]
    run.sh("aar claim 'forgetting events'", agent="agent-2")
    say_in_forum(run.paths, "ann", "insight", "a word of a person", "")
    return run.repo.head("agent-2"), post


def test_nothing_of_others_is_visible_before_the_own_first_verdict_and_all_of_it_afterwards(run):
    commit, post = others_work(run)
    run.sh(f"echo {MINE} > notebook.md; aar commit -m thought; aar post --type insight --title 'my own words' < /dev/null")
    until(lambda: "a word of a person" in run.sh("cat /aar/forum/*.md").output)
    for what, command in LOOK.items():
        assert FOUND[what] not in run.sh(command).output, what
    assert MINE in run.sh(OBJECTS).output, "the control: the same search finds what is there"
    assert "my own words" in run.sh("cat /aar/forum/*.md").output
    for command, words in {
        "aar wait s0001": "your own first verdict",
        "aar post --type result --title x --submission s0001 < /dev/null": "your own first verdict",
        f"aar post --type insight --title x --replies-to {post} < /dev/null": "that you see",
        f"aar commit --inspired-by {post}": "neither",
        "aar task": "in 20 minutes",
    }.items():
        assert words in run.sh(command).output, command
    assert run.sh(f"git cat-file -e {commit}").code != 0
    assert json.loads(run.sh("aar scores --json").output) == [] and not run.desk.sees_all("agent-1")

    run.submit('def fit(w2s):\n    raise ValueError("not an idea yet")\n', "methods/broken.py")
    assert not run.desk.sees_all("agent-1"), "a crash is no verdict on an idea"
    assert run.submit(NAIVE.format(l2=0.3))["status"] == "scored"
    for what, command in LOOK.items():
        assert FOUND[what] in run.sh(command).output, what
    assert run.sh(f"git show {commit}:methods/theirs.py").output == NAIVE.format(l2=NUMBER)
    assert run.sh(f"aar post --type insight --title x --replies-to {post} < /dev/null").code == 0
    assert "minutes" not in run.sh("aar task").output


@unscored
def test_git_works_in_the_own_view_and_follows_each_commit(run):
    base = run.sh("git rev-parse HEAD").output.strip()
    assert base == run.config["base"]
    run.sh("echo one > notebook.md; aar commit -m first; echo two > notebook.md; aar commit -m second; echo three > notebook.md")
    assert run.sh("git log --format=%s HEAD ^" + base).output.split() == ["second", "first"]
    assert run.sh("git status --short").output.split() == ["M", "notebook.md"]
    assert "-two\n+three" in run.sh("git diff").output and "-one\n+two" in run.sh("git diff HEAD~1 HEAD").output
    assert run.sh("git branch --list --format='%(refname)' --all").output.split() == [run.repo.ref("agent-1")]
    assert run.sh("aar job -- git log -1 --format=%s").output == "second\n"
    assert run.sh("touch /aar/repo.git/x || touch /aar/forum/x").code != 0
    assert run.sh("git fsck --full").code == 0


@unscored
def test_after_the_time_everything_is_visible_without_a_verdict_and_it_stays_so_after_a_restart(run):
    others_work(run)
    used = 1100.0
    run.desk.seconds_used = lambda: used
    assert run.sh("aar claims").output == "no claim is live\n" and "in 2 minutes" in run.sh("aar task").output
    used = 1201.0
    assert "agent-2" in run.sh("aar claims").output and SECRET in run.sh(OBJECTS).output
    run.close()
    run.open()
    assert run.desk.sees_all("agent-1") and SECRET in run.sh(OBJECTS).output
    assert "agent-2" in run.sh("aar claims").output


@unscored
def test_who_comes_later_has_the_same_time_alone_and_a_restart_does_not_lengthen_it(run):
    run.desk.sharing._began["agent-1"] = math.inf  # or whoever keeps the views may see it begin at 0 by the clock of now
    run.desk.seconds_used = lambda: 5000.0
    (run.paths.agent("agent-1") / "began").unlink()
    run.desk.sharing.add("agent-1", lasting=False)
    assert not run.desk.sees_all("agent-1") and run.desk.sharing.seconds_left("agent-1") == 1200
    run.close()
    run.open()
    run.desk.seconds_used = lambda: 5600.0
    assert run.desk.sharing.seconds_left("agent-1") == 600 and not run.desk.sees_all("agent-1")


def test_a_sandbox_that_lasts_sees_others_work_appear_in_it(run):
    run.desk.sharing.add("agent-1", lasting=True)
    box = agent_box(run.paths, "agent-1", "smoke", "bubblewrap", lasting=True)
    others_work(run)
    (run.paths.worktree("agent-1") / "look").write_text(
        f"while ! test -e go; do sleep 0.1; done; {OBJECTS} > before; cat /aar/forum/*.md >> before; touch ready\n"
        f"until git rev-parse -q --verify aar/{run.name}/agent-2 && grep -q agent-2 /aar/forum/*.md; do sleep 0.2; done\n"
        f"{OBJECTS}; cat /aar/forum/*.md; git log -1 --format=%s; git status --short methods\n"
    )
    handle = start(box, ["bash", "look"], stdout=CAPTURE)
    tree = run.paths.worktree("agent-1")
    until(lambda: "a word of a person" in "".join(post.read_text() for post in (run.paths.agent("agent-1") / "solo-forum").glob("*.md")))
    (tree / "go").touch()
    until((tree / "ready").exists)
    before = (tree / "before").read_text()
    assert SECRET not in before and "what agent-2 found" not in before and "a word of a person" in before
    run.submit(NAIVE.format(l2=0.3), "methods/mine.py")
    until(lambda: handle.poll() is not None)
    printed = handle.wait().output.decode()
    assert SECRET in printed and "what agent-2 found" in printed
    assert printed.endswith("Submit methods/mine.py\n")
    # What is committed and posted later appears as well.
    run.sh("echo 'much later' > notebook.md; aar commit -m later; aar post --type insight --title later < /dev/null", agent="agent-2")
    hands = Hands(box)
    until(lambda: "much later" in hands.sh(f"git show aar/{run.name}/agent-2:notebook.md").output)
    until(lambda: "-agent-2-later.md" in hands.sh("ls /aar/forum").output)


def test_where_everything_is_visible_at_once_nothing_is_made_for_it(smoke, module_checkout):
    run = Run(module_checkout, "together", share_after_minutes=0, scores=False)
    try:
        others_work(run)
        assert SECRET in run.sh(OBJECTS).output and "what agent-2 found" in run.sh("cat /aar/forum/*.md").output
        made = {path.name for path in run.paths.agent("agent-1").iterdir()}
        assert not made & {"solo.git", "solo-forum", "shared", "began"}
    finally:
        run.close()


@unscored
def test_a_view_whose_making_was_cut_off_is_made_anew(run):
    run.close()
    solo = run.paths.agent("agent-1") / "solo.git"
    solo.rename(solo.with_name("solo.git.half"))
    (run.paths.agent("agent-2") / "solo.git" / "refs" / "heads" / "aar" / run.name / "agent-2.lock").touch()
    run.open()
    for agent in ("agent-1", "agent-2"):
        run.sh("echo again > notebook.md; aar commit -m again", agent=agent)
        assert run.sh("git log -1 --format=%s", agent=agent).output == "again\n"


@unscored
def test_a_post_of_an_agent_does_not_pass_for_a_persons(run):
    write_post(run.paths.forum, "agent-2", "insight", "agent: ann", "---\nagent: ann\n---")
    say_in_forum(run.paths, "ann", "insight", "after it", "")
    until(lambda: "after it" in run.sh("cat /aar/forum/*.md").output)
    assert "agent-2" not in run.sh("ls /aar/forum").output


def test_a_claim_tells_who_tries_the_like_and_what_came_of_it_before_and_only_to_who_may_know(run):
    inverted = NAIVE.format(l2=0.3).replace("> 0.5", "< 0.5")
    run.submit(inverted, "methods/upside_down.py", agent="agent-2", options="-m 'Turn the answers upside down' --wait --json")
    run.sh("aar claim 'upside down answers'", agent="agent-2")
    alone = run.sh("aar claim 'answers, upside down'").output
    assert alone.count("nothing found") == 2 and "agent-2" not in run.sh("aar claims").output
    run.submit(NAIVE.format(l2=0.3))
    told = run.sh("aar claim 'answers, upside down'").output
    assert re.search('agent-2, [0-9]+ minutes? ago: "upside down answers"', told) and "s0001 agent-2 methods/upside_down.py" in told
    assert "Turn the answers upside down" in told and "no gain" in told
    assert {claim["agent"] for claim in json.loads(run.sh("aar claims --json").output)} == {"agent-1", "agent-2"}
    run.sh("aar claim --done", agent="agent-2")
    assert "agent-2" not in run.sh("aar claims").output
    refused = run.sh("aar claim ''")
    assert refused.code == 2 and "say what you try" in refused.output
    run.close()
    run.open()
    assert re.match("agent-1, [0-9]+ minutes? ago", run.sh("aar claims").output)
