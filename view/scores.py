"""Leaderboards, single verdicts, and what stands at the end of a run. Behind `aar.py scores`, `eval`, `verify` and the run.

All `*_text` functions return plain text, ready for `print`; what agents wrote in it is cleaned.
"""

from __future__ import annotations

from collections.abc import Iterable

from state.config import read_config
from state.ledger import NULL_STAMP, Ledger, bits_told
from state.paths import RunPaths
from state.record import Record
from stats.exposure import Exposure, exposure, exposure_words
from stats.ranking import ranked
from stats.rejections import rejections_words, wrong_rejections
from stats.selection import leaders, luck, owed_to_selection, role
from view.format import NONE_STAMP, clean, clean_lines, columns, count, figure, lift_of, name_of, pgr_of, recipe_pgr_of

FAILURES = ("rejected", "crashed", "timeout")
TEACHERLESS = 0.5
"""A method that keeps more of its PGR than this when teachers are shuffled does not owe it to them."""
TRACKS = ("main", "elicitation", "groups", "transductive", "prior")
"""The order in which tracks are shown; then others by name, and last what was disqualified."""


def leaderboard(ledger: Ledger) -> list[dict]:
    """All verdicts of a run, best first; repeats of code that was scored before (`same_as`) are left out.

    Each has `pgr_shrunken`: what is left of its PGR when the luck of the best of many is taken off; None where it is not known.
    Those of a run whose teachers were shuffled have `null`.
    """
    return standings(ledger.verdicts.values(), is_null(RunPaths(ledger.path.parent)))


def standings(verdicts: Iterable[dict], null: bool) -> list[dict]:
    """`leaderboard` of these verdicts; `null`: of a run whose teachers were shuffled."""
    verdicts = [verdict for verdict in verdicts if not verdict.get("same_as")]
    found = luck(verdicts)
    left = found.shrunken if found else {}
    rows = [{key: value for key, value in verdict.items() if key != "kind"} for verdict in ranked(verdicts)]
    return [{**row, "pgr_shrunken": left.get(row["submission"]), **({"null": True} if null else {})} for row in rows]


def is_null(paths: RunPaths) -> bool:
    """Whether a run's run.toml, where there is one, says that the teachers' labels are shuffled. UserError where it cannot be read."""
    return paths.toml.exists() and bool(read_config(paths).get("null"))


def exposure_of(verdicts: list[dict]) -> Exposure:
    """How much these verdicts have told the agents of their run."""
    return exposure(verdicts, [bits_told(verdict) for verdict in verdicts])


def exposure_told(record: Record) -> Exposure:
    """The same of a record, also of a public one, whose verdicts do not hold what it is measured by."""
    verdicts = [{**verdict, **record.scale.get(name, {})} for name, verdict in record.verdicts.items()]
    return exposure(verdicts, [bits_told(verdict) for verdict in record.verdicts.values()])


def on_track(verdicts: list[dict], track: str = "main") -> list[dict]:
    """Those that were scored and compete on `track`, in the order given."""
    return [verdict for verdict in verdicts if verdict.get("status") == "scored" and verdict.get("track", "main") == track]


def scores_text(verdicts: list[dict], limit: int = 20) -> str:
    """A leaderboard of `verdicts` (best first, as `leaderboard` gives them) with at most `limit` rows a track."""
    if not verdicts:
        return "no verdicts yet"
    parts = _stamp(verdicts)
    tracks = {verdict.get("track") or "main": None for verdict in verdicts if verdict.get("status") == "scored"}
    known = {name: number for number, name in enumerate(TRACKS)}
    for track in sorted(tracks, key=lambda name: (name == "disqualified", known.get(name, len(TRACKS)), name)):
        rows = on_track(verdicts, track)
        about = "reached for what no method may have" if track == "disqualified" else "does not compete with main"
        title = "" if track == "main" else f"track {clean(track, 20)} ({about})\n"
        shown = f"\n... and {len(rows) - limit} more (`python aar.py scores RUN --limit {len(rows)}` shows them)" if len(rows) > limit else ""
        best = [f"  {_called(row)}: {found[1]}" for row in rows[:1] if track == "main" and (found := teacher_words(row))]
        parts.append("\n".join([title + _ranking(rows[:limit]) + shown, *best, *_reasons(rows[:limit])]))
        if track == "main" and (words := luck_words(verdicts)):
            parts.append(words)
    failed = [verdict for verdict in verdicts if verdict.get("status") != "scored"]
    if failed:
        numbers = [(status, sum(verdict["status"] == status for verdict in failed)) for status in FAILURES]
        lines = [f"not scored: {', '.join(f'{number} {status}' for status, number in numbers if number)}"]
        lines += [f"  {failure_line(verdict)}" for verdict in failed[:limit]]
        parts.append("\n".join(lines))
    by_name = {verdict["submission"]: verdict for verdict in verdicts if verdict.get("submission")}
    if by_name:
        parts.append("\n".join([exposure_words(exposure_of(verdicts)), rejections_words(wrong_rejections(by_name))]))
    return "\n\n".join(parts)


def teacher_words(verdict: dict) -> tuple[bool, str] | None:
    """Whether a method needs its teacher, and that in words; None where it was not tried with shuffled ones, or has no PGR."""
    shuffled, pgr = verdict.get("permuted_pgr"), verdict.get("pgr")
    if shuffled is None or not pgr:
        return None
    needs = shuffled < TEACHERLESS * pgr
    return needs, f"with shuffled teachers it gets PGR {shuffled:.2f}: it {'needs' if needs else 'hardly needs'} its teacher"


def _called(verdict: dict) -> str:
    return clean(verdict["submission"], 48) if verdict.get("submission") else name_of(verdict["method"])


def _reasons(verdicts: list[dict]) -> list[str]:
    """Why those that were flagged were, one line each."""
    lines = []
    for verdict in verdicts:
        if reasons := verdict.get("reasons"):
            lines.append(f"  {_called(verdict)}: {clean('; '.join(reasons), 400)}")
    return lines


def luck_words(verdicts: list[dict]) -> str | None:
    """How much of the best figure may be chance, in words; None where too few compete to tell."""
    found = luck(verdicts)
    if found is None:
        return None
    return (
        f"best of {found.count}: of as many equal methods the best would look {found.gain:+.2f} better than it is (own noise of each "
        f"{found.noise:.3f}); `shrunk` is each PGR above the middle of all moved towards it, as far as noise explains their spread"
    )


def _ranking(verdicts: list[dict]) -> str:
    header = ["rank", "submission", "agent", "method", "family", "rung", "draws", "PGR", "shrunk", "lift", "seconds", "flags"]
    rows = []
    for rank, verdict in enumerate(verdicts, 1):
        rows.append([
            rank, clean(verdict.get("submission", "-"), 12), clean(verdict.get("agent", "-"), 40),
            name_of(verdict["method"].removeprefix("methods/")),
            clean(verdict.get("family") or "-", 20), verdict["rung"], verdict["draws"], pgr_of(verdict),
            "" if verdict.get("pgr_shrunken") is None else figure(verdict["pgr_shrunken"]), lift_of(verdict),
            figure(verdict.get("method_seconds"), digits=1), clean("; ".join(verdict.get("flags") or ()), 60),
        ])  # fmt: skip
    empty = {name for at, name in enumerate(header) if name in ("shrunk", "flags") and not any(row[at] for row in rows)}
    rows = [[cell for cell, name in zip(row, header, strict=True) if name not in empty] for row in rows]
    header = [name for name in header if name not in empty]
    spare = [name for name in ("family", "draws", "seconds", "rung", "shrunk", "flags", "agent", "lift") if name in header]
    return columns(header, rows, right=("rank", "draws", "shrunk", "seconds"), spare=spare, gives="method")


def _stamp(verdicts: list[dict]) -> list[str]:
    bare, null = (any(map(test, verdicts)) for test in (lambda v: v.get("isolation") == "none", lambda v: v.get("null")))
    return [NONE_STAMP] * bare + [NULL_STAMP] * null


def _who(verdict: dict) -> str:
    names = [name_of(verdict[key]) if key == "method" else clean(verdict[key], 48) for key in ("submission", "agent", "method") if verdict.get(key)]
    return " ".join(names)


def failure_line(verdict: dict) -> str:
    """`s0007 agent-3 methods/x.py crashed: while fitting: ValueError: ...`, on one line."""
    return f"{_who(verdict)} {clean(verdict['status'], 20)}: {failure_words(verdict)}"


def failure_words(verdict: dict) -> str:
    """Why something was not scored, on one line: a traceback says at its end what went wrong, and at its beginning when."""
    lines = clean_lines(verdict.get("error") or "no reason given").strip().splitlines() or ["no reason given"]
    error = lines[0] if len(lines) == 1 else f"{clean(lines[0], 60)} ... {lines[-1].strip()}"
    return clean(error, 200)


def verdict_line(verdict: dict) -> str:
    """One verdict on one line, as the live view prints it without a terminal."""
    if verdict.get("status") != "scored":
        return failure_line(verdict)
    words = f", {clean(verdict['against_best'], 20)} than the best" if verdict.get("against_best") in ("better", "worse") else ""
    words += ", within noise of the best" if verdict.get("against_best") == "within noise" else ""
    words += f", same code as {clean(verdict['same_as'], 12)}" if verdict.get("same_as") else ""
    words += f", track {clean(verdict['track'], 20)}" if verdict.get("track", "main") != "main" else ""
    words += f", flags: {clean(', '.join(verdict['flags']), 120)}" if verdict.get("flags") else ""
    words += ", ISOLATION: NONE" if verdict.get("isolation") == "none" else ""
    words += ", NULL RUN" if verdict.get("null") else ""
    rung = f"{verdict['rung']} rung, {count(verdict['draws'], 'draw')}" + ": a first look" * (verdict["rung"] == "quick")
    return f"{_who(verdict)} PGR {pgr_of(verdict)} lift {lift_of(verdict)} ({rung}){words}"


def verdict_text(verdict: dict) -> str:
    """One verdict in full: what `aar.py eval` prints."""
    lines = _stamp([verdict])
    title = " ".join(name_of(verdict[key], 80) for key in ("submission", "method") if verdict.get(key))
    lines.append(title + (f" on task {clean(verdict['task'], 40)}" if verdict.get("task") else ""))
    if verdict.get("status") != "scored":
        error = clean_lines(verdict.get("error") or "no reason given")
        # What was rejected has no costs and no track that say anything, unless it was flagged.
        more = _costs(verdict) if verdict.get("status") != "rejected" or verdict.get("flags") else []
        return "\n".join([*lines, f"{verdict.get('status')}: {error}", *more])
    lines += [
        f"PGR       {pgr_of(verdict)}   0: no better than the teacher, 1: as good as true labels",
        f"lift      {lift_of(verdict)}   over tuned naive, paired on draws and items",
        f"accuracy  {accuracy_of(verdict, 'accuracy')}   where the teacher is right "
        f"{accuracy_of(verdict, 'accuracy_where_teacher_right')}, where it is wrong "
        f"{accuracy_of(verdict, 'accuracy_where_teacher_wrong')}; agrees with it on {accuracy_of(verdict, 'teacher_agreement')}",
        f"anchors   weak {accuracy_of(verdict, 'weak_accuracy')}, tuned naive {accuracy_of(verdict, 'tuned_naive_accuracy')}, "
        f"ceiling {accuracy_of(verdict, 'ceiling_accuracy')}",
    ]
    if verdict.get("pgr") is None:
        lines.append("PGR is n/a: on these draws the gap between weak and ceiling is not established")
    return "\n".join(lines + _costs(verdict))


def again_text(verdict: dict) -> str:
    """Whether a submission that was scored again came out as it stands in the ledger of its run."""
    if verdict.get("same"):
        return f"again     the same as in the ledger of run {clean(verdict['run'], 40)}"
    before = figure(verdict.get("ledger_pgr"), digits=4)
    return f"again     NOT the same as in the ledger of run {clean(verdict['run'], 40)} (PGR {before} there): {clean(verdict.get('not_same') or '', 200)}"


def accuracy_of(verdict: dict, name: str) -> str:
    return figure(verdict.get(name), digits=3)


def _costs(verdict: dict) -> list[str]:
    draws = f"{verdict['rung']} rung, {count(verdict['draws'], 'draw')}, " if verdict.get("draws") else ""
    lines = []
    if verdict.get("method_seconds") is not None:
        overhead = verdict.get("overhead_seconds")
        lines.append(
            f"cost      {draws}{figure(verdict['method_seconds'])} s in the method"
            + (f", {figure(overhead)} s around it" if overhead is not None else "")
            + f", peak {figure(verdict.get('peak_memory_mib'), digits=0)} MiB"
        )
    flags = clean("; ".join(verdict.get("flags") or ()), 400) or "none"
    family = clean(verdict.get("family") or "not declared", 40)
    lines.append(f"track     {clean(verdict.get('track') or '-', 20)}, family {family}, flags: {flags}")
    lines += [f"          {clean(reason, 300)}" for reason in verdict.get("reasons") or ()]
    return lines


def sealed_text(sealed: list[dict], public: dict[str, dict]) -> str:
    """Sealed figures beside the public ones of the same submissions, with how often the sealed part was opened. Finalists
    come first; what was only drawn by chance to compare them with has the role of a control, what somebody named: asked for."""
    sealed = sorted(sealed, key=lambda verdict: bool(verdict.get("control")))
    header = ["submission", "role", "agent", "method", "public PGR", "sealed PGR", "own ceiling PGR", "public lift",
              "sealed lift", "draws"]
    rows, failures, own, best = [], [], [], leaders(public)
    for verdict in sealed:
        if verdict.get("status") != "scored":
            failures.append(f"on the sealed part: {failure_line(verdict)}")
            continue
        name = verdict["submission"]
        before = public.get(name, {})
        rows.append([
            clean(name, 12), role(verdict, best), clean(verdict["agent"], 40),
            name_of(verdict["method"]), pgr_of(before), pgr_of(verdict), recipe_pgr_of(verdict), lift_of(before),
            lift_of(verdict), verdict["draws"],
        ])  # fmt: skip
        if verdict.get("recipe_ceiling_accuracy") is not None:
            own.append(
                f"{clean(name, 12)} trained on true labels by its own recipe: accuracy {accuracy_of(verdict, 'recipe_ceiling_accuracy')} "
                f"(the task's ceiling {accuracy_of(verdict, 'ceiling_accuracy')}); `own ceiling PGR` is measured against that"
            )
    if not own:  # verdicts of an earlier version
        at = header.index("own ceiling PGR")
        header, rows = [*header[:at], *header[at + 1 :]], [[*row[:at], *row[at + 1 :]] for row in rows]
    parts = _stamp(sealed) + ([columns(header, rows, right=("draws",), spare=("draws", "method", "agent", "public lift"))] if rows else []) + own
    parts += [owed] if (owed := owed_to_selection(sealed, public)) else []
    openings = max((verdict.get("openings") or 0 for verdict in sealed), default=0)
    if openings:
        parts.append(f"openings of this task's sealed part on this machine: {openings}")
    return "\n".join(parts + failures)
