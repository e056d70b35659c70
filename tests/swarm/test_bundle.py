"""A run in one file: packed here, opened in a checkout that knows nothing of it. And what must never be in such a file, or be
believed of one."""

import gzip
import hashlib
import io
import json
import os
import shlex
import shutil
import subprocess
import tarfile
import tempfile
from pathlib import Path

import pytest

from state.config import read_config
from state.errors import UserError
from state.files import append_jsonl, read_jsonl
from state.ledger import Ledger
from state.paths import RunPaths, find_run
from state.record import read_record
from swarm.access import open_repo
from swarm.board import Board
from swarm.bundle import bundle_run, bundle_text
from swarm.bundle_report import texts_of
from swarm.care import clean_plan, clean_run, publish_board, say_in_forum, stop_run
from swarm.forum import write_post
from swarm.join import join
from swarm.opened import open_bundle
from swarm.operation import paid_again
from swarm.run import operate
from swarm.verification import verify
from tests.conftest import Checkout, with_commands
from tests.swarm.whole import paths_in, whole_run
from tests.view.made import make_run
from view.ending import exit_code
from view.opened import GIVEN
from view.report.build import write_report
from view.report.data import packed as packed_json
from view.scores import leaderboard, scores_text
from view.status import status_facts, status_text

KEY = "sk-" + "ant-api03-" + "Zq8fK2mVb7Lx0TjR4cWn9HsYd3PgUa6E" + "-Q1oBvXw5"
"""Put together here: no file of the project holds anything of the shape of a key."""


@pytest.fixture(scope="module")
def finished(smoke, tmp_path_factory):
    """(checkout, paths) of a run that went to its end and was verified. Its base has a parent, which its repository lacks."""
    folder, _ = whole_run(tmp_path_factory, "original")
    return Checkout(folder), paths_in(folder)


@pytest.fixture(scope="module")
def packed(finished, tmp_path_factory):
    """(file, facts) of that run, with transcripts."""
    out = tmp_path_factory.mktemp("out") / "x.aar.tar.gz"
    return out, bundle_run(finished[1], out, True, [], lambda text: None)


@pytest.fixture
def copy(finished, tmp_path):
    """The same run in a folder of its own, to be spoiled."""
    root = tmp_path / ".aar" / "runs" / "sent"
    shutil.copytree(finished[1].root, root, ignore=shutil.ignore_patterns("*.sock", "worktree", "home", "solo*"))
    return RunPaths(root)


@pytest.fixture
def place(tmp_path):
    """An empty repository to open bundles in."""
    folder = tmp_path / "place"
    subprocess.run(["git", "init", "--quiet", str(folder)], check=True)
    return folder


def opened(place, file, name=None) -> RunPaths:
    return open_bundle(place, file, name, lambda text: None)


def members(file) -> dict[str, bytes]:
    with tarfile.open(file) as tar:
        return {info.name: tar.extractfile(info).read() for info in tar.getmembers()}


def everything(file: Path) -> bytes:
    """All bytes of a bundle as its receiver can see them: of the archive, and of each git object in it."""
    data = gzip.decompress(file.read_bytes())
    place = file.parent / "seen"
    shutil.rmtree(place, ignore_errors=True)
    subprocess.run(["git", "init", "--quiet", str(place)], check=True)
    paths = opened(place, file)
    return data + subprocess.check_output(["git", "--git-dir", str(paths.repo), "cat-file", "--batch-all-objects", "--batch"])


# -- there and back ---------------------------------------------------------------------------------------------------------


def test_a_run_is_read_elsewhere_as_it_is_read_here(finished, packed, place):
    _, sent = finished
    tells = []
    got = open_bundle(place, packed[0], None, tells.append)
    assert got.root == place / ".aar" / "runs" / "sent" and find_run(place, None).name == "sent"
    mine, theirs = read_config(sent), read_config(got)
    assert theirs.pop("user_git") == str(place / ".git") and mine.pop("user_git") and mine == theirs
    assert Ledger(got.ledger).verdicts == Ledger(sent.ledger).verdicts and Ledger(got.ledger).submissions == Ledger(sent.ledger).submissions
    facts = status_facts(got)
    assert facts["state"] == "finished" and facts["pid"] is None and status_text(facts)
    assert scores_text(leaderboard(Ledger(got.ledger))) == scores_text(leaderboard(Ledger(sent.ledger)))
    here, there = read_record(sent), read_record(got)
    assert there.closed and there.sealed == here.sealed and there.sealed
    assert there.sources() == here.sources() and len(there.sources()) == len(here.submissions) > 0
    assert there.posts == here.posts and there.trailers() == here.trailers() and there.base_methods() == here.base_methods()
    assert read_jsonl(got.agent("agent-1") / "transcript.jsonl") == read_jsonl(sent.agent("agent-1") / "transcript.jsonl")
    assert any("base commit" in text and f"--git-dir {got.repo}" in text for text in tells)
    heads = [subprocess.check_output(["git", "--git-dir", str(p.repo), "for-each-ref"]) for p in (sent, got)]
    assert heads[0] == heads[1] and not (got.repo / "hooks").exists() and os.stat(got.evaluator).st_mode & 0o777 == 0o700


def test_from_the_command_line_into_a_checkout_that_has_the_base(finished, tmp_path):
    sender, sent = finished
    code, printed = sender.aar("bundle", "sent", "--out", str(tmp_path / "sent.aar.tar.gz"))
    assert code == 0 and "a second search of the finished file found none" in printed, printed
    (tmp_path / "receiver").mkdir()
    with with_commands(tmp_path / "receiver") as receiver:
        receiver.git("fetch", "--quiet", str(sender.folder), "main:theirs")
        code, printed = receiver.aar("open", str(tmp_path / "sent.aar.tar.gz"), "--as", "from-alice")
        assert code == 0 and "branches are in your repository" in printed, printed
        assert receiver.git("rev-parse", "aar/sent/agent-1") == sender.git("rev-parse", "aar/sent/agent-1")
        assert int(receiver.git("rev-list", "--count", "aar/sent/agent-1").strip()) > 2, "with the history that was here before"
        assert receiver.git("status", "--porcelain") == "" and receiver.git("branch", "--show-current").strip() == "main"
        for command in ("status", "scores", "log"):
            code, printed = receiver.aar(command, "from-alice")
            assert code == 0 and "agent-1" in printed and GIVEN in printed, printed
            assert GIVEN not in sender.aar(command, "sent")[1]
        for command in (["resume", "from-alice"], ["verify", "from-alice"], ["say", "from-alice", "hello"], ["stop", "from-alice"]):
            code, printed = receiver.aar(*command)
            assert code == 2 and printed.strip().splitlines()[-1].startswith("aar: run from-alice was opened from the bundle"), printed
        code, printed = receiver.aar("clean", "from-alice", "--force", "--yes")
        assert code == 0 and not receiver.git("branch", "--list", "aar/sent/*"), printed


def test_a_run_of_a_repository_with_one_commit_alone_is_opened_as_well(smoke, checkout, place, tmp_path):
    from tests.swarm.opened import Run

    run = Run(checkout, "root", scores=False)
    run.close()
    bundle_run(run.paths, tmp_path / "r.aar.tar.gz", False, [], lambda text: None)
    assert read_record(opened(place, tmp_path / "r.aar.tar.gz")).base_methods()


def test_what_is_opened_can_be_packed_and_opened_again(packed, place, tmp_path):
    got = opened(place, packed[0], "second")
    bundle_run(got, tmp_path / "again.aar.tar.gz", True, [], lambda text: None)
    again = opened(place, tmp_path / "again.aar.tar.gz", "third")
    assert Ledger(again.ledger).verdicts == Ledger(got.ledger).verdicts and read_record(again).sealed == read_record(got).sealed


def test_an_opened_run_is_read_and_nothing_goes_on_with_it(packed, place):
    got = opened(place, packed[0], "theirs")
    before = {file: file.read_bytes() for file in got.root.rglob("*") if file.is_file()}
    for attempt in (
        lambda: operate(got), lambda: verify(got, ["s0001"], print), lambda: join(got, "alice", None, ["true"]), lambda: stop_run(got),
        lambda: say_in_forum(got, "alice", "insight", "hello", "there"), lambda: paid_again(got, None, False, print),
    ):  # fmt: skip
        with pytest.raises(UserError, match="opened from the bundle x.aar.tar.gz: it can be looked at"):
            attempt()
    publish_board(got, "Report")
    assert {file: file.read_bytes() for file in got.root.rglob("*") if file.is_file()} == before


def test_branches_of_the_same_name_in_the_users_repository_are_neither_moved_nor_cleaned_away(finished, packed, tmp_path):
    sender, sent = finished
    before = sender.git("for-each-ref")
    tells = []
    got = open_bundle(sender.folder, packed[0], "mine-again", tells.append)
    assert sender.git("for-each-ref") == before and "stay as they are" in tells[-1]
    plan = clean_plan(got, True, sender.folder)
    assert plan["delete"] == []
    clean_run(got, plan, sender.folder)
    assert sender.git("for-each-ref") == before and not got.root.exists() and sent.root.exists()


# -- what is in it, and what never is ------------------------------------------------------------------------------------------


def test_only_what_a_reader_needs_is_in_it(finished, packed):
    _, sent = finished
    names = set(members(packed[0]))
    posts = {f"board/forum/{file.name}" for file in sent.forum.glob("2*.md")}
    assert posts and posts <= names
    rest = {name for name in names - posts if not name.startswith("board/prompts/")}
    assert rest - {"pairs.json", "isolation.json", "transfer.json"} == {
        "manifest.json", "run.toml", "ledger.jsonl", "diversity.jsonl", "state.json", "repo.bundle", "evaluator/sealed.jsonl",
        "board/results.tsv", "board/results.md", "board/verification.md",
        *(f"agent-{number}/{name}" for number in (1, 2) for name in ("transcript.jsonl", "agent.log")),
    }  # fmt: skip
    assert {"board/prompts/researcher.md", "board/prompts/rendered/agent-1.md"} <= names
    manifest = json.loads(members(packed[0])["manifest.json"])
    assert manifest["sealed"] and manifest["transcripts"] and set(manifest["branches"]) == {"board", "agent-1", "agent-2"}
    with tarfile.open(packed[0]) as tar:
        assert all((info.uid, info.gid, info.uname, info.gname, info.mtime) == (0, 0, "", "", 0) for info in tar.getmembers())


def test_nothing_of_the_machine_is_in_it(finished, packed):
    sender, sent = finished
    data = everything(packed[0])
    secret = (sent.evaluator / "secret").read_bytes()
    predictions = next(file.read_bytes() for file in (sent.evaluator / "predictions").iterdir() if file.stat().st_size > 100)
    for forbidden in (secret, secret.hex().encode(), predictions[:100], str(sender.folder).encode(), os.environ["AAR_HOME"].encode()):
        assert forbidden not in data


def test_without_being_asked_transcripts_stay_and_before_a_run_is_closed_so_do_sealed_verdicts(copy, tmp_path):
    (copy.board / "verification.md").unlink()  # the verification was cut off
    facts = bundle_run(copy, tmp_path / "x.aar.tar.gz", False, [], lambda text: None)
    names = members(tmp_path / "x.aar.tar.gz")
    assert not any("transcript" in name or "sealed" in name or name.endswith(".log") for name in names)
    assert facts["left_out"] == ["transcripts", "sealed verdicts: the run is not closed"] and not facts["sealed"]


def test_one_of_a_kind_is_told_as_one():
    facts = {"file": "/x.aar.tar.gz", "run": "r", "branches": {"agent-1": "c"}, "members": 1, "bytes": 1, "sha256": "0", "redacted": 1}
    text = bundle_text({**facts, "kinds": {}, "paths": 1, "left_out": []})
    assert "1 branch, 1 file, " in text and "1 secret, 1 path of this machine" in text
    assert text.endswith("python aar.py open x.aar.tar.gz")
    odd = bundle_text({**facts, "file": "/tmp/o d'd;.aar", "kinds": {}, "paths": 1, "left_out": []})
    assert shlex.split(odd.rpartition("types: ")[2]) == ["python", "aar.py", "open", "o d'd;.aar"]
    assert "2 branches, 1 file" in bundle_text({**facts, "branches": {"a": "", "b": ""}, "kinds": {}, "paths": 0, "left_out": []})


def test_a_folder_in_which_nothing_can_be_made_is_one_line(finished, tmp_path):
    for out in ("/proc/x.aar.tar.gz", tmp_path / "nowhere" / "x.aar.tar.gz"):
        with pytest.raises(UserError, match=r"(cannot be|no folder that can be) written to.*name a file in another"):
            bundle_run(finished[1], Path(out), False, [], lambda text: None)


def test_a_file_that_is_there_is_never_written_over(finished, tmp_path):
    out = tmp_path / "x.aar.tar.gz"
    out.write_text("mine")
    with pytest.raises(UserError, match="exists already"):
        bundle_run(finished[1], out, False, [], lambda text: None)
    assert out.read_text() == "mine" and os.listdir(tmp_path) == [out.name]
    with pytest.raises(UserError, match="--without agent-7: run sent has agent-1, agent-2, board"):
        bundle_run(finished[1], tmp_path / "y", False, ["agent-7"], lambda text: None)


# -- planted secrets ------------------------------------------------------------------------------------------------------------


def test_a_key_in_a_transcript_and_in_the_ledger_is_taken_out_and_the_lines_still_parse(copy, tmp_path):
    append_jsonl(copy.agent("agent-1") / "transcript.jsonl", {"kind": "bash", "output": f'{{"key": "{KEY}"}}\n{Path.home()}/.netrc'})
    append_jsonl(copy.ledger, {"kind": "event", "event": "claim", "agent": "agent-2", "detail": f"try {KEY}", "time": "2026-11-28T23:15:49Z"})
    facts = bundle_run(copy, tmp_path / "x.aar.tar.gz", True, [], lambda text: None)
    assert facts["kinds"] == {"anthropic-key": 2} and facts["redacted"] == 2
    found = members(tmp_path / "x.aar.tar.gz")
    last = json.loads(found["agent-1/transcript.jsonl"].splitlines()[-1])["output"]
    assert last == '{"key": "[REDACTED:anthropic-key]"}\n~/.netrc'
    assert json.loads(found["ledger.jsonl"].splitlines()[-1])["detail"] == "try [REDACTED:anthropic-key]"
    assert KEY.encode() not in everything(tmp_path / "x.aar.tar.gz")


def test_a_key_in_a_post_is_taken_out_of_its_text_and_of_the_name_of_its_file(copy, tmp_path):
    name = write_post(copy.forum, "agent-1", "insight", f"Use {KEY}", f"My key is {KEY}, all of you.")
    assert "sk-ant-api03-zq8" in name
    bundle_run(copy, tmp_path / "x.aar.tar.gz", False, [], lambda text: None)
    data = everything(tmp_path / "x.aar.tar.gz")
    assert KEY.encode() not in data and KEY.lower()[:20].encode() not in data
    post = next(text for name, text in members(tmp_path / "x.aar.tar.gz").items() if "REDACTED-anthropic-key" in name).decode()
    assert "My key is [REDACTED:anthropic-key], all of you." in post


@pytest.mark.parametrize("where", ["file", "message", "name", "note that was removed again"])
def test_a_key_in_a_commit_is_told_with_branch_commit_path_and_kind_and_the_branch_can_be_left_out(where, copy, tmp_path, place):
    repo = open_repo(copy, read_config(copy))
    path = f"methods/{KEY}.py" if where == "name" else "methods/leak.py"
    data = f"# {KEY}\n".encode() if where in ("file", "note that was removed again") else b"# nothing\n"
    commit = repo.commit("agent-2", {path: data}, lambda path: False, f"Try {KEY}" if where == "message" else "Try it", [])
    if where.startswith("note"):
        repo.commit("agent-2", {}, lambda one: one == path, "Gone", [])
    with pytest.raises(UserError) as told:
        bundle_run(copy, tmp_path / "x.aar.tar.gz", False, [], lambda text: None)
    words = str(told.value)
    assert KEY not in words and "agent-2" in words and commit[:12] in words and "anthropic-key" in words and "--without agent-2" in words
    assert ("its message" if where == "message" else "methods") in words and "agent-1" not in words and "\n" not in words
    assert not list(tmp_path.glob("*x.aar*")) and not list(tmp_path.glob(".aar-bundle*"))
    facts = bundle_run(copy, tmp_path / "x.aar.tar.gz", False, ["agent-2"], lambda text: None)
    assert "branch of agent-2" in facts["left_out"] and KEY.encode() not in everything(tmp_path / "x.aar.tar.gz")
    record = read_record(opened(place, tmp_path / "x.aar.tar.gz"))
    told_of = {v["agent"]: record.source(name) for name, v in record.verdicts.items()}
    assert told_of["agent-1"] and told_of["agent-2"] is None, "its verdicts are there, and its code is not"


def test_a_key_in_a_post_that_was_committed_stands_in_the_way_until_the_board_is_left_out(copy, tmp_path):
    write_post(copy.forum, "agent-1", "insight", "Look", f"My key is {KEY}.")
    Board(copy, open_repo(copy, read_config(copy))).commit("Board")
    with pytest.raises(UserError, match="board in commit .* board/forum|board in commit .* forum/.*--without board"):
        bundle_run(copy, tmp_path / "x.aar.tar.gz", False, [], lambda text: None)
    bundle_run(copy, tmp_path / "x.aar.tar.gz", False, ["board"], lambda text: None)
    assert KEY.encode() not in everything(tmp_path / "x.aar.tar.gz")


def test_a_key_in_the_compressed_part_of_a_committed_report_stands_in_the_way_until_the_board_is_left_out(copy, tmp_path):
    scored = next(one for one in Ledger(copy.ledger).verdicts.values() if one["status"] == "scored")
    said = {"kind": "submission", **{key: scored[key] for key in ("agent", "commit", "method")}, "parents": [], "time": scored["time"]}
    append_jsonl(copy.ledger, {**said, "submission": "s0900", "message": f"{'It goes on and on. ' * 30}{KEY}{' It goes on and on.' * 30}"})
    write_report(copy, copy.board / "report.html", False, None)
    page = (copy.board / "report.html").read_bytes()
    assert KEY.encode() not in page and any(KEY.encode() in text for text in texts_of(page)), "only its parts have it"
    Board(copy, open_repo(copy, read_config(copy))).commit("Report", at_the_end=True)
    with pytest.raises(UserError) as told:
        bundle_run(copy, tmp_path / "x.aar.tar.gz", False, [], lambda text: None)
    words = str(told.value)
    assert "board in commit" in words and "report.html (anthropic-key)" in words and "--without board" in words and KEY not in words
    facts = bundle_run(copy, tmp_path / "x.aar.tar.gz", False, ["board"], lambda text: None)
    assert facts["kinds"] == {"anthropic-key": 1} and not any(name.endswith(".html") for name in members(tmp_path / "x.aar.tar.gz"))
    assert KEY.encode() not in everything(tmp_path / "x.aar.tar.gz")


def test_what_a_page_holds_is_read_as_a_browser_shows_it_and_what_cannot_be_unpacked_is_passed_over():
    chunk = packed_json({"lines": ['say "a&b"\n']})
    page = f'<p>x &amp; y</p><script id="d">"\\u003cz\\u003e"</script><script type="text/plain" data-chunk="0">{chunk}</script>'
    texts = list(texts_of((page + '<script data-chunk="1" type="text/plain">AAAA</script>').encode()))
    assert b"<p>x & y</p>" in texts[0] and b"<z>" in texts[0] and set(texts[-1].split(b"\0")) == {b"lines", b'say "a&b"\n'}
    assert list(texts_of(b"<script>1</script>")) == [] and list(texts_of(b"\xff data-chunk")) == []


def test_a_run_without_its_repository_or_with_a_torn_file_is_one_line_that_says_what_can_be_done(copy, tmp_path, place):
    state = copy.state.read_text()
    copy.state.write_text(state[:-20])
    with pytest.raises(UserError, match="state.json cannot be read .*mended, or moved away") as told:
        bundle_run(copy, tmp_path / "x.aar.tar.gz", False, [], lambda text: None)
    assert "\n" not in str(told.value)
    copy.state.write_text(state)
    shutil.rmtree(copy.repo)
    with pytest.raises(UserError, match="repo.git is no repository: .*--without agent-1 --without agent-2 --without board"):
        bundle_run(copy, tmp_path / "x.aar.tar.gz", False, [], lambda text: None)
    bundle_run(copy, tmp_path / "x.aar.tar.gz", False, ["agent-1", "agent-2", "board"], lambda text: None)
    assert status_facts(opened(place, tmp_path / "x.aar.tar.gz"))["state"] == "finished"
    assert not list(tmp_path.glob(".aar-bundle*"))


def test_a_key_of_the_environment_is_found_in_history_though_it_has_no_shape(copy, tmp_path, monkeypatch):
    monkeypatch.setenv("SOME_MAKERS_API_KEY", "plain words make a key")
    repo = open_repo(copy, read_config(copy))
    repo.commit("agent-1", {"notes/a.md": b"plain words make a key\n"}, lambda path: False, "Note", [])
    with pytest.raises(UserError, match="agent-1 in commit [0-9a-f]{12} notes/a.md .the value of SOME_MAKERS_API_KEY in your environment"):
        bundle_run(copy, tmp_path / "x.aar.tar.gz", False, [], lambda text: None)


def test_a_key_in_the_commit_that_all_start_from_has_another_remedy(smoke, checkout, place, tmp_path):
    from tests.swarm.opened import Run

    (checkout.folder / "methods" / "leak.py").write_text(f'"""Leaks."""\nKEY = "{KEY}"\n')
    checkout.git("add", "-A")
    checkout.git("commit", "--quiet", "-m", "leak")
    run = Run(checkout, "leaky", scores=False)
    run.close()
    with pytest.raises(UserError) as told:
        bundle_run(run.paths, tmp_path / "x.aar.tar.gz", False, [], lambda text: None)
    words = str(told.value)
    assert "start from: the base in commit" in words and "methods/leak.py" in words and "revoke that key" in words and KEY not in words
    everyone = ["agent-1", "agent-2", "board"]
    assert " ".join(f"--without {name}" for name in everyone) in words
    bundle_run(run.paths, tmp_path / "x.aar.tar.gz", False, everyone, lambda text: None)
    got = opened(place, tmp_path / "x.aar.tar.gz")
    assert "repo.bundle" not in members(tmp_path / "x.aar.tar.gz") and read_record(got).base_methods() == {} and status_facts(got)


# -- bundles that nobody should trust --------------------------------------------------------------------------------------------


def forge(target: Path, files: dict[str, bytes], told: dict | None = None, tamper=None) -> Path:
    """A bundle of these files whose manifest fits them. `told`: what the manifest says otherwise; `tamper(tar)` adds more."""
    manifest = {**json.loads(files["manifest.json"]), **(told or {})}
    rest = {name: data for name, data in files.items() if name != "manifest.json"}
    if "members" not in (told or {}):
        manifest["members"] = [{"name": n, "sha256": hashlib.sha256(d).hexdigest(), "bytes": len(d)} for n, d in rest.items()]
    with tarfile.open(target, "w:gz", format=tarfile.GNU_FORMAT) as tar:
        for name, data in {"manifest.json": json.dumps(manifest).encode(), **rest}.items():
            info = tarfile.TarInfo(name)
            info.size = len(data)
            tar.addfile(info, io.BytesIO(data))
        if tamper:
            tamper(tar)
    return target


def refused(place, file, words):
    with pytest.raises(UserError, match=words) as told:
        opened(place, file)
    assert "\n" not in str(told.value)
    left = sorted(path for path in place.rglob("*") if ".git/" not in str(path) and path.name != ".git")
    assert [path.name for path in left] == [".aar", ".gitignore", "runs"], "nothing is left behind"


def link(kind):
    def add(tar):
        info = tarfile.TarInfo("board/forum/20260101T000000Z-agent-1-x.md")
        info.type, info.linkname = kind, "/etc/passwd"
        tar.addfile(info)

    return add


def extra(name, data=b"x"):
    def add(tar):
        info = tarfile.TarInfo(name)
        info.size = len(data)
        tar.addfile(info, io.BytesIO(data))

    return add


@pytest.mark.parametrize("tamper, words", [
    (link(tarfile.SYMTYPE), "no plain file"), (link(tarfile.LNKTYPE), "no plain file"), (link(tarfile.FIFOTYPE), "no plain file"),
    (link(tarfile.CHRTYPE), "no plain file"), (link(tarfile.XHDTYPE), "no plain file"), (extra("../../evil"), "no bundle may hold"),
    (extra("/tmp/evil"), "no bundle may hold"), (extra("agent-1/../x/transcript.jsonl"), "no bundle may hold"),
    (extra("repo.git/hooks/post-checkout"), "no bundle may hold"), (extra("opened.json"), "no bundle may hold"),
    (extra("board/forum/20260101T000000Z-agent-1-more.md"), "not what its manifest says"), (extra("ledger.jsonl"), "not what its manifest says"),
    (extra("board/forum/" + "a" * 120 + "/../../../x.md"), "no bundle may hold"), (extra("\x1b[2J\nx"), "no bundle may hold"),
])  # fmt: skip
def test_a_member_that_is_not_on_the_list_or_no_plain_file_is_refused(tamper, words, packed, place, tmp_path):
    refused(place, forge(tmp_path / "f", members(packed[0]), tamper=tamper), words)


def changed(name, old, new):
    return lambda files: {**files, name: files[name].replace(old, new, 1)}


def line_added(name, record):
    return lambda files: {**files, name: files[name] + (json.dumps(record).encode() if isinstance(record, dict) else record) + b"\n"}


VERDICT = {
    "kind": "verdict", "submission": "s0900", "agent": "agent-1", "commit": "a" * 40, "method": "methods/x.py", "track": "main",
    "status": "scored", "rung": "full", "draws": 8, "pgr": 0.5, "pgr_low": 0.4, "pgr_high": 0.6, "lift": 0.1, "lift_low": 0.0,
    "lift_high": 0.2, "accuracy": 0.7, "isolation": "bubblewrap", "time": "2026-11-28T23:15:49Z",
}  # fmt: skip


def test_a_verdict_that_is_as_it_should_be_is_let_through_with_fields_that_nobody_knows(packed, place, tmp_path):
    files = line_added("ledger.jsonl", {**VERDICT, "later": {"a": 1}})(members(packed[0]))
    got = opened(place, forge(tmp_path / "f", files))
    assert Ledger(got.ledger).verdicts["s0900"]["later"] == {"a": 1}


@pytest.mark.parametrize("spoil, words", [
    (line_added("ledger.jsonl", {**VERDICT, "agent": "../../x"}), "ledger.jsonl line .*agent"),
    (line_added("ledger.jsonl", {**VERDICT, "method": "../x.py"}), "ledger.jsonl line .*method"),
    (line_added("ledger.jsonl", {**VERDICT, "commit": "--output=/tmp/x"}), "ledger.jsonl line .*commit"),
    (line_added("ledger.jsonl", {**VERDICT, "pgr": "0.9"}), "ledger.jsonl line .*pgr"),
    (line_added("ledger.jsonl", {**VERDICT, "pgr": float("nan")}), "ledger.jsonl line .*pgr"),
    (line_added("ledger.jsonl", {**VERDICT, "pgr_low": None}), "pgr without its interval"),
    (line_added("ledger.jsonl", {**VERDICT, "track": "\x1b[2J"}), "ledger.jsonl line .*track"),
    (line_added("ledger.jsonl", {**VERDICT, "time": "2026-99-28T23:15:49Z"}), "ledger.jsonl line .*time"),
    (line_added("ledger.jsonl", {"kind": "other"}), "ledger.jsonl line .*event"),
    (line_added("ledger.jsonl", b"no json"), "ledger.jsonl line .*no JSON"),
    (line_added("ledger.jsonl", b"[" * 100_000), "ledger.jsonl line .*no JSON"),
    (line_added("agent-1/transcript.jsonl", b"[1]"), "transcript.jsonl line .*no JSON object"),
    (changed("run.toml", b'name = "sent"', b'name = "../x"'), "run.toml"),
    (changed("run.toml", b'name = "sent"', b'name = "other"'), "another name than its manifest"),
    (changed("run.toml", b'name = "agent-1"', b'name = "evaluator"'), "agent called evaluator"),
    (changed("run.toml", b'task = "smoke"', b'task = "smoke\\u001b[2J"'), "run.toml"),
    (changed("run.toml", b'name = "sent"', b'name = '), "run.toml cannot be read"),
    (changed("state.json", b'"state": "finished"', b'"state": 7'), "state.json"),
    (changed("evaluator/sealed.jsonl", b'"rung":"sealed"', b'"rung":7'), "sealed.jsonl line 1"),
    (lambda files: {name: data for name, data in files.items() if name != "run.toml"}, "no run.toml"),
    (changed("board/results.md", b"#", b"\xff"), "not UTF-8"),
    (lambda files: {**files, "agent-9/agent.log": b""}, "agent-9, who is no agent"),
    (lambda files: {**files, "repo.bundle": files["repo.bundle"][:-3000]}, "history in the bundle is not in order"),
    (lambda files: {**files, "repo.bundle": b"nothing"}, "history in the bundle is not in order"),
    (lambda files: {name: data for name, data in files.items() if name != "repo.bundle"}, "history in the bundle is not in order"),
])  # fmt: skip
def test_files_that_a_view_would_fall_over_are_refused_with_a_line_that_says_where(spoil, words, packed, place, tmp_path):
    files = spoil(members(packed[0]))
    assert files != members(packed[0])
    refused(place, forge(tmp_path / "f", files), words)


def sealed_raised(files):
    """One sealed figure and its interval made better, in its file alone."""
    first, *rest = files["evaluator/sealed.jsonl"].splitlines(keepends=True)
    verdict = json.loads(first)
    better = {key: value + 0.2 for key, value in verdict.items() if key in ("pgr", "pgr_low", "pgr_high") and value is not None}
    assert len(better) == 3
    return {**files, "evaluator/sealed.jsonl": b"".join([json.dumps({**verdict, **better, "pgr_by_draw": None}).encode() + b"\n", *rest])}


def verdict_raised(files):
    lines = [json.loads(line) for line in files["ledger.jsonl"].splitlines()]
    one = next(line for line in lines if line["kind"] == "verdict" and line["pgr"] is not None and line["track"] == "main")
    one |= {**{key: one[key] + 0.2 for key in ("pgr", "pgr_low", "pgr_high")}, "pgr_by_draw": None}
    return {**files, "ledger.jsonl": b"".join(json.dumps(line).encode() + b"\n" for line in lines)}


def without_board_files(files):
    return {name: data for name, data in files.items() if name not in ("board/results.tsv", "board/verification.md")}


@pytest.mark.parametrize("spoil, words", [
    (sealed_raised, "sealed.jsonl has other figures of s.* than the board's verification.md .file"),
    (lambda files: sealed_raised(without_board_files(files)), "sealed.jsonl has other figures of s.* .branch"),
    (verdict_raised, "ledger.jsonl has another PGR of s.* .file"),
    (lambda files: verdict_raised(without_board_files(files)), "ledger.jsonl has another PGR of s.* .branch"),
    (line_added("board/verification.md", b"| s0001 | finalist |"), "verification.md is another than the one on its branch"),
])  # fmt: skip
def test_a_bundle_that_contradicts_its_own_board_is_refused(spoil, words, packed, place, tmp_path):
    refused(place, forge(tmp_path / "f", spoil(members(packed[0]))), words)


@pytest.mark.parametrize("told, words", [
    ({"format": 2}, "another version"), ({"run": "../x"}, "manifest is not as it should be at 'run'"), ({"base": "HEAD"}, "'base'"),
    ({"branches": {"../../main": "a" * 40}}, "branches"), ({"branches": {"agent-1": "a" * 40}}, "other branches than its manifest"),
    ({"members": []}, "not what its manifest says"),
])  # fmt: skip
def test_a_manifest_that_lies_is_refused(told, words, packed, place, tmp_path):
    refused(place, forge(tmp_path / "f", members(packed[0]), told), words)


def test_a_changed_byte_a_torn_file_and_no_bundle_at_all_are_refused(packed, place, tmp_path):
    files = members(packed[0])
    manifest = json.loads(files["manifest.json"])
    files["ledger.jsonl"] = files["ledger.jsonl"].replace(b"agent-1", b"agent-2", 1)
    refused(place, forge(tmp_path / "a", files, {"members": manifest["members"]}), "sha256")
    (tmp_path / "b").write_bytes(packed[0].read_bytes()[:-20_000])
    refused(place, tmp_path / "b", "damaged|ends too early")
    (tmp_path / "c").write_bytes(b"PK nothing")
    refused(place, tmp_path / "c", "cannot be opened")
    (tmp_path / "d").write_bytes(gzip.compress(b"\x01" * 5000))
    refused(place, tmp_path / "d", "damaged")


def test_a_member_that_says_it_is_huge_is_refused_before_it_is_unpacked(packed, place, tmp_path):
    files = members(packed[0])
    header = tarfile.TarInfo("ledger.jsonl")
    header.size = 2**40
    first = tarfile.TarInfo("manifest.json")
    first.size = len(files["manifest.json"])
    padding = b"\0" * (-first.size % 512)
    tar = first.tobuf(tarfile.GNU_FORMAT) + files["manifest.json"] + padding + header.tobuf(tarfile.GNU_FORMAT) + b"\0" * 10_000
    (tmp_path / "f").write_bytes(gzip.compress(tar))
    refused(place, tmp_path / "f", "impossible size")


def test_a_bundle_is_opened_where_the_folder_of_runs_is_on_another_disk(packed, place):
    with tempfile.TemporaryDirectory(dir="/dev/shm") as elsewhere:
        if os.stat(elsewhere).st_dev == os.stat(place).st_dev:
            pytest.skip("there is no other disk here")
        (place / ".aar").mkdir()
        (place / ".aar" / "runs").symlink_to(elsewhere)
        got = opened(place, packed[0], "o4")
        assert got.toml.is_file() and os.listdir(elsewhere) == ["o4"]


def test_a_name_that_is_taken_is_refused_and_another_one_is_free(packed, place):
    opened(place, packed[0])
    with pytest.raises(UserError, match="there is a run sent here already: .*--as NAME"):
        opened(place, packed[0])
    with pytest.raises(UserError, match="--as '../x'"):
        opened(place, packed[0], "../x")
    assert opened(place, packed[0], "other").name == "other"


def test_hooks_and_configuration_of_whoever_packed_it_have_no_say(finished, copy, place, tmp_path):
    marker = tmp_path / "ran"
    hooks = copy.repo / "hooks"
    hooks.mkdir(exist_ok=True)
    for name in ("post-checkout", "reference-transaction", "post-update"):
        (hooks / name).write_text(f"#!/bin/sh\ntouch {marker}\n")
        (hooks / name).chmod(0o755)
    with open(copy.repo / "config", "a") as config:
        config.write(f"[core]\n\tfsmonitor = touch {marker}\n\tsshCommand = touch {marker}\n")
    bundle_run(copy, tmp_path / "x.aar.tar.gz", False, [], lambda text: None)
    got = opened(place, tmp_path / "x.aar.tar.gz")
    assert not marker.exists() and "fsmonitor" not in (got.repo / "config").read_text() and not (got.repo / "hooks").exists()


def test_a_tree_that_would_write_into_git_and_a_branch_from_elsewhere_are_refused(finished, packed, copy, place, tmp_path):
    repo = ["git", "--git-dir", str(copy.repo)]

    def run(*arguments, data=b""):
        return subprocess.check_output([*repo, *arguments], input=data).decode().strip()

    blob = run("hash-object", "-w", "--stdin", data=b"[core]\n\tfsmonitor = touch /tmp/x\n")
    inner = run("mktree", data=f"100644 blob {blob}\tconfig\n".encode())
    evil = run("hash-object", "-t", "tree", "-w", "--literally", "--stdin", data=b"40000 .git\0" + bytes.fromhex(inner))
    identity = ("-c", "user.name=x", "-c", "user.email=x@example.org")
    base = read_config(copy)["base"]
    for tree, parents, words in ((evil, ["-p", base], "not in order"), (inner, [], "not in order")):
        commit = run(*identity, "commit-tree", tree, *parents, data=b"x")
        run("update-ref", "refs/heads/aar/sent/agent-1", commit)
        run("bundle", "create", "--quiet", str(tmp_path / "b"), "--branches=aar/sent/*")
        files = members(packed[0]) | {"repo.bundle": (tmp_path / "b").read_bytes()}
        branches = {**json.loads(files["manifest.json"])["branches"], "agent-1": commit}
        refused(place, forge(tmp_path / "f", files, {"branches": branches}), words)


def forged(packed, copy, tmp_path, branch: str, tree_of, parents=1, message=b"x") -> tuple[Path, str]:
    """A bundle whose branch has one more commit, with the tree that `tree_of(run, head)` makes; the bundle and that commit."""

    def run(*arguments, data=b"", env=None):
        command = ["git", "--git-dir", str(copy.repo), *arguments]
        return subprocess.check_output(command, input=data, env={**os.environ, **(env or {})}).decode().strip()

    ref = f"refs/heads/aar/sent/{branch}"
    heads = [run("rev-parse", ref), run("rev-parse", "refs/heads/aar/sent/agent-2")][:parents]
    identity = ("-c", "user.name=x", "-c", "user.email=x@example.org")
    commit = run(*identity, "commit-tree", tree_of(run, heads[0]), *(word for head in heads for word in ("-p", head)), data=message)
    run("update-ref", ref, commit)
    run("bundle", "create", "--quiet", str(tmp_path / "b"), "--branches=aar/sent/*")
    files = members(packed[0]) | {"repo.bundle": (tmp_path / "b").read_bytes()}
    return forge(tmp_path / "f", files, {"branches": {**json.loads(files["manifest.json"])["branches"], branch: commit}}), commit


def added(path: str, mode: str = "100644", data: bytes = b"x = 1\n", tmp_index="index-of-test"):
    """A tree with one more file."""

    def tree_of(run, head):
        index = {"GIT_INDEX_FILE": tmp_index + head}
        run("read-tree", head, env=index)
        blob = head if mode == "160000" else run("hash-object", "-w", "--stdin", data=data)
        run("update-index", "--add", "--cacheinfo", f"{mode},{blob},{path}", env=index)
        tree = run("write-tree", env=index)
        (Path(tmp_index + head)).unlink()
        return tree

    return tree_of


def same(run, head):
    return run("rev-parse", f"{head}^{{tree}}")


@pytest.mark.parametrize("branch, path, mode, data, words", [
    ("agent-1", "Makefile", "100644", b"all:\n", "Makefile is nothing that an agent publishes"),
    ("agent-1", "conftest.py", "100644", b"x\n", "conftest.py is nothing that an agent publishes"),
    ("agent-1", ".github/workflows/x.yml", "100644", b"x\n", ".github/workflows/x.yml is nothing that an agent publishes"),
    ("agent-1", "methods/x.pth", "100644", b"x\n", "methods/x.pth is nothing"),
    ("agent-1", "forum/x.md", "100644", b"x\n", "forum/x.md is nothing"),
    ("agent-1", "methods/evil.py", "120000", b"/etc/passwd", "methods/evil.py is no plain file .mode 120000"),
    ("agent-1", "methods/evil.py", "100755", b"x\n", "methods/evil.py is no plain file .mode 100755"),
    ("agent-1", "methods/evil.py", "160000", b"", "methods/evil.py is no plain file .mode 160000"),
    ("agent-1", "methods/evil.py", "100644", b"# \x1b[2J\n", "methods/evil.py is no plain text"),
    ("agent-1", "notes/a.md", "100644", b"\xff", "notes/a.md is no plain text"),
    ("board", "Makefile", "100644", b"all:\n", "Makefile is nothing that the board has"),
    ("board", "forum/.x/a.md", "100644", b"x\n", "is nothing that the board has"),
    ("board", "prompts/x.py", "100644", b"x\n", "is nothing that the board has"), ("board", "forum/x.md", "120000", b"/etc/passwd", "is no plain file"),
])  # fmt: skip
def test_a_branch_with_what_aar_would_not_have_committed_is_refused_with_branch_commit_and_path(
    branch, path, mode, data, words, finished, packed, copy, tmp_path, monkeypatch
):  # fmt: skip
    monkeypatch.chdir(tmp_path)
    file, commit = forged(packed, copy, tmp_path, branch, added(path, mode, data))
    receiver = tmp_path / "receiver"
    subprocess.run(["git", "clone", "--quiet", str(finished[0].folder), str(receiver)], check=True)
    with pytest.raises(UserError, match=f"branch {branch}, commit {commit[:12]}: .*{words}.*nothing was opened") as told:
        open_bundle(receiver, file, "forged", lambda text: None)
    assert "\n" not in str(told.value) and not (receiver / ".aar" / "runs" / "forged").exists()
    assert b"aar/" not in subprocess.check_output(["git", "-C", str(receiver), "for-each-ref", "refs/heads"])
    with pytest.raises(UserError, match=f"{words}.*--without {branch}"):
        bundle_run(copy, tmp_path / "mine.aar.tar.gz", False, [], lambda text: None)


def test_a_merged_branch_and_a_message_that_steers_a_terminal_are_refused_and_more_of_the_same_is_opened(
    packed, copy, tmp_path, place, monkeypatch
):
    monkeypatch.chdir(tmp_path)
    file, commit = forged(packed, copy, tmp_path, "agent-1", added("methods/another.py"))
    assert commit in subprocess.check_output(["git", "--git-dir", str(opened(place, file, "fine").repo), "for-each-ref"]).decode()
    shutil.rmtree(place / ".aar")
    file, _ = forged(packed, copy, tmp_path, "agent-1", same, parents=2)
    refused(place, file, "branch agent-1, commit .*: it has 2 parents")
    subprocess.run(["git", "--git-dir", str(copy.repo), "update-ref", "refs/heads/aar/sent/agent-1", commit], check=True)
    file, _ = forged(packed, copy, tmp_path, "agent-1", same, message=b"\x1b]0;owned\x07")
    refused(place, file, "branch agent-1, commit .*: its message holds characters that steer a terminal")


def test_a_disk_that_is_full_is_named_by_the_folder_that_the_bundle_goes_to(tmp_path, monkeypatch, capsys):
    def onto_a_full_disk(*_):
        with open("/dev/full", "wb") as full:
            full.write(b"x")

    paths, out = make_run(tmp_path), tmp_path / "x.aar.tar.gz"
    monkeypatch.setattr("swarm.bundle.write_bundle", onto_a_full_disk)
    assert exit_code(lambda: bundle_run(paths, out, False, ["agent-1", "agent-2", "board"], len)) == 2
    assert capsys.readouterr().err == f"aar: the disk is full ({tmp_path}): free some space\n" and not out.exists()
