"""Models by name: embedded ones, folders of the user, and models of the hub, all as folders in the layout of transformers.

    folder = resolve_model("Qwen/Qwen3-4B-Base", revision="906bfd4b...")     # from the cache, or downloaded
    describe_model(folder)                # ModelFacts(kind="qwen3", layers=36, width=2560, parameters=4022468096, ...)
    model_mounts(folder)                  # the files a sandbox gets, and no others of the cache

torch and transformers are imported late: what a model is, its own files say.
"""
from __future__ import annotations

import fnmatch
import json
import os
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

from eval import hub
from eval.embedded import MAKERS, embedded_folder, model_folder
from state.errors import UserError

__all__ = ["ModelFacts", "describe_model", "is_here", "load_encoder", "model_folder", "model_mounts", "resolve_model", "stamp"]

EMBEDDED = tuple(MAKERS)
LAST_NORMS = ("norm", "ln_f", "final_layer_norm", "final_layernorm")
INDEX = "model.safetensors.index.json"


@dataclass(frozen=True)
class ModelFacts:
    """What a model's files say: its `kind` (qwen3, llama, bert, ...), number of `layers`, `width` of a hidden state, number of
    `parameters`, whether it is `causal` (a language model with a head), and the `bytes` of its weights."""

    kind: str
    layers: int
    width: int
    parameters: int
    causal: bool
    bytes: int


class Unusable(Exception):
    """What is wrong with a model's folder, in words."""


def resolve_model(name: str, revision: str | None = None, download: bool = True) -> Path:
    """The folder of a model: an embedded one, a folder of the user, or one of the hub (owner/name) at `revision`, a commit.

    Without `download` only what is on this machine. UserError in one line where it cannot be had or used.
    """
    if (name in EMBEDDED or _names_folder(name)) and revision is not None:
        raise UserError(f"model {name}: only a model of the hub has revisions: leave {revision!r} out")
    if name in EMBEDDED:
        if not download and not embedded_folder(name).exists():
            raise _not_here(f"model {name}")
        return model_folder(name)
    if _names_folder(name):
        folder = Path(name).expanduser().absolute()
        _check(folder, f"model {name}")
        return folder
    return _of_hub(name, revision, download)


def is_here(name: str, revision: str | None = None) -> bool:
    """Whether a model is on this machine, ready to be used."""
    try:
        resolve_model(name, revision, download=False)
    except UserError:
        return False
    return True


def _names_folder(name: str) -> bool:
    return name.startswith((".", "/", "~")) or Path(name).is_dir()


def stamp(name: str) -> list[tuple[str, int, int]]:
    """(name, bytes, time of change in ns) of the files of a model in a folder of the user, which may change in place; none of one
    that is embedded or of the hub."""
    if name in EMBEDDED or not _names_folder(name) or not Path(name).expanduser().is_dir():
        return []
    stats = [(file, path.stat()) for path, file in model_mounts(Path(name).expanduser())]
    return [(file, about.st_size, about.st_mtime_ns) for file, about in stats]


def _of_hub(name: str, revision: str | None, download: bool) -> Path:
    if "/" not in name:
        raise UserError(f"model {name!r}: no embedded model ({', '.join(EMBEDDED)}) and no folder here; a model of the hub is "
                        "owner/name")
    folder = hub.cached(name, revision)
    if folder is not None:
        try:
            describe_files(folder)
            return folder
        except Unusable:
            pass  # interrupted, or fetched by a program that needed other files: the rest is downloaded
    if not download:
        raise _not_here(hub.named(name, revision))
    folder = hub.download(name, revision)
    _check(folder, hub.named(name, revision))
    return folder


def _not_here(what: str) -> UserError:
    return UserError(f"{what} is not on this machine: `python aar.py prepare` the task that uses it")


def _check(folder: Path, what: str) -> None:
    try:
        describe_files(folder)
    except Unusable as error:
        raise UserError(f"{what} cannot be used: {error} ({folder})") from None


def describe_model(folder: Path) -> ModelFacts:
    """What the model in `folder` is. UserError where the folder does not hold one that can be used."""
    try:
        return describe_files(folder)
    except Unusable as error:
        raise UserError(f"the model in {folder} cannot be used: {error}") from None


@lru_cache(maxsize=64)
def describe_files(folder: Path) -> ModelFacts:
    """The same, with what is wrong as Unusable."""
    if not folder.is_dir():
        raise Unusable("there is no such folder")
    config = _read_json(folder / "config.json", "config.json, which says what kind of model it is")
    if "text_config" in config or config.get("is_encoder_decoder"):
        raise Unusable(f"it is of kind {config.get('model_type')}: AAR takes decoders and encoders of text alone")
    if "quantization_config" in config:
        raise Unusable("its weights are quantised: take the version of the model that is not")
    if not (folder / "tokenizer.json").exists():
        raise Unusable("it holds no tokenizer.json: `AutoTokenizer.from_pretrained(...).save_pretrained(...)` writes one")
    files = _weights(folder)
    tensors = [tensor for file in files for tensor in _header(file)]
    return ModelFacts(
        kind=str(config.get("model_type", "unknown")),
        layers=_number(config, "num_hidden_layers", "n_layer", "num_layers"),
        width=_number(config, "hidden_size", "n_embd", "d_model", "dim"),
        parameters=sum(_product(tensor["shape"]) for tensor in tensors if "F" in tensor["dtype"]),  # F32, BF16: no positions
        causal=any("CausalLM" in name or "LMHead" in name for name in config.get("architectures") or ()),
        bytes=sum(file.stat().st_size for file in files))


def _read_json(path: Path, what: str) -> dict[str, Any]:
    try:
        found = json.loads(path.read_bytes())
    except FileNotFoundError:
        raise Unusable(f"it holds no {what}") from None
    except ValueError:
        found = None
    if not isinstance(found, dict):
        raise Unusable(f"its {path.name} is no JSON object")
    return found


def _number(config: dict[str, Any], *names: str) -> int:
    for name in names:
        if isinstance(config.get(name), int):
            return config[name]
    raise Unusable(f"its config.json has no {names[0]}: AAR does not know models of kind {config.get('model_type')}")


def _weights(folder: Path) -> list[Path]:
    """The safetensors files that hold the weights."""
    if (folder / INDEX).exists():
        index = _read_json(folder / INDEX, INDEX).get("weight_map")
        names = sorted(set(index.values())) if isinstance(index, dict) else []
    else:
        names = ["model.safetensors"]
    missing = [name for name in names if not (folder / name).exists()]
    if len(missing) == len(names):
        other = next((file.name for file in folder.iterdir() if file.suffix in (".bin", ".gguf", ".pt")), None)
        raise Unusable(f"it holds no {names[0] if names else 'weights'}" + (f", and {other} is not read: `AutoModelForCausalLM."
                       "from_pretrained(...).save_pretrained(...)` writes weights that are" if other else ""))
    if missing:
        raise Unusable(f"it lacks {len(missing)} of its {len(names)} files of weights ({missing[0]})")
    return [folder / name for name in names]


def _header(file: Path) -> list[dict[str, Any]]:
    """The tensors that a safetensors file says it holds: eight bytes of length, then JSON."""
    size = file.stat().st_size
    with open(file, "rb") as stream:
        length = int.from_bytes(stream.read(8), "little")
        try:
            found = json.loads(stream.read(length)) if length < size else {}
        except ValueError:
            found = {}
    tensors = [about for name, about in found.items() if name != "__metadata__"]
    if not tensors:
        raise Unusable(f"its {file.name} is no safetensors file, or an unfinished one")
    end = 8 + length + max(about["data_offsets"][1] for about in tensors)
    if end != size:
        raise Unusable(f"its {file.name} has {size:,} bytes where {end:,} were announced: fetch it again")
    return tensors


def _product(shape: list[int]) -> int:
    count = 1
    for length in shape:
        count *= length
    return count


def model_mounts(folder: Path) -> list[tuple[Path, str]]:
    """(real file, name) of each file that makes up the model. A sandbox mounts these one by one, read-only: in the hub's cache a
    model is a folder of links to blobs, beside which other models and the user's token lie, and a user's own folder may hold
    more than the model."""
    return [(Path(os.path.realpath(file)), file.name) for file in sorted(folder.iterdir())
            if file.is_file() and any(fnmatch.fnmatch(file.name, pattern) for pattern in hub.FILES)]


def load_encoder(folder: Path, layers: int, device: str | None = None, dtype: Any = None) -> tuple[Any, Any]:
    """(tokenizer, model) with only the first `layers` layers and without a last norm, ready to infer. By default on the GPU in
    bfloat16 where there is one, else on the processor in float32. ValueError for more layers than it has."""
    import torch
    from transformers import AutoConfig, AutoModel, AutoTokenizer
    from transformers.utils import logging
    logging.set_verbosity_error()  # or it lists the dropped layers as unexpected weights
    logging.disable_progress_bar()
    device = device or ("cuda" if torch.cuda.is_available() else "cpu")
    dtype = dtype or (torch.bfloat16 if device.startswith("cuda") else torch.float32)
    own = {"local_files_only": True, "trust_remote_code": False}
    config = AutoConfig.from_pretrained(folder, **own)
    if not 1 <= layers <= config.num_hidden_layers:
        raise ValueError(f"layer {layers} of {folder.name}: it has {config.num_hidden_layers}")
    config.num_hidden_layers = layers
    if getattr(config, "layer_types", None):  # what kind of attention each layer has
        config.layer_types = config.layer_types[:layers]
    model = AutoModel.from_pretrained(folder, config=config, dtype=dtype, **own)
    for name in LAST_NORMS:
        if hasattr(model, name):
            setattr(model, name, torch.nn.Identity())  # transformers applies it to the last layer kept, whichever that is
    return AutoTokenizer.from_pretrained(folder, **own), model.eval().to(device)
