"""The house keeps its shape: imports run one way, modules stay readable, the orchestrator stays light."""

import ast
import os
import re
import subprocess
import sys
from graphlib import TopologicalSorter
from pathlib import Path

import pytest
import tomli

from eval.handed import MODULES

ROOT = Path(__file__).parent.parent
ROOMS = ("aar", "bench", "commands", "eval", "methods", "sandbox", "state", "stats", "swarm", "view")
MAY_IMPORT = {
    "aar": {"commands", "swarm", "view", "state"},
    "commands": {"swarm", "eval", "view", "sandbox", "stats", "state"},
    "swarm": {"eval", "sandbox", "stats", "state"},  # of eval only the client, see below
    "eval": {"sandbox", "stats", "state"},
    "view": {"stats", "state"},
    "sandbox": {"state"},
    "stats": set(),
    "state": set(),
    "methods": set(),
}
METHODS_MAY_IMPORT = {"__future__", "numpy", "scipy", "sklearn", "torch", "transformers"}
LONGEST = 350
IN_SANDBOX = {f"eval.{name}".removesuffix(".__init__") for name in MODULES}
"""The part of eval/ that is mounted into a method sandbox: it may import nothing else of the project."""


def name_of(file: Path) -> str:
    parts = file.relative_to(ROOT).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


FILES = {name_of(ROOT / "aar.py"): ROOT / "aar.py"} | {
    name_of(file): file for room in ROOMS[1:] for file in sorted((ROOT / room).rglob("*.py"))
}
HOUSE = [name for name in FILES if name.split(".")[0] in MAY_IMPORT and FILES[name].exists()]


def imports(module: str, only_on_loading: bool = False) -> set[str]:
    """Full names of what `module` imports: anywhere, or (`only_on_loading`) outside of functions."""
    nodes, found = [ast.parse(FILES[module].read_text(encoding="utf-8"))], set()
    while nodes:
        node = nodes.pop()
        if only_on_loading and isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef, ast.Lambda)):
            continue
        if isinstance(node, ast.If) and "TYPE_CHECKING" in ast.dump(node.test) and only_on_loading:
            continue
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        if isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{FILES[module]}:{node.lineno}: write the import in full, from the top"
            found |= {f"{node.module}.{alias.name}" if f"{node.module}.{alias.name}" in FILES else node.module for alias in node.names}
        nodes += ast.iter_child_nodes(node)
    return found


@pytest.mark.parametrize("module", HOUSE)
def test_imports_run_one_way(module):
    room = module.split(".")[0]
    rooms = {name.split(".")[0] for name in imports(module)} & set(ROOMS) - {room}
    assert rooms <= MAY_IMPORT[room], f"{module} imports {rooms - MAY_IMPORT[room]}"
    if room == "swarm":
        assert {name for name in imports(module) if name.split(".")[0] == "eval"} <= {"eval.client"}


@pytest.mark.parametrize("module", [name for name in HOUSE if name.startswith("methods.")])
def test_a_method_imports_only_public_libraries(module):
    assert {name.split(".")[0] for name in imports(module)} <= METHODS_MAY_IMPORT


@pytest.mark.parametrize("module", sorted(IN_SANDBOX & set(FILES)))
def test_what_is_mounted_into_a_method_sandbox_imports_nothing_that_is_not(module):
    assert {name for name in imports(module) if name.split(".")[0] in ROOMS} <= IN_SANDBOX


def test_there_are_no_import_circles():
    graph = {module: {name for name in imports(module, only_on_loading=True) if name in FILES} - {module} for module in HOUSE}
    TopologicalSorter(graph).prepare()  # raises CycleError, which names the circle


@pytest.mark.parametrize("module", [name for name in HOUSE if name != "methods"])
def test_a_module_can_be_read_in_one_sitting(module):
    lines = len(FILES[module].read_text(encoding="utf-8").splitlines())
    assert lines < LONGEST, f"{FILES[module].relative_to(ROOT)} has {lines} lines: look for the second idea in it"


@pytest.mark.parametrize("module", [name for name in HOUSE if not name.endswith("__init__") and FILES[name].stat().st_size])
def test_every_module_says_what_it_is(module):
    assert ast.get_docstring(ast.parse(FILES[module].read_text(encoding="utf-8"))), f"{FILES[module]} has no docstring"


NUMERIC = {"numpy", "scipy", "sklearn", "torch", "transformers"}


@pytest.mark.parametrize(
    ("module", "heavy"),
    [*((module, NUMERIC) for module in ("aar", "swarm.run", "swarm.agent", "view.live")),
     *((module, NUMERIC - {"numpy"}) for module in ("eval.evaluator", "eval.sealed", "eval.by_hand"))],
)  # fmt: skip
def test_the_orchestrator_imports_no_numeric_library_and_the_evaluator_only_numpy(module, heavy):
    look = f"import sys, {module}; print(sorted({heavy} & set(sys.modules)))"
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    done = subprocess.run([sys.executable, "-c", look], capture_output=True, text=True, env=environment, cwd=ROOT, stdin=subprocess.DEVNULL)
    assert (done.stdout.strip(), done.stderr) == ("[]", "")


def test_the_lock_file_pins_every_package_that_is_asked_for():
    project = tomli.loads((ROOT / "pyproject.toml").read_text())
    asked = [*project["project"]["dependencies"], *project["dependency-groups"]["test"]]
    lock = (ROOT / "requirements.lock").read_text().splitlines()
    pins = [line for line in lock if line and not line.startswith("#")]
    assert all("==" in pin.split(";")[0] for pin in pins)
    pinned = {pin.split("==")[0] for pin in pins}
    assert {re.match(r"[\w.-]+", name).group() for name in asked} <= pinned
    assert "torch==2.13.0" in pins
