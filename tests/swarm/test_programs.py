"""What of the machine a program needs is shown to the sandbox, and nothing private with it."""

import json
import os
import sys
import venv
from pathlib import Path

import pytest

from sandbox.box import Box, Limits, run
from state.errors import UserError
from state.paths import aar_home
from swarm.presets import PRESETS, command_of, fill, fill_env, resolved_command
from swarm.programs import find_program


def script(path: Path, text: str) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
    path.chmod(0o755)
    return path


def said_inside(program, *arguments):
    box = Box("shell", mounts=program.mounts, env={"PATH": ":".join(["/usr/bin:/bin", *program.folders])}, limits=Limits(seconds=60))
    return run(box, [program.path, *arguments]).output.decode()


def targets(program):
    return {mount.target for mount in program.mounts}


def package(folder: Path, **about) -> Path:
    folder.mkdir(parents=True)
    (folder / "package.json").write_text(json.dumps(about))
    return folder


def test_a_package_of_npm_comes_with_what_it_names_and_nothing_beside_it(tmp_path):
    modules = tmp_path / "lib" / "node_modules"
    package(modules / "@lab" / "cli", name="@lab/cli", optionalDependencies={"@lab/cli-this": "1", "@lab/cli-other": "1"})
    script(modules / "@lab" / "cli" / "bin" / "cli.sh", '#!/bin/bash\ncat "$(dirname "$0")/../../cli-this/words"; ls "$(dirname "$0")/../../.."\n')
    (package(modules / "@lab" / "cli-this", dependencies={"deep": "1"}) / "words").write_text("hello\n")
    package(modules / "@lab" / "cli-this" / "node_modules" / "deep")
    package(modules / "secrets")
    (tmp_path / "bin").mkdir()
    (tmp_path / "bin" / "cli").symlink_to("../lib/node_modules/@lab/cli/bin/cli.sh")
    program = find_program("cli", path=str(tmp_path / "bin"))
    assert targets(program) == {str(modules / "@lab" / "cli"), str(modules / "@lab" / "cli-this")}
    assert said_inside(program) == "hello\n@lab\n"


def test_a_script_comes_with_the_interpreter_that_its_first_line_asks_for(tmp_path):
    script(tmp_path / "runtimes" / "v9" / "mynode", '#!/bin/bash\necho "interpreted: $(tail -n1 "$1")"\n')
    (tmp_path / "bin").mkdir()
    (tmp_path / "bin" / "mynode").symlink_to("../runtimes/v9/mynode")
    script(tmp_path / "opt" / "cli", "#!/usr/bin/env -S mynode\nsome words\n")
    program = find_program(str(tmp_path / "opt" / "cli"), path=str(tmp_path / "bin"))
    assert said_inside(program) == "interpreted: some words\n"
    with pytest.raises(UserError, match="asks for mynode in its first line, which is not there: install it"):
        find_program(str(tmp_path / "opt" / "cli"), path="/usr/bin")


def test_a_program_of_a_python_environment_finds_its_modules(tmp_path):
    venv.create(tmp_path / "tools", with_pip=False, symlinks=True)
    packages = next((tmp_path / "tools" / "lib").glob("python*")) / "site-packages"
    (packages / "the_cli.py").write_text("def main(): print('from the module')\n")
    script(tmp_path / "tools" / "bin" / "the-cli", f"#!{tmp_path}/tools/bin/python\nimport the_cli\nthe_cli.main()\n")
    (tmp_path / "bin").mkdir()
    (tmp_path / "bin" / "the-cli").symlink_to(tmp_path / "tools" / "bin" / "the-cli")
    assert said_inside(find_program("the-cli", path=str(tmp_path / "bin"))) == "from the module\n"


def test_what_every_sandbox_has_needs_no_mount():
    assert find_program("bash").mounts == () and find_program(sys.executable).mounts == ()


@pytest.mark.parametrize("place", ["project", "project/.git/config", "project/.aar/runs/r/secret", "home/tasks/t/private", "run/agent-2"])
def test_nothing_private_is_shown_by_whatever_name(tmp_path, monkeypatch, place):
    for file in ("project/.git/config", "project/.aar/runs/r/secret", "home/tasks/t/private", "run/agent-2", "tools/data"):
        script(tmp_path / file, "labels")
    (tmp_path / "link").symlink_to(tmp_path / place)
    monkeypatch.setenv("AAR_HOME", str(tmp_path / "home"))
    for bind in (tmp_path / place, tmp_path / "link", tmp_path):
        with pytest.raises(UserError, match="which no sandbox may see"):
            find_program("bash", [str(bind)], private=[tmp_path / "run"])
    control = find_program("bash", [str(tmp_path / "tools")], private=[tmp_path / "run"])
    assert said_inside(control, "-c", f"cat {tmp_path}/tools/data") == "labels"


def test_programs_may_be_kept_in_the_home_of_the_project(tmp_path, monkeypatch):
    monkeypatch.setenv("AAR_HOME", str(tmp_path))
    file = script(aar_home() / "programs" / "cli", "#!/bin/bash\necho hello\n")
    assert said_inside(find_program(str(file))) == "hello\n"


def test_a_socket_or_a_device_is_no_program_file(tmp_path):
    os.mkfifo(tmp_path / "daemon.sock")
    with pytest.raises(UserError, match="there is no file or folder"):
        find_program("bash", [str(tmp_path / "daemon.sock")])


def test_fields_are_filled_in_and_what_has_an_empty_one_is_left_out():
    values = {"model": "m-1", "effort": "", "url": "http://127.0.0.1:1"}
    assert fill(["--model", "{model}", "--effort={effort}", '{"a": {"{model}": {}}}'], values) == ["--model", "m-1", '{"a": {"m-1": {}}}']
    assert fill_env({"A": "{effort}", "B": "{url}/v1"}, values) == {"B": "http://127.0.0.1:1/v1"}


def test_own_words_win_over_a_preset_and_a_cli_that_cannot_go_on_is_started_anew():
    own = command_of({"preset": "claude", "env": {"IS_SANDBOX": "0"}, "binds": ["/opt/x"]})
    assert own.argv == PRESETS["claude"].argv and own.env["IS_SANDBOX"] == "0" and own.binds == ("/opt/x",)
    assert own.env["DISABLE_TELEMETRY"] == "1"
    alone = command_of({"argv": ["my-cli", "{prompt_file}"]})
    assert alone.resume == alone.argv == ("my-cli", "{prompt_file}") and alone.env == {}


def test_what_a_run_freezes_means_the_same_when_it_is_read_again_and_names_what_is_missing(tmp_path):
    script(tmp_path / "claude", "#!/bin/bash\n")
    said = {"preset": "claude", "argv": [str(tmp_path / "claude"), "-p"], "env": {"MORE": "1"}}
    frozen = resolved_command(said)
    assert "preset" not in frozen and command_of(frozen) == command_of(said) and frozen["env"]["MORE"] == "1"
    with pytest.raises(UserError, match="there is no program 'no-such-cli' to run: install it"):
        resolved_command({"argv": ["no-such-cli"]})


def test_a_key_in_the_settings_of_the_cli_is_refused():
    with pytest.raises(UserError, match="ANTHROPIC_API_KEY is left out, please"):
        command_of({"preset": "claude", "env": {"ANTHROPIC_API_KEY": "sk-ant-real"}})


def test_the_config_of_opencode_is_json_once_it_is_filled_in():
    values = dict.fromkeys(("model", "url", "max_tokens"), "x")
    assert json.loads(fill_env(PRESETS["opencode"].env, values)["OPENCODE_CONFIG_CONTENT"])["provider"]["anthropic"]["models"] == {"x": {}}
