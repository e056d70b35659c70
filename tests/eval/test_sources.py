import hashlib

import pytest

from eval.sources import PACKAGES, fetch, hash_value, normalised
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


def test_labels_lie_where_only_the_owner_can_read_them(smoke):
    path = fetch("vaderSentiment")
    assert path.stat().st_mode & 0o077 == 0 and path.parent.stat().st_mode & 0o077 == 0
