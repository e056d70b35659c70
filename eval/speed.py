"""How long the strong model will take to read, forecast from this machine's own speed at multiplying matrices.

    forecast_seconds(encoder, tokens)      # before anything runs; progress is then measured

A forward pass takes two floating-point operations a parameter and token, nearly all of them in matrix products.
"""
from __future__ import annotations

import functools
import os
import subprocess
import sys
import time

import numpy as np
from threadpoolctl import threadpool_limits

from eval.features import Encoder, Place, find_places, sizes
from sandbox.gpu import environment
from state.errors import UserError

SHARE = {"cpu": 0.9, "cuda": 0.45}
"""Of the speed at large products that a model reaches on its own, smaller ones."""
START_SECONDS = 8.0
LOAD_BYTES = 1e9          # a second, from disk
ROUNDS = 10
ON_GPU = """
import torch
a = torch.randn(8192, 8192, device="cuda", dtype=torch.bfloat16)
begin, end = torch.cuda.Event(enable_timing=True), torch.cuda.Event(enable_timing=True)
for _ in range(3):
    a @ a
begin.record()
for _ in range(10):
    a @ a
end.record()
torch.cuda.synchronize()
print(10 * 2 * 8192**3 / (begin.elapsed_time(end) / 1e3))
"""


def forecast_seconds(encoder: Encoder, tokens: int, times: int = 1) -> float:
    """Seconds that all workers of this machine together will take to read `tokens`, `times` times over (training with gradients
    costs about three passes). UserError where the model does not fit, or torch cannot use the GPU."""
    places = find_places(encoder)
    words, layers = sizes(encoder)
    speed = len(places) * SHARE[places[0].device] * matmul_flops(places[0])
    return START_SECONDS + 4 * (words + layers) / LOAD_BYTES + times * 2 * layers * tokens / speed


@functools.cache
def matmul_flops(place: Place) -> float:
    """Floating-point operations a second of a worker there: single precision on cores, bfloat16 on a GPU. Measured once a
    process, in .1 s on cores; a GPU takes the time to start torch."""
    if place.gpu is not None:
        told = subprocess.run([sys.executable, "-c", ON_GPU], capture_output=True, text=True,
                              env={**os.environ, **environment(place.gpu)})
        if told.returncode:
            raise UserError(f"torch cannot use the GPU here ({(told.stderr.splitlines() or ['no reason given'])[-1]})")
        return float(told.stdout)
    left, right = np.ones((512, 1024), np.float32), np.ones((1024, 1024), np.float32)
    best = float("inf")
    with threadpool_limits(place.threads):
        for _ in range(ROUNDS):
            started = time.process_time()  # of the processor: what else runs just now may soon be over
            left @ right
            best = min(best, (time.process_time() - started) / place.threads)
    return 2 * 512 * 1024 * 1024 / best
