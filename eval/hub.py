"""Models of the Hugging Face hub: from its local cache, or downloaded into it. Never called inside a sandbox.

Only what transformers needs is taken: configuration, tokenizer and safetensors weights, not the same weights in other formats.
Cache, token, mirror and proxy are those that the hub's own variables name (HF_HUB_CACHE or HF_HOME, HF_TOKEN, HF_ENDPOINT).
"""
from __future__ import annotations

import errno
import shutil
from pathlib import Path
from typing import Any

from state.errors import UserError

FILES = ("config.json", "generation_config.json", "tokenizer.json", "tokenizer_config.json", "tokenizer.model",
         "special_tokens_map.json", "added_tokens.json", "vocab.json", "vocab.txt", "merges.txt", "chat_template.jinja",
         "chat_template.json", "model.safetensors", "model.safetensors.index.json", "model-*.safetensors")
"""Patterns of the files of a model that are used, here and in sandboxes."""
SPARE = 1 << 30
"""Bytes that a download leaves free."""


def cached(name: str, revision: str | None) -> Path | None:
    """The snapshot of a model in the hub's cache; None where it is not there, or known to lack files."""
    from huggingface_hub import errors, snapshot_download
    try:
        return Path(snapshot_download(name, revision=revision, allow_patterns=FILES, local_files_only=True))
    except (errors.LocalEntryNotFoundError, errors.IncompleteSnapshotError):
        return None
    except errors.HFValidationError:
        raise UserError(f"model {name!r}: no model of the hub can have this name: write owner/name, as the hub does") from None


def download(name: str, revision: str | None) -> Path:
    """The snapshot of a model, fetched into the hub's cache. UserError where it cannot be had, or does not fit on the disk."""
    from huggingface_hub import errors, logging, snapshot_download
    logging.set_verbosity_error()  # or each of its retries is several lines
    what = named(name, revision)
    wanted: dict[str, Any] = {"repo_id": name, "revision": revision, "allow_patterns": FILES}
    needed = 0
    try:
        plan = snapshot_download(**wanted, dry_run=True)
        needed = sum(file.file_size or 0 for file in plan if file.will_download)
        _check_space(what, needed)
        return Path(snapshot_download(**wanted))
    except errors.DryRunError as error:
        raise _in_words(what, error.__cause__ or error) from None
    except (errors.HTTPError, errors.EntryNotFoundError, errors.XetDownloadError) as error:
        raise _in_words(what, error) from None
    except OSError as error:
        if error.errno in (errno.ENOSPC, errno.EDQUOT):
            raise _disk_full(what, needed) from None
        raise _in_words(what, error) from None


def named(name: str, revision: str | None) -> str:
    return f"model {name}" + (f" at revision {revision}" if revision else "")


def _in_words(what: str, error: BaseException) -> UserError:
    from huggingface_hub import errors
    if isinstance(error, errors.GatedRepoError):
        return UserError(f"{what}: its owners want to be asked first: accept its terms on the hub, set HF_TOKEN to a token of "
                         "that account (or say `hf auth login`) and prepare again")
    if isinstance(error, errors.RevisionNotFoundError):
        return UserError(f"{what}: the hub has the model but not this revision: write a commit, tag or branch of it")
    if isinstance(error, errors.RepositoryNotFoundError):
        return UserError(f"{what}: the hub has no such model, or it is private: check the name; a private one needs HF_TOKEN")
    if isinstance(error, errors.OfflineModeIsEnabled):
        return UserError(f"{what}: it is not in the local cache, and HF_HUB_OFFLINE forbids to download it: unset that and "
                         "prepare again")
    if isinstance(error, errors.HfHubHTTPError):
        return UserError(f"{what}: the hub refuses it ({_first_line(error)}): try again later")
    return UserError(f"{what}: it is not in the local cache and the hub cannot be reached ({_first_line(error)}): check the "
                     "network and its proxy (HTTPS_PROXY), or set HF_HUB_CACHE to a cache that has it")


def _first_line(error: BaseException) -> str:
    return next(iter(str(error).splitlines()), type(error).__name__)[:200]


def _check_space(what: str, needed: int) -> None:
    if needed and shutil.disk_usage(_cache()).free < needed + SPARE:
        raise _disk_full(what, needed)


def _disk_full(what: str, needed: int) -> UserError:
    free = shutil.disk_usage(_cache()).free
    return UserError(f"{what}: {needed / 1e9:.1f} GB have to be downloaded and {free / 1e9:.1f} GB are free where the hub's "
                     f"cache lies ({_cache()}): free some, or set HF_HUB_CACHE to a folder on another disk")


def _cache() -> Path:
    """The hub's cache folder, or the nearest one above that exists."""
    from huggingface_hub import constants
    folder = Path(constants.HF_HUB_CACHE).expanduser().absolute()
    return next(one for one in (folder, *folder.parents) if one.exists())
