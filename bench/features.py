"""How fast texts become hidden states: cold beside naive padded batches, and cached beside a plain copy of memory.

    python -m bench.features [--texts 5000] [--json] [--only smollm2-135m|minilm-l6|cached]

Cold: the task's template, views and layers, through AAR (tokenising, worker processes and files included) and through
transformers as one would write it at first: batches of 32 in the given order, padded to the longest, all hidden states kept,
torch's own number of threads. Both load the same lower layers only, and run at the same priority. They take turns over parts of
the texts, and the ratio is the median over these rounds; the time to start (imports, loading the model) is told apart.

Threads that wait for each other lose far more than processes do when something else runs on the machine, so the same is also
measured in processor seconds on one core, where only the work counts: AAR's reading, the naive loop, the same loop over texts
sorted by length, and, where the packages are installed, that loop over an export to onnxruntime.

Cached: opening a block and gathering a pool's rows as float32, beside a plain copy of memory.
"""
from __future__ import annotations

import argparse
import importlib.util
import json
import os
import platform
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np

from eval.blocks import save
from eval.data.load import load_rows
from eval.encode import hidden_states, singles
from eval.features import Encoder, compute_features, find_places
from eval.models import describe_model, resolve_model
from eval.task import load_task, resolve_views
from state.files import utc_now, write_atomic
from state.paths import aar_home

PROJECT = Path(__file__).resolve().parent.parent
RESULTS = PROJECT / "bench" / "results" / "features.json"
TASKS = {"smollm2-135m": "reviews", "minilm-l6": "smoke"}
NAIVE_BATCH = 32
POOL, WIDTH = 1500, 576
GOAL, TOLERANCE = 1.7, 1e-3
PACKAGES = ("onnxruntime", "onnx", "onnxscript")


def reader_of(name: str) -> Encoder:
    """What the task that reads with this model computes of a text."""
    task = load_task(TASKS[name])
    folder = resolve_model(task.strong, task.revision)
    return Encoder(folder, resolve_views(task.views, describe_model(folder).layers), task.template, task.max_tokens)


class Peer:
    """Another way to do it, in a process of its own that has loaded the model; asked for one part of the texts at a time."""

    def __init__(self, way: str, model: str, one_core: bool = False) -> None:
        started = time.perf_counter()
        environment = {key: value for key, value in os.environ.items() if key != "OMP_NUM_THREADS"}
        if one_core:
            environment |= {"OMP_NUM_THREADS": "1", "CUDA_VISIBLE_DEVICES": ""}
        self.process = subprocess.Popen([sys.executable, "-m", "bench.features", "--serve", way, "--only", model], text=True, cwd=PROJECT,
                                        stdin=subprocess.PIPE, stdout=subprocess.PIPE, env=environment)
        self._hear()
        self.start_seconds = time.perf_counter() - started

    def _hear(self) -> dict:
        line = self.process.stdout.readline()
        if not line:
            raise SystemExit(f"bench: a peer ended with exit code {self.process.wait()}")
        return json.loads(line)

    def read(self, texts: list[str], file: Path) -> dict:
        """`seconds` and `core_seconds`; the blocks (views, n, d) are in `file`."""
        self.process.stdin.write(json.dumps({"texts": texts, "file": str(file)}) + "\n")
        self.process.stdin.flush()
        return self._hear()

    def close(self) -> None:
        self.process.stdin.close()
        self.process.wait()


def serve(way: str, name: str) -> None:
    """The other side of a Peer."""
    from eval.models import load_encoder
    encoder = reader_of(name)
    tokenizer, model = load_encoder(encoder.folder, encoder.layers)
    tokenizer.padding_side = "right"
    os.nice(10)  # as AAR's workers
    run = exported(model, encoder) if way == "onnxruntime" else model
    print("{}", flush=True)
    for line in sys.stdin:
        asked = json.loads(line)
        begun, begun_core = time.perf_counter(), time.process_time()
        states = ours(run, encoder, asked["texts"]) if way == "aar" else padded(run, tokenizer, encoder, asked["texts"], way != "naive")
        took = {"seconds": time.perf_counter() - begun, "core_seconds": time.process_time() - begun_core}
        np.save(asked["file"], states)
        print(json.dumps(took), flush=True)


def ours(model, encoder: Encoder, texts: list[str]) -> np.ndarray:
    """(views, n, d) float16, as a worker does it."""
    tokens = list(encoder.tokens([{"text": text} for text in texts]))
    return hidden_states(model, [one.ids for one in tokens], encoder.views, [one.prefix for one in tokens])


def padded(model, tokenizer, encoder: Encoder, texts: list[str], by_length: bool) -> np.ndarray:
    """The same as a tutorial does it."""
    rendered = [encoder.template.format(text=text) for text in texts]
    prefix = next(iter(encoder.tokens([{"text": "a"}]))).prefix
    order = np.argsort([len(text) for text in rendered], kind="stable") if by_length else np.arange(len(texts))
    parts = [padded_batch(model, tokenizer, [rendered[place] for place in order[start : start + NAIVE_BATCH]], encoder, prefix)
             for start in range(0, len(rendered), NAIVE_BATCH)]
    return np.concatenate(parts, axis=1)[:, np.argsort(order)]


def padded_batch(model, tokenizer, texts: list[str], encoder: Encoder, prefix: int) -> np.ndarray:
    """(views, b, d) float16 of one batch."""
    import torch
    ids = [tokens[: encoder.max_tokens] for tokens in tokenizer(texts)["input_ids"]]
    batch = tokenizer.pad({"input_ids": ids}, return_tensors="pt").to(getattr(model, "device", "cpu"))
    with torch.inference_mode():
        states = model(input_ids=batch["input_ids"], attention_mask=batch["attention_mask"], output_hidden_states=True).hidden_states
    lengths, rows = batch["attention_mask"].sum(1), torch.arange(len(texts))
    inside = batch["attention_mask"].clone()
    inside[:, :prefix] = 0
    pooled = []
    for pooling, layer in (view.split(":") for view in encoder.views):
        of = states[int(layer)].float()
        pooled.append(of[rows, lengths - 1] if pooling == "last" else (of * inside[..., None]).sum(1) / inside.sum(1)[:, None])
    return torch.stack(pooled).half().cpu().numpy()


def exported(model, encoder: Encoder):
    """The model as onnxruntime runs it, called like the other."""
    from types import SimpleNamespace

    import onnxruntime
    import torch

    class Whole(torch.nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.model = model

        def forward(self, input_ids, attention_mask):
            return tuple(self.model(input_ids=input_ids, attention_mask=attention_mask, output_hidden_states=True).hidden_states)

    sizes = {0: torch.export.Dim("texts", min=1, max=512), 1: torch.export.Dim("tokens", min=2, max=512)}
    names = [f"layer-{layer}" for layer in range(encoder.layers + 1)]
    example = torch.ones(3, 17, dtype=torch.long)
    with tempfile.TemporaryDirectory(prefix="aar-bench-") as folder:
        file = f"{folder}/model.onnx"
        torch.onnx.export(Whole(), (example, example), file, dynamo=True, verbose=False, input_names=["input_ids", "attention_mask"],
                          output_names=names, dynamic_shapes={"input_ids": sizes, "attention_mask": sizes})
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = 1
        session = onnxruntime.InferenceSession(file, options, providers=["CPUExecutionProvider"])
    wanted = sorted({f"layer-{view.split(':')[1]}" for view in encoder.views})

    def run(input_ids, attention_mask, output_hidden_states):
        found = session.run(wanted, {"input_ids": input_ids.numpy(), "attention_mask": attention_mask.numpy()})
        return SimpleNamespace(hidden_states={names.index(name): torch.from_numpy(states) for name, states in zip(wanted, found, strict=True)})

    return run


def through_aar(encoder: Encoder, texts: list[str], folder: Path) -> tuple[float, float, np.ndarray]:
    """(seconds to start, seconds from the moment that the first worker has its model, blocks)."""
    heard: list[float] = []
    started = time.perf_counter()
    blocks = compute_features(encoder, [{"text": text} for text in texts], folder, lambda done, total: heard.append(time.perf_counter()))
    ended = time.perf_counter()
    return heard[1] - started, ended - heard[1], np.stack([blocks[view] for view in encoder.views])


def cold(name: str, texts: list[str], rounds: int) -> dict:
    encoder = reader_of(name)
    missing = [package for package in PACKAGES if importlib.util.find_spec(package) is None]
    naive = Peer("naive", name)
    on_a_core = {way: Peer(way, name, one_core=True) for way in ("aar", "naive", "sorted", *(() if missing else ("onnxruntime",)))}
    aar: list[tuple[float, float]] = []
    theirs, errors, core = [], [], {way: [] for way in on_a_core}
    with tempfile.TemporaryDirectory(prefix="aar-bench-") as folder:
        for number, part in enumerate(np.array_split(np.array(texts, object), rounds)):
            file = Path(folder) / "states.npy"
            for way in ("aar", "naive") if number % 2 else ("naive", "aar"):
                if way == "naive":
                    theirs.append(naive.read(list(part), file)["seconds"])
                else:
                    start, took, states = through_aar(encoder, list(part), Path(folder) / f"chunks-{number}")
                    aar.append((start, took))
            other = np.load(file).astype(np.float32)
            errors.append(float((np.linalg.norm(states - other, axis=2) / np.linalg.norm(other, axis=2)).max()))
            few = list(part[: max(200, len(part) // 5)])
            for way, peer in on_a_core.items():
                core[way].append(peer.read(few, file)["core_seconds"] / len(few))
    for peer in (naive, *on_a_core.values()):
        peer.close()
    working, start = sum(took for _, took in aar), statistics.median(start for start, _ in aar)
    tokens = sum(len(one.ids) for one in encoder.tokens([{"text": text} for text in texts]))
    ratios = [slow / fast for slow, (_, fast) in zip(theirs, aar, strict=True)]
    rates = {way: 1 / statistics.median(seconds) for way, seconds in core.items()}
    return {
        "layers": encoder.layers, "texts": len(texts), "tokens_a_text": tokens / len(texts), "device": find_places(encoder, 0.0)[0].device,
        "ratio_vs_naive": statistics.median(ratios), "ratio_lowest": min(ratios), "ratio_highest": max(ratios),
        "ratio_with_start": (naive.start_seconds + sum(theirs)) / (start + working),
        "ratio_on_one_core": rates["aar"] / rates["naive"],
        "largest_relative_error": max(errors),
        "aar": {"texts_a_second": len(texts) / working, "tokens_a_second": tokens / working, "start_seconds": start},
        "naive": {"texts_a_second": len(texts) / sum(theirs), "tokens_a_second": tokens / sum(theirs), "start_seconds": naive.start_seconds},
        "texts_a_core_second": rates,
        "onnxruntime": f"skipped: {', '.join(missing)} not installed" if missing else "measured",
    }


def cached(count: int = 5000) -> dict:
    """A block of `count` texts on disk, in the system's cache: open it, gather a pool as float32."""
    rng = np.random.default_rng(0)
    rows, one = rng.choice(count, POOL, replace=False), np.zeros(1, int)
    with tempfile.TemporaryDirectory(prefix="aar-bench-") as folder:
        file = Path(folder) / "last-16.npy"
        save(file, rng.normal(size=(count, WIDTH)).astype(np.float16))
        gather = fastest(lambda: singles(np.load(file, mmap_mode="r"), rows))
        fixed = fastest(lambda: singles(np.load(file, mmap_mode="r"), one))
    source = np.ones(1 << 24, np.float32)
    target = np.empty_like(source)
    copied = 2 * source.nbytes / fastest(lambda: np.copyto(target, source))
    moved = POOL * WIDTH * (2 + 4) / gather  # read in half precision, written in single
    return {"rows": POOL, "width": WIDTH, "open_and_gather_ms": 1e3 * gather, "fixed_ms": 1e3 * fixed, "python_share": fixed / gather,
            "gb_a_second": moved / 1e9, "memcpy_gb_a_second": copied / 1e9, "share_of_memcpy": moved / copied}


def fastest(what, times: int = 50) -> float:
    """Seconds of the fastest of some calls: the others waited for something else."""
    best = float("inf")
    for _ in range(times):
        started = time.perf_counter()
        what()
        best = min(best, time.perf_counter() - started)
    return best


def table(facts: dict) -> str:
    lines = [f"{facts['cores']} cores (load average before the start: {facts['load_average']:.1f}), Python {facts['python']}, {facts['time']}"]
    for name in filter(facts.__contains__, TASKS):
        found = facts[name]
        goal = f"(goal > {GOAL})" if name == "smollm2-135m" else ""
        lines += [f"{name}, {found['layers']} layers, {found['texts']} texts of {found['tokens_a_text']:.1f} tokens, on {found['device']}",
                  f"{found['ratio_vs_naive']:8.2f}  x naive padded batches {goal}; {found['ratio_lowest']:.2f} to {found['ratio_highest']:.2f} over "
                  f"rounds, {found['ratio_with_start']:.2f} with the time to start, {found['ratio_on_one_core']:.2f} in processor seconds on one core",
                  f"{found['largest_relative_error']:8.1e}  largest relative difference of a text's hidden states (goal < {TOLERANCE})"]
        lines += [f"{found[way]['texts_a_second']:8.1f}  texts/s {way}: {found[way]['tokens_a_second']:.0f} tokens/s after "
                  f"{found[way]['start_seconds']:.1f} s to start" for way in ("aar", "naive")]
        rates = ", ".join(f"{way} {rate:.1f}" for way, rate in found["texts_a_core_second"].items())
        lines.append(f"          texts a processor second: {rates} (onnxruntime: {found['onnxruntime']})")
    if "cached" in facts:
        found = facts["cached"]
        lines += [f"cached: {found['rows']} of 5,000 rows as float32 in {found['open_and_gather_ms']:.2f} ms, of which {found['fixed_ms']:.2f} do not "
                  "depend on the number of rows",
                  f"{found['gb_a_second']:8.1f}  GB/s, {found['share_of_memcpy']:.2f} of memcpy's {found['memcpy_gb_a_second']:.1f}"]
    return "\n".join(lines)


def main() -> None:
    parser = argparse.ArgumentParser(prog="bench.features")
    parser.add_argument("--json", action="store_true", help="print JSON")
    parser.add_argument("--texts", type=int, default=5000)
    parser.add_argument("--rounds", type=int, default=5, help="parts of the texts that each way reads in turn")
    parser.add_argument("--only", choices=[*TASKS, "cached"], help="a part; bench/results/ is left as it is")
    parser.add_argument("--serve", choices=["aar", "naive", "sorted", "onnxruntime"], help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.serve:
        return serve(arguments.serve, arguments.only)
    aar_home()
    rows = load_rows(load_task("reviews").data)
    chosen = np.random.default_rng(0).choice(len(rows), arguments.texts, replace=False)
    texts = [rows[row].fields["text"] for row in chosen]
    facts: dict = {"time": utc_now(), "cores": len(os.sched_getaffinity(0)), "python": platform.python_version(),
                   "load_average": os.getloadavg()[0]}
    for name in TASKS:
        if arguments.only in (None, name):
            facts[name] = cold(name, texts, arguments.rounds)
    if arguments.only in (None, "cached"):
        facts["cached"] = cached()
    if arguments.only is None:
        RESULTS.parent.mkdir(exist_ok=True)
        write_atomic(RESULTS, json.dumps(facts, indent=1) + "\n")
    print(json.dumps(facts, indent=1) if arguments.json else table(facts))


if __name__ == "__main__":
    main()
