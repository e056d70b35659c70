"""Makes a new run: its folder, its repository with a branch and a worktree an agent, its board, its frozen configuration."""

from __future__ import annotations

import json
import re
import secrets
import shutil
from dataclasses import dataclass, field
from datetime import datetime, timezone
from pathlib import Path
from tempfile import TemporaryDirectory

import tomli_w
from git import Repo

from eval.client import check_submittable, check_torch, make_slots
from state.errors import UserError
from state.files import utc_now, write_atomic
from state.names import is_submission
from state.paths import NAME, RunPaths, aar_home, runs_folder
from swarm.agent import ASK_MODELS, RESEARCHERS
from swarm.board import Board
from swarm.boxes import prepare_agent_folder
from swarm.prompts import freeze_prompts, write_prompt
from swarm.repo import RunRepo, changed_prompts, open_user_repository, uncommitted
from swarm.settings import Settings, frozen, models_of

PROJECT = Path(__file__).parent.parent
MOST_AGENTS = 64
SHARE_AFTER_MINUTES = 20.0
"""When agents that ask a model see each other's work, if not by their own first verdict; others see it at once."""
SUBMISSIONS, FLEET_SUBMISSIONS = 400, 2000
"""Submissions that an agent and all of them together may make. More than nine searching agents make of real methods in an
hour, so that honest work never meets them, and an end to what can be learned by asking the scorer (`stats/exposure.py`)."""


@dataclass(frozen=True)
class Options:
    """What a person asks for on the command line."""

    agents: int
    task: str = "reviews"
    run: str | None = None
    seconds: float = 600.0
    researcher: str = "search"
    seed: int | None = None
    allow_dirty: bool = False
    isolation: str = "bubblewrap"
    gpus: str | None = None
    submissions: int = SUBMISSIONS
    fleet_submissions: int = FLEET_SUBMISSIONS
    null: bool = False
    """Shuffle all teachers' labels: shows how high a swarm climbs on nothing."""
    settings: Settings = field(default_factory=Settings)
    prompt: Path | None = None
    """A text in place of prompts/researcher.md."""
    directions: str | None = None
    """A folder in place of prompts/directions, or "none"."""
    keep_open: bool = False
    evaluations_an_hour: int | None = None
    """As expected, for the prompt."""


def task_views(task: str) -> list[str]:
    """The feature views of a prepared task. UserError where it is unknown, only for transfer, or not prepared."""
    check_submittable(task)
    kit = aar_home() / "tasks" / task / "open" / "kit" / "kit.json"
    if not kit.exists():
        raise UserError(f"task {task} is not prepared on this machine: `python aar.py prepare {task}` (once)")
    return list(json.loads(kit.read_text())["features"])


def write_toml(path: Path, config: dict) -> None:
    """Write run.toml: plain values first, then a table each of what belongs together, then one an agent."""
    plain = {key: value for key, value in config.items() if value is not None and not isinstance(value, (dict, list))}
    lists = {key: value for key, value in config.items() if isinstance(value, list) and key != "agents"}
    tables = {key: value for key, value in config.items() if isinstance(value, dict)}
    write_atomic(path, tomli_w.dumps({**plain, **lists, **tables, "agents": config["agents"]}))


@dataclass(frozen=True)
class Checked:
    """What was found when nothing was in the way of a run."""

    paths: RunPaths
    user: Repo
    views: list[str]
    dirty: list[str]


def check_run(options: Options) -> Checked:
    """UserError where something is in the way of a run. Makes nothing."""
    user = open_user_repository(PROJECT)
    if not (0 if options.keep_open else 1) <= options.agents <= MOST_AGENTS:
        people = "" if options.agents else "; none at all only with --keep-open, for people"
        raise UserError(f"--agents {options.agents}: between 1 and {MOST_AGENTS} agents run on one machine{people}")
    for name, most in (("--submissions", options.submissions), ("--fleet-submissions", options.fleet_submissions)):
        if most < 1:
            raise UserError(f"{name} {most}: it takes at least one submission to have anything scored")
    if options.researcher not in RESEARCHERS:
        raise UserError(f"no researcher {options.researcher!r}: there is {', '.join(RESEARCHERS)}")
    dirty = uncommitted(user)
    if dirty and not options.allow_dirty:
        raise UserError(f"uncommitted changes in {', '.join(dirty[:3])}: commit them, or --allow-dirty (the run is stamped)")
    views = task_views(options.task)
    name = options.run or _free_name(user)
    if not NAME.fullmatch(name):
        raise UserError(f"--run {name!r}: lower-case letters, digits, - and _, at most 40")
    if is_submission(name):
        raise UserError(f"--run {name}: `show` takes this word for a submission, choose another name")
    paths = RunPaths(runs_folder(user.working_dir) / name)
    if paths.root.exists():
        raise UserError(f"run {name} exists already: `python aar.py resume {name}`, or choose another --run name")
    if options.researcher == "command":
        _command(frozen(options.settings)["command"])
    with TemporaryDirectory() as scratch:
        freeze_prompts(PROJECT, Path(scratch), options.prompt, options.directions)
    return Checked(paths, user, views, dirty)


def create_run(options: Options) -> RunPaths:
    """Make a run ready to be operated. UserError, with nothing left behind, where something is in the way."""
    checked = check_run(options)
    paths = checked.paths
    slots = make_slots(options.gpus)
    check_torch(slots, options.isolation)
    try:
        _build(paths, options, checked.user, checked.views, checked.dirty, len(slots))
    except BaseException:
        shutil.rmtree(paths.root, ignore_errors=True)
        raise
    return paths


def _free_name(user: Repo) -> str:
    stem = datetime.now(timezone.utc).strftime("%m%d-%H%M")
    names, number = {head.name.split("/")[1] for head in user.heads if re.match("aar/[^/]+/", head.name)}, 1
    while (name := stem if number == 1 else f"{stem}-{number}") in names or (runs_folder(user.working_dir) / name).exists():
        number += 1
    return name


def _build(paths: RunPaths, options: Options, user: Repo, views: list[str], dirty: list[str], slots: int) -> None:
    paths.root.mkdir(parents=True)
    _ignore(paths.root.parent.parent)
    paths.evaluator.mkdir(mode=0o700)
    names = [f"agent-{number + 1}" for number in range(options.agents)]
    repo = RunRepo.create(paths.repo, paths.name, user, ["board", *names])
    repo.add_worktree("board", paths.board)
    hashes, starts = freeze_prompts(PROJECT, paths.board, options.prompt, options.directions)
    asks = options.researcher in ASK_MODELS
    models = models_of(options.settings, options.agents) if asks else [None] * options.agents
    agents = [
        {"name": name, "direction": starts[number % len(starts)], "researcher": options.researcher, **({"model": model} if model else {})}
        for number, (name, model) in enumerate(zip(names, models, strict=True))
    ]
    paths.forum.mkdir(exist_ok=True)
    said = frozen(options.settings)
    share_after = options.settings.swarm.share_after_minutes
    config = {
        "name": paths.name,
        "created": utc_now(),
        "task": options.task,
        "seconds_limit": options.seconds,
        "submissions_limit": options.submissions,
        "fleet_submissions_limit": options.fleet_submissions,
        "share_after_seconds": 60.0 * (share_after if share_after is not None else SHARE_AFTER_MINUTES if asks else 0.0),
        "evaluations_an_hour": options.evaluations_an_hour,
        "null": options.null,
        "seed": secrets.randbelow(2**31) if options.seed is None else options.seed,
        "researcher": options.researcher,
        "base": user.head.commit.hexsha,
        "base_branch": user.active_branch.name,
        "user_git": str(user.git_dir),
        "isolation": options.isolation,
        "dirty": bool(dirty),
        "prompts_changed": changed_prompts(user),
        "gpus": options.gpus,
        "slots": slots,
        "views": views,
        "news": said["news"],
        **({name: said[name] for name in ("model", "budget", "prices")} if asks else {}),
        **({"command": _command(said["command"])} if options.researcher == "command" else {}),
        "prompts": hashes,
        "agents": agents,
    }
    for agent in names:
        paths.agent(agent).mkdir()
        repo.add_worktree(agent, paths.worktree(agent))
        prepare_agent_folder(paths, agent)
        write_prompt(paths, config, agent)
    paths.ledger.touch()
    published = {key: value for key, value in config.items() if key != "user_git"}
    write_toml(paths.board / "run.toml", published)
    write_toml(paths.toml, config)  # last: a folder with run.toml is a run
    Board(paths, repo).commit(f"Start run {paths.name}: {options.agents} agents on {options.task}")


def _command(said: dict) -> dict:
    from swarm.presets import resolved_command

    return resolved_command(said)


def _ignore(folder: Path) -> None:
    """.aar/ never shows in the user's `git status`."""
    ignore = folder / ".gitignore"
    if not ignore.exists():
        write_atomic(ignore, "*\n")
