"""What the search researcher may build with: the blocks of `blocks.py`, their constants and how they are spoken of.

A constant has a ladder of sensible values, in order; the search only ever steps along ladders. `stems` are word
beginnings by which a direction (free text, prompts/directions/*.md) speaks for a block: editing a direction moves the
search. To add a block, write its function in `blocks.py` and its line here.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any

FEW = (3, 5, 10, 20, 50)
STUDENT = (5, 10, 20, 50, None)
"""Principal components that a student inside a block sees; None: all features."""


@dataclass(frozen=True)
class Block:
    """One cleaning step: function `name`, `family` for the ledger, `short` for file names, `called` for titles, `says`
    for docstrings."""

    name: str
    family: str
    short: str
    called: str
    says: str
    ladders: Mapping[str, tuple[Any, ...]]
    stems: tuple[str, ...]
    cost: float
    """Rough milliseconds that it takes beside the students that it trains."""


def _block(
    name: str, family: str, short: str, called: str, says: str, stems: str, cost: float = 0, **ladders: tuple
) -> Block:
    return Block(name, family, short, called, says, MappingProxyType(ladders), tuple(stems.split()), cost)


# fmt: off
_ALL = (
    _block("keep_confident", "filtering", "confident", "confident labels",
           "keep the {share:.0%} of each class of which the teacher is surest", "confiden sure trust filter weigh", 1,
           share=(0.1, 0.15, 0.25, 0.35, 0.5, 0.7)),
    _block("weigh_by_confidence", "weighting", "weighted", "confidence weights",
           "weigh labels by the teacher's margin to the power {power}", "weight weigh count margin importan", 1,
           power=(0.5, 1, 2, 3)),
    _block("smooth_over_neighbours", "smoothing", "neighbours", "neighbours",
           "average the teacher over {neighbours} neighbours in {components} components",
           "neighbour smooth near similar geometr", 150, neighbours=(10, 25, 50, 100), components=(10, 20, 50)),
    _block("keep_agreed", "agreement", "agreed", "agreed labels",
           "drop labels that a cross-fitted student contradicts", "agree contradict consisten elicit",
           components=STUDENT),
    _block("keep_easy", "small loss", "easy", "easy labels",
           "keep the {share:.0%} of each class that is learned most easily", "easy easi learnab hard memor",
           share=(0.25, 0.4, 0.55, 0.7, 0.85), components=STUDENT),
    _block("self_train", "self-training", "selftrain", "self-training",
           "replace the labels by a cross-fitted student's, {rounds} times", "self-train own generation again pseudo",
           rounds=(1, 2, 3, 5), components=STUDENT),
    _block("born_again", "distillation", "bornagain", "born again",
           "teach {rounds} generations with the last one's chances", "distil born generation chances temperature",
           rounds=(1, 2, 3), components=STUDENT),
    _block("grow_from_sure", "easy to hard", "grow", "growing from sure",
           "relabel with teacher and student together, training on a sure part that grows from {share:.0%} in {rounds} "
           "rounds",
           "grow curricul easy gradual learnab", rounds=(2, 3, 4), share=(0.25, 0.4, 0.6), components=STUDENT),
    _block("multiply_with_student", "product of experts", "product", "product of experts",
           "let the teacher and the student, counted {trust:g} times, vote with their log odds",
           "combin product vote together both expert", trust=(0.5, 1, 2, 4), components=STUDENT),
    _block("mix_in_student", "auxiliary confidence", "mixin", "own answers mixed in",
           "make {share:.0%} of the target the student's own answer", "own elicit overrul bootstrap soft",
           share=(0.25, 0.5, 0.75), components=STUDENT),
    _block("forgive_outliers", "robust loss", "forgiving", "forgiving loss",
           "forgive labels that fit badly (generalised cross-entropy, q = {q})", "robust forgiv loss outlier weigh",
           q=(0.5, 1, 2), rounds=(1, 2), components=STUDENT),
    _block("noisy_channel", "noisy channel", "channel", "noisy channel",
           "see the teacher as a noisy channel with {bins} levels, by {rounds} rounds of EM",
           "channel noise noisy mistake error latent", bins=(2, 4, 6, 10), rounds=(2, 3, 5), components=STUDENT),
    _block("teach_each_other", "co-training", "cotrain", "co-training",
           "let this view and {other} label for one another, {rounds} times", "layer view hidden co-train another",
           rounds=(1, 2, 3), other=(), components=STUDENT),
    _block("shift_by_means", "difference of means", "means", "difference of means",
           "label along the difference of the class means in {components} components",
           "simpl direction linear difference", 100, shrink=(0.1, 0.5, 0.9), components=FEW),
    _block("best_axis", "single direction", "axis", "best axis",
           "label along the one axis among {components} that the teacher points to",
           "axis direction end unsupervis hidden", 100, components=(3, 5, 10, 20)),
    _block("two_clusters", "clustering", "clusters", "two clusters",
           "find two clusters in {components} components from the teacher's labels",
           "cluster unsupervis group structure", 100, rounds=(5, 10, 20), components=FEW),
    _block("evolve_direction", "evolution", "evolved", "evolved direction",
           "evolve the direction in {components} components that contradicts the fewest labels",
           "evol gradient mutat population random", 250, generations=(10, 20, 40), components=FEW),
)
# fmt: on
BLOCKS: Mapping[str, Block] = MappingProxyType({block.name: block for block in _ALL})

STARTS = {"teacher_labels": "the teacher's labels", "teacher_chances": "the teacher's chances"}
HEAD_COMPONENTS = (2, 5, 10, 20, 50, None)
HEAD_L2 = (0.003, 0.01, 0.03, 0.1, 0.3, 1.0, 3.0)
CUTS = {
    "half": "a cut at one half",
    "pool median": "a cut at the pool's median",
    "teacher rate": "as many positives as the teacher",
}
HEAD_STEMS = {
    "components": "simpl few compress small low rank occam",
    "l2": "simpl regular small",
    "second": "ensembl average committee layer",
}
MOST_STEPS = 3
MOST_COST = 1200
"""Milliseconds of one fit, and there are eight in a verdict: nine agents wait for each other."""
