"""Models by name: found, checked and described from their own files, and never more of a cache than the one model in a sandbox."""
from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from eval.models import describe_model, load_encoder, model_mounts, resolve_model
from sandbox.box import Box, Mount, run
from state.errors import UserError
from tests.conftest import ROOT
from tests.eval.hub_server import COMMIT, PATIENT, hub
from tests.sandbox.help import python

OTHER_COMMIT = "f" * 40
ASK = """
import json, sys
from eval.models import resolve_model
from state.errors import UserError
for name, revision, download in json.loads(sys.argv[1]):
    try:
        print(json.dumps(["folder", str(resolve_model(name, revision, download))]))
    except UserError as error:
        print(json.dumps(["error", str(error)]))
"""


def make_model(folder: Path, kind: str = "qwen3", shard: str = "5GB") -> Path:
    """A randomly initialised model with its tokenizer, in the layout that transformers reads."""
    import torch
    from tokenizers import Tokenizer, models, pre_tokenizers
    from transformers import BertConfig, BertModel, LlamaConfig, LlamaForCausalLM, Qwen3Config, Qwen3ForCausalLM
    small = {"vocab_size": 50, "hidden_size": 32, "intermediate_size": 48, "num_hidden_layers": 3, "num_attention_heads": 4,
             "max_position_embeddings": 64}
    config, model = {"qwen3": (Qwen3Config, Qwen3ForCausalLM), "llama": (LlamaConfig, LlamaForCausalLM),
                     "bert": (BertConfig, BertModel)}[kind]
    torch.manual_seed(0)
    more = {} if kind == "bert" else {"num_key_value_heads": 2, "head_dim": 8, "tie_word_embeddings": True}
    model(config(**small, **more)).save_pretrained(folder, max_shard_size=shard)
    words = Tokenizer(models.WordLevel({"[UNK]": 0, **{f"w{i}": i for i in range(1, 50)}}, "[UNK]"))
    words.pre_tokenizer = pre_tokenizers.Whitespace()
    words.save(str(folder / "tokenizer.json"))
    (folder / "tokenizer_config.json").write_text('{"tokenizer_class": "PreTrainedTokenizerFast", "unk_token": "[UNK]"}')
    return folder


@pytest.fixture(scope="module")
def tiny(tmp_path_factory) -> Path:
    return make_model(tmp_path_factory.mktemp("tiny"))


@pytest.fixture
def copy(tiny, tmp_path) -> Path:
    return shutil.copytree(tiny, tmp_path / "model")


@pytest.fixture
def cache(tiny, tmp_path) -> Path:
    """A cache of the hub as the hub's own library lays it out, with a token and another model."""
    cache = tmp_path / "hf" / "hub"
    for name, commit in (("models--Qwen--Tiny", COMMIT), ("models--other--Model", OTHER_COMMIT)):
        snapshot = cache / name / "snapshots" / commit
        snapshot.mkdir(parents=True)
        (cache / name / "blobs").mkdir()
        (cache / name / "refs").mkdir()
        (cache / name / "refs" / "main").write_text(commit)
        for number, file in enumerate(sorted(tiny.iterdir())):
            shutil.copy(file, cache / name / "blobs" / f"{number:040x}")
            (snapshot / file.name).symlink_to(f"../../blobs/{number:040x}")
    (tmp_path / "hf" / "token").write_text("hf_secret")
    return cache


def ask(cache: Path, *questions: tuple[str, str | None, bool], **environment: str) -> list[list[str]]:
    """resolve_model in a process of its own: the hub's library reads its variables once."""
    kept = {key: value for key, value in os.environ.items() if not key.startswith("HF_")}
    done = subprocess.run([sys.executable, "-c", ASK, json.dumps(questions)], capture_output=True, text=True, cwd=ROOT,
                          env={**kept, "HF_HOME": str(cache.parent), "HF_HUB_CACHE": str(cache), **PATIENT, **environment})
    assert done.returncode == 0, done.stderr
    return [json.loads(line) for line in done.stdout.splitlines()]


def test_a_model_of_the_cache_is_found_by_name_and_revision_without_a_network(cache):
    snapshot = cache / "models--Qwen--Tiny" / "snapshots" / COMMIT
    found = ask(cache, ("Qwen/Tiny", COMMIT, True), ("Qwen/Tiny", None, False), ("Qwen/Tiny", OTHER_COMMIT, True),
                ("Qwen/Tiny", OTHER_COMMIT, False), ("Qwen/Other", None, True), HF_HUB_OFFLINE="1")
    assert found[:2] == [["folder", str(snapshot)]] * 2
    assert found[2] == ["error", f"model Qwen/Tiny at revision {OTHER_COMMIT}: it is not in the local cache, and HF_HUB_OFFLINE "
                        "forbids to download it: unset that and prepare again"]
    assert "not on this machine: `python aar.py prepare`" in found[3][1]
    assert "model Qwen/Other: it is not in the local cache" in found[4][1]


def test_a_download_takes_only_the_files_that_are_used_and_happens_once(tiny, tmp_path):
    files = {file.name: file.read_bytes() for file in tiny.iterdir()}
    extra = dict.fromkeys(["pytorch_model.bin", "model-q4.gguf", "onnx/model.safetensors", "README.md", "run.py"], b"x")
    cache = tmp_path / "hub"
    with hub({"acme/tiny": {**files, **extra}}) as (address, fetched):
        folder = Path(ask(cache, ("acme/tiny", COMMIT, True), HF_ENDPOINT=address)[0][1])
        assert sorted(fetched) == sorted(files)
        assert describe_model(folder) == describe_model(tiny)
        assert ask(cache, ("acme/tiny", COMMIT, True), HF_ENDPOINT=address) == [["folder", str(folder)]]
        os.unlink(folder / "model.safetensors")  # as after an interrupted download
        assert ask(cache, ("acme/tiny", COMMIT, False), ("acme/tiny", COMMIT, True), HF_ENDPOINT=address) == [
            ["error", f"model acme/tiny at revision {COMMIT} is not on this machine: `python aar.py prepare` the task that uses it"],
            ["folder", str(folder)]]


def test_what_the_hub_refuses_is_one_line_each(tiny, tmp_path):
    files = {file.name: file.read_bytes() for file in tiny.iterdir()}
    no_weights = {name: content for name, content in files.items() if name != "model.safetensors"}
    expected = {
        ("acme/missing", None): "the hub has no such model, or it is private",
        ("acme/gated", COMMIT): "accept its terms on the hub, set HF_TOKEN",
        ("acme/tiny", OTHER_COMMIT): "not this revision",
        ("acme/tiny", "v2"): "not this revision",
        ("acme/huge", COMMIT): "1152921504.6 GB have to be downloaded and ",
        ("acme/bin", COMMIT): "cannot be used: it holds no model.safetensors",
        ("acme tiny/x", None): "no model of the hub can have this name",
        ("gpt2", None): "no embedded model (smollm2-135m, minilm-l6) and no folder here",
    }
    with hub({"acme/tiny": files, "acme/huge": files, "acme/bin": no_weights, "acme/gated": files}) as (address, _):
        found = ask(tmp_path / "hub", *((name, revision, True) for name, revision in expected), HF_ENDPOINT=address)
    for (kind, said), words in zip(found, expected.values(), strict=True):
        assert kind == "error" and words in said and "\n" not in said, said


def test_a_sandbox_gets_the_files_of_one_model_and_nothing_else_of_the_cache(cache):
    folder = cache / "models--Qwen--Tiny" / "snapshots" / COMMIT
    (folder / "labels.jsonl").write_text("not part of a model")
    mounts = model_mounts(folder)
    assert all(source.is_file() and not source.is_symlink() for source, _ in mounts)
    box = Box("method", mounts=tuple(Mount(source, f"/aar/models/strong/{name}") for source, name in mounts))
    code = (f"import json, os; here = '/aar/models/strong'; print(json.dumps([sorted(os.listdir(here)), os.path.exists({str(cache)!r}),"
            "json.load(open(here + '/config.json'))['model_type'], os.access(here + '/config.json', os.W_OK)]))")
    names = sorted(file.name for file in folder.iterdir() if file.name != "labels.jsonl")
    assert json.loads(run(box, python(code)).output) == [names, False, "qwen3", False]


@pytest.mark.parametrize(("kind", "shard"), [("qwen3", "20KB"), ("llama", "5GB"), ("bert", "5GB")])
def test_a_model_is_described_and_cut_after_any_layer(kind, shard, tmp_path):
    import torch
    from transformers import AutoModel
    folder = make_model(tmp_path / kind, kind, shard)
    whole = AutoModel.from_pretrained(folder, dtype=torch.float32).eval()
    facts = describe_model(folder)
    assert (facts.kind, facts.layers, facts.width, facts.causal) == (kind, 3, 32, kind != "bert")
    assert facts.parameters == sum(parameter.numel() for parameter in whole.parameters())
    assert (len(list(folder.glob("*.safetensors"))) > 1) == (shard == "20KB")
    ids = torch.tensor([[3, 1, 4, 1, 5]])
    with torch.inference_mode():
        states = whole(input_ids=ids, output_hidden_states=True).hidden_states
        for layers in (1, 2):
            tokenizer, model = load_encoder(folder, layers)
            assert torch.allclose(model(input_ids=ids).last_hidden_state, states[layers], atol=1e-5)
    assert tokenizer("w3 w1")["input_ids"] == [3, 1]
    with pytest.raises(ValueError, match="it has 3"):
        load_encoder(folder, 4)


@pytest.mark.parametrize(("change", "words"), [
    (lambda folder: shutil.rmtree(folder), "there is no such folder"),
    (lambda folder: os.unlink(folder / "config.json"), "holds no config.json"),
    (lambda folder: (folder / "config.json").write_text("{"), "config.json is no JSON object"),
    (lambda folder: (folder / "config.json").write_text('{"model_type": "mamba"}'), "does not know models of kind mamba"),
    (lambda folder: (folder / "config.json").write_text('{"text_config": {}, "model_type": "vision"}'), "kind vision"),
    (lambda folder: (folder / "config.json").write_text('{"quantization_config": {}}'), "quantised"),
    (lambda folder: os.unlink(folder / "tokenizer.json"), "holds no tokenizer.json"),
    (lambda folder: os.rename(folder / "model.safetensors", folder / "pytorch_model.bin"), "pytorch_model.bin is not read"),
    (lambda folder: os.truncate(folder / "model.safetensors", 20_000), "20,000 bytes where"),
    (lambda folder: (folder / "model.safetensors").write_bytes(b"version https://git-lfs"), "no safetensors file"),
    (lambda folder: (folder / "model.safetensors.index.json").write_text(
        '{"weight_map": {"a": "model.safetensors", "b": "model-2.safetensors"}}'), "lacks 1 of its 2 files of weights"),
])
def test_a_folder_that_holds_no_usable_model_is_one_clear_line(change, words, copy):
    change(copy)
    with pytest.raises(UserError, match=words) as error:
        resolve_model(str(copy))
    assert "\n" not in str(error.value) and str(copy) in str(error.value)


def test_a_folder_of_the_user_is_taken_as_it_is(copy, monkeypatch):
    monkeypatch.chdir(copy.parent)
    assert resolve_model(str(copy)) == resolve_model("./model") == resolve_model("model", download=False) == copy
    with pytest.raises(UserError, match="only a model of the hub has revisions"):
        resolve_model(str(copy), revision="main")


def test_an_embedded_model_that_is_not_unpacked_is_not_made_by_the_way(tmp_path, monkeypatch):
    monkeypatch.setenv("AAR_HOME", str(tmp_path))
    with pytest.raises(UserError, match="minilm-l6 is not on this machine"):
        resolve_model("minilm-l6", download=False)
    assert not (tmp_path / "models").exists()
