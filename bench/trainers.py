"""The peers of bench/train.py: the transformers Trainer with peft and a plain padded loop, on the model that AAR trains.

Both get the model, its start, the order of the examples, the optimiser and the schedule from the student that they are measured
against. Each way is a function that makes `train(texts, labels) -> losses of the steps`.
"""
from __future__ import annotations

import copy
import resource
import time
from collections.abc import Callable
from typing import Any

import numpy as np

from eval.descent import MOST_NORM, batches, rate
from eval.finetune import SETTINGS


def classifier(student: Any, language: Any) -> Any:
    """The student's model as one would write it at first: base model with adapters of peft, pooling, and a linear head."""
    import torch
    from peft import LoraConfig, get_peft_model
    settings = {**SETTINGS, **student.settings}
    half = language.device.type == "cuda"

    class Classifier(torch.nn.Module):
        def __init__(self) -> None:
            super().__init__()
            base = copy.deepcopy(language.model).base_model
            width = base.config.hidden_size
            if settings["method"] == "full":
                self.base = base.float().requires_grad_(True)
            else:
                with torch.random.fork_rng([language.device] if half else []):
                    torch.manual_seed(student._seed)
                    self.base = get_peft_model(base, LoraConfig(r=settings["rank"], lora_alpha=settings["alpha"],
                                                                use_rslora=settings["rslora"], target_modules=settings["targets"]))
            self.head = torch.nn.Linear(width, 2, device=language.device)
            torch.nn.init.zeros_(self.head.weight)
            torch.nn.init.zeros_(self.head.bias)
            self.losses: list[Any] = []

        def forward(self, input_ids, attention_mask, labels) -> dict[str, Any]:
            states = self.base(input_ids=input_ids, attention_mask=attention_mask).last_hidden_state
            if language.causal:
                pooled = states[torch.arange(len(states), device=states.device), attention_mask.sum(1) - 1]
            else:
                inside = attention_mask[..., None].to(states.dtype)
                pooled = (states * inside).sum(1) / inside.sum(1)
            logits = self.head(pooled.float())
            loss = torch.nn.functional.cross_entropy(logits, labels)
            self.losses.append(loss.detach())
            return {"loss": loss, "logits": logits}

    return Classifier()


class Start:
    """Puts the trained parameters back to where they were: each round starts afresh."""

    def __init__(self, model: Any) -> None:
        self.trained = [one for one in model.parameters() if one.requires_grad]
        self.values = [one.detach().clone() for one in self.trained]

    def again(self) -> None:
        for one, value in zip(self.trained, self.values):
            one.data.copy_(value)
            one.grad = None


def padded(features: list[dict]) -> dict[str, Any]:
    """What the usual collator does: pad a batch to its longest text."""
    import torch
    longest = max(len(one["input_ids"]) for one in features)
    ids = torch.zeros(len(features), longest, dtype=torch.long)
    mask = torch.zeros_like(ids)
    for row, one in enumerate(features):
        ids[row, : len(one["input_ids"])] = torch.tensor(one["input_ids"])
        mask[row, : len(one["input_ids"])] = 1
    return {"input_ids": ids, "attention_mask": mask, "labels": torch.tensor([one["labels"] for one in features])}


def in_order(student: Any, language: Any, texts: Any, labels: Any) -> list[dict]:
    """Examples in the order in which the student takes them."""
    ids = language.token_ids(texts, student.settings["max_tokens"])
    rows = np.concatenate([rows for rows, _ in batches(len(ids), student.settings["batch"], 1, student._seed)])
    return [{"input_ids": ids[row], "labels": int(labels[row])} for row in rows]


def with_trainer(student: Any, language: Any, case: Any) -> Callable:
    import tempfile

    import torch
    from transformers import PrinterCallback, Trainer, TrainingArguments
    model, cuda = classifier(student, language), language.device.type == "cuda"
    start, settings = Start(model), student.settings
    parts = settings["batch"] // case.micro

    def train(texts, labels) -> list[float]:
        start.again()
        model.losses.clear()
        examples = in_order(student, language, texts, labels)
        steps = -(-len(examples) // settings["batch"])
        adam = torch.optim.AdamW(start.trained, lr=settings["lr"], weight_decay=0.0, fused=True)
        schedule = torch.optim.lr_scheduler.LambdaLR(adam, lambda step: rate(min(step, steps - 1), steps, settings["warmup"]))
        with tempfile.TemporaryDirectory() as folder:
            trainer = Trainer(model, TrainingArguments(
                folder, num_train_epochs=1, per_device_train_batch_size=case.micro, gradient_accumulation_steps=parts,
                max_grad_norm=MOST_NORM, train_sampling_strategy="sequential", bf16=cuda, use_cpu=not cuda, save_strategy="no",
                logging_strategy="no", report_to="none", disable_tqdm=True, remove_unused_columns=False, dataloader_pin_memory=cuda,
            ), data_collator=padded, train_dataset=examples, optimizers=(adam, schedule))
            trainer.remove_callback(PrinterCallback)
            trainer.train()
        return in_steps(model.losses, parts)

    return train


def with_padded_loop(student: Any, language: Any, case: Any) -> Callable:
    import torch
    model, device = classifier(student, language), language.device
    start, settings = Start(model), student.settings

    def train(texts, labels) -> list[float]:
        start.again()
        model.losses.clear()
        examples = in_order(student, language, texts, labels)
        steps, parts = -(-len(examples) // settings["batch"]), settings["batch"] // case.micro
        adam = torch.optim.AdamW(start.trained, lr=settings["lr"], weight_decay=0.0)
        for step in range(steps):
            for group in adam.param_groups:
                group["lr"] = settings["lr"] * rate(step, steps, settings["warmup"])
            for part in range(parts):
                first = step * settings["batch"] + part * case.micro
                batch = {name: tensor.to(device) for name, tensor in padded(examples[first : first + case.micro]).items()}
                with torch.autocast(device.type, torch.bfloat16, enabled=device.type == "cuda"):
                    loss = model(**batch)["loss"]
                (loss / parts).backward()
            torch.nn.utils.clip_grad_norm_(start.trained, MOST_NORM)
            adam.step()
            adam.zero_grad()
        return in_steps(model.losses, parts)

    return train


WAYS = {"trainer": with_trainer, "padded": with_padded_loop}


def in_steps(losses: list[Any], parts: int) -> list[float]:
    values = [float(loss) for loss in losses]
    return [sum(values[start : start + parts]) / parts for start in range(0, len(values), parts)]


def matmul_gflops(device: Any) -> float:
    """The most that large matrix products reach here, in the precision of the training: GFLOP a second."""
    import torch
    size, dtype = (8192, torch.bfloat16) if device.type == "cuda" else (1024, torch.float32)
    one = torch.randn(size, size, device=device, dtype=dtype)
    best = 0.0
    for _ in range(10):
        wait(device)
        started = time.perf_counter()
        for _ in range(5):
            one @ one
        wait(device)
        best = max(best, 5 * 2 * size**3 / (time.perf_counter() - started) / 1e9)
    return best


def flop_a_token(student: Any) -> float:
    """Of the matrix products with weights, forward and backward; those inside of attention are not counted. A frozen weight
    gets no gradient of its own."""
    import torch
    flop = 0
    for module in student.model.base_model.modules():
        if isinstance(module, torch.nn.Linear):
            flop += (6 if module.weight.requires_grad else 4) * module.weight.numel()
    return flop


def wait(device: Any) -> None:
    import torch
    if device.type == "cuda":
        torch.cuda.synchronize(device)


def peak_mib(device: Any) -> float:
    """Peak memory of this process so far: on the GPU what torch took, else resident."""
    import torch
    if device.type == "cuda":
        return torch.cuda.max_memory_allocated(device) / 2**20
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def device_name(device: Any) -> str:
    import torch
    if device.type == "cuda":
        return torch.cuda.get_device_name(device)
    with open("/proc/cpuinfo", encoding="utf-8") as lines:
        return next((line.split(":", 1)[1].strip() for line in lines if line.startswith("model name")), "CPU")
