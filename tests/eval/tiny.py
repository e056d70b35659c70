"""A causal language model small enough to be trained in a test, with the tokenizer of a real one, and a concept to learn."""

import shutil

import numpy as np

from eval.models import resolve_model

WORDS = ("river", "table", "window", "garden", "paper", "street", "morning", "letter", "bottle", "music", "stone", "market")
SIGNS = ("terrible", "wonderful")
ANSWERS = (" no", " yes")


def save_tiny(folder, **changes):
    """Write the model into `folder`; `changes` to its configuration."""
    import torch
    from transformers import LlamaConfig, LlamaForCausalLM
    torch.manual_seed(0)
    settings = {"vocab_size": 49152, "hidden_size": 32, "intermediate_size": 64, "num_hidden_layers": 2, "num_attention_heads": 4,
                "num_key_value_heads": 2, "max_position_embeddings": 256, "initializer_range": 0.2, "tie_word_embeddings": True}
    LlamaForCausalLM(LlamaConfig(**(settings | changes))).save_pretrained(folder)
    for name in ("tokenizer.json", "tokenizer_config.json"):
        shutil.copy(resolve_model("smollm2-135m") / name, folder)
    return folder


def made_up_texts(count, seed=0, ending=" Label:"):
    """(texts, labels): 2 to 32 words, a few of which tell the class."""
    rng = np.random.default_rng(seed)
    labels = rng.integers(0, 2, count)
    texts = []
    for number, label in enumerate(labels):
        length = int(rng.integers(2, 33))
        words = [SIGNS[label]] * (1 + length // 6) + list(rng.choice(WORDS, length - 1 - length // 6))
        texts.append(f"{number} " + " ".join(rng.permutation(words)) + ending)
    return np.array(texts, object), labels
