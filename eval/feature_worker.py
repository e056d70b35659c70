"""A worker that reads texts with the strong model: what eval/feature_crew.py starts, one for each GPU or core.

    python -m eval.feature_worker          speaks JSON lines: see `work`
"""
from __future__ import annotations

import io
import json
import os
import sys
from pathlib import Path

import numpy as np

from eval.encode import read
from eval.feature_crew import Tokens
from eval.features import ANSWERS
from eval.models import load_encoder
from state.files import write_atomic


def _load(about: dict):
    """The model that a worker reads with: whole where it answers, else its lower layers."""
    import torch
    device = about["device"]
    if device == "cuda" and not torch.cuda.is_available():
        raise SystemExit("this build of torch cannot use the GPU: install one that fits the driver that `nvidia-smi` names, or "
                         "set CUDA_VISIBLE_DEVICES= to do without")
    dtype = torch.bfloat16 if device == "cuda" else torch.float32
    if not about["answers"]:
        return load_encoder(Path(about["folder"]), about["layers"], device, dtype)[1]
    from transformers import AutoModelForCausalLM
    from transformers.utils import logging
    logging.disable_progress_bar()
    model = AutoModelForCausalLM.from_pretrained(about["folder"], dtype=dtype, local_files_only=True, trust_remote_code=False)
    return model.eval().to(device)


def _blocks(model, about: dict, items: list[Tokens]) -> dict[str, np.ndarray]:
    """View -> rows, of one chunk."""
    states, logits = read(model, [item.ids for item in items], about["views"], about["answers"],
                          [item.prefix for item in items], [item.suffix for item in items],
                          progress=lambda tokens: print(tokens, flush=True))
    found = {} if states is None else dict(zip(about["views"], states))
    return found if logits is None else {**found, ANSWERS: logits}


def work() -> None:
    """A line with a folder says what to compute from then on, one with a file is a chunk of it, "rest" ends it. Replies: 0 when the
    model is there, token counts as they are done, null when the chunk's file is there."""
    import torch
    about, model = {}, None
    for line in sys.stdin:
        message = json.loads(line)
        if "rest" in message:
            model = None
            continue
        if "folder" in message:
            if message["device"] == "cpu" and not about:
                os.nice(10)
            about = message
            torch.set_num_threads(about["threads"])
            model = _load(about)
            print(0, flush=True)
            continue
        blocks = _blocks(model, about, [Tokens(*item) for item in message["items"]])
        buffer = io.BytesIO()
        np.savez(buffer, **blocks)
        write_atomic(message["file"], buffer.getvalue(), mode=0o600)
        print("null", flush=True)


if __name__ == "__main__":
    try:
        work()
    except BrokenPipeError:  # the preparation was killed
        os._exit(1)
