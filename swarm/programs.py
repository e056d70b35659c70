"""Which files of the machine an agent CLI needs, so that it runs inside a sandbox: no more of them than that, read-only.

    program = find_program("claude", private=[paths.root])
    Box("shell", mounts=(*box.mounts, *program.mounts), ...)  ->  [program.path, "--version"]

Known kinds: one executable file; a package of npm with the packages that it names (its build for this platform is one of
them) and the node that its first line asks for; a script of a Python environment. What else a program needs is named in
aar.toml, [command] binds. Everything is at the same path inside, links resolved.
"""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from sandbox.box import Mount
from sandbox.wall import python_folders
from state.errors import UserError
from state.paths import aar_home

ALWAYS_INSIDE = ("/usr", "/bin", "/sbin", "/lib", "/lib32", "/lib64")
PROGRAMS = "programs"
"""The folder of AAR_HOME in which programs may be kept."""
PRIVATE_NAMES = (".git", ".aar")
FIRST_LINE_BYTES = 512


@dataclass(frozen=True)
class Program:
    """`path`: the real file, to be started by. `mounts`: what has to be inside. `folders`: for PATH inside."""

    path: str
    mounts: tuple[Mount, ...]
    folders: tuple[str, ...]


def find_program(name: str, binds: Sequence[str] = (), private: Iterable[Path] = (), path: str | None = None) -> Program:
    """The program that `name` starts on this machine (PATH, or `path` in its place), with what it needs. `private`: folders that
    of which nothing may be mounted, beside AAR_HOME. UserError where there is no such program, or it cannot be shown safely."""
    found = shutil.which(os.path.expanduser(name), path=path)
    if found is None:
        raise UserError(f"there is no program {name!r} to run: install it so that it is on PATH, or write its path into aar.toml, [command] argv")
    finder = _Finder([aar_home().resolve(), *(Path(folder).resolve() for folder in private)])
    real = finder.program(Path(found).absolute(), path)
    for bind in binds:
        finder.bind(bind)
    mounts = tuple(Mount(source, target) for target, source in sorted(finder.shown.items()))  # a folder before what is in it
    return Program(str(real), mounts, tuple(finder.folders))


class _Finder:
    def __init__(self, private: list[Path]):
        self.private = private
        self.shown: dict[str, str] = {}  # path inside -> path on the machine
        self.folders: dict[str, None] = {}

    def program(self, file: Path, path: str | None) -> Path:
        """Shows the program that starts with `file`, and what interprets it; returns the real file."""
        real = Path(os.path.realpath(file))
        if package := _npm_package(real):
            self._npm(package, real.parents)
        elif script := _in_python_environment(file):
            # Python finds its modules by the path that it was called by, and that is a link in an environment.
            environment, real = script.parent.parent, script
            self._show(environment)
            self._show(_base_of(environment))
        else:
            self._show(real)
        if not _is_inside(real):
            self.folders[str(real.parent)] = None
        self._interpreter(real, path)
        return real

    def bind(self, name: str) -> None:
        source = Path(os.path.expanduser(name))
        if not source.is_absolute():
            raise UserError(f"aar.toml, [command] binds: {name!r} is no absolute path")
        if not (source.is_file() or source.is_dir()):
            raise UserError(f"aar.toml, [command] binds: there is no file or folder {name}")
        self._show(source)

    def _show(self, source: Path, target: Path | None = None) -> None:
        """`source` at `target`, or at its own path."""
        target = target or source
        if _is_inside(target) or any(target.is_relative_to(shown) for shown in self.shown):
            return
        real = source.resolve()
        if not (real.is_file() or real.is_dir()):
            raise UserError(f"{source}, which the agent CLI needs, is no file and no folder")
        if reason := self._why_not(real):
            raise UserError(
                f"{source} would have to be shown to the agent CLI and {reason}, which no sandbox may see: "
                "have what it needs in a folder of its own"
            )
        self.shown[str(target)] = str(real)

    def _why_not(self, real: Path) -> str:
        """Why a file or folder may not be inside; "" if it may."""
        if Path.home().resolve().is_relative_to(real):
            return "is far more than a program"
        for folder in self.private:
            if folder.is_relative_to(real):
                return f"contains {folder}"
            if real.is_relative_to(folder) and not real.is_relative_to(aar_home().resolve() / PROGRAMS):
                return f"lies in {folder}"
        for name in PRIVATE_NAMES:
            if name in real.parts or os.path.lexists(real / name):
                return f"is or contains a folder {name}"
        return ""

    def _interpreter(self, script: Path, path: str | None) -> None:
        """What the first line `#!...` asks for."""
        with open(script, "rb") as file:
            line = file.read(FIRST_LINE_BYTES).split(b"\n")[0].decode(errors="replace")
        if not line.startswith("#!"):
            return
        words = line[2:].split()
        if words and os.path.basename(words[0]) == "env":
            words = [word for word in words[1:] if not word.startswith("-") and "=" not in word]
            words[:1] = [shutil.which(word, path=path) or word for word in words[:1]]
        if not words or not os.path.isfile(words[0]):
            raise UserError(f"{script} asks for {words[0] if words else 'nothing'} in its first line, which is not there: install it")
        if not _is_inside(Path(words[0])) and not any(Path(words[0]).is_relative_to(shown) for shown in self.shown):
            interpreter = Path(words[0])
            real = self.program(interpreter, path)
            if real != interpreter and str(interpreter) not in self.shown:
                self._show(real, interpreter)  # `env` looks by its name

    def _npm(self, package: Path, within: Sequence[Path]) -> None:
        """A package and all that it names and that is there, found as node finds it."""
        self._show(package)
        about = json.loads((package / "package.json").read_text(encoding="utf-8"))
        for name in {**about.get("dependencies", {}), **about.get("optionalDependencies", {})}:
            for folder in within:
                beside = folder / "node_modules" / name
                if (beside / "package.json").is_file():
                    if str(beside) not in self.shown:
                        self._show(beside)
                        self._npm(beside, [beside, *beside.parents])
                    break


def _is_inside(path: Path) -> bool:
    """Whether every sandbox has it."""
    return any(path.is_relative_to(folder) for folder in (*ALWAYS_INSIDE, *python_folders()))


def _npm_package(file: Path) -> Path | None:
    """The folder of the npm package that `file` belongs to."""
    for folder in file.parents:
        above = folder.parent.parent if folder.parent.name.startswith("@") else folder.parent
        if above.name == "node_modules" and (folder / "package.json").is_file():
            return folder
    return None


def _in_python_environment(file: Path) -> Path | None:
    """`file`, or the first that it is a link to, that lies in the bin/ of a virtual environment."""
    for _ in range(16):
        if (file.parent.parent / "pyvenv.cfg").is_file():
            return file
        if not file.is_symlink():
            return None
        file = Path(os.path.normpath(file.parent / os.readlink(file)))
    return None


def _base_of(environment: Path) -> Path:
    """The folder of the Python that an environment was made with."""
    lines = (environment / "pyvenv.cfg").read_text(encoding="utf-8").splitlines()
    said = dict(map(str.strip, line.split("=", 1)) for line in lines if "=" in line)
    return Path(said.get("home", "/usr/bin")).resolve().parent
