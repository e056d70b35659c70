"""How much the verdicts of a run have told its agents about the public test items, and what that could be worth at most.

Whoever is told k verdicts can choose the next submission by them, and in the end hold a method that is good on these items
only. Two figures say how far that can go; neither needs to know what the agents did:

    bound   holds against anybody, however clever. Let a run's verdicts so far tell at most B bits about the public labels:
            then what agents know is one of 2^B transcripts, and a method chosen by it one of 2^B methods that could have
            been written down before a label was seen. For each of them accuracy is a mean of n independent values in [0, 1]
            (an item's answers, averaged over the draws), so by Hoeffding it exceeds its expectation by e with a probability
            of at most exp(-2 n e^2), and by the union bound over all of them, with probability 1 - delta,

                excess <= sqrt((B ln 2 + ln(1 / delta)) / (2 n))

            (Dwork, Feldman, Hardt, Pitassi, Reingold and Roth 2015, Generalization in adaptive data analysis and holdout
            reuse, arXiv 1506.02629, section on description length; Blum and Hardt 2015, arXiv 1502.04585, prove their Ladder
            by the same count.) n counts groups where items come in groups. It is the luck of the items alone: draws are too
            few for a bound of this kind. That is what sealed draws are for. And it counts what verdicts told, not what
            somebody knew of the items before the run.
    luck    what the best of so many methods gains by chance where all were chosen in advance (`stats/selection.py`).

The bound grows with the square root of the bits and soon exceeds the whole gap. It is then vacuous, and is called so: from
there on nothing but the sealed part protects a figure.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from stats.selection import luck

DELTA = 0.05


@dataclass(frozen=True)
class Exposure:
    """`verdicts` told, the `bits` in them at most, `items` that count as independent, `excess` accuracy that the bound
    allows, the same as `pgr`, None where it is vacuous (1 or more) or items and gap are not known; `last` verdict count at
    which the bound still says something; `tried` methods that compete and the PGR that `luck` gives the best of them (None:
    too few)."""

    verdicts: int
    bits: float
    items: float | None
    excess: float | None
    pgr: float | None
    last: int | None
    tried: int
    luck: float | None


def independent_items(sizes: Sequence[int]) -> float:
    """How many independent items groups of these sizes are worth: (sum of sizes)^2 / (sum of squares), by Hoeffding's lemma
    for a weighted mean of group means. As many as there are groups where all have the same size."""
    return sum(sizes) ** 2 / sum(size * size for size in sizes)


def excess(bits: float, items: float, delta: float = DELTA) -> float:
    """By how much accuracy on `items` independent items can exceed its expectation after `bits` were told about them, with
    probability 1 - delta, whoever chose the method. ValueError where nothing can be told."""
    if bits < 0 or items <= 0 or not 0 < delta < 1:
        raise ValueError(f"bits={bits}, items={items}, delta={delta}: no bound is defined")
    return math.sqrt((bits * math.log(2) + math.log(1 / delta)) / (2 * items))


def most_bits(accuracy: float, items: float, delta: float = DELTA) -> float:
    """The bits at which the bound reaches `accuracy`: the inverse of `excess`."""
    return max(0.0, (2 * items * accuracy**2 - math.log(1 / delta)) / math.log(2))


def exposure(verdicts: Sequence[dict], bits: Sequence[float]) -> Exposure:
    """What `verdicts` have told agents; `bits` is what each told at most, in their order."""
    told, total = sum(value > 0 for value in bits), sum(bits)
    known = [v for v in verdicts if v.get("independent_items") and v.get("ceiling_accuracy") is not None]
    known = [v for v in known if v["ceiling_accuracy"] > v["weak_accuracy"]]
    found = luck(verdicts)
    by_chance = (found.count, found.gain) if found else (0, None)
    if not known:
        return Exposure(told, total, None, None, None, None, *by_chance)
    most = max(known, key=lambda v: v["draws"])
    items, gap = most["independent_items"], most["ceiling_accuracy"] - most["weak_accuracy"]
    bound = excess(total, items)
    last = int(most_bits(gap, items) / (total / told)) if told else None
    return Exposure(told, total, items, bound, bound / gap if bound < gap else None, last, *by_chance)


def exposure_words(found: Exposure) -> str:
    """The meter on one line."""
    head = f"exposure: {found.verdicts} verdict{'' if found.verdicts == 1 else 's'} told at most {found.bits:,.0f} bits"
    if found.items is None:
        head += "; no bound (the size of the public part or the gap is not known)"
    else:
        head += f" about {found.items:,.0f} independent public items; "
        if found.pgr is None:
            most = f"{found.last} verdict{'' if found.last == 1 else 's'}"
            head += f"no bound (vacuous beyond about {most}): only the sealed part tells gain from overfitting"
        else:
            head += f"whoever used them all gains at most {found.pgr:.2f} PGR by it (95 %)"
    return head


def luck_words(found: Exposure) -> str | None:
    """What luck alone gives, on one line; None where too few compete to tell."""
    if found.luck is None:
        return None
    return f"by luck alone the best of {found.tried} methods chosen in advance looks {found.luck:+.2f} PGR better than it is"
