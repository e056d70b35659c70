"""What stands at the end of a run: leaderboard, the winner's public and sealed figures, where to look, what to type."""

from __future__ import annotations

import os
from collections import Counter
from pathlib import Path

from state.config import is_person
from state.ledger import NULL_STAMP, Ledger
from state.paths import RunPaths
from view.format import clean, count, name_of, who_words
from view.scores import accuracy_of, leaderboard, on_track, scores_text, sealed_text


def summary_text(paths: RunPaths, ledger: Ledger, sealed: list[dict], config: dict) -> str:
    """What a finished run prints: leaderboard, the winner's public and sealed figures, where to look, what to type.

    `sealed`: the sealed verdicts of this run, [] where nothing was verified; `config`: run.toml as a dict.
    """
    verdicts = leaderboard(ledger)
    people = sum(map(is_person, config["agents"]))
    posts = len([post for post in paths.forum.glob("*.md") if post.name != "README.md"])
    head = (
        f"run {paths.name}: task {config['task']}, {who_words(len(config['agents']) - people, people)}, "
        f"{count(len(ledger.submissions), 'submission')}{_outcomes(ledger)}, {count(posts, 'post')}"
    )
    falls = [event for event in ledger.events if event["event"] == "agent-fell"]
    if falls and not ledger.submissions:
        head += f"\nNOTHING WAS SUBMITTED: agents fell {count(len(falls), 'time')}, the last one: {clean(falls[-1]['detail'], 200)}; `python aar.py log {paths.name} --type error`"
    if config.get("dirty"):
        head += "\nSTARTED FROM UNCOMMITTED CHANGES: the base commit alone does not reproduce this run"
    if config.get("null") and not verdicts:  # else it stands over the leaderboard
        head += f"\n{NULL_STAMP}"
    parts = [head, scores_text(verdicts, limit=10).replace("scores RUN", f"scores {paths.name}")]
    main = on_track(verdicts)
    if main:
        parts.append(_winner(main, sealed, ledger.verdicts, paths.name))
    parts.append(_places(paths, config))
    parts.append(_commands(paths, main[0] if main else None, config, bool(sealed)))
    return "\n\n".join(parts)


def _outcomes(ledger: Ledger) -> str:
    """What became of the submissions, each counted once: ` (31 compete, 4 with the code of an earlier one, 2 crashed)`."""
    found = Counter(_outcome(ledger.verdicts.get(name)) for name in ledger.submissions)
    return f" ({', '.join(f'{number} {words}' for words, number in found.most_common())})" if found else ""


def _outcome(verdict: dict | None) -> str:
    if verdict is None:
        return "not scored"
    if verdict.get("status") != "scored":
        return verdict["status"]
    if verdict.get("same_as"):
        return "with the code of an earlier one"
    if "near-duplicate" in (verdict.get("flags") or ()):
        return "almost an earlier one"
    return "compete" if (verdict.get("track") or "main") == "main" else "on other tracks"


def _winner(main: list[dict], sealed: list[dict], public: dict[str, dict], run: str) -> str:
    best = main[0]
    name = clean(best["submission"], 12)
    verified = [verdict for verdict in sealed if verdict.get("submission") == best["submission"]]
    who = f"{name}: {name_of(best['method'])} by {clean(best['agent'], 40)}"
    main = [verdict for verdict in main if "near-duplicate" not in (verdict.get("flags") or ())]
    lines = [f"winner {who}, the best lower bound of PGR among {len(main)} methods that compete"]
    if best.get("pgr") is None:
        lines = [f"no winner can be named: on these draws the gap between weak and ceiling is not established, so PGR is n/a; best accuracy "
                 f"{accuracy_of(best, 'accuracy')}: {who}, of {len(main)} methods that compete"]  # fmt: skip
    low = best.get("pgr_low")
    rivals = [v["submission"] for v in main[1:] if low is not None and v.get("pgr_high") is not None and v["rung"] == best["rung"] and v["pgr"] >= low]
    if rivals:
        lines.append(f"  {count(len(rivals), 'other')} lie within its interval ({', '.join(rivals[:4])}{', ...' if len(rivals) > 4 else ''}): more draws would tell them apart")
    if not verified:
        lines.append(f"  not verified: `python aar.py verify {run}` scores it once on the sealed part and closes the run")
        return "\n".join(lines)
    lines.append(sealed_text([*verified[-1:], *(verdict for verdict in sealed if verdict.get("control"))], public))
    lines.append("The public figure is the best of many and therefore looks better than it is; the sealed one was not chosen.")
    low = verified[-1].get("lift_low")
    if low is not None:
        words = "holds: its lower bound is above 0" if low > 0 else "does not hold: its interval reaches 0"
        lines.append(f"Its lift over tuned naive on the sealed part {words}.")
    return "\n".join(lines)


def ending_words(run: str, keep_open: bool) -> str:
    """What can be done with a run that was stopped."""
    if keep_open:
        return f"stopped: `python aar.py resume {run} --keep-open` opens it for people again, `python aar.py verify {run}` closes it"
    return f"stopped before its time was over: `python aar.py resume {run}` goes on"


def shown(path: Path) -> str:
    """A path as a person would type it here: relative where it lies under the current folder."""
    relative = os.path.relpath(path)
    return str(path) if relative.startswith("..") else relative


def _places(paths: RunPaths, config: dict) -> str:
    output = ", output/ (what its CLI printed)" if config.get("researcher") == "command" else ""
    return "\n".join([
        "look at",
        f"  {shown(paths.forum)}/    what the agents found, one file a post",
        f"  {shown(paths.ledger)}    every submission and verdict, one JSON object a line",
        *(f"  {shown(paths.agent(agent['name']))}/    an agent: worktree/, transcript.jsonl, agent.log{output}" for agent in config["agents"][:1]),
        f"  {shown(paths.toml)}    what the run was started with",
    ])  # fmt: skip


def _commands(paths: RunPaths, best: dict | None, config: dict, verified: bool) -> str:
    base, run = config["base"][:12], config.get("name", paths.name)  # branches keep the name that a run was started with
    agent = clean(best["agent"], 40) if best else next((agent["name"] for agent in config["agents"]), "board")
    lines = [
        "review",
        f"  git log --oneline --graph --exclude='aar/{run}/board' --branches='aar/{run}/*' --not {base}",
        f"  git log {base}..aar/{run}/{agent}",
        f"  git diff {base}..aar/{run}/{agent}",
    ]
    if best:
        lines.append(f"  git show {best['commit'][:12]}:{clean(best['method'], 80)}")
    lines.append(f"  git diff {base}..aar/{run}/board -- prompts run.toml results.tsv")
    lines.append(f"  git ls-tree --name-only aar/{run}/board forum/")
    if verified:
        lines.append(f"  git show aar/{run}/board:verification.md")
    if best:
        lines.append(f"  python aar.py show best {paths.name}")
    lines.append(f"  python aar.py scores {paths.name}")
    return "\n".join(lines)

