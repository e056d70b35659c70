"""What `compare` answers, in words: one line for each two sides, and the notes without which no figure is to be read.

    answer(pair, facts)     "B is better than A: ...", or "cannot tell A from B ...": why, and what it would take

All up to the first colon is the verdict, the rest what it rests on: a page shows them apart.
"""

from __future__ import annotations

from view.format import clean, count, figure, interval
from view.measures import AREA, SEALED, words_of

ALPHA = 0.05
WORTH = 0.05
"""A smaller difference in PGR nobody plans runs for."""
ONE_RUN = "what differs between two runs of the same prompt is not known, so this cannot tell"
OTHER_DRAWS = "their figures come from other draws, items or anchors, and a difference may be that of the draws: more runs would not help"


def answer(pair: dict, facts: dict) -> str:
    """One pair in words: the better side, or what it would take to tell."""
    a, b = pair["first"], pair["second"]
    one, looks = pair["differences"].get(facts["primary"]), facts["looks"] if facts["primary"] == SEALED else 0
    label = primary_words(facts)
    if one is None:
        return f"cannot tell {a} from {b}: no {label}{',' * (',' in label)} to compare{_held(pair)}"
    runs = one["runs"]
    over = f"{label}{',' * (',' in label)} over {runs[0]} and {runs[1]} runs"
    if pair["better"]:
        one = one if one["value"] > 0 else _turned(one)
        words = f"{pair['better']} is better than {b if pair['better'] == a else a}: {_signed(one)} {over}"
        words += f" (Holm p = {pair['adjusted_p']:.3f} among {len(facts['pairs'])} pairs)" if len(facts["pairs"]) > 1 else ""
        return words + (f"; corrected for {looks} openings of the sealed part {_corrected(one)}, which still leaves 0 out" if looks > 1 else "")
    words = f"cannot tell {a} from {b}: {_signed(one)} {over}"
    if pair["held"]:
        return words + _held(pair)
    if not facts["same_draws"]:
        return f"{words}; {OTHER_DRAWS}"
    if min(runs) < 2:
        where = "a side" if max(runs) < 2 else f"on side {a if runs[0] < 2 else b}"
        return f"{words}; one run {where}: {ONE_RUN}"
    if one["p"] is None:
        return f"{words}; runs of the same side do not differ at all, which leaves nothing to hold a difference against"
    if pair["adjusted_p"] < ALPHA:
        words = (f"cannot tell {a} from {b} after {count(looks, 'opening')} of the sealed part: plain interval {_signed(one)}, "
                 f"corrected {_corrected(one)}, {over}")  # fmt: skip
    elif one["p"] < ALPHA:
        words += f"; alone it would tell, among {len(facts['pairs'])} pairs it does not (Holm p = {pair['adjusted_p']:.2f})"
    more = "more than 1,000 runs" if pair["needed"] is None else f"about {max(1, pair['needed'] - min(runs))} more runs"
    size = "one as large as the one seen" if pair["wanted"] > WORTH else f"one of {WORTH:.2f}"
    after = f"after {looks} openings " if looks > 1 else ""
    return f"{words}; {after}these runs could tell {pair['tellable']:.2f} (four times out of five), {more} a side would tell {size}"


def primary_words(facts: dict) -> str:
    """The primary measure as it is called in a sentence."""
    return words_of(next(one for one in facts["measures"] if one["key"] == facts["primary"]))


def _held(pair: dict) -> str:
    """The runs on which no verdict may rest, by why."""
    whys: dict[str, list[str]] = {}
    for one in pair["held"]:
        whys.setdefault(one["why"], []).append(clean(one["run"], 40))
    found = [f"{', '.join(names)} ({why})" for why, names in whys.items()]
    return f"; no verdict, because of {', '.join(found)}" if found else ""


def _turned(one: dict) -> dict:
    """The same difference, second less first."""
    ends = {f"{name}{low}": f"{name}{high}" for name in ("", "corrected_") for low, high in (("low", "high"), ("high", "low"))}
    return {**one, "value": -one["value"], **{key: -one[other] for key, other in ends.items() if one.get(other) is not None}}


def _signed(one: dict) -> str:
    return figure(one["value"], signed=True) if one.get("low") is None else interval(one["value"], one["low"], one["high"], signed=True)


def _corrected(one: dict) -> str:
    return f"[{figure(one['corrected_low'], True)}, {figure(one['corrected_high'], True)}]"


def notes(facts: dict) -> list[str]:
    """What has to be known to read the figures."""
    why = "" if facts["primary"] == SEALED else ", since not all runs are verified: it was chosen by itself, and no sealed figure bears it out"
    found = [f"The primary measure is `{primary_words(facts)}`{why}. All others are exploratory: of so many, one may well leave 0 out by chance."]
    found.append("Differences: first side less second, 95 % interval by Welch's t over runs, which holds what differs from run to run. "
                 "All is on the same draws and items: it does not say how others would come out." if facts["same_draws"] else
                 "Differences: first side less second, 95 % interval by Welch's t over runs; the draws are not the same and not part of it.")  # fmt: skip
    if any(run["failure"] for run in facts["runs"]):
        found.append("A run whose winner has no valid sealed figure failed. It is not in the means of the sealed figures, which look better for it; "
                     "so no side is named better in a pair that has one.")  # fmt: skip
    if any(AREA not in run["figures"] for run in facts["runs"]):
        found.append("A run without a public PGR is in no mean of `area` and `best`, which look better for it; so no difference in them is told.")
    found.append("* public: chosen by itself as the best of many, so it looks better than it is. `area`: mean of the best so far, up to there.")
    if facts["looks"]:
        found.append(f"k: how often the sealed part of this task had been opened when a run was verified. Corrected intervals are taken to the level "
                     f"1 - 0.05 / {facts['looks']}, by the largest k, so that all of as many intervals hold at once with 95 %. By the sealed PGR a "
                     "side is better only if the corrected interval leaves 0 out too; each run that is verified opens the sealed part once more.")  # fmt: skip
    return found
