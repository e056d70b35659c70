import numpy as np
import pytest

from eval.models import resolve_model
from eval.packing import Trunk, can_pack

SMALL = {"vocab_size": 97, "hidden_size": 32, "intermediate_size": 64, "num_hidden_layers": 3, "num_attention_heads": 4,
         "num_key_value_heads": 2, "initializer_range": 0.2}


def model_of(kind, **changes):
    import torch
    import transformers
    torch.manual_seed(0)
    if kind == "Bert":
        return transformers.AutoModel.from_pretrained(resolve_model("minilm-l6")).eval()
    config = getattr(transformers, f"{kind}Config")(**SMALL, **changes)
    return getattr(transformers, f"{kind}ForCausalLM")(config).eval()


def sequences(count=12, seed=0):
    rng = np.random.default_rng(seed)
    return [rng.integers(1, 97, length) for length in rng.integers(1, 20, count)]


@pytest.mark.parametrize(("kind", "pooling"), [("Llama", "last"), ("Qwen3", "last"), ("Gemma", "mean"), ("Bert", "mean"), ("Bert", "first")])
def test_texts_side_by_side_come_out_as_each_does_alone_with_the_same_gradient(kind, pooling):
    import torch
    model, texts = model_of(kind), sequences(60)  # together longer than Bert has positions
    causal = kind != "Bert"
    assert can_pack(model, causal, 64)
    weight = next(one for name, one in model.named_parameters() if "layers.1" in name or "layer.1" in name)
    found = []
    for packs in (True, False):
        trunk = Trunk(model, causal, packs)
        states = trunk(texts, pooling) if packs else torch.cat([trunk([text], pooling) for text in texts])
        (states * torch.linspace(-1, 1, states.numel()).reshape(states.shape)).sum().backward()
        found.append((states.detach(), weight.grad))
        weight.grad = None
        model.config._attn_implementation = "sdpa"
    for one, other in zip(*found):
        assert torch.allclose(one, other, rtol=1e-3, atol=1e-4 * float(other.abs().max()))


def test_padded_texts_come_out_as_each_does_alone():
    import torch
    for kind, causal in (("Llama", True), ("Bert", False)):
        trunk = Trunk(model_of(kind), causal, packs=False)
        with torch.inference_mode():
            together, alone = trunk(sequences(), "mean"), torch.cat([trunk([text], "mean") for text in sequences()])
        assert torch.allclose(together, alone, atol=1e-4)


def test_a_model_in_which_neighbours_mix_otherwise_than_by_attention_is_found_out():
    mixed = model_of("Lfm2", layer_types=["conv", "full_attention", "conv"], pad_token_id=0)
    assert not can_pack(mixed, True, 64)


def test_a_model_with_a_window_packs_only_texts_that_fit_into_it():
    model = model_of("Mistral", sliding_window=16)
    assert can_pack(model, True, 16) and not can_pack(model, True, 17)
    assert model.config._attn_implementation == "sdpa"


@pytest.mark.parametrize("packs", [True, False])
def test_micro_batches_hold_every_text_once_within_the_budget(packs):
    trunk = Trunk(model_of("Llama"), True, packs)
    lengths = np.random.default_rng(1).integers(1, 60, 64)
    micro = trunk.micro_batches(lengths, 100)
    assert sorted(np.concatenate(micro)) == list(range(64))
    assert max(trunk.cost(lengths[rows]) for rows in micro) <= 100
    assert trunk.micro_batches([500, 3], 100)[0].tolist() == [0] and not trunk.micro_batches([], 100)


def test_hardly_anything_that_is_read_is_padding():
    lengths = np.random.default_rng(2).lognormal(3.1, 0.5, 32).astype(int) + 1
    packed, padded = (Trunk(model_of("Llama"), True, packs) for packs in (True, False))
    read = [sum(trunk.cost(lengths[rows]) for rows in trunk.micro_batches(lengths, 4096)) for trunk in (packed, padded)]
    assert read[0] == lengths.sum() and read[1] < 1.15 * lengths.sum() < lengths.max() * 32 / 1.5


def test_the_model_itself_still_reads_padded_batches_as_before():
    import torch
    model = model_of("Llama")
    tokens, mask = torch.tensor([[0, 0, 5, 6], [7, 8, 9, 10]]), torch.tensor([[0, 0, 1, 1], [1, 1, 1, 1]])
    with torch.inference_mode():
        before = model(tokens, attention_mask=mask).logits
        Trunk(model, True, packs=True)
        assert torch.equal(before, model(tokens, attention_mask=mask).logits)
