"""What the walls withstood, as a table: behind `python aar.py doctor`."""

from __future__ import annotations

from view.format import NONE_STAMP, clean, columns, count


def doctor_text(facts: dict) -> str:
    """The facts of DESIGN section 7 (`isolation`, `totals`, `baits`, `attempts`, `gpus`, `slots`) as plain text.

    An attempt only proves something where its control succeeded: the same attempt, made outside of the walls. A GPU is
    {"number", "name", "cuda", "detail"}.
    """
    attempts = facts["attempts"]
    sandboxes = list(dict.fromkeys(attempt["sandbox"] for attempt in attempts))
    by_name: dict[str, dict[str, dict]] = {}
    for attempt in attempts:
        by_name.setdefault(attempt["name"], {})[attempt["sandbox"]] = attempt
    rows = [[clean(name, 72), *(_word(found.get(one)) for one in sandboxes)] for name, found in by_name.items()]
    lines = [NONE_STAMP] if facts["isolation"] == "none" else []
    if rows:
        lines.append(columns(["escape attempt", *(f"{one} sandbox" for one in sandboxes)], rows))
    held = sum(attempt["blocked"] for attempt in attempts)
    proven = sum(attempt["blocked"] and attempt["control"] for attempt in attempts)
    lines.append("")
    lines.append(f"isolation: {facts['isolation']}; {held} of {count(len(attempts), 'attempt')} blocked, {proven} of them succeed outside")
    if facts["isolation"] != "none":
        lines.append(f"totals of memory and processes: {facts['totals']}; of files on disk: watchdog")
        lines.append("baits: who touches one is noticed" if facts["baits"] else "BAITS: who touches one is NOT noticed (inotify does not work here)")
    lines += [
        f"NOT BLOCKED: {clean(attempt['name'], 72)} in the {attempt['sandbox']} sandbox: {clean(attempt['detail'], 160)}"
        for attempt in attempts
        if not attempt["blocked"]
    ]
    lines += [
        f"not proven: {clean(attempt['name'], 72)} ({attempt['sandbox']} sandbox) does not succeed outside either: {clean(attempt['detail'], 160)}"
        for attempt in attempts
        if attempt["blocked"] and not attempt["control"]
    ]
    lines += [_gpu(gpu) for gpu in facts["gpus"]]
    usable = sum(gpu["cuda"] for gpu in facts["gpus"])
    gpus = f"{usable} of {count(len(facts['gpus']), 'GPU')} usable" if facts["gpus"] else "no GPU"
    lines.append(f"{count(facts['slots'], 'slot')} for heavy work, {gpus}")
    return "\n".join(lines)


def _gpu(gpu: dict) -> str:
    which = "GPUs" if gpu["number"] is None else f"GPU {gpu['number']} ({clean(gpu['name'], 60)})"
    said = "CUDA starts in the method sandbox" if gpu["cuda"] else "NO CUDA in the method sandbox"
    return f"{which}: {said}: {clean(gpu['detail'], 600)}"


def _word(attempt: dict | None) -> str:
    if attempt is None:
        return "-"
    if not attempt["blocked"]:
        return "ESCAPED"
    return "blocked" if attempt["control"] else "blocked?"
