"""An agent's door and walls, from the inside: commands run in a real agent sandbox against a real broker and evaluator."""

import contextlib
import json
import os
import signal
import socket
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor

import pytest

from state.errors import UserError
from state.files import read_jsonl
from state.ledger import Ledger
from swarm.broker import Request
from swarm.sockets import read_line
from tests.swarm.opened import NAIVE, Run
from tests.waiting import until
from view.story import OVER

SLOW = NAIVE.replace("    labels", "    for _ in range(10**7):  # a fit that costs more than a sandbox\n        pass\n    labels")


@pytest.fixture(scope="module")
def run(smoke, module_checkout):
    run = Run(module_checkout, "door")
    yield run
    run.close()


def test_a_submission_is_scored_and_bound_to_its_commit(run):
    verdict = run.submit(NAIVE.format(l2=0.3))
    assert verdict["status"] == "scored" and verdict["pgr"] is not None
    assert "l2=0.3" in run.sh(f"git show {verdict['commit']}:methods/x.py").output
    assert "accuracy" not in json.dumps(verdict)


def test_the_same_code_never_gets_a_second_draw(run):
    first = run.submit(NAIVE.format(l2=0.4), "methods/one.py")
    renamed = NAIVE.format(l2=0.4).replace("labels", "answers").replace("Naive.", "Something new.").replace('"naive"', '"other"')
    again = run.submit("# a comment\n" + renamed, "methods/two.py", agent="agent-2")
    other = run.submit(NAIVE.format(l2=0.5), "methods/three.py")
    assert again["same_as"] == first["submission"] and again["pgr"] == first["pgr"]
    assert other["same_as"] is None
    folder = run.paths.evaluator / "predictions"
    assert (folder / f"{first['submission']}.npy").exists() and not (folder / f"{again['submission']}.npy").exists()


def test_the_same_code_sent_at_the_same_time_is_scored_once(run):
    source = NAIVE.format(l2=0.6)
    with ThreadPoolExecutor(2) as pool:
        verdicts = list(pool.map(lambda agent: run.submit(source, "methods/same.py", agent), ("agent-1", "agent-2")))
    assert sorted(v["same_as"] is None for v in verdicts) == [False, True]
    assert verdicts[0]["pgr"] == verdicts[1]["pgr"]


def test_asking_again_for_the_same_commit_gives_the_same_submission(run):
    first = run.submit(NAIVE.format(l2=0.7), "methods/again.py", options="--json")
    second = run.submit(NAIVE.format(l2=0.7), "methods/again.py", options="--json")
    assert (first["submission"], first["commit"]) == (second["submission"], second["commit"])
    assert run.sh(f"aar wait {first['submission']}").code == 0


def test_a_prediction_is_shown_beside_its_verdict_to_who_made_it_only(run):
    some = "def fit(w2s):\n    sure = w2s.weak[:, 1] > 0.8\n    return w2s.student().fit(w2s.texts, sure.astype(float), l2=2.0)\n"
    verdict = run.submit(some, "methods/foretold.py", options="--predict 0.77 --wait --json")
    assert verdict["predict"] == 0.77
    row = f"{verdict['submission']} agent-1"
    for agent, foretold in (("agent-1", True), ("agent-2", False)):
        line = next(line for line in run.sh("aar scores", agent=agent).output.splitlines() if line.startswith(row))
        assert (", predicted 0.77" in line) is foretold
    run.desk.board.write_results(run.desk.ledger)
    assert "| agent-1 | 1 |" in (run.paths.board / "results.md").read_text()


def test_after_a_full_rung_the_operator_is_told_how_many_different_ideas_there_are_and_remembers(smoke, module_checkout):
    run = Run(module_checkout, "ideas")  # of its own: the first submission of an agent goes on to the full rung
    try:
        for number, (expression, agent) in enumerate((("w2s.weak[:, ::-1]", 1), ("(w2s.weak[:, 0] < 0.4).astype(float)", 1), ("w2s.weak", 2))):
            source = f"def fit(w2s):\n    return w2s.student().fit(w2s.texts, {expression}, l2=0.01)\n"
            run.submit(source, f"methods/idea{number}.py", f"agent-{agent}")
        until(lambda: run.desk.diversity and run.desk.diversity[-1]["over"] >= 3, "what is told after the third one")
        level = run.desk.diversity[-1]
        assert 1 < level["code"] <= level["over"] == 3 and 1 < level["predictions"] <= level["over"]
        assert run.desk.narrowing() is None
        assert read_jsonl(run.paths.root / "diversity.jsonl")[: len(run.desk.diversity)] == run.desk.diversity
    finally:
        run.close()


def test_the_task_is_told_with_what_it_can_resolve_and_what_is_left(run):
    run.submit(NAIVE.format(l2=0.33), "methods/known.py")
    told = run.sh("aar task").output
    assert "smallest difference in PGR that full verdicts have told so far: about 0." in told and "s left" in told and "teacher" in told


def test_a_crash_comes_back_with_the_methods_own_traceback(run):
    verdict = run.submit('"""Bad."""\n\n\ndef fit(w2s):\n    return w2s.texts[10**9]\n', "methods/bad.py")
    assert verdict["status"] == "crashed" and "line 5" in verdict["error"] and "IndexError" in verdict["error"]
    assert str(run.paths.root) not in verdict["error"]


def test_the_door_is_found_however_deep_the_run_lies(run, tmp_path):
    deep = tmp_path / ("d" * 120)
    deep.mkdir()
    os.symlink(run.paths.door("agent-1"), deep / "door.sock")
    environment = {**os.environ, "AAR_DOOR": str(deep / "door.sock")}
    door = [sys.executable, "-I", "-S", str(run.checkout.folder / "swarm" / "door.py"), "task"]
    assert subprocess.run(door, env=environment, capture_output=True).returncode == 0


def test_bad_requests_get_one_clear_line_and_exit_code_2(run):
    for command, words in {
        "aar submit methods/none.py": "not in your worktree",
        "aar submit ../../etc/passwd": "not a method file",
        "aar wait s9999": "no submission",
        "aar post --type result --title won < /dev/null": "must name a submission",
        "aar post --type result --title won --submission s9999 < /dev/null": "no verdict",
        "aar commit --inspired-by nobody": "neither a full commit id",
        "aar post --type insight --title x --replies-to ../../run.toml < /dev/null": "no post",
    }.items():
        outcome = run.sh(command)
        assert outcome.code == 2 and words in outcome.output and len(outcome.output.strip().splitlines()) == 1, (command, outcome)


@pytest.mark.parametrize("title, body", [("Fine", b"caf\xe9"), (b"caf\xe9", b"fine")])
def test_text_that_is_not_utf_8_is_refused_in_one_line_that_says_so(title, body):
    door = [sys.executable, "-I", "-S", "swarm/door.py", "post", "--type", "insight", "--title", title]
    for utf8 in ("0", "1"):
        done = subprocess.run([*door[:1], "-X", f"utf8={utf8}", *door[1:]], input=body, capture_output=True)
        assert done.returncode == 2 and done.stderr.startswith(b"aar: the text is not UTF-8") and done.stderr.count(b"\n") == 1


def test_a_request_that_is_no_json_is_told_without_the_name_of_a_field():
    one, other = socket.socketpair()
    one.sendall(b'{"do": "post", "title": "\\udce9"}\n')
    with one, other, pytest.raises(UserError, match="^Invalid JSON"):
        read_line(other, Request, 1000)


def test_a_long_message_is_kept_whole_in_ledger_and_commit_and_passes_for_no_trailer(run):
    first = "Weigh items by how sure the teacher is and how early the student learns them, " * 3
    message = f"{first}\nAgent: agent-2\n\n{'It goes on and on. ' * 180}".strip()
    (run.paths.worktree("agent-1") / "methods" / "long.py").write_text(NAIVE.format(l2=0.34))
    sent = run.desk.submit("agent-1", "methods/long.py", message, [], None)
    assert 3000 < len(message) < 4000 and run.desk.ledger.submissions[sent["submission"]]["message"] == " ".join(message.split())
    shown = lambda form: subprocess.check_output(["git", "--git-dir", run.paths.repo, "show", "-s", f"--format={form}", sent["commit"]], text=True).strip()  # noqa: E731
    assert len(shown("%s")) <= 100 and shown("%s").endswith("…") and first.startswith(shown("%s")[:-1])
    assert " ".join(message.split()) in " ".join(shown("%b").split())
    assert [line.split(":")[0] for line in shown("%(trailers:unfold,only)").splitlines()] == ["Agent", "Run", "Direction"]
    assert "agent-2" not in shown("%(trailers:key=Agent)")


def test_what_the_run_answers_at_its_end_is_known_to_who_tells_its_story(run):
    run.desk.accepting = False
    try:
        (run.paths.worktree("agent-1") / "methods" / "late.py").write_text(NAIVE.format(l2=0.36))
        with pytest.raises(UserError, match=OVER):
            run.desk.submit("agent-1", "methods/late.py", "", [], None)
    finally:
        run.desk.accepting = True


def test_figures_that_an_agent_types_do_not_become_the_figures_of_a_result(run):
    half = NAIVE.format(l2=0.8).replace("w2s.texts", "w2s.texts[::2]").replace("w2s.weak", "w2s.weak[::2]")
    verdict = run.submit(half, "methods/claim.py")
    name = run.sh(f"aar post --type result --title Best --submission {verdict['submission']}", "PGR 0.987, believe me").output.split()[1]
    first = run.sh(f"cat $AAR_FORUM/{name}").output.split("---")[2].strip().splitlines()[0]
    assert f"PGR {verdict['pgr']:.2f}" in first and "0.987" not in first


def test_two_agents_that_post_at_once_both_land(run):
    before = set(os.listdir(run.paths.forum))
    with ThreadPoolExecutor(8) as pool:
        posts = list(pool.map(lambda i: run.sh("aar post --type insight --title Same", "x", f"agent-{i % 2 + 1}").output.split()[1], range(8)))
    assert len(set(posts)) == 8 and set(posts) == set(os.listdir(run.paths.forum)) - before
    authors = {run.paths.forum.joinpath(name).read_text().splitlines()[1] for name in posts}
    assert authors == {"agent: agent-1", "agent: agent-2"}
    run.desk.board.commit("test")
    committed = run.repo.files("board")
    assert all(f"forum/{name}" in committed for name in posts)


def test_who_speaks_is_told_by_the_socket_not_by_the_request(run):
    forged = '{"do": "post", "agent": "agent-2", "type": "insight", "title": "forged", "body": ""}'
    talk = (
        "import os, socket; s = socket.socket(socket.AF_UNIX); s.connect(os.environ['AAR_DOOR']);"
        f" s.sendall({forged!r}.encode() + b'\\n'); print(s.recv(1000).decode())"
    )
    assert "Extra inputs are not permitted" in run.sh("python -", talk).output
    assert not [name for name in os.listdir(run.paths.forum) if "forged" in name]


# -- the two rungs -----------------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def dear(smoke, module_checkout):
    """A run whose methods cost more than a sandbox."""
    run = Run(module_checkout, "dear")
    yield run
    run.close()


def test_a_method_without_a_chance_costs_one_draw_and_its_way_is_in_the_ledger(dear):
    good = dear.submit(SLOW.format(l2=0.3), "methods/good.py")
    assert (good["rung"], good["draws"]) == ("full", 3)
    wrong = SLOW.format(l2=0.3).replace("w2s.weak[:, 1] > 0.5", "w2s.weak[:, 1] < 0.5")
    verdict = dear.submit(wrong, "methods/wrong.py")
    record = Ledger(dear.paths.ledger).verdicts[verdict["submission"]]
    assert record["promotion"] in (None, "random")  # one in twenty goes on all the same, to count wrong rejections
    assert (record["rung"], record["draws"]) == (("quick", 1) if record["promotion"] is None else ("full", 3))
    assert record["pgr"] < 0 and record["against_best"] == "worse"


def test_a_method_within_noise_of_the_best_goes_on_to_all_draws_and_is_paired_with_it(dear):
    verdict = dear.submit(SLOW.format(l2=0.31), "methods/close.py")
    record = Ledger(dear.paths.ledger).verdicts[verdict["submission"]]
    assert (record["rung"], record["promotion"], record["against_best"]) == ("full", "upper bound", "within noise")


# -- the walls --------------------------------------------------------------------------------------------------------------


TRY = """
import os, sys
from eval.w2s import open_kit, practice_test
sys.path.insert(0, "methods")
import soft
kit = os.environ["AAR_TASK"]
batch, labels = practice_test(kit + "/practice")
model = soft.fit(open_kit(kit + "/practice"))
print("right", ((model.predict_proba(batch)[:, 1] > 0.5) == labels).mean(), len(open_kit(kit + "/kit").texts))
"""
ASK = """
import os
from eval.w2s import open_kit
student = open_kit(os.environ["AAR_TASK"] + "/kit").student()
print("embedded", student.embed(["a text of my own"], layers=2, pool="mean").shape)
"""


def test_an_agent_can_try_a_method_on_the_open_kit_in_its_own_shell(run, smoke):
    outcome = run.sh(f"python - <<'END'{TRY}END")
    assert outcome.code == 0 and outcome.output.startswith("right 0.") and outcome.output.endswith(f" {smoke.task.pool}\n")


def test_in_a_job_the_strong_model_can_read_texts_of_the_agents_own(run):
    outcome = run.sh(f"mkdir -p notes; cat > notes/ask.py <<'END'{ASK}END\naar job -- python notes/ask.py")
    assert "embedded (1, 384)" in outcome.output


def test_an_agent_can_write_its_worktree_and_nothing_else(run):
    inside = {
        "touch /aar/worktree/methods/mine.py": True,  # the control: writing works where it may
        "touch /tmp/mine": True,
        "touch /aar/forum/forged.md": False,
        "touch /aar/repo.git/forged": False,
        "git update-ref refs/heads/aar/door/agent-2 HEAD~0 && git update-ref refs/heads/forged HEAD": False,
        "git commit --allow-empty -m forged": False,
        "echo gitdir: /tmp > /aar/worktree/.git": False,
        "rm -f /aar/worktree/.git": False,
        "mv /aar/worktree/.git /aar/worktree/x": False,
        "touch /aar/task/forged": False,
        "touch /aar/bin/aar": False,
        "touch /aar/door.sock && rm /aar/door.sock": False,
        f"touch {run.paths.worktree('agent-2')}/forged": False,
        f"touch {run.paths.board}/forged": False,
        f"touch {run.checkout.folder}/.git/forged": False,
        f"touch {run.paths.ledger}.forged": False,
    }
    for command, works in inside.items():
        assert (run.sh(command).code == 0) is works, command
    for path in (run.paths.worktree("agent-2"), run.paths.board, run.checkout.folder / ".git", run.paths.forum, run.paths.repo):
        assert not list(path.glob("**/forged*"))


@pytest.mark.parametrize("kind", ["shell", "job"])
def test_labels_test_texts_and_secrets_are_in_no_file_and_no_environment_that_a_sandbox_can_read(run, smoke, kind):
    """Everything readable inside is searched for a test text, the two secrets and the test labels; outside they are found."""
    part = smoke.parts["sealed"]
    text = max(part.texts, key=len)
    needles = [text[5:45].encode(), smoke.folder.secret.read_bytes(), (run.paths.evaluator / "secret").read_bytes(), part.labels.tobytes()]
    script = f"""
import os, sys
needles = [bytes(255 - b for b in bytes.fromhex(h)) for h in {[bytes(255 - b for b in n).hex() for n in needles]!r}]
roots = sys.argv[1:]
found = set()
skip = ('/proc/', '/sys/', '/usr/', sys.prefix, sys.base_prefix)
for root in roots:
    for folder, folders, names in os.walk(root):
        if (folder + '/').startswith(skip) and root == '/':
            folders.clear()
            continue
        for name in names:
            path = os.path.join(folder, name)
            try:
                if not os.path.isfile(path) or os.path.getsize(path) > 60_000_000: continue
                data = open(path, 'rb').read()
            except OSError:
                continue
            found |= {{i for i, n in enumerate(needles) if n in data}}
for pid in os.listdir('/proc'):
    try:
        data = open('/proc/%s/environ' % pid, 'rb').read()
        found |= {{i for i, n in enumerate(needles) if n in data or n.hex().encode() in data}}
    except OSError:
        pass
print('found', sorted(found))
"""
    assert "found []" in run.sh("python - /", script, kind=kind).output
    outside = subprocess.run(
        [sys.executable, "-", str(smoke.folder.private), str(run.paths.evaluator)], input=script, capture_output=True, text=True
    )
    assert "found [0, 1, 2, 3]" in outside.stdout, "the control: the same search finds them outside"


def test_the_sandbox_knows_no_path_of_the_operator_and_no_key(run, monkeypatch):
    monkeypatch.setenv("ANTHROPIC_API_KEY", "sk-secret-of-the-operator")
    printed = run.sh("env; cat /proc/*/environ | tr '\\0' '\\n'; cat /proc/self/mountinfo | cut -d' ' -f5").output
    assert "sk-secret" not in printed and str(run.paths.root) not in printed


def test_other_branches_of_this_run_can_be_read_and_nothing_older_of_the_user(run):
    run.submit(NAIVE.format(l2=0.9), "methods/theirs.py", agent="agent-2", options="--json")
    seen = run.sh("git show aar/door/agent-2:methods/theirs.py && git log --all --oneline && git diff aar/door/agent-2 --stat && git status --short").output
    assert "l2=0.9" in seen
    assert run.sh("git rev-list --max-parents=0 --all | wc -l").output.strip() == "1"


def test_a_planted_link_is_refused_and_planted_files_are_never_committed(run):
    plant = (
        "ln -sf /etc/passwd methods/evil.py; mkdir -p hooks .github; echo 'all:; touch /tmp/owned' > Makefile;"
        " echo 'raise SystemExit' > conftest.py; echo '*.py filter=evil' > .gitattributes; echo x > hooks/post-commit; mkdir -p methods/.git"
    )
    run.sh(plant, agent="agent-2")
    refused = run.sh("aar commit", agent="agent-2")
    assert refused.code == 2 and "links and devices are not committed" in refused.output
    run.sh("rm methods/evil.py", agent="agent-2")
    commit = run.sh("echo note > notebook.md; aar commit -m 'with planted files'", agent="agent-2").output.split()[1]
    run.repo.mirror()
    changed = run.checkout.git("diff", "--name-only", "main", commit).split()
    assert "notebook.md" in changed
    assert not [name for name in changed if name != "notebook.md" and not name.startswith(("methods/", "notes/"))]


# -- heavy work and accidents -----------------------------------------------------------------------------------------------


def test_a_job_runs_in_a_slot_and_streams_what_it_prints(run):
    outcome = run.sh("aar job -- python -c \"import os; print('in the job', os.path.isdir('/aar/models'))\"")
    assert outcome.code == 0 and "in the job True" in outcome.output
    assert run.sh("aar job --seconds 1 -- sleep 1000").output.strip().endswith("the job was ended: timeout")
    assert run.sh("aar job -- false").code == 1


def test_a_job_ends_when_nobody_waits_for_it_any_more(run):
    hang_up = (
        "import json, os, socket, subprocess; s = socket.socket(socket.AF_UNIX); s.connect(os.environ['AAR_DOOR'])\n"
        "s.sendall(json.dumps({'do': 'job', 'command': ['sleep', '321']}).encode() + b'\\n')\n"
        "while b'running: sleep 321' not in subprocess.check_output(['aar', 'jobs']): pass"
    )
    assert run.sh("python -", hang_up).code == 0
    until(lambda: not run.desk.jobs.busy, "the end of the job")
    assert run.sh("aar job -- echo free again").output.strip() == "free again"


def test_a_door_outlives_many_that_wait_and_hang_up(run):
    name = run.submit(SLOW.format(l2=0.97), "methods/waited.py", options="--json")["submission"]
    ask = (
        "import json, os, socket\nfor _ in range(40):\n"
        "    s = socket.socket(socket.AF_UNIX); s.connect(os.environ['AAR_DOOR'])\n"
        f"    s.sendall(json.dumps({{'do': 'wait', 'submission': '{name}'}}).encode() + b'\\n'); s.close()\n"
    )
    run.sh("python -", ask)
    run.desk.wait(name, 3600)
    until(lambda: run.sh("aar scores").code == 0, "a free place")  # those that waited until now may still be leaving
    assert run.submit(NAIVE.format(l2=0.98), "methods/later.py")["status"] == "scored"


@contextlib.contextmanager
def evaluator_killed(run, method, times):
    """While this lasts the evaluator is killed when it begins to score `method`, so many times."""
    evaluator, kills = run.desk.evaluator, []
    hear = evaluator.on_event

    def hear_and_kill(event):
        hear(event)
        if event["event"] == "started" and run.desk.ledger.submissions[event["submission"]]["method"] == method and len(kills) < times:
            kills.append(evaluator.pid)
            os.kill(evaluator.pid, signal.SIGKILL)

    evaluator.on_event = hear_and_kill
    try:
        yield
    finally:
        evaluator.on_event = hear


def test_an_evaluator_that_is_killed_while_scoring_loses_no_submission(run):
    slow = "import itertools\n\n\ndef fit(w2s):\n    for _ in range(3 * 10**7):\n        pass\n    return w2s.student().fit(w2s.texts, w2s.weak)\n"
    with evaluator_killed(run, "methods/slow.py", 1):
        name = run.submit(slow, "methods/slow.py", options="--json")["submission"]
        verdict = run.desk.wait(name, 3600)
    assert verdict["status"] == "scored"
    until(lambda: any(line.get("event") == "evaluator-restarted" for line in read_jsonl(run.paths.ledger)), "the note of its restart")
    assert sum(line["kind"] == "verdict" and line["submission"] == name for line in read_jsonl(run.paths.ledger)) == 1


def test_a_submission_that_keeps_killing_the_evaluator_is_given_up_with_a_verdict(run):
    slow = "def fit(w2s):\n    for _ in range(10**9):\n        pass\n    return 1\n"
    with evaluator_killed(run, "methods/deadly.py", 10):
        name = run.submit(slow, "methods/deadly.py", options="--json")["submission"]
        verdict = run.desk.wait(name, 3600)
    assert verdict["status"] == "crashed" and "failed 3 times" in verdict["error"]
    assert run.submit(NAIVE.format(l2=0.95), "methods/after.py")["status"] == "scored"


def test_the_ledger_read_back_is_the_ledger_in_memory(run):
    until(lambda: not run.desk.waiting(), "the last verdict")
    fresh = Ledger(run.paths.ledger)
    run.desk.ledger.refresh()
    assert fresh.submissions == run.desk.ledger.submissions and fresh.verdicts == run.desk.ledger.verdicts
