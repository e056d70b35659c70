"""What tests share: a home of their own, no keys, the tiny prepared task `smoke`, and a checkout to run swarms in."""

import contextlib
import os
import re
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from state.paths import RunPaths
from tests import waiting
from tests.home import same_secret, use_home_of_tests
from tests.warm_commands import Commands

ROOT = Path(__file__).resolve().parent.parent
if "PYTEST_XDIST_WORKER" not in os.environ:  # workers are told by who starts them
    use_home_of_tests(ROOT / ".aar-home")
os.environ.setdefault("OMP_NUM_THREADS", "1")
for name in list(os.environ):
    if re.match(r"(ANTHROPIC|CLAUDE)_", name) or re.search(r"_(API_KEY|AUTH_TOKEN|ACCESS_TOKEN)$", name):
        del os.environ[name]


if signal.getsignal(signal.SIGINT) == signal.SIG_IGN:  # as in a job in the background; what tests start must not inherit it
    signal.signal(signal.SIGINT, signal.default_int_handler)
SLOW = (
    "swarm/test_kill.py", "swarm/test_bundle.py", "test_command_line.py", "eval/test_own_data.py", "swarm/test_paid_run.py", "eval/test_prepare.py",
    "view/test_report_browser.py", "swarm/test_join.py", "eval/test_two_kinds.py", "eval/test_finetuned_task.py", "redteam/test_redteam.py",
    "eval/test_second_look.py", "eval/test_finetune.py", "eval/test_elicitation.py", "swarm/test_money.py", "eval/test_baselines.py",
    "swarm/test_command_run.py", "eval/test_audits.py", "eval/test_features.py", "eval/test_asking.py", "swarm/test_finalize.py",
    "eval/data/test_tasks.py", "eval/test_transfer.py", "eval/test_packing.py", "swarm/test_real_cli.py",
)  # fmt: skip
"""Files of whole runs, of kills, and of models that are trained or read: marked `slow`, which `make test` leaves out where nothing else is
asked for, and continuous integration runs after it. In the order in which they begin: files are dealt to workers as a whole, and the last
one should be a short one."""


def pytest_configure(config):
    """The task `smoke` is prepared before anything else, once, by the process that starts the workers."""
    if "PYTEST_XDIST_WORKER" not in os.environ and not config.option.collectonly and not config.option.help:
        from eval.prepare import prepare

        with same_secret():
            prepare("smoke")


def pytest_collection_modifyitems(items):
    def place(item) -> int:
        name = item.path.relative_to(ROOT / "tests").as_posix()
        return SLOW.index(name) if name in SLOW else len(SLOW)

    items.sort(key=place)
    for item in items:
        if place(item) < len(SLOW):
            item.add_marker(pytest.mark.slow)


@pytest.fixture(scope="session")
def smoke():
    """The prepared task `smoke`."""
    from eval.prepared import open_prepared

    return open_prepared("smoke")


class Checkout:
    """A clean checkout of this project in a repository of its own, with the environment of this one. `commands`: what runs its commands
    where there are many of them."""

    def __init__(self, folder: Path):
        self.folder, self.commands = folder, None
        if (folder / ".git").exists():
            return
        listed = subprocess.check_output(["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"], cwd=ROOT)
        for name in filter(None, listed.decode().split("\0")):
            if (ROOT / name).is_file():
                (folder / name).parent.mkdir(parents=True, exist_ok=True)
                shutil.copy2(ROOT / name, folder / name)
        (folder / ".venv").symlink_to(Path(sys.prefix))
        self.git("init", "--quiet", "--initial-branch", "main")
        self.git("config", "user.name", "A Person")
        self.git("config", "user.email", "person@example.org")
        (folder / ".git" / "info" / "exclude").write_text(".venv\n")
        self.git("add", "-A")
        self.git("commit", "--quiet", "-m", "start")

    def git(self, *arguments: str) -> str:
        return subprocess.check_output(["git", *arguments], cwd=self.folder, text=True, stderr=subprocess.STDOUT)

    def start(self, *arguments: str, **options) -> subprocess.Popen:
        """`python aar.py ...` as a process, its output piped."""
        settings = {"stdin": subprocess.DEVNULL, "stdout": subprocess.PIPE, "stderr": subprocess.STDOUT, "text": True, **options}
        return subprocess.Popen([sys.executable, "aar.py", *arguments], cwd=self.folder, **settings)

    def aar(self, *arguments: str, seconds: float = 240.0) -> tuple[int, str]:
        """Exit code and output of `python aar.py ...`."""
        if self.commands is not None:
            return self.commands.run(arguments, seconds)
        process = self.start(*arguments)
        output, _ = process.communicate(timeout=seconds)
        return process.returncode, output

    @contextlib.contextmanager
    def going(self, run: str, *arguments: str, until: Callable[[RunPaths], bool] = lambda paths: True) -> Iterator[RunPaths]:
        """A run that goes on, once `until`; it is stopped in the end, which takes less than to let it come to its end and report."""
        process, paths = self.start("--run", run, "--minutes", "5", *arguments), RunPaths(self.folder / ".aar" / "runs" / run)
        try:
            waiting.until(lambda: process.poll() is not None or (paths.state.exists() and until(paths)), f"what run {run} is waited for")
            assert process.poll() is None, process.stdout.read()
            yield paths
        finally:
            process.send_signal(signal.SIGTERM)
            self.printed = process.communicate()[0]
        assert process.returncode == 0, self.printed


@pytest.fixture
def checkout(tmp_path) -> Checkout:
    (tmp_path / "checkout").mkdir()
    return Checkout(tmp_path / "checkout")


@contextlib.contextmanager
def with_commands(folder: Path) -> Iterator[Checkout]:
    """A checkout for many commands."""
    checkout = Checkout(folder)
    checkout.commands = Commands(folder)
    try:
        yield checkout
    finally:
        checkout.commands.close()


@pytest.fixture(scope="module")
def module_checkout(tmp_path_factory) -> Iterator[Checkout]:
    with with_commands(tmp_path_factory.mktemp("checkout")) as checkout:
        yield checkout
