import os
import signal
import subprocess
import sys
import time

import numpy as np
import psutil
import pytest

from eval.features import ROOT, Encoder, compute_features, cut_chunks
from eval.models import model_folder
from state.errors import UserError

TEXTS = ["a fine film", "dull", "it is neither long nor short, and nobody will remember it " * 3, "so so", "see it twice"]
VIEWS = ("mean:6", "last:4")


@pytest.fixture(scope="module")
def encoder(smoke):
    return Encoder(model_folder("minilm-l6"), VIEWS, "Review: {text}", 40)


def compute(encoder, folder, texts=TEXTS, workers=1):
    seen = []
    blocks = compute_features(encoder, texts, folder, lambda done, total: seen.append((done, total)), workers)
    return blocks, seen


def test_chunks_hold_each_text_once_and_are_sorted_by_length():
    lengths = np.random.default_rng(0).integers(3, 60, 500)
    chunks = cut_chunks(lengths, 400)
    assert np.array_equal(np.sort(np.concatenate([chunk.rows for chunk in chunks])), np.arange(500))
    assert [chunk.tokens for chunk in chunks] == [lengths[chunk.rows].sum() for chunk in chunks]
    assert (np.diff(lengths[np.concatenate([chunk.rows for chunk in chunks])]) >= 0).all()
    assert max(chunk.tokens for chunk in chunks) < 400 + 60


def test_one_short_text_is_one_chunk():
    assert [chunk.tokens for chunk in cut_chunks([5])] == [5]


def test_features_are_those_of_the_model_reading_each_text_alone(encoder, tmp_path):
    import torch
    from transformers import AutoModel, AutoTokenizer
    blocks, seen = compute(encoder, tmp_path / "chunks")
    tokenizer = AutoTokenizer.from_pretrained(encoder.folder, local_files_only=True)
    model = AutoModel.from_pretrained(encoder.folder, local_files_only=True).eval()
    for row, text in enumerate(TEXTS):
        ids = tokenizer(f"Review: {text}")["input_ids"][:40]
        with torch.inference_mode():
            states = model(torch.tensor([ids]), output_hidden_states=True).hidden_states
        assert np.allclose(blocks["last:4"][row], states[4][0, -1], atol=5e-3)
        assert np.allclose(blocks["mean:6"][row], states[6][0, encoder.prefix():].mean(0), atol=5e-3)
    assert seen[0][0] == 0 and seen[-1][0] == seen[-1][1] == sum(map(len, encoder.token_ids(TEXTS)))


def test_a_chunk_that_is_there_is_not_computed_again(encoder, tmp_path):
    marked = np.full((2, len(TEXTS), 384), 7, np.float16)
    (tmp_path / "chunks").mkdir()
    np.save(tmp_path / "chunks" / "chunk-0000.npy", marked)
    blocks, seen = compute(encoder, tmp_path / "chunks")
    assert (blocks["mean:6"] == 7).all() and seen == [(seen[0][1], seen[0][1])]


def test_a_worker_that_fails_is_told_in_one_line(encoder, tmp_path):
    broken = tmp_path / "model"
    broken.mkdir()
    for file in encoder.folder.iterdir():
        if file.name != "model.safetensors":
            (broken / file.name).symlink_to(file)
    with pytest.raises(UserError, match="computing hidden states with model failed: .*prepare again") as refusal:
        compute(Encoder(broken, VIEWS, "{text}", 40), tmp_path / "chunks")
    assert "\n" not in str(refusal.value)


SCRIPT = """
import sys
from pathlib import Path
from eval.features import Encoder, compute_features
encoder = Encoder(Path(sys.argv[1]), ("mean:6",), "{text}", 60)
texts = [f"film number {i} " + "was good " * (i % 20) for i in range(20000)]
compute_features(encoder, texts, Path(sys.argv[2]), lambda done, total: None, 1)
"""


def test_workers_end_when_the_preparation_is_killed(encoder, tmp_path):
    chunks = tmp_path / "chunks"
    process = subprocess.Popen([sys.executable, "-c", SCRIPT, str(encoder.folder), str(chunks)],
                               env={**os.environ, "PYTHONPATH": str(ROOT)})
    deadline = time.monotonic() + 120
    while not list(chunks.glob("chunk-*.npy")):
        assert process.poll() is None and time.monotonic() < deadline
        time.sleep(0.2)
    workers = psutil.Process(process.pid).children(recursive=True)
    assert workers
    os.kill(process.pid, signal.SIGKILL)
    process.wait()
    _, alive = psutil.wait_procs(workers, timeout=60)
    assert not alive
    assert all(np.load(file).shape[0] == 1 for file in chunks.glob("chunk-*.npy")), "a torn chunk was left"
