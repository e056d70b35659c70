"""How fast students are fine-tuned: beside the plain transformers Trainer with peft, and beside a straightforward padded loop.

    python -m bench.train [--json] [--only CASE] [--rounds 3] [--threads 2]

All three train the same model from the same start on the same batches in the same order, with the same optimiser, schedule,
clipping and precision, without dropout, so that their losses must agree step by step. The Trainer is as it comes: random batches
padded to their longest text by its usual collator, sdpa attention. AAR reads the texts of a batch side by side, without padding
and without a mask. A linear head stands on the final hidden state in all three: nobody computes logits over the vocabulary.

On a CPU the texts are human-rated snippets of four sources, mixed, and the three take turns; the ratio is the median over the
rounds. On a GPU it is a randomly initialised model of the shape of Qwen3-4B in bfloat16 and token sequences as long as those
of chats, up to 1,024; the Trainer and the loop read as many examples at once there as fit into 80 GB and accumulate.
"""
from __future__ import annotations

import argparse
import json
import os
import platform
import statistics
import subprocess
import sys
import time
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np

from bench import trainers
from eval.data.load import load_rows
from eval.finetune import FineTuned
from eval.language import LanguageModel
from eval.models import resolve_model
from eval.task import RatedData
from state.files import utc_now, write_atomic

PROJECT = Path(__file__).resolve().parent.parent
RESULTS = PROJECT / "bench" / "results" / "train.json"
WAYS = ("aar", "trainer", "padded")
SOURCES = ("movies", "amazon", "news", "tweets")
TOLERANCE = 0.01
"""How far the mean losses over the last third of the steps may lie apart."""
SEED = 0


@dataclass(frozen=True)
class Case:
    model: str
    examples: int
    goal: float | None               # examples a second, times those of the Trainer
    settings: dict[str, Any] = field(default_factory=dict)
    micro: int = 32                  # examples that the Trainer and the loop read at once; they accumulate up to the batch


LORA = {"rank": 8, "alpha": 16, "rslora": False, "head": "head", "epochs": 1, "batch": 32}
CASES = {
    "minilm-l6-lora": Case("minilm-l6", 320, 1.9, {**LORA, "lr": 1e-3}),
    "minilm-l6-full": Case("minilm-l6", 320, None, {**LORA, "method": "full", "lr": 1e-4}),
    "smollm2-135m-lora": Case("smollm2-135m", 96, 1.9, {**LORA, "lr": 2e-4}),
}
GPU_CASES = {
    "qwen3-4b-lora": Case("qwen3-4b", 512, 1.5, {**LORA, "rank": 32, "alpha": 32, "rslora": True, "lr": 1e-4}, micro=8),
}


class MadeUp(LanguageModel):
    """A randomly initialised model of the shape of Qwen3-4B; its texts are numbers, each one token."""

    shape = {"vocab_size": 151_936, "hidden_size": 2560, "intermediate_size": 9728, "num_hidden_layers": 36,
             "num_attention_heads": 32, "num_key_value_heads": 8, "head_dim": 128, "tie_word_embeddings": True}
    causal = True

    def __init__(self) -> None:
        super().__init__("qwen3-4b")

    @cached_property
    def model(self) -> Any:
        import torch
        from transformers import Qwen3Config, Qwen3ForCausalLM
        torch.manual_seed(SEED)
        with self.device:
            torch.set_default_dtype(torch.bfloat16)
            model = Qwen3ForCausalLM(Qwen3Config(**self.shape))
            torch.set_default_dtype(torch.float32)
        return model.requires_grad_(False).eval()

    def limit(self, max_tokens: int | None = None) -> int:
        return max_tokens or 1024

    def token_ids(self, texts, max_tokens=None) -> list[list[int]]:
        return [list(map(int, text.split())) for text in texts]


def workload(case: Case) -> tuple[LanguageModel, list[str], np.ndarray]:
    """(model, texts, labels) of a case."""
    rng = np.random.default_rng(SEED)
    if case.model == "qwen3-4b":
        lengths = np.clip(rng.lognormal(np.log(300), 0.65, case.examples), 20, 1024).astype(int)
        labels = rng.integers(0, 2, case.examples)
        tokens = [rng.integers(0, MadeUp.shape["vocab_size"] // 2, length) * 2 for length in lengths]  # odd ones tell class 1
        return MadeUp(), [" ".join(map(str, ids + label)) for ids, label in zip(tokens, labels)], labels
    rows = [row for name in SOURCES for row in load_rows(RatedData(source="rated", set=name, threshold=0.5))]
    chosen = [rows[index] for index in rng.choice(len(rows), case.examples, replace=False)]
    language = LanguageModel(resolve_model(case.model), max_tokens=256)
    return language, [row.fields["text"] for row in chosen], np.array([row.label for row in chosen])


class Worker:
    """One way of training a case, in a process of its own that has loaded the model and waits for rounds."""

    def __init__(self, case: str, way: str, threads: int) -> None:
        command = [sys.executable, "-m", "bench.train", "--only", case, "--work", way, "--threads", str(threads)]
        self.process = subprocess.Popen(command, cwd=PROJECT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        self.about = self._read()

    def round(self) -> dict:
        self.process.stdin.write("\n")
        self.process.stdin.flush()
        return self._read()

    def _read(self) -> dict:
        line = self.process.stdout.readline()
        if not line:
            raise SystemExit(f"bench: a worker ended with exit code {self.process.wait()}")
        return json.loads(line)

    def end(self) -> None:
        self.process.stdin.close()
        self.process.wait(60)


def work(case: Case, way: str, threads: int) -> None:
    """In a worker: load, warm up, and train once for each line on the standard input."""
    import torch
    torch.set_num_threads(threads)
    answers, sys.stdout = sys.stdout, sys.stderr  # what libraries print is no answer
    language, texts, labels = workload(case)
    student = FineTuned(language, texts, None, case.settings, None, seed=SEED)
    if way == "aar":
        def train(texts, labels):
            student.fit(texts, labels)
            return student.losses
    else:
        train = trainers.WAYS[way](student, language, case)
    warm = 2 * case.settings["batch"]
    train(texts[:warm], labels[:warm])
    lengths = [len(ids) for ids in language.token_ids(texts)]
    about = {"device": trainers.device_name(language.device), "mean_tokens": float(np.mean(lengths)), "longest_tokens": max(lengths)}
    if way == "aar":
        about |= {"matmul_gflops": trainers.matmul_gflops(language.device), "packs": language.packs(language.limit()),
                  "gflop_an_example": trainers.flop_a_token(student) * float(np.mean(lengths)) / 1e9}
    print(json.dumps(about), file=answers, flush=True)
    for _ in sys.stdin:
        started, cpu = time.perf_counter(), time.process_time()
        losses = train(texts, labels)
        trainers.wait(language.device)
        seconds = time.perf_counter() - started
        print(json.dumps({"seconds": seconds, "cpu_seconds": time.process_time() - cpu, "losses": losses,
                          "peak_mib": trainers.peak_mib(language.device)}), file=answers, flush=True)


def measure(name: str, case: Case, rounds: int, threads: int, in_turns: bool) -> dict:
    found: dict[str, list[dict]] = {way: [] for way in WAYS}
    about: dict = {}
    if in_turns:
        workers = {way: Worker(name, way, threads) for way in WAYS}
        for _ in range(rounds):
            for way, worker in workers.items():
                found[way].append(worker.round())
        for worker in workers.values():
            about |= worker.about
            worker.end()
    else:  # a GPU is not shared, and three models at once may not fit into its memory
        for way in WAYS:
            worker = Worker(name, way, threads)
            about |= worker.about
            found[way] = [worker.round() for _ in range(rounds)]
            worker.end()
    return facts(case, about, found)


def facts(case: Case, about: dict, found: dict[str, list[dict]]) -> dict:
    def ratios(key: str, way: str) -> list[float]:
        return [other[key] / ours[key] for ours, other in zip(found["aar"], found[way])]

    seconds = {way: statistics.median(one["seconds"] for one in found[way]) for way in WAYS}
    losses = {way: np.array(found[way][0]["losses"]) for way in WAYS}
    last = {way: float(values[-max(1, len(values) // 3):].mean()) for way, values in losses.items()}
    peak = {way: max(one["peak_mib"] for one in found[way]) for way in WAYS}
    return {
        **about,
        "examples": case.examples,
        "steps": len(losses["aar"]),
        "examples_per_second": {way: case.examples / seconds[way] for way in WAYS},
        "ratio_vs_trainer": statistics.median(ratios("seconds", "trainer")),
        "ratio_vs_trainer_rounds": ratios("seconds", "trainer"),
        "ratio_vs_trainer_cpu_seconds": statistics.median(ratios("cpu_seconds", "trainer")),
        "ratio_vs_padded": statistics.median(ratios("seconds", "padded")),
        "goal_vs_trainer": case.goal,
        "peak_mib": peak,
        "memory_vs_trainer": peak["aar"] / peak["trainer"],
        "matmul_share": case.examples / seconds["aar"] * about["gflop_an_example"] / about["matmul_gflops"],
        "first_loss": {way: float(values[0]) for way, values in losses.items()},
        "last_third_loss": last,
        "largest_loss_difference": float(np.abs(losses["aar"] - losses["trainer"]).max()),
        "equal_loss_curve": max(last.values()) - min(last.values()) < TOLERANCE,
    }


def table(results: dict) -> str:
    lines = [f"{results['cores']} cores, {results['threads']} threads, torch {results['torch']}, {results['time']}"]
    for name, one in results["cases"].items():
        goal = one["goal_vs_trainer"]
        met = "    " if goal is None else "ok  " if one["ratio_vs_trainer"] >= goal and one["equal_loss_curve"] else "MISS"
        speed, peak, last = one["examples_per_second"], one["peak_mib"], one["last_third_loss"]
        lines += [
            f"{one['ratio_vs_trainer']:6.2f} x the Trainer  {met} {'' if goal is None else f'goal {goal}'}  {name} on {one['device']}",
            f"       examples/s: AAR {speed['aar']:.1f}, Trainer {speed['trainer']:.1f}, padded loop {speed['padded']:.1f} "
            f"({one['ratio_vs_padded']:.2f} x); {one['mean_tokens']:.0f} tokens on average, {one['longest_tokens']} at most",
            f"       mean loss over the last third of {one['steps']} steps: AAR {last['aar']:.4f}, Trainer {last['trainer']:.4f}, "
            f"padded loop {last['padded']:.4f}; largest difference in a step {one['largest_loss_difference']:.1e}",
            f"       peak memory, MiB: AAR {peak['aar']:.0f}, Trainer {peak['trainer']:.0f}, padded loop {peak['padded']:.0f}; "
            f"{100 * one['matmul_share']:.0f} % of the measured matmul peak",
        ]
    return "\n".join(lines)


def main() -> None:
    parser = argparse.ArgumentParser(prog="bench.train")
    parser.add_argument("--json", action="store_true", help="print JSON")
    parser.add_argument("--only", choices=[*CASES, *GPU_CASES], help="one case; bench/results/ is left as it is")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--threads", type=int, default=2, help="of torch, on a CPU")
    parser.add_argument("--work", choices=WAYS, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    os.environ["HF_HUB_OFFLINE"] = "1"
    if arguments.work:
        return work({**CASES, **GPU_CASES}[arguments.only], arguments.work, arguments.threads)
    import torch
    gpu = torch.cuda.is_available()
    chosen = {**CASES, **GPU_CASES} if arguments.only else GPU_CASES if gpu else CASES
    results: dict = {"time": utc_now(), "cores": len(os.sched_getaffinity(0)), "threads": arguments.threads,
                     "python": platform.python_version(), "torch": torch.__version__, "cases": {}}
    for name, case in chosen.items():
        if arguments.only in (None, name):
            results["cases"][name] = measure(name, case, arguments.rounds, arguments.threads, in_turns=not gpu)
    if arguments.only is None:
        RESULTS.parent.mkdir(exist_ok=True)
        write_atomic(RESULTS, json.dumps(results, indent=1) + "\n")
    print(json.dumps(results, indent=1) if arguments.json else table(results))


if __name__ == "__main__":
    main()
