import contextlib
import json
import shutil

import numpy as np
import psutil
import pytest

from eval.feature_crew import kept_workers
from eval.features import Encoder, compute_features, cut_chunks, find_places
from eval.models import model_folder
from state.errors import UserError

ITEMS = [{"text": text} for text in ("a fine film", "dull", "it is neither long nor short, and nobody will remember it " * 3, "so so",
                                    "see it twice")]
VIEWS = ("mean:6", "last:4")


@pytest.fixture(scope="module")
def encoder():
    return Encoder(model_folder("minilm-l6"), VIEWS, "Review: {text}", 40)


def compute(encoder, folder, items=ITEMS, workers=1):
    seen = []
    blocks = compute_features(encoder, items, folder, lambda done, total: seen.append((done, total)), workers)
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


def workers():
    found = set()
    for child in psutil.Process().children():
        with contextlib.suppress(psutil.Error):  # another one's child, which has just ended
            if "eval.feature_worker" in child.cmdline():
                found.add(child.pid)
    return found


@pytest.fixture(scope="module")
def others():
    """Workers that are none of these tests'."""
    return workers()


@pytest.fixture(scope="module")
def computed(encoder, others, tmp_path_factory):
    """(folder of the chunks, blocks, what was told of the progress)"""
    folder = tmp_path_factory.mktemp("features") / "chunks"
    found = compute(encoder, folder)
    assert workers() == others, "who did not ask to keep any has none left"
    return folder, *found


@pytest.fixture(scope="module")
def keeping(computed, others):
    """Readings keep their worker until this stack is closed."""
    with contextlib.ExitStack() as stack:
        stack.enter_context(kept_workers())
        yield stack


def test_features_are_those_of_the_model_reading_each_text_alone(encoder, computed):
    import torch
    from transformers import AutoModel, AutoTokenizer
    _, blocks, seen = computed
    tokenizer = AutoTokenizer.from_pretrained(encoder.folder, local_files_only=True)
    model = AutoModel.from_pretrained(encoder.folder, local_files_only=True).eval()
    for row, item in enumerate(ITEMS):
        ids = tokenizer(f"Review: {item['text']}")["input_ids"][:40]
        with torch.inference_mode():
            states = model(torch.tensor([ids]), output_hidden_states=True).hidden_states
        assert np.allclose(blocks["last:4"][row], states[4][0, -1], atol=5e-3)
        assert np.allclose(blocks["mean:6"][row], states[6][0, 3:].mean(0), atol=5e-3)  # without [CLS] Review :
    assert seen[0][0] == 0 and seen[-1][0] == seen[-1][1] == sum(len(tokens.ids) for tokens in encoder.tokens(ITEMS))


def read_back(encoder, tokens):
    """(before the last field, the last field, after it) as words."""
    words = [encoder._tokenizer().decode(part, skip_special_tokens=False) for part in (
        tokens.ids[: tokens.prefix], tokens.ids[tokens.prefix : len(tokens.ids) - tokens.suffix],
        tokens.ids[len(tokens.ids) - tokens.suffix :])]
    return tuple(word.strip() for word in words)


@pytest.mark.parametrize("template, item, wanted", [
    ("{text}", {"text": "so so"}, ("", "[CLS] so so [SEP]", "")),
    ("Review: {text}", {"text": " so so"}, ("[CLS] review :", "so so [SEP]", "")),
    ("{question}\n{choice}", {"question": "one or two?", "choice": "two {2}"}, ("[CLS] one or two?", "two { 2 } [SEP]", "")),
    ("{{Q}} {question}\nA: {choice}.\nLabel:", {"question": "one?", "choice": "two"},
     ("[CLS] { q } one? a :", "two", ". label : [SEP]")),
    ("Q: {question}\nA: {choice}\nLabel:", {"question": "one?", "choice": ""}, ("[CLS] q : one? a : label : [SEP]", "", "")),
])
def test_means_are_over_the_last_field_of_the_template(encoder, template, item, wanted):
    encoder = Encoder(encoder.folder, VIEWS, template, 40)
    assert read_back(encoder, *encoder.tokens([item])) == wanted


def test_a_long_item_keeps_the_question_at_its_end(encoder):
    item = {"question": "one " * 30, "choice": "two " * 30}
    tail = Encoder(encoder.folder, VIEWS, "Q: {question} A: {choice} Label:", 20)
    assert read_back(tail, *tail.tokens([item])) == ("[CLS] q :" + " one" * 7, "two " * 6 + "two", "label : [SEP]")
    short = Encoder(encoder.folder, VIEWS, "Q: {question} A: {choice} Label:", 4)
    assert read_back(short, *short.tokens([item])) == ("[CLS] q", "", ": [SEP]")


def test_the_text_of_a_template_that_ends_in_its_only_field_is_cut_at_its_end(encoder):
    encoder = Encoder(encoder.folder, VIEWS, "Review: {text}", 6)
    assert read_back(encoder, *encoder.tokens([{"text": "one two three four five"}])) == ("[CLS] review :", "one two three", "")


def test_an_item_without_a_field_of_the_template_is_told_in_one_line(encoder):
    with pytest.raises(UserError, match="template asks for {text}, items have question, choice"):
        list(encoder.tokens([{"question": "", "choice": ""}]))


@pytest.fixture(scope="module")
def smollm2():
    return model_folder("smollm2-135m")


def test_answers_are_those_of_the_whole_model_reading_each_text_alone(smollm2, keeping, tmp_path):
    import torch
    from transformers import AutoModelForCausalLM, AutoTokenizer
    asking = Encoder(smollm2, ("mean:2",), "Review: {text}\nSentiment:", 60, answers=(" negative", " positive"))
    items = [ITEMS[0], ITEMS[2]]
    blocks, _ = compute(asking, tmp_path / "chunks", items)
    tokenizer = AutoTokenizer.from_pretrained(smollm2, local_files_only=True)
    model = AutoModelForCausalLM.from_pretrained(smollm2, dtype=torch.float32, local_files_only=True).eval()
    answers = [tokenizer(answer)["input_ids"][0] for answer in asking.answers]
    assert set(blocks) == {"mean:2", "answers"} and blocks["answers"].dtype == np.float32
    for row, item in enumerate(items):
        ids = tokenizer(asking.template.format_map(item))["input_ids"]
        with torch.inference_mode():
            read = model(torch.tensor([ids]), output_hidden_states=True)
        text = slice(2, len(ids) - len(tokenizer("\nSentiment:")["input_ids"]))
        assert np.allclose(blocks["answers"][row], read.logits[0, -1, answers], atol=1e-3)
        assert np.allclose(blocks["mean:2"][row], read.hidden_states[2][0, text].mean(0), rtol=2e-3, atol=2e-3)


def test_answers_that_begin_alike_are_refused(smollm2):
    with pytest.raises(UserError, match="do not tell them apart"):
        Encoder(smollm2, (), "{text}", 60, answers=(" no", " no way")).answer_ids()


def with_chunk(computed, folder, value):
    """The chunks as they were computed, but every number is `value`."""
    shutil.copytree(computed[0], folder)
    chunk, = folder.iterdir()
    np.savez(chunk, **{view: np.full((len(ITEMS), 384), value, np.float16) for view in VIEWS})


def test_a_chunk_that_is_there_is_not_computed_again(encoder, computed, tmp_path):
    with_chunk(computed, tmp_path / "chunks", 7)
    blocks, seen = compute(encoder, tmp_path / "chunks")
    assert all((block == 7).all() for block in blocks.values()) and seen == [(seen[0][1], seen[0][1])]


def test_states_that_half_precision_does_not_hold_are_refused(encoder, computed, tmp_path):
    with_chunk(computed, tmp_path / "chunks", np.inf)
    with pytest.raises(UserError, match="states mean:6, last:4 of minilm-l6 are not finite in half precision: choose other views"):
        compute(encoder, tmp_path / "chunks")


def test_who_reads_again_gets_the_worker_that_is_there_and_the_same_numbers(encoder, computed, others, keeping, tmp_path):
    compute(Encoder(encoder.folder, ("mean:2",), "{text}", 40), tmp_path / "first")
    there = workers() - others
    blocks, _ = compute(encoder, tmp_path / "second")
    assert len(there) == 1 and workers() - others == there
    assert all(np.array_equal(blocks[view], computed[1][view]) for view in VIEWS)


def test_a_worker_that_fails_is_told_in_one_line(encoder, keeping, tmp_path):
    broken = tmp_path / "model"
    shutil.copytree(encoder.folder, broken)
    config = json.loads((broken / "config.json").read_text())
    (broken / "config.json").write_text(json.dumps({**config, "intermediate_size": 7}))  # not what the weights have
    with pytest.raises(UserError, match="computing hidden states with model failed: .*prepare again") as refusal:
        compute(Encoder(broken, VIEWS, "{text}", 40), tmp_path / "chunks")
    assert "\n" not in str(refusal.value)


def test_workers_that_were_kept_end_in_the_end(encoder, others, keeping, tmp_path):
    with keeping.pop_all():
        compute(encoder, tmp_path / "chunks")
        assert workers() > others
    assert workers() == others


def test_no_more_workers_start_than_the_work_is_worth(encoder):
    most = find_places(encoder, 1e18)
    assert len(find_places(encoder, 0.0)) == 1 and sum(place.threads for place in find_places(encoder, 0.0)) >= sum(place.threads for place in most)
