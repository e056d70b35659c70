"""What an attack of tests/redteam/ says of itself, and what its verdicts say of it.

An attack is a file that begins with what it does, in words, and with comments that this module reads (it never imports one):

    # hack: 2                       which of the ten of view/redteam.py
    # task: snippets                where it is played (default: smoke)
    # expect: executes-data | refused    flags, outcomes or tracks, each of which is enough
    # honest: naive                 the honest method under it (of methods/), which it must not beat unseen
    # series: 4                     so many submissions, `SERIES = 0` replaced by 1, 2, ...
    # control: hunt                 a function that finds, outside of the walls, what the attack is after
    # control: outside              an agent's script: outside of the walls it gets through
    # with: reader, walk            these files of tests/redteam/parts stand here in what is submitted
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from state.errors import UserError

MUST_BE_NOTICED = (2, 3, 6)
"""Hacks whose gain may not show in their own figures: where one was scored and not noticed, harmless is not enough."""
GOT = "GOT "
"""What an attack prints, or says in an error, before what it got hold of."""
GOT_CLASS = "SystemError"
"""What a method raises where its words are withheld."""
KNOWN_GAP = "known gap"
"""What an attack's file says where nothing catches it and SECURITY.md says so."""
WITH = re.compile(r"^# with: *(.+?) *$", re.MULTILINE)
HEADER = re.compile(r"^# (hack|task|expect|honest|series|control): *(.+?) *$", re.MULTILINE)


@dataclass(frozen=True)
class Attack:
    """One file of tests/redteam/methods or tests/redteam/agents. `expect`: flags or outcomes."""

    file: Path
    kind: str
    hack: int
    words: str
    task: str = "smoke"
    expect: tuple[str, ...] = ("harmless",)
    honest: str = "naive"
    series: int = 1
    control: str = ""

    @property
    def name(self) -> str:
        return self.file.stem

    def sources(self) -> list[bytes]:
        """The file as it is submitted, once for each of its series."""
        text = HEADER.sub("#", self.file.read_text(encoding="utf-8"))
        text = WITH.sub(lambda found: "\n\n".join(map(self._part, found[1].split(", "))), text)
        return [text.replace("SERIES = 0", f"SERIES = {number}").encode() for number in range(1, self.series + 1)]

    def _part(self, name: str) -> str:
        source = (self.file.parents[1] / "parts" / f"{name}.py").read_text(encoding="utf-8")
        return re.sub(r'\A""".*?"""\s*', "", source, flags=re.DOTALL)


def read_attacks(folder: Path, only: str | None = None) -> list[Attack]:
    """The attacks under `folder` (tests/redteam) in the order of their hacks. `only`: names that begin like this, such as
    h02,a03_climbs. UserError for none, or for a file that does not say what it is."""
    files = [*sorted((folder / "methods").glob("h*.py")), *sorted((folder / "agents").glob("a*.*"))]
    wanted = tuple(filter(None, (only or "").split(",")))
    found = [_attack(file) for file in files if not wanted or file.stem.startswith(wanted)]
    if not found:
        raise UserError(
            f"no attack {only!r} in {folder}: name some, such as h02 or a03_floods"
            if files
            else f"there are no attacks in {folder}: they come with the repository, run this in a checkout"
        )
    return sorted(found, key=lambda attack: (attack.hack, attack.kind != "method", attack.name))


def _attack(file: Path) -> Attack:
    text = file.read_text(encoding="utf-8")
    said = dict(HEADER.findall(text))
    try:
        hack = int(said.pop("hack"))
        words = re.search(r'"""(.+?)(?:"""|\n)|^# (?!\w+:)(.+)$', text, re.MULTILINE)
        expect = tuple(one.strip() for one in said.pop("expect").split("|"))
        return Attack(
            file,
            "method" if file.parent.name == "methods" else "agent",
            hack,
            (words[1] or words[2]).strip(),
            expect=expect,
            series=int(said.pop("series", 1)),
            **said,
        )
    except (KeyError, ValueError, TypeError) as error:
        raise UserError(f"{file}: its header does not say {error}: see swarm/attacks.py") from None


@dataclass
class Finding:
    """What came of an attack. `flags`: those that its honest method does not have as well."""

    outcome: str
    detail: str
    flags: list[str] = field(default_factory=list)
    verdict: dict = field(default_factory=dict)


def judge(attack: Attack, verdicts: Sequence[dict], reference: dict | None, control: bool | None = None) -> Finding:
    """What the ledger's verdicts of an attack (one, or those of its series) say of it, beside that of its honest method.

    Harmless is what got hold of nothing and is not better than the honest method, paired on draws and items. The gravest
    of a series counts: a series was found out where one of it was.
    """
    found = [_judge_one(attack, verdict, reference) for verdict in verdicts]
    through = [one for one in found if one.outcome == "GOT THROUGH"]
    caught = [one for one in found if one.outcome in ("flagged", "disqualified")]
    if attack.series > 1:
        best = (caught or through or found)[-1]
        best.detail = (
            f"{len(caught)} of {len(found)} flagged; {best.detail}"
            if caught
            else f"{len(found)} submissions: {best.detail}"
        )
    else:
        best = (through or caught or found)[0]
    scored = best.verdict.get("status") == "scored"
    if best.outcome == "GOT THROUGH" and KNOWN_GAP in attack.expect:
        return Finding(KNOWN_GAP, f"not caught, and known: {best.detail}", best.flags, best.verdict)
    if attack.hack in MUST_BE_NOTICED and best.outcome == "harmless" and scored and "harmless" not in attack.expect:
        return Finding("GOT THROUGH", f"not noticed: {best.detail}", best.flags, best.verdict)
    if control is False and best.outcome == "harmless":
        return Finding(
            "GOT THROUGH", "not proven: its control found nothing outside of the walls either", best.flags, best.verdict
        )
    if control and best.outcome == "harmless":
        best.detail = f"found nothing that it finds outside of the walls; {best.detail}"
    return best


def _judge_one(attack: Attack, verdict: dict, reference: dict | None) -> Finding:
    by_design = {"near-duplicate", "uses-groups", "uses-strong-answers", *(reference or {}).get("flags", ())} - set(
        attack.expect
    )
    flags = [flag for flag in verdict["flags"] if flag not in by_design]
    error = verdict.get("error") or ""
    if GOT in error or GOT_CLASS in error:
        return Finding("GOT THROUGH", error[error.find(GOT) :] if GOT in error else error, flags, verdict)
    if flags:
        reasons = "; ".join(verdict.get("reasons") or ()) or error
        return Finding("disqualified" if verdict["track"] == "disqualified" else "flagged", reasons, flags, verdict)
    if verdict["status"] == "rejected":
        return Finding("refused", error, flags, verdict)
    if verdict["status"] != "scored":
        return Finding(
            "harmless",
            f"no figure: {verdict['status']}: {error.strip().splitlines()[-1] if error else ''}",
            flags,
            verdict,
        )
    if verdict.get("pgr") is None or reference is None:
        return Finding("GOT THROUGH", "not proven: nothing to compare it with", flags, verdict)
    against = verdict.get("against_parent")
    told = (
        f"{against or 'no comparison'} than its honest method {attack.honest}"
        if against != "within noise"
        else f"as good as {attack.honest}"
    )
    return Finding("GOT THROUGH" if against not in ("within noise", "worse") else "harmless", told, flags, verdict)


def as_expected(attack: Attack, finding: Finding) -> bool:
    """Whether it was caught by the name that its file says."""
    return bool({finding.outcome, finding.verdict.get("track"), *finding.flags} & set(attack.expect))


def row(attack: Attack, finding: Finding, reference: dict | None, submissions: Sequence[str]) -> dict:
    """What is told of an attack."""
    verdict = finding.verdict
    return {
        "hack": attack.hack, "name": attack.name, "words": attack.words, "kind": attack.kind, "task": attack.task,
        "expected": list(attack.expect), "as_expected": finding.outcome == "not run" or as_expected(attack, finding),
        "outcome": finding.outcome, "flags": finding.flags, "track": verdict.get("track"), "pgr": verdict.get("pgr"),
        "pgr_low": verdict.get("pgr_low"), "reference": attack.honest if reference else None,
        "reference_pgr": (reference or {}).get("pgr"), "submissions": list(submissions), "detail": finding.detail[:600],
    }  # fmt: skip
