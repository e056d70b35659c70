import numpy as np
import pytest

from eval.language import LanguageModel
from eval.models import resolve_model
from tests.eval.tiny import ANSWERS, made_up_texts, save_tiny


@pytest.fixture(scope="module")
def causal(tmp_path_factory):
    return LanguageModel(save_tiny(tmp_path_factory.mktemp("tiny")), device="cpu", max_tokens=40)


@pytest.fixture(scope="module")
def encoder():
    return LanguageModel(resolve_model("minilm-l6"), device="cpu", max_tokens=40)


@pytest.mark.parametrize("kind", ["causal", "encoder"])
def test_a_long_text_is_cut_in_the_middle_and_keeps_the_question_at_its_end(kind, request):
    language = request.getfixturevalue(kind)
    short, long = language.token_ids(["a text Label:", "first " + "word " * 300 + "Label:"])
    uncut = language.token_ids(["first " + "word " * 300 + "Label:"], max_tokens=500)[0]
    assert len(short) < 10 and len(long) == 40 < len(uncut)
    assert long == uncut[:20] + uncut[-20:]


def test_a_text_is_never_longer_than_the_positions_of_the_model(causal):
    assert len(causal.token_ids(["word " * 900], max_tokens=800)[0]) == 256


def test_a_text_without_tokens_is_refused(causal):
    with pytest.raises(ValueError, match="text 1 has no tokens"):
        causal.token_ids(["a", ""])


def test_answers_are_told_apart_by_their_first_tokens(causal):
    first, second = causal.answer_ids((" false claim", " true claim"))
    assert causal.tokenizer.decode([first]) == " false" and causal.tokenizer.decode([second]) == " true"
    with pytest.raises(ValueError, match="begin with the same token"):
        causal.answer_ids((" yes", " yes indeed"))


def test_answer_logits_are_those_after_the_last_token_of_each_prompt(causal):
    import torch
    prompts, _ = made_up_texts(9)
    logits = causal.answer_logits(prompts, ANSWERS)
    with torch.inference_mode():
        alone = [causal.model(torch.tensor([ids])).logits[0, -1, list(causal.answer_ids(ANSWERS))].numpy() for ids in causal.token_ids(prompts)]
    assert logits.shape == (9, 2) and np.allclose(logits, alone, atol=1e-4)


def test_what_is_written_does_not_depend_on_the_other_prompts(causal):
    prompts = made_up_texts(7)[0]
    together = causal.generate(prompts, 5)
    alone = [causal.generate([prompt], 5)[0] for prompt in prompts]
    assert together.tolist() == alone and any(text.strip() for text in alone)


def test_layers_are_embedded_side_by_side(causal):
    texts = made_up_texts(5)[0]
    both = causal.embed(texts, [1, 2], "mean")
    assert both.shape == (5, 64) and both.dtype == np.float32
    assert np.array_equal(both[:, 32:], causal.embed(texts, [2], "mean"))
    with pytest.raises(ValueError, match="'last' or 'mean'"):
        causal.embed(texts, [1], "max")


def test_an_encoder_says_that_it_writes_and_answers_nothing(encoder):
    assert not encoder.causal and encoder.embed(["a text"], [6], "mean").shape == (1, 384)
    with pytest.raises(ValueError, match="encoder: it writes nothing"):
        encoder.generate(["a"])
    with pytest.raises(ValueError, match="encoder: it answers nothing"):
        encoder.answer_logits(["a"], ANSWERS)


def test_a_twin_shares_the_weights_and_what_is_put_into_it_stays_there(causal):
    import torch
    twin = causal.twin()
    assert all(one is other for one, other in zip(twin.parameters(), causal.model.parameters()))
    twin.model.layers[0].mlp.gate_proj = torch.nn.Identity()
    assert isinstance(causal.model.model.layers[0].mlp.gate_proj, torch.nn.Linear)


def test_the_model_is_handed_out_ready_and_without_anything_to_train(encoder):
    assert not encoder.model.training and not any(one.requires_grad for one in encoder.model.parameters())
    assert encoder.model.config.hidden_dropout_prob == 0
