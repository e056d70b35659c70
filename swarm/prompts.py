"""What agents are told at their start: prompts/researcher.md, rendered for each with the facts of its run, and a direction.

    hashes, starts = freeze_prompts(project, board, prompt, directions)     # copies to the board, path -> sha256
    write_prompt(paths, config, "agent-3")                                  # RUN/agent-3/prompt.md, and a copy on the board

A fork edits the texts and nothing else. `python -m swarm.prompts` prints the variables that a text may use.
"""

from __future__ import annotations

import hashlib
import re
from pathlib import Path
from typing import Any

from jinja2 import Environment, StrictUndefined, TemplateError, UndefinedError

from state.errors import UserError
from state.files import write_atomic
from state.paths import RunPaths, aar_home

PROMPT, PRIMER, DIRECTIONS = Path("prompts/researcher.md"), Path("prompts/primer.md"), Path("prompts/directions")
NONE = "none"
VARIABLES = {
    "agent": "the agent's name",
    "agents": "how many agents the run has",
    "direction": "the text of its direction, empty where it has none",
    "task": "the task's name",
    "description": "the task in words, with its noise floor and the open kit",
    "hours": "how long the run may take, in hours",
    "time": "the same in words: 90 seconds, 10 minutes, 8 hours",
    "submissions": "how many submissions the agent may make",
    "fleet_submissions": "how many all agents together may make",
    "evaluations_an_hour": "about how many verdicts the machine gives an hour, or none where that is not known",
    "dollars": "what the agent may spend, or none",
    "share_after_minutes": "after how many minutes it sees others' work, if not by its first verdict; 0 at once",
    "primer": "prompts/primer.md",
    "person": "whether a person reads it",
}
"""What a text may use, as {{ name }}."""


def _render(text: str, facts: dict[str, Any], where: str) -> str:
    environment = Environment(undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True, keep_trailing_newline=True)
    try:
        return environment.from_string(text).render(**facts)
    except UndefinedError as error:
        raise UserError(f"{where}: {error.message}; there is {', '.join(VARIABLES)}") from None
    except TemplateError as error:
        place = f", line {error.lineno}" if getattr(error, "lineno", None) else ""
        raise UserError(f"{where}{place}: {error.message}") from None


def time_words(seconds: float) -> str:
    """5400 -> "1.5 hours", 600 -> "10 minutes", 90 -> "90 seconds"."""
    size, unit = (3600, "hour") if seconds >= 3600 else (60, "minute") if seconds >= 120 else (1, "second")
    number = f"{seconds / size:.3g}"
    return f"{number} {unit}{'' if number == '1' else 's'}"


def _below(text: str) -> str:
    """Headings of a text that stands within another one, a level lower."""
    return re.sub(r"(?m)^(?=#+ )", "#", text).strip()


def _read(file: Path, what: str) -> str:
    try:
        return file.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else "not UTF-8"
        raise UserError(f"{what} {file}: {reason}") from None


def freeze_prompts(project: Path, board: Path, prompt: Path | None = None, directions: str | None = None) -> tuple[dict[str, str], list[str]]:
    """Copy the texts as they are now, uncommitted changes included, to the board: path -> sha256, and the directions' names.

    UserError for a text that is missing or does not render.
    """
    texts = {PROMPT: _read(prompt or project / PROMPT, "--prompt" if prompt else "prompt")}
    if (project / PRIMER).exists():
        texts[PRIMER] = _read(project / PRIMER, "primer")
    starts = [NONE]
    if directions != NONE:
        folder = project / DIRECTIONS if directions is None else Path(directions)
        found = sorted(folder.glob("*.md"))
        if not found:
            raise UserError(f"{folder} holds no *.md file: each agent needs a direction to start from, or say --directions none")
        starts = [file.stem for file in found]
        texts |= {DIRECTIONS / file.name: _read(file, "direction") for file in found}
    if not texts[PROMPT].strip():
        raise UserError(f"{prompt or PROMPT} is empty: agents would know nothing of their task")
    _render(texts[PROMPT], dict.fromkeys(VARIABLES, 1), str(prompt or PROMPT))
    hashes = {}
    for path, text in texts.items():
        (board / path).parent.mkdir(parents=True, exist_ok=True)
        write_atomic(board / path, text)
        hashes[str(path)] = hashlib.sha256(text.encode()).hexdigest()
    return hashes, starts


def direction_text(paths: RunPaths, name: str) -> str:
    """The frozen text of a direction; "" where there is none."""
    file = paths.board / DIRECTIONS / f"{name}.md"
    return file.read_text(encoding="utf-8") if file.exists() else ""


def write_prompt(paths: RunPaths, config: dict[str, Any], agent: str, direction: str | None = None, person: bool = False) -> str:
    """Render the frozen prompt for one agent, keep it in its folder, where its sandboxes read it, and on the board."""
    about = next((one for one in config["agents"] if one["name"] == agent), {})
    budget = config.get("budget", {})
    shares = [budget.get("agent_dollars"), budget["dollars"] / max(1, len(config["agents"])) if budget.get("dollars") else None]
    primer = paths.board / PRIMER
    facts = {
        "agent": agent,
        "agents": len(config["agents"]),
        "direction": _below(_below(direction if direction is not None else direction_text(paths, about.get("direction", NONE)))),
        "task": config["task"],
        "description": _below((aar_home() / "tasks" / config["task"] / "open" / "description.md").read_text(encoding="utf-8")),
        "hours": config["seconds_limit"] / 3600,
        "time": time_words(config["seconds_limit"]),
        "submissions": config["submissions_limit"],
        "fleet_submissions": config["fleet_submissions_limit"],
        "evaluations_an_hour": config.get("evaluations_an_hour"),
        "dollars": min((share for share in shares if share is not None), default=None),
        "share_after_minutes": config.get("share_after_seconds", 0.0) / 60,
        "primer": primer.read_text(encoding="utf-8") if primer.exists() else "",
        "person": person,
    }
    text = _render((paths.board / PROMPT).read_text(encoding="utf-8"), facts, str(PROMPT))
    write_atomic(paths.agent(agent) / "prompt.md", text)
    copy = paths.board / "prompts" / "rendered" / f"{agent}.md"
    copy.parent.mkdir(parents=True, exist_ok=True)
    write_atomic(copy, text)
    return text


if __name__ == "__main__":
    print("\n".join(f"{{{{ {name} }}}}  {what}" for name, what in VARIABLES.items()))
