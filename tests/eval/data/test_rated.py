"""The human-rated sets: the counts that the documents tell, and items whose part never changes."""
import hashlib
import re
from collections import Counter, defaultdict
from functools import lru_cache

import pytest

from eval.data.load import load_rows
from eval.sources import normalised
from eval.task import RatedData, load_task
from state.errors import UserError


@lru_cache
def rated(name, threshold=0.5):
    return load_rows(RatedData(source="rated", set=name, threshold=threshold))


@pytest.mark.parametrize("name, items, positive, groups", [
    ("movies", 10_030, 0.496, 10_030), ("amazon", 2882, 0.584, 298), ("news", 2738, 0.396, 497), ("tweets", 3193, 0.693, 3193),
])
def test_each_set_has_the_items_classes_and_groups_that_the_documents_tell(name, items, positive, groups):
    rows = rated(name)
    assert (len(rows), len({row.group for row in rows})) == (items, groups)
    assert sum(row.label for row in rows) / items == pytest.approx(positive, abs=0.0005)


@pytest.mark.parametrize("name", ["movies", "amazon", "news", "tweets"])
def test_rows_hold_a_text_and_nothing_of_the_rating_but_its_sign(name):
    rows = rated(name)
    assert all(list(row.fields) == ["text"] and row.label in (0, 1) and row.file is None and row.key is None for row in rows)
    assert len({normalised(row.fields["text"]) for row in rows}) == len(rows)


@pytest.mark.parametrize("name", ["movies", "amazon", "news", "tweets"])
def test_the_order_of_the_rows_knows_nothing_of_their_labels(name):
    labels = [row.label for row in rated(name)]
    tenth = len(labels) // 10
    rates = [sum(labels[start : start + tenth]) / tenth for start in range(0, 10 * tenth, tenth)]
    assert max(rates) - min(rates) < 0.16  # 4 standard errors of a difference of two tenths of the smallest set


def test_a_higher_threshold_only_leaves_items_out():
    low, high = rated("tweets", 0.3), rated("tweets", 1.0)
    assert {row.digest for row in high} < {row.digest for row in low}


def test_movie_snippets_stay_in_the_parts_in_which_results_were_scored():
    """The part of an item comes from the SHA-256 of its letters and digits: whoever changes that moves sealed items."""
    row = next(row for row in rated("movies") if row.fields["text"] == "Effective but too tepid biopic")
    assert row.digest == hashlib.sha256(b"effectivebuttootepidbiopic").hexdigest() and row.label == 0
    split = load_task("reviews").split
    parts = Counter(split.part_of(int(row.digest[:12], 16) % 10_000) for row in rated("movies"))
    assert parts == {"validation": 494, "public": 3092, "sealed": 2965, "region": 3479}


def test_sentences_of_one_document_share_a_group_and_so_a_part():
    of_group = defaultdict(list)
    for row in rated("amazon"):
        of_group[row.digest].append(row.label)
    sizes = Counter(len(labels) for labels in of_group.values())
    assert max(sizes) > 20 and all(re.fullmatch("[0-9a-f]{64}", digest) for digest in of_group)


def test_a_package_that_cannot_be_had_is_one_line(tmp_path, monkeypatch):
    monkeypatch.setenv("AAR_HOME", str(tmp_path))
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    rated.cache_clear()
    with pytest.raises(UserError, match="vaderSentiment==3.3.2 could not be downloaded") as refusal:
        rated("news")
    assert "\n" not in str(refusal.value)
