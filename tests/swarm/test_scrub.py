"""What leaves this machine: secrets and own paths are found and taken out, however they are written, and nothing else is touched.

Keys are put together here, so that no file of the project holds anything of their shape.
"""

import base64
import json
import random
import string
import subprocess
import time
from pathlib import Path
from urllib.parse import quote

import pytest
import tomli

from state.paths import RunPaths
from swarm.key_shapes import SHAPES
from swarm.scrub import Known, Scrubber, leaks, places_here, secrets_in

ROOT = Path(__file__).parents[2]
RNG = random.Random(7)


def made(length: int, of: str = string.ascii_letters + string.digits) -> str:
    """Something as random as a key; its letters and digits change places often."""
    return "".join(RNG.choice(of) for _ in range(length - 4)) + "x7Q2"


UPPER = string.ascii_uppercase + string.digits
PLANTED = {
    "anthropic-key": "sk-" + "ant-api03-" + made(95),
    "api-key": "sk-" + "proj-" + made(48),
    "api-key 2": "sk-" + "or-v1-" + made(64, "0123456789abcdef"),
    "github-token": "gh" + "p_" + made(36),
    "github-token 2": "github" + "_pat_" + made(60),
    "hub-token": "hf" + "_" + made(34),
    "aws-key": "AK" + "IA" + "".join(RNG.choice(UPPER) for _ in range(16)),
    "slack-token": "xo" + "xb-" + made(40),
    "gitlab-token": "gl" + "pat-" + made(20),
    "groq-key": "gs" + "k_" + made(52),
    "xai-key": "xa" + "i-" + made(80),
    "npm-token": "np" + "m_" + made(36),
    "pypi-token": "py" + "pi-" + "AgEIcHlwaS5vcmc" + made(120),
    "replicate-token": "r" + "8_" + made(37),
    "stripe-key": "sk" + "_live_" + made(24),
    "stripe-key 2": "rk" + "_live_" + made(24),
    "aws-secret": made(40, string.ascii_letters + string.digits + "+/"),
    "aws-secret 2": made(40, string.ascii_letters + string.digits + "+/"),
    "query-key": made(32),
    "query-key 2": made(32, "0123456789abcdef"),
    "google-key": "AI" + "za" + made(35),
    "jwt": "ey" + "J" + made(30) + ".ey" + "J" + made(60) + "." + made(43),
    "private-key": "-----BEGIN " + "RSA PRIVATE KEY-----\n" + "\n".join(made(64) for _ in range(6)) + "\n-----END RSA " + "PRIVATE KEY-----",
    "auth-header": made(40),
    "userinfo": "alice:" + made(16),
}
AROUND = {
    "aws-secret": "aws_secret_access" + "_key = {}", "aws-secret 2": "export AWS_SECRET_ACCESS" + '_KEY="{}"',
    "query-key": "https:/" + "/example.org/v1?api" + "_key={}&q=1", "query-key 2": "/v1?q=1&to" + "ken={}",
    "auth-header": "Authorization" + ": Bearer {}", "userinfo": "https:/" + "/{}@example.org/x.git",
}  # fmt: skip
RUN_SECRET = bytes(range(200, 232))
LONG = "".join(chr(33 + (7 * k) % 90) for k in range(150))
"""Longer than two lines of base64."""
VALUE = "correct-horse/" + 'battery"staple'


def planted(kind: str) -> str:
    return AROUND.get(kind, "{}").format(PLANTED[kind])


@pytest.fixture
def known() -> Known:
    return Known({"ANTHROPIC_API_KEY": VALUE, "LONG_KEY": LONG, "run-secret": RUN_SECRET})


def scrubbed(known: Known, name: str, data: bytes, places: dict | None = None) -> bytes:
    return Scrubber(known, places or {}).data(name, data)


@pytest.mark.parametrize("kind", PLANTED)
def test_each_shape_of_key_is_taken_out_of_text_and_out_of_json_that_stays_json(kind, known):
    secret = PLANTED[kind]
    text = f"I ran it\nwith {planted(kind)}, and it worked."
    marker = f"[REDACTED:{kind.split()[0]}]"
    assert secrets_in(text.encode(), known, strictly=True) == [kind.split()[0]], "the search finds what was planted"
    out = scrubbed(known, "post.md", text.encode()).decode()
    assert secret not in out and marker in out and out.startswith("I ran it\nwith ") and out.endswith(", and it worked.")
    nested = {"message": text, "inner": json.dumps({"text": text}), "list": [{"deep": text}]}
    line = json.dumps(nested, ensure_ascii=False).encode() + b"\n"
    assert leaks("ledger.jsonl", line, known, ())
    found = scrubbed(known, "ledger.jsonl", line)
    assert leaks("ledger.jsonl", found, known, ()) == []
    read = json.loads(found)
    assert set(read) == set(nested) and marker in read["message"] and marker in read["list"][0]["deep"]
    assert marker in json.loads(read["inner"])["text"], "JSON in a string of JSON is still JSON"


@pytest.mark.parametrize("form", ["plain", "json", "url", "hex", "base64", "base64 within", "url-safe", "slug"])
def test_a_value_of_the_environment_is_found_however_it_is_written(form, known):
    raw = VALUE.encode()
    written = {
        "plain": VALUE, "json": json.dumps(VALUE), "url": quote(VALUE, safe=""), "hex": raw.hex(),
        "base64": base64.b64encode(raw).decode(), "base64 within": base64.b64encode(b"user:" + raw + b"!").decode(),
        "url-safe": base64.urlsafe_b64encode(b"??" + raw).decode(), "slug": "20260101T000000Z-agent-1-correct-horse-battery-st.md",
    }[form]  # fmt: skip
    assert leaks("x.md", written.encode(), known, ()) == ["ANTHROPIC_API_KEY"]
    assert leaks("x.md", scrubbed(known, "x.md", f"it is {written} then".encode()), known, ()) == []
    line = json.dumps({"a": written}).encode() + b"\n"
    assert leaks("x.jsonl", scrubbed(known, "x.jsonl", line), known, ()) == []


@pytest.mark.parametrize("before", [0, 1, 30, 41, 50, 56, 57])
@pytest.mark.parametrize("end", ["\n", "\r\n"])
def test_a_value_is_found_in_base64_that_is_wrapped_wherever_its_lines_end(before, end, known):
    for value, kind in ((VALUE, "ANTHROPIC_API_KEY"), (LONG, "LONG_KEY")):
        done = subprocess.run(["base64"], input=b"#" * before + value.encode() + b" and more words behind it, enough for a line", capture_output=True, check=True)
        wrapped = done.stdout.decode().replace("\n", end)
        assert end in wrapped.strip()
        text = f"before\n{wrapped}after\n"
        assert kind in leaks("x.md", text.encode(), known, ())
        out = scrubbed(known, "x.md", text.encode())
        assert leaks("x.md", out, known, ()) == [] and out.startswith(b"before\n") and out.endswith(b"after\n")
        line = json.dumps({"output": text, "inner": json.dumps({"deep": text})}).encode() + b"\n"
        assert kind in leaks("x.jsonl", line, known, ())
        out = scrubbed(known, "x.jsonl", line)
        assert leaks("x.jsonl", out, known, ()) == [] and set(json.loads(out)) == {"output", "inner"}


@pytest.mark.parametrize("form", [RUN_SECRET, RUN_SECRET.hex().encode(), base64.b64encode(RUN_SECRET), repr(RUN_SECRET).encode()])
def test_the_secret_of_the_run_is_found_raw_in_hex_in_base64_and_as_python_prints_it(form, known):
    data = b"before " + form + b" after\n"
    assert leaks("agent.log", data, known, ()) == ["run-secret"]
    out = scrubbed(known, "agent.log", data)
    assert leaks("agent.log", out, known, ()) == [] and out.startswith(b"before ") and out.endswith(b" after\n")


@pytest.mark.parametrize("seed", range(20))
def test_what_was_scrubbed_once_holds_nothing_at_the_second_look_whatever_stands_beside_what(seed, known):
    rng = random.Random(seed)
    pieces = [*map(planted, PLANTED), *PLANTED.values(), VALUE, RUN_SECRET.hex(), "/root/a", "authorization", "x-api-key", "Bearer "]
    pieces += ["sk-", "://", "@", "a:b", '"', "'", "\\", "\n", ": ", " = ", '":"', ",", "{", "[REDACTED:x]", "é", "\u2028", "https:/" + "/", "-----", "word", "123456789"]
    places = {"/root": "~"}

    def text() -> str:
        return "".join(rng.choice(pieces) for _ in range(rng.randint(1, 12)))

    for _ in range(60):
        value = {text(): text(), "a": {text(): [text(), json.dumps({text(): text()})]}, rng.choice(["Authorization", "x-api-key", "aws_secret_access" + "_key"]): text()}
        line = json.dumps(value, ensure_ascii=rng.random() < 0.5).encode() + b"\n"
        out = scrubbed(known, "x.jsonl", line, places)
        assert leaks("x.jsonl", out, known, tuple(places)) == [], out
        out = scrubbed(known, "x.md", text().encode(), places)
        assert leaks("x.md", out, known, tuple(places)) == [], out


def test_a_secret_that_json_escapes_is_seen_as_its_reader_sees_it(known):
    escaped = "".join(f"\\u{ord(c):04x}" for c in PLANTED["hub-token"])
    line = f'{{"a":"{escaped}"}}\n'.encode()
    assert leaks("x.jsonl", line, known, ()) == ["hub-token"]
    assert leaks("x.jsonl", scrubbed(known, "x.jsonl", line), known, ()) == []


def test_the_value_of_a_header_is_taken_out_by_its_name(known):
    line = json.dumps({"headers": {"x-api-key": "abcdef-12345678", "accept": "text/html"}}).encode() + b"\n"
    read = json.loads(scrubbed(known, "x.jsonl", line))
    assert read == {"headers": {"x-api-key": "[REDACTED:auth-header]", "accept": "text/html"}}


def test_only_variables_that_look_like_keys_and_are_long_enough_are_secrets(tmp_path):
    environment = {
        "ANTHROPIC_API_KEY": "value-of-a-k3y", "HF_TOKEN": "0123456789ab", "ANTHROPIC_AUTH_TOKEN": "sh0rt", "PATH": "/usr/bin:/bin",
        "ANTHROPIC_MODEL": "some-large-m0del", "CLAUDE_CONFIG_DIR": "somewhere/else2", "MY_ACCESS_TOKEN": "a phrase of plain words",
        "SOME_TOKEN": "production", "OTHER_TOKEN": "confirmation", "A_KEY": "202611281234",
    }  # fmt: skip
    forms = Known.here(RunPaths(tmp_path), environment).forms
    assert set(forms.values()) == {"ANTHROPIC_API_KEY", "HF_TOKEN", "MY_ACCESS_TOKEN"}


def test_paths_of_this_machine_become_words_and_their_neighbours_stay(tmp_path, known, monkeypatch):
    home, project = tmp_path / "home" / "alice", tmp_path / "home" / "alice" / "aar"
    monkeypatch.setenv("HOME", str(home))
    monkeypatch.setenv("AAR_HOME", str(home / "cache"))
    paths = RunPaths(project / ".aar" / "runs" / "r1")
    places = places_here(paths, project)
    text = f"{paths.root}/agent-1 {project}/aar.py {home}/cache/tasks {home}/notes {home}2/x file://{project}"
    out = scrubbed(known, "x.md", text.encode(), places).decode()
    assert out == f"RUN/agent-1 PROJECT/aar.py AAR_HOME/tasks ~/notes {home}2/x file://PROJECT"
    assert leaks("x.md", text.encode(), known, tuple(places)) == ["path"] and leaks("x.md", out.encode(), known, tuple(places)) == []
    toml = scrubbed(known, "run.toml", f'a = "{project}/x"\n[b]\nc = ["{home}"]\n'.encode(), places)
    assert tomli.loads(toml.decode()) == {"a": "PROJECT/x", "b": {"c": ["~"]}}


def test_paths_of_where_a_run_was_made_are_taken_out_after_its_folder_was_moved(tmp_path, known):
    paths = RunPaths(tmp_path / ".aar" / "runs" / "copied")
    paths.root.mkdir(parents=True)
    for git in ("/home/alice/aar/.git", "/home/alice/aar/.git/worktrees/other"):
        paths.toml.write_text(f'name = "r1"\nuser_git = "{git}"\n')
        places = places_here(paths, tmp_path)
        text = f"/home/alice/aar/.aar/runs/r1/agent-1 /home/alice/aar/aar.py /home/alice/.cache/aar {paths.root}/board"
        assert leaks("x.md", text.encode(), known, tuple(places)) == ["path"]
        assert scrubbed(known, "x.md", text.encode(), places) == b"RUN/agent-1 PROJECT/aar.py ~/.cache/aar RUN/board"


def test_a_home_of_one_part_is_a_path_only_where_a_path_begins(known):
    out = scrubbed(known, "x.md", b"/root/x tree/root ./root https://root.example.org /rooted (/root) file:///root/y", {"/root": "~"})
    assert out == b"~/x tree/root ./root https://root.example.org /rooted (~) file://~/y"


def test_a_torn_last_line_is_left_out_and_all_others_stay_as_they_were(known):
    lines = [{"kind": "event", "event": "é \ud800 \u2028", "n": 0.1, "big": 2**60, "none": None}, {"a": [1, True]}]
    data = b"".join(json.dumps(line, ensure_ascii=False, separators=(",", ":")).encode(errors="backslashreplace") + b"\n" for line in lines)
    assert scrubbed(known, "ledger.jsonl", data + b'{"torn":"') == data


def test_words_in_place_of_a_key_are_no_secret_in_history():
    none = Known({})
    for text in (
        "sk-" + "ant-api03-the-key-is-with-the-proxy-and-not-in-here", "sk-" + "the-key-of-this-test-7c1f", "https:/" + "/me:hidden@example.org",
        "sk-" + "x" * 40, "AK" + "IAIOSFODNN7EXAMPLE", 'headers["authorization"] = f"Bearer {key}"', "task-2026-11-28-of-the-nine-agents-0001",
    ):  # fmt: skip
        assert secrets_in(text.encode(), none, strictly=True) == [], text


def test_no_file_of_this_project_stands_in_the_way_of_bundling_its_runs():
    listed = subprocess.check_output(["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"], cwd=ROOT).decode()
    files = [ROOT / name for name in listed.split("\0") if name and (ROOT / name).is_file()]
    assert len(files) > 100
    assert [str(file) for file in files if secrets_in(file.read_bytes(), Known({}), strictly=True)] == []


@pytest.mark.parametrize("shape", SHAPES, ids=lambda shape: shape.begins)
def test_nothing_that_an_agent_writes_keeps_the_search_busy(shape):
    for piece in (shape.begins, f"-{shape.begins}-", shape.begins + "a.", shape.begins + " PRIVATE KEY-----\n"):
        data = (piece * (400_000 // len(piece))).encode()
        started = time.thread_time()  # of the processor: what others do meanwhile does not count
        secrets_in(data, Known({}))
        assert time.thread_time() - started < 10
