"""Plays every attack of tests/redteam/ against a throw-away run: what is refused, flagged, harmless, and what gets through.

    redteam(project, only="h02", isolation="bubblewrap", on_event=print)      behind `python aar.py redteam --only h02`

The methods of methods/ are submitted first: what is flagged of them is a false positive, and each attack is compared,
paired, to the honest method that it hides in. `swarm/attacks.py` says what an attack is, `swarm/range.py` where it is played.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable
from pathlib import Path

from state.errors import UserError
from swarm.attacks import Finding, read_attacks, row
from swarm.create import task_views
from swarm.range import Range, user_repository

BY_DESIGN = {"uses-strong-answers", "uses-groups"}
"""What the scan tells of honest methods, too: it is no accusation."""
ON_GROUPS = ("confident", "cross_fitted", "difference_in_means", "em_channel", "low_rank", "naive", "selftrain_pca", "soft")
"""Honest methods that are audited on a task with groups as well: quick ones, of many kinds."""


def redteam(project: Path, only: str | None, isolation: str, on_event: Callable[[dict], None]) -> dict:
    """Play all attacks, or `only` some ("h02,a09": names that begin like this).

    {"isolation", "rows": [`swarm.attacks.row`], "honest": [...], "false_positives", "through", "missing": what is not
    prepared}. `on_event`: {"event": "attack" or "honest", "number", "of", "name"} as each begins. UserError: no such attack.
    """
    attacks = read_attacks(project / "tests" / "redteam", only)
    tasks = list(dict.fromkeys(attack.task for attack in sorted(attacks, key=lambda attack: attack.task != "smoke")))
    rows, honest, missing = [], [], []
    with user_repository(project) as user:
        for task in tasks:
            own = [attack for attack in attacks if attack.task == task]
            try:
                task_views(task)
                with contextlib.closing(Range(user, task, isolation)) as place:
                    place.honest("naive")
                    honest += _honest(place, on_event) if only is None else []
                    for attack in own:
                        on_event({"event": "attack", "number": len(rows) + 1, "of": len(attacks), "name": attack.name})
                        rows.append(place.play(attack))
            except UserError as error:
                if "not prepared" not in str(error):
                    raise
                missing.append(f"task {task} is not prepared on this machine: `python aar.py prepare {task}` (once)")
                rows += [row(attack, Finding("not run", missing[-1]), None, []) for attack in own]
    rows.sort(key=lambda one: (one["hack"], one["kind"] != "method", one["name"]))
    return {
        "isolation": isolation, "rows": rows, "honest": honest, "false_positives": sum(bool(one["false"]) for one in honest),
        "through": sum(one["outcome"] == "GOT THROUGH" for one in rows), "missing": missing,
    }  # fmt: skip


def _honest(place: Range, on_event: Callable[[dict], None]) -> list[dict]:
    """Every method of methods/ on smoke, some of them on a task with groups: what is flagged of them."""
    names = sorted(file.stem for file in (place.user / "methods").glob("*.py"))
    names = names if place.task == "smoke" else [name for name in names if name in ON_GROUPS]
    found = []
    for number, name in enumerate(names):
        on_event({"event": "honest", "number": number + 1, "of": len(names), "name": name})
        verdict = place.honest(name, number)
        # Who asks the strong model may well do without the teacher: it competes on that track in any case.
        allowed = BY_DESIGN | ({"needs-no-teacher"} if "uses-strong-answers" in verdict["flags"] else set())
        told = {key: verdict.get(key) for key in ("status", "track", "flags", "reasons", "pgr", "error")}
        false = [flag for flag in verdict["flags"] if flag not in allowed]
        found.append({"name": name, "task": place.task, **told, "false": false})
    return found
