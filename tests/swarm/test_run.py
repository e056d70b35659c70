"""One whole run on `smoke`: agents, evaluator, forum, board, verification; and what must be in none of its files."""

import json
import re
import subprocess

import pytest

from state.errors import UserError
from state.files import read_jsonl
from state.ledger import Ledger
from swarm.access import take_lock
from swarm.care import clean_plan, clean_run
from tests.conftest import with_commands
from tests.swarm.whole import AGENTS, SUBMISSIONS, paths_in, whole_run


@pytest.fixture(scope="module")
def finished(smoke, tmp_path_factory):
    """(checkout, paths, printed) of a run that went to its end."""
    folder, printed = whole_run(tmp_path_factory, "copy")
    with with_commands(folder) as checkout:
        yield checkout, paths_in(folder), printed


def test_every_submissions_commit_is_on_its_agents_branch_in_the_users_repository(finished):
    checkout, paths, _ = finished
    ledger = Ledger(paths.ledger)
    assert len(ledger.submissions) >= AGENTS
    for record in ledger.submissions.values():
        branches = checkout.git("branch", "--contains", record["commit"], "--format", "%(refname:short)").split()
        assert branches == [f"aar/sent/{record['agent']}"]
        assert checkout.git("show", f"{record['commit']}:{record['method']}")


def test_commits_name_their_agent_run_and_direction(finished):
    checkout, paths, _ = finished
    trailers = checkout.git("log", "-1", "--format=%(trailers)", "aar/sent/agent-2")
    assert re.search(r"^Agent: agent-2$", trailers, re.M) and re.search(r"^Run: sent$", trailers, re.M)
    assert re.search(r"^Direction: \w", trailers, re.M)


def test_every_agent_was_scored_and_posted_and_the_board_holds_it(finished):
    checkout, paths, _ = finished
    ledger = Ledger(paths.ledger)
    agents = {f"agent-{number + 1}" for number in range(AGENTS)}
    assert {verdict["agent"] for verdict in ledger.verdicts.values() if verdict["status"] == "scored"} == agents
    posts = checkout.git("ls-tree", "-r", "--name-only", "aar/sent/board", "forum/").split()
    assert {name.split("-", 1)[1][:7] for name in posts if name != "forum/README.md"} == agents
    table = checkout.git("show", "aar/sent/board:results.tsv").splitlines()
    assert len(table) == 1 + len(ledger.verdicts)


def test_full_verdicts_share_draws_and_anchors_so_that_they_are_paired(finished):
    _, paths, _ = finished
    full = [v for v in Ledger(paths.ledger).verdicts.values() if v["status"] == "scored" and v["rung"] == "full"]
    assert len(full) >= 2
    assert len({(v["draws"], v["weak_accuracy"], v["ceiling_accuracy"], v["tuned_naive_accuracy"]) for v in full}) == 1


def test_the_winner_was_verified_on_the_sealed_part_and_the_opening_counted(finished):
    checkout, paths, printed = finished
    sealed = [json.loads(line) for line in (paths.evaluator / "sealed.jsonl").read_text().splitlines()]
    assert [verdict["control"] for verdict in sealed] == [False, True, True]
    assert {verdict["rung"] for verdict in sealed} == {"sealed"} and len({verdict["openings"] for verdict in sealed}) == 1
    assert ["recipe_pgr" in verdict for verdict in sealed] == [True, False, False], "the ceiling by its own recipe is for finalists"
    published = checkout.git("show", "aar/sent/board:verification.md")
    assert all(verdict["submission"] in printed and verdict["submission"] in published for verdict in sealed)


def test_the_board_says_how_much_its_verdicts_told(finished):
    checkout, paths, _ = finished
    words = checkout.git("show", "aar/sent/board:results.md")
    told = [v for v in Ledger(paths.ledger).verdicts.values() if v["status"] == "scored" and not v.get("same_as")]
    assert f"exposure: {len(told)} verdicts told at most" in words and "NULL RUN" not in words


def test_a_report_is_there_at_the_end_for_the_person_and_on_the_board(finished):
    checkout, paths, printed = finished
    assert "report: .aar/runs/sent/report.html" in printed
    report = (paths.root / "report.html").read_text()
    published = checkout.git("show", "aar/sent/board:report.html")
    winner = json.loads((paths.evaluator / "sealed.jsonl").read_text().splitlines()[0])
    assert published.strip() == report.strip() and winner["submission"] in report and f"{winner['pgr']:.2f} [" in report
    pairs = json.loads((paths.root / "pairs.json").read_text()) if (paths.root / "pairs.json").exists() else {"pairs": []}
    assert all(pair["low"] <= pair["difference"] <= pair["high"] for pair in pairs["pairs"])


def test_what_looks_at_a_run_runs_from_the_command_line(finished):
    checkout, _, _ = finished
    for command in (("status", "sent"), ("log", "sent", "--last", "3"), ("show", "best", "sent"), ("show", "sent", "best"),
                    ("scores", "sent"), ("replay", "sent", "--speed", "100000"), ("report", "sent"), ("runs",)):  # fmt: skip
        code, told = checkout.aar(*command)
        assert code == 0 and told.strip() and "Traceback" not in told, (command, told)
    for command in (("compare", "sent", "sent"), ("show", "s9999", "sent"), ("status", "nobody"), ("log", "sent", "--type", "nothing"),
                    ("report", "sent", "--out", "nowhere/x.html"), ("finalize", "sent", "s9999"), ("open", "README.md")):  # fmt: skip
        code, told = checkout.aar(*command)
        assert code == 2 and len(told.strip().splitlines()) == 1 and told.startswith("aar: "), (command, told)


def test_the_review_commands_that_are_printed_work(finished):
    checkout, _, printed = finished
    commands = re.findall(r"^\s*(git (?:log|diff|show) .*)$", printed, re.M)
    assert len(commands) >= 2
    for command in commands:
        done = subprocess.run(command, shell=True, cwd=checkout.folder, capture_output=True, text=True)
        assert done.returncode == 0 and done.stdout, (command, done.stderr)


def test_what_was_scored_last_was_read_and_written_down_by_its_agent(finished):
    checkout, paths, _ = finished
    for last in list(Ledger(paths.ledger).verdicts.values())[-AGENTS:]:
        assert f'"submission":"{last["submission"]}"' in (paths.agent(last["agent"]) / "transcript.jsonl").read_text()


def test_an_agent_that_may_submit_no_more_ends_its_work_at_the_first_word_of_it(finished):
    _, paths, _ = finished
    for number in range(1, AGENTS + 1):
        told = read_jsonl(paths.agent(f"agent-{number}") / "transcript.jsonl")
        assert not [one for one in told if one["kind"] == "trouble"]
        assert told[-1]["kind"] == "finished" and f"made all {SUBMISSIONS} submissions that an agent may make here" in told[-1]["reason"]


def test_nothing_but_methods_and_notes_differs_from_the_base_on_an_agents_branch(finished):
    checkout, _, _ = finished
    for number in range(AGENTS):
        changed = checkout.git("diff", "--name-only", "main", f"aar/sent/agent-{number + 1}").split()
        assert changed and all(re.fullmatch(r"methods/\w+\.py|notes/[\w-]+\.md|notebook\.md", name) for name in changed)


def test_the_users_checkout_is_untouched(finished):
    checkout, _, _ = finished
    assert checkout.git("status", "--porcelain") == ""
    assert checkout.git("branch", "--show-current").strip() == "main"


def secrets_of(smoke, paths) -> list[bytes]:
    """What nobody may find: test texts, both secrets, and the raw bytes of test labels and features."""
    found = [text.encode() for part in ("public", "sealed") for text in smoke.parts[part].texts[:40] if len(text) > 30]
    found += [(paths.evaluator / "secret").read_bytes(), smoke.folder.secret.read_bytes()]
    for part in ("public", "sealed"):
        found.append(smoke.parts[part].labels.tobytes())
        found.append(next(iter(smoke.parts[part].features.values()))[0].tobytes())
    return found


def test_test_texts_labels_features_and_secrets_are_in_no_git_object_and_no_readable_file_of_the_run(finished, smoke):
    checkout, paths, _ = finished
    secrets = secrets_of(smoke, paths)
    git = subprocess.run(["git", "cat-file", "--batch-all-objects", "--batch"], cwd=checkout.folder, capture_output=True, check=True)
    bare = subprocess.run(["git", "--git-dir", str(paths.repo), "cat-file", "--batch-all-objects", "--batch"], capture_output=True, check=True)
    files = [f for f in paths.root.rglob("*") if f.is_file() and not f.is_relative_to(paths.evaluator)]
    open_part = [f for f in smoke.folder.open.rglob("*") if f.is_file()]
    haystacks = [git.stdout, bare.stdout, *(file.read_bytes() for file in files + open_part)]
    assert not [secret[:40] for secret in secrets for haystack in haystacks if secret in haystack]
    # The search can find: the same secrets are all in the private folders.
    private = b"".join(f.read_bytes() for folder in (paths.evaluator, smoke.folder.private) for f in folder.rglob("*") if f.is_file())
    unescaped = private.replace(b'\\"', b'"')
    assert all(secret in private or secret in unescaped or b"\\u" in json.dumps(secret.decode(errors="replace")).encode() for secret in secrets)
    assert (paths.evaluator.stat().st_mode & 0o077, smoke.folder.private.stat().st_mode & 0o077) == (0, 0)


def test_reading_commands_print_what_the_files_hold(finished):
    checkout, paths, _ = finished
    ledger = Ledger(paths.ledger)
    scores = json.loads(checkout.aar("scores", "sent", "--json")[1])
    assert {s["submission"] for s in scores} <= set(ledger.verdicts)
    lows = [s["pgr_low"] for s in scores if s["status"] == "scored" and s["rung"] == "full" and s["track"] == "main"]
    assert lows == sorted(lows, reverse=True)
    status = json.loads(checkout.aar("status", "--json")[1])
    assert status["run"] == "sent" and status["state"] == "finished" and len(status["agents"]) == AGENTS
    assert all(agent["note"].startswith("you have made all") for agent in status["agents"]), "why it ended, not what it did last"
    assert [run["run"] for run in json.loads(checkout.aar("runs", "--json")[1])] == ["sent"]


def test_a_verified_run_takes_no_more_submissions(finished):
    checkout, _, _ = finished
    code, printed = checkout.aar("resume", "sent", "--minutes", "1")
    assert code == 2 and "verified" in printed


def test_a_finalist_can_be_verified_again_and_each_opening_counts(finished):
    checkout, paths, _ = finished
    name = json.loads((paths.evaluator / "sealed.jsonl").read_text().splitlines()[0])
    code, printed = checkout.aar("verify", "sent")
    assert code == 2 and f"verify sent {name['submission']}` opens the sealed part once more" in printed and "Traceback" not in printed
    code, printed = checkout.aar("verify", "sent", name["submission"], "--json")
    again = json.loads(printed)[0]
    assert code == 0 and again["openings"] > name["openings"]
    assert (again["pgr"], again["commit"]) == (name["pgr"], name["commit"])  # same draws and seeds, re-run from the commit


def test_what_is_operated_or_has_changed_since_it_was_looked_at_is_not_cleaned_away(finished):
    checkout, paths, _ = finished
    plan = clean_plan(paths, True, checkout.folder)
    with take_lock(paths), pytest.raises(UserError, match="operated already"):
        clean_run(paths, plan, checkout.folder)
    checkout.git("branch", "aar/sent/late", "main")
    with pytest.raises(UserError, match="nothing was removed: run sent or a branch of it has changed meanwhile"):
        clean_run(paths, plan, checkout.folder)
    checkout.git("branch", "-D", "aar/sent/late")
    assert paths.root.exists() and "aar/sent/agent-1" in checkout.git("branch", "--list", "aar/*")


def test_clean_keeps_unmerged_branches_unless_forced(finished):
    checkout, paths, _ = finished
    code, printed = checkout.aar("clean", "sent")
    assert code == 2 and "--yes" in printed and paths.root.exists()
    assert checkout.aar("clean", "sent", "--yes")[0] == 0
    assert not paths.root.exists()
    assert "aar/sent/agent-1" in checkout.git("branch", "--list", "aar/*")
    assert checkout.aar("clean", "sent", "--yes", "--force")[0] == 0
    assert checkout.git("branch", "--list", "aar/*") == ""
