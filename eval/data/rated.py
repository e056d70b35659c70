"""Human-rated texts of the package vaderSentiment (Hutto and Gilbert, ICWSM 2014): each the mean of at least twenty people's
ratings from -4 (most unfavourable) to 4. Class 1: the mean is above 0.

Movie snippets and tweets stand alone. Sentences of one product review, or of one editorial, are numbered by the document that
they were cut from and share its mood, so the document is their group.
"""
from __future__ import annotations

import hashlib
import io
import tarfile

from eval.data.rows import Row
from eval.sources import fetch, normalised
from eval.task import RatedData

PACKAGE = "vaderSentiment"
INNER = "vaderSentiment-3.3.2/additional_resources/hutto_ICWSM_2014.tar.gz"
TABLES = {
    "movies": "hutto_ICWSM_2014/movieReviewSnippets_GroundTruth.txt",
    "amazon": "hutto_ICWSM_2014/amazonReviewSnippets_GroundTruth.txt",
    "news": "hutto_ICWSM_2014/nytEditorialSnippets_GroundTruth.txt",
    "tweets": "hutto_ICWSM_2014/tweets_GroundTruth.txt",
}
OF_DOCUMENTS = {"amazon", "news"}
SHORTEST = 10
"""Letters and digits that a text has at least; what is shorter is a fragment."""


def rows(data: RatedData) -> list[Row]:
    """The texts with an absolute mean rating above the threshold, each once, in the order of their digests. UserError where
    the package cannot be had."""
    found: dict[str, Row] = {}
    ratings: dict[str, float] = {}
    for number, rating, text in _table(data.set):
        plain = normalised(text)
        digest = hashlib.sha256(plain.encode()).hexdigest()
        if len(plain) < SHORTEST or digest in found:
            continue
        document = hashlib.sha256(f"{data.set} {number.split('_')[0]}".encode()).hexdigest()
        group = document if data.set in OF_DOCUMENTS else digest
        found[digest], ratings[digest] = Row({"text": text.strip()}, int(rating > 0), group), rating
    return [found[digest] for digest in sorted(found) if abs(ratings[digest]) > data.threshold]


def _table(name: str) -> list[tuple[str, float, str]]:
    """(number, rating, text) of each line of a table."""
    with tarfile.open(fetch(PACKAGE)) as sdist, tarfile.open(fileobj=io.BytesIO(sdist.extractfile(INNER).read())) as tables:
        lines = tables.extractfile(TABLES[name]).read().decode("latin-1").splitlines()
    columns = (line.split("\t") for line in lines)
    return [(found[0], float(found[1]), found[2]) for found in columns if len(found) >= 3]
