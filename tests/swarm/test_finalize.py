"""The clean branch of a method: exactly the accepted ideas, ready to merge, and nothing of the user's touched."""

import json
import re
import subprocess

import pytest

from state.errors import UserError
from state.files import append_jsonl
from state.ledger import Ledger, agent_view
from state.record import read_record
from swarm.bundle import bundle_run
from swarm.finalize import finalize, finalize_text
from swarm.opened import open_bundle
from tests.conftest import Checkout
from tests.swarm.opened import NAIVE, Run

SOFT = '''"""The soft labels{words}."""
FAMILY = "soft"


def fit(w2s):
    return w2s.student().fit(w2s.texts, w2s.weak, l2={l2})
'''
HOSTILE = "First\x1b[2J idea <script>alert(1)</script> | Run: other"


@pytest.fixture(scope="module")
def run(smoke, module_checkout):
    """A run whose agents submitted: a weak idea, one that is worse, two that are better, one that crashes, and one of somebody else.
    It is open: nothing was verified."""
    run = Run(module_checkout, "real")
    try:
        def submit(name, source, message, *parents, agent="agent-1", predict="0.5"):
            told = [f"--inspired-by {run.desk.ledger.submissions[one]['commit']}" for one in parents]
            options = f"--message \"$(printf '{message}')\" --predict {predict} {' '.join(told)} --wait --json"
            return run.submit(source, f"methods/{name}.py", agent, options)

        run.sh("echo 'private thoughts' > notebook.md && mkdir -p notes && echo 'more' > notes/a.md")
        first = submit("naive_strong", NAIVE.format(l2=30.0), "Hard labels, strongly held\nRun: other\nAgent: me")
        submit("broken", "def fit(w2s):\n    raise ValueError\n", "Broken", first["submission"])
        second = submit("naive_weak", NAIVE.format(l2=0.001), "Hardly held", first["submission"])
        third = submit("softly", SOFT.format(l2=1.0, words=""), HOSTILE.replace("\x1b", ""), first["submission"], second["submission"])
        submit("other", NAIVE.format(l2=3.0), "Of another", agent="agent-2")
        submit("soft_again", SOFT.format(l2=0.3, words=", held less"), "Held less", third["submission"], predict="0.61")
        run.desk.post("agent-1", "result", "Soft labels help", "Look: <img src=x onerror=alert(1)> here.", third["submission"], None)
        run.desk.post("agent-2", "insight", "About nothing here", "No submission.", None, None)
        run.repo.mirror()
        yield run
    finally:
        run.close()


def ledger_of(run) -> Ledger:
    return Ledger(run.paths.ledger)


def last_of(run, name) -> str:
    return next(one for one, record in reversed(ledger_of(run).submissions.items()) if record["method"] == f"methods/{name}.py")


def expected(run, last) -> list[str]:
    """The accepted ideas, worked out once more from the ledger."""
    ledger, chain, name = ledger_of(run), [], last
    while name:
        chain.insert(0, name)
        name = ledger.verdicts[name]["parent"] or (ledger.submissions[name]["parents"] or [None])[-1]
    kept, best = [], -99.0
    for name in chain[:-1]:
        view = agent_view(ledger.verdicts[name])
        if view["status"] == "scored" and view["track"] == "main" and view["rung"] == ledger.verdicts[last]["rung"] and view["pgr"] > best:
            kept.append(name)
            best = view["pgr"]
    return [*kept, last]


def made(run, what, **options):
    return finalize(run.paths, run.checkout.folder, what, options.get("branch"), options.get("as_name"))


def folder_of(facts):
    """Where posts and verdicts of a final branch lie."""
    return f"forum/real-{facts['commits'][-1]['submission']}"


def test_the_branch_has_one_commit_an_accepted_idea_and_exactly_these_files(run):
    git, before = run.checkout.git, (run.checkout.git("status", "--porcelain"), (run.checkout.folder / ".git/index").read_bytes())
    last = last_of(run, "soft_again")
    facts = made(run, last)
    assert facts["branch"] == f"final/real-{last}" and facts["file"] == "methods/soft_again.py"
    names = expected(run, last)
    assert [one["submission"] for one in facts["commits"]] == names and len(names) >= 2
    commits = git("rev-list", "--reverse", f"main..{facts['branch']}").split()
    assert commits == [one["commit"] for one in facts["commits"]]
    assert git("rev-parse", f"{commits[0]}^").strip() == run.config["base"]
    for commit in commits[:-1]:
        assert git("show", "--name-only", "--format=", commit).split() == ["methods/soft_again.py"]
    posts = [f"forum/real-{last}/{file.name}" for file in run.paths.forum.glob("*soft-labels-help.md")]
    wanted = {"methods/soft_again.py", f"forum/real-{last}/README.md", f"forum/real-{last}/verdicts.jsonl", *(posts if last_of(run, "softly") in names else [])}
    assert set(git("diff", "--name-only", "main", facts["branch"]).split()) == wanted == set(facts["files"])
    for commit, name in zip(commits, names, strict=True):
        record = ledger_of(run).submissions[name]
        assert git("show", f"{commit}:methods/soft_again.py") == git("show", f"{record['commit']}:{record['method']}")
    assert before == (git("status", "--porcelain"), (run.checkout.folder / ".git/index").read_bytes())
    assert git("branch", "--show-current").strip() == "main" and not (run.checkout.folder / "methods" / "soft_again.py").exists()
    assert git("fsck", "--strict", "--no-dangling") is not None and "notebook" not in git("ls-tree", "-r", "--name-only", facts["branch"])


def test_a_commit_says_idea_figures_and_where_it_is_from(run):
    git, name = run.checkout.git, last_of(run, "naive_strong")
    facts = made(run, name, branch="first-alone")
    record, view = ledger_of(run).submissions[name], agent_view(ledger_of(run).verdicts[name])
    [commit] = git("rev-list", "main..first-alone").split()
    assert git("show", "-s", "--format=%s", commit).strip() == "Hard labels, strongly held", "the first line of what was said"
    body = git("show", "-s", "--format=%b", commit)
    assert f"PGR {view['pgr']:.2f} [{view['pgr_low']:.2f}, {view['pgr_high']:.2f}]" in body and f"({view['rung']} rung" in body
    trailers = git("show", "-s", "--format=%(trailers:unfold,only)", commit).strip().splitlines()
    assert trailers == [
        "Run: real", "Agent: agent-1", f"Submission: {name}", f"Commit: {record['commit']}",
        f"Direction: {run.config['agents'][0]['direction']}", "Predicted: 0.50",
    ]  # fmt: skip
    assert git("show", "-s", "--format=%an <%ae> %at", commit) == git("show", "-s", "--format=%an <%ae> %at", record["commit"])
    assert git("show", "-s", "--format=%cn <%ce>", commit).strip() == "A Person <person@example.org>"
    inspired = made(run, last_of(run, "softly"), branch="inspired")["commits"][-1]["commit"]
    parents = [ledger_of(run).submissions[one]["commit"] for one in (name, last_of(run, "naive_weak"))]
    assert set(re.findall(r"(?m)^Inspired-by: (.*)$", git("show", "-s", "--format=%(trailers)", inspired))) == set(parents)
    assert facts["commands"][0].endswith("..first-alone") and "git merge first-alone" in finalize_text(facts)


def test_what_agents_wrote_is_harmless_in_all_that_was_made(run):
    facts = made(run, last_of(run, "softly"), branch="harmless")
    page = run.checkout.git("show", f"harmless:{folder_of(facts)}/README.md")
    rows = [line for line in page.splitlines() if line.startswith("| ")]
    assert "<script" not in page and "&lt;script" in page and len(rows) == 1 + len(facts["commits"])
    everything = "".join(run.checkout.git("show", f"harmless:{name}") for name in facts["files"] if name.startswith("forum/"))
    assert "<img" not in everything and "\x1b" not in everything and "\x1b" not in finalize_text(facts)


def test_while_the_run_is_open_figures_are_those_that_agents_are_told(run):
    facts = made(run, "best", branch="open-run")
    lines = [json.loads(line) for line in run.checkout.git("show", f"open-run:{folder_of(facts)}/verdicts.jsonl").splitlines()]
    assert [line["submission"] for line in lines] == [one["submission"] for one in facts["commits"]]
    assert all(line["part"] == "public" and "accuracy" not in line and "teacher_agreement" not in line for line in lines)
    page = run.checkout.git("show", f"open-run:{folder_of(facts)}/README.md")
    assert "coarser than\nthey were measured: `python aar.py show" in page and f"`python aar.py show {facts['submission']} real` has the exact" in finalize_text(facts)
    assert "The run was open when this was made" in page and "| main |" not in page and facts["sealed"] == []


def test_it_merges_cleanly_and_the_merged_project_scores_the_method(run):
    facts = made(run, "soft_again", branch="to-merge", as_name="held_less.py")
    git, folder = run.checkout.git, run.checkout.folder
    git("worktree", "add", "--quiet", "-b", "merged", str(folder.parent / "merged"), "main")
    merged = folder.parent / "merged"
    subprocess.run(["git", "merge", "--quiet", "--no-edit", facts["branch"]], cwd=merged, check=True, capture_output=True)
    assert subprocess.check_output(["git", "status", "--porcelain"], cwd=merged, text=True) == ""
    assert (merged / "methods" / "held_less.py").read_text() == SOFT.format(l2=0.3, words=", held less")
    (merged / ".venv").symlink_to((folder / ".venv").resolve())
    done = subprocess.run(
        ["python3", "aar.py", "eval", "methods/held_less.py", "--task", "smoke", "--json"],
        cwd=merged, capture_output=True, text=True, stdin=subprocess.DEVNULL,
    )  # fmt: skip
    assert done.returncode == 0 and json.loads(done.stdout)["status"] == "scored", done.stderr


def test_from_the_command_line(run):
    code, printed = run.checkout.aar("finalize", "real", "best", "--branch", "typed", "--as", "typed.py")
    assert code == 0 and "git merge typed" in printed and "branch typed: methods/typed.py in" in printed, printed


@pytest.mark.parametrize("what, options, words", [
    ("s9999", {}, "no submission and no scored method 's9999'"), ("broken", {}, "no scored method 'broken'"),
    ("nothing.py", {}, "aar.py scores real"), ("softly", {"branch": "main"}, "there is a branch main already: name another with --branch"),
    ("softly", {"branch": "main/x"}, "a branch main already"),
    ("softly", {"branch": "aar"}, "aar/ is where the branches of runs are"), ("softly", {"branch": "--help"}, "no name for a branch"),
    ("softly", {"branch": "a..b"}, "no name for a branch"), ("softly", {"branch": "HEAD"}, "no name for a branch"),
    ("softly", {"branch": "FETCH_HEAD"}, "no name for a branch"), ("softly", {"branch": "@"}, "no name for a branch"),
    ("softly", {"branch": "refs/heads/x"}, "no name for a branch"), ("softly", {"branch": "a" * 40}, "no name for a branch"),
    ("softly", {"branch": "aar/real/mine"}, "aar/ is where the branches of runs are"), ("softly", {"branch": "aar/other/x"}, "aar/ is where"),
     ("softly", {"as_name": "naive"}, "methods/naive.py exists at the base .*--as"),
    ("softly", {"as_name": "../x"}, None), ("softly", {"as_name": "Bad Name.py"}, "--as 'Bad Name.py'"), ("\x1b[2Jx", {}, "no scored method '.2Jx'"),
])  # fmt: skip
def test_what_cannot_be_made_is_one_clear_line_and_makes_no_branch(what, options, words, run):
    before = run.checkout.git("for-each-ref")
    if words is None:  # a path is only ever a name
        assert made(run, what, branch="named", **options)["file"] == "methods/x.py"
        run.checkout.git("branch", "-D", "named")
        return
    with pytest.raises(UserError, match=words) as told:
        made(run, what, **options)
    assert run.checkout.git("for-each-ref") == before and "\n" not in str(told.value) and "\x1b" not in str(told.value)


def test_what_crashed_or_was_disqualified_or_waits_is_not_made(run):
    broken = last_of(run, "broken")
    with pytest.raises(UserError, match=f"{broken} of run real was not scored .crashed."):
        made(run, broken)
    common = {"agent": "agent-1", "commit": "a" * 40, "method": "methods/y.py", "time": "2026-11-28T23:15:49Z"}
    verdict = {name: value for name, value in ledger_of(run).verdicts["s0001"].items() if name not in common}
    for name, track in (("s0801", "disqualified"), ("s0802", None)):
        append_jsonl(run.paths.ledger, {"kind": "submission", "submission": name, "parents": [], **common})
        if track:
            append_jsonl(run.paths.ledger, {**verdict, "submission": name, "track": track, **common})
    with pytest.raises(UserError, match="s0801 of run real is disqualified"):
        made(run, "s0801")
    with pytest.raises(UserError, match="s0802 of run real has no verdict yet"):
        made(run, "s0802")


def test_a_submission_may_be_named_as_people_say_it(run):
    name = last_of(run, "softly")
    said = name.upper().replace("S0", "S"), name.lstrip("s0")
    assert [made(run, one, branch=f"said-{number}")["submission"] for number, one in enumerate(said)] == [name, name]


def test_hooks_of_the_user_do_not_run(run):
    hook = run.checkout.folder / ".git" / "hooks" / "reference-transaction"
    hook.parent.mkdir(exist_ok=True)
    hook.write_text("#!/bin/sh\nexit 1\n")
    hook.chmod(0o755)
    try:
        assert made(run, "softly", branch="without-hooks")["branch"] == "without-hooks"
    finally:
        hook.unlink()


def test_parents_that_go_in_circles_end(run):
    record = read_record(run.paths)
    from swarm.finalize import _ancestors

    record.submissions["s0001"]["parents"] = ["s0003"]
    record.verdicts["s0001"]["parent"] = "s0003"
    record.verdicts["s0003"]["parent"] = "s0001"
    assert _ancestors(record, "s0003") == ["s0001", "s0003"]


def test_once_closed_sealed_figures_are_told_and_in_no_file_also_where_the_run_was_opened_from_a_bundle(run, tmp_path, monkeypatch):
    """The last test: it closes the run."""
    last = last_of(run, "soft_again")
    public = ledger_of(run).verdicts[last]
    append_jsonl(run.paths.ledger, {"kind": "event", "event": "sealed-opening", "agent": None, "detail": last, "time": "2026-11-28T23:15:49Z"})
    sealed = {name: value for name, value in public.items() if name != "kind"} | {"rung": "sealed", "pgr": 7.6543215, "lift": 6.7891234}
    sealed |= {"openings": 1, "control": False, "pgr_low": 7.5, "pgr_high": 7.8, "lift_low": 6.7, "lift_high": 6.9}
    sealed = {name: value for name, value in sealed.items() if not name.endswith("_by_draw")}  # they would say something else
    append_jsonl(run.paths.evaluator / "sealed.jsonl", sealed)
    (run.paths.board / "verification.md").write_text("# Sealed verification\n")
    bundle_run(run.paths, tmp_path / "x.aar.tar.gz", False, [], lambda text: None)
    (tmp_path / "other").mkdir()
    other = Checkout(tmp_path / "other")
    paths = open_bundle(other.folder, tmp_path / "x.aar.tar.gz", "theirs", lambda text: None)
    with pytest.raises(UserError, match="base commit .* is not in this repository"):
        finalize(paths, other.folder, last, None, None)
    other.git("fetch", "--quiet", str(run.checkout.folder), "main:theirs")
    other.git("config", "--unset", "user.name")
    monkeypatch.setenv("GIT_CONFIG_GLOBAL", "/dev/null")
    facts = finalize(paths, other.folder, last, None, None)
    assert facts["branch"] == f"final/real-{last}"
    lines = [json.loads(line) for line in other.git("show", f"{facts['branch']}:{folder_of(facts)}/verdicts.jsonl").splitlines()]
    assert [line["part"] for line in lines] == ["public"] * len(facts["commits"])
    assert all("accuracy" not in line and "kind" not in line for line in lines), "what is merged becomes the base of later runs"
    page = other.git("show", f"{facts['branch']}:{folder_of(facts)}/README.md")
    assert "`verification.md` on the branch aar/real/board has the figures." in page
    everything = other.git("log", "-p", f"{facts['base']}..{facts['branch']}")
    assert all(figure not in everything for figure in ("7.65", "6.78", "6.79"))
    [told] = facts["sealed"]
    assert told["submission"] == last and told["pgr"] == 7.6543215 and told["openings"] == 1
    assert f"{last} on the sealed part: PGR 7.65 [" in finalize_text(facts) and "lift +6.79 [" in finalize_text(facts)
    assert "sealed part on its sender's machine;" in finalize_text(facts) and "on this machine;" in finalize_text({**facts, "opened": False})
    assert other.git("show", "-s", "--format=%cn", facts["branch"]).strip() == "agent-1", "where git does not know the user"


def test_an_idea_that_was_asked_for_and_would_not_be_accepted_is_told_as_such(run):
    names = {name: verdict for name, verdict in ledger_of(run).verdicts.items() if verdict["status"] == "scored" and not verdict.get("same_as")}
    odd = next((name for name, verdict in names.items() if verdict["flags"] or verdict["rung"] != "full" or verdict["track"] != "main"), None)
    best = made(run, "best", branch="clean-best")
    assert not any("track" in words or "rung only" in words for words in best["warnings"])
    if odd is not None and names[odd]["track"] != "disqualified":
        facts = made(run, odd, branch="odd", as_name="odd_one.py")
        assert facts["warnings"] and f"note: {odd}" in finalize_text(facts)
