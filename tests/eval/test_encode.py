import numpy as np
import pytest

from eval.encode import answer_logits, hidden_states, read, shorten, singles, token_batches
from eval.models import load_encoder, model_folder

VIEWS = ("last:4", "mean:6", "mean:2")


@pytest.fixture(scope="module")
def encoder():
    return load_encoder(model_folder("minilm-l6"), 6, "cpu")[1]


@pytest.fixture(scope="module")
def causal():
    """A language model small enough to run in no time, of the kind of the big ones."""
    import torch
    from transformers import Qwen3Config, Qwen3ForCausalLM
    torch.manual_seed(0)
    config = Qwen3Config(vocab_size=97, hidden_size=32, intermediate_size=64, num_hidden_layers=3, num_attention_heads=4,
                         num_key_value_heads=2, head_dim=8, initializer_range=0.3)
    return Qwen3ForCausalLM(config).eval()


def made_up_ids(count, vocabulary, seed=0):
    rng = np.random.default_rng(seed)
    return [rng.integers(1, vocabulary, length).tolist() for length in rng.integers(1, 40, count)]


def reference(model, ids):
    """All hidden states of one sequence read alone, as transformers gives them: a list of (tokens, d)."""
    import torch
    with torch.inference_mode():
        return [states[0].numpy() for states in model(torch.tensor([ids]), output_hidden_states=True).hidden_states]


def test_batches_cover_all_sequences_within_the_budget():
    lengths = np.random.default_rng(0).integers(1, 70, 300)
    spans = list(token_batches(lengths, 200))
    assert [start for start, _ in spans] == [0, *(end for _, end in spans[:-1])] and spans[-1][1] == 300
    assert all((end - start) * lengths[start:end].max() <= 200 for start, end in spans)
    assert list(token_batches([500, 3], 200)) == [(0, 1), (1, 2)] and not list(token_batches([], 200))


@pytest.mark.parametrize("kind", ["encoder", "causal"])
def test_padded_batches_give_what_each_sequence_gives_alone(kind, request):
    model = request.getfixturevalue(kind)
    views = VIEWS if kind == "encoder" else ("last:2", "mean:2", "mean:1")
    ids = made_up_ids(25, 97)
    states = hidden_states(model, ids, views, prefix=1, budget=150).astype(np.float32)
    for row, sequence in enumerate(ids):
        alone = reference(model, sequence)
        inside = slice(1 if len(sequence) > 1 else 0, None)
        wanted = [alone[int(view.split(":")[1])] for view in views]
        wanted = [of[-1] if view.startswith("last") else of[inside].mean(0) for view, of in zip(views, wanted)]
        assert np.allclose(states[:, row], wanted, rtol=1e-3, atol=1e-4)  # float16 keeps three digits


def test_answers_are_the_logits_of_the_model_reading_each_sequence_alone(causal):
    import torch
    ids = made_up_ids(25, 97)
    logits = answer_logits(causal, ids, (5, 77), budget=150)
    with torch.inference_mode():
        alone = [causal(torch.tensor([sequence])).logits[0, -1, [5, 77]].numpy() for sequence in ids]
    assert logits.dtype == np.float32 and np.allclose(logits, alone, atol=1e-4)


def hooks(model):
    return sum(len(module._forward_hooks) + len(module._forward_pre_hooks) for module in model.modules())


def test_a_model_in_bfloat16_is_read_in_its_own_precision_and_on_its_own_device(causal):
    import copy

    import torch
    device = "cuda" if torch.cuda.is_available() else "cpu"
    half, ids = copy.deepcopy(causal).to(device, torch.bfloat16), made_up_ids(12, 97)
    for got, exact in zip(read(half, ids, ("last:3", "mean:1"), (5, 77)), read(causal, ids, ("last:3", "mean:1"), (5, 77)), strict=True):
        error = np.linalg.norm(got.astype(np.float32) - exact, axis=-1) / np.linalg.norm(exact.astype(np.float32), axis=-1)
        assert 1e-4 < error.mean() < 0.05


def test_one_pass_gives_both_and_leaves_the_model_as_it_was(causal):
    ids, before = made_up_ids(12, 97), hooks(causal)
    states, logits = read(causal, ids, ("last:1", "mean:3"), (5, 77))
    assert np.array_equal(states, hidden_states(causal, ids, ("last:1", "mean:3")))
    assert np.array_equal(logits, answer_logits(causal, ids, (5, 77)))
    assert hooks(causal) == before


def test_layers_above_the_last_one_that_matters_do_not_run(causal):
    ran = []
    hook = causal.model.layers[2].register_forward_hook(lambda *_: ran.append(2))
    hidden_states(causal, made_up_ids(5, 97), ("mean:2", "last:1"))
    hook.remove()
    assert not ran


def test_means_leave_out_what_belongs_to_the_template_text_by_text(encoder):
    ids = made_up_ids(8, 97)
    prefix, suffix = [len(sequence) // 2 for sequence in ids], [1] * 8
    means = hidden_states(encoder, ids, ("mean:3",), prefix, suffix)[0].astype(np.float32)
    for row, sequence in enumerate(ids):
        alone, inside = reference(encoder, sequence)[3], slice(prefix[row], len(sequence) - 1)
        assert np.allclose(means[row], (alone[inside] if len(alone[inside]) else alone).mean(0), rtol=1e-3, atol=1e-3)


@pytest.mark.parametrize("views, answers, words", [
    (("last:7",), (), "layer 7: the model has layers 1 to 6"), (("mean:0",), (), "layer 0"),
    ((), (5,), "BertModel has no language-modelling head")])
def test_what_a_model_cannot_give_is_refused_in_words(encoder, views, answers, words):
    before = hooks(encoder)
    with pytest.raises(ValueError, match=words):
        read(encoder, [[1, 2]], views, answers)
    assert hooks(encoder) == before


def test_a_text_without_tokens_is_refused_by_its_number(encoder):
    with pytest.raises(ValueError, match="text 1 has no tokens"):
        hidden_states(encoder, [[1, 2], []], ("last:1",))


def test_a_batch_that_the_memory_does_not_hold_is_halved(causal):
    import torch
    ids, seen = made_up_ids(20, 97), []

    def small_memory(layer, arguments):
        seen.append(arguments[0].shape[0] * arguments[0].shape[1])
        if seen[-1] > 60:
            raise torch.OutOfMemoryError("as a GPU says it")

    hook = causal.model.layers[0].register_forward_pre_hook(small_memory)
    states = hidden_states(causal, ids, ("mean:2",), budget=400)
    hook.remove()
    assert max(seen) > 60 and np.allclose(states, hidden_states(causal, ids, ("mean:2",)), atol=2e-3)


def test_long_texts_lose_their_middle():
    assert shorten(range(10), 5) == [0, 1, 7, 8, 9] and shorten([1, 2], 5) == [1, 2]


def test_half_precision_becomes_single_precision_exactly():
    every = np.arange(65_536, dtype=np.uint16).view(np.float16)
    block = every[np.isfinite(every)][:63_000].reshape(-1, 100)  # subnormal ones and both zeros too
    rows = np.random.default_rng(0).permutation(len(block))
    got = singles(block, rows)
    assert got.dtype == np.float32 and np.array_equal(got.view(np.int32), block[rows].astype(np.float32).view(np.int32))
    assert np.array_equal(singles(block.astype(np.float32), rows), got)
