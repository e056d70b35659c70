"""A clean branch for one method of a run, ready to merge. Behind `python aar.py finalize RUN METHOD`.

    facts = finalize(paths, project, "best", None, None)        branch final/RUN-SUBMISSION in the user's repository

An agent's branch is its notebook: everything it tried, notes included. What a person wants to merge is what remains of it: from
the run's base commit on, one commit an accepted idea, each with the method file as it was then, always under one name, so that
the diff between two commits is the idea. The last commit brings the posts and verdicts. The agent's branch stays as it is.

What is merged is read by the agents of later runs: sealed figures are told to who makes the branch, and are in no file of it.

Commits are built beside the user's checkout: neither it nor the index is touched.
"""

from __future__ import annotations

import os
import re
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from state.errors import UserError
from state.ledger import agent_view
from state.names import BEST, submission_name
from state.objects import read_files
from state.paths import RunPaths
from state.record import Record, read_record
from stats.ranking import contenders, ranked
from swarm.bundle_git import answer, git
from swarm.final_files import commit_message, forum_files, interval, subject_of
from swarm.post_text import one_line
from swarm.repo import open_user_repository
from swarm.worktree import CONTROL, METHOD, MOST_BYTES

TAKEN = re.compile(r"(?:[A-Z_]*HEAD|@|[0-9a-f]{40}|refs/.*)")
"""What git takes for something else than a branch."""
SEALED_FIELDS = ("submission", "status", "draws", "pgr", "pgr_low", "pgr_high", "lift", "lift_low", "lift_high", "openings", "control")


@dataclass(frozen=True)
class Idea:
    """One accepted submission. `view`: its verdict as agents may see it. `source`: the method file of its commit."""

    submission: dict
    view: dict
    source: str

    @property
    def name(self) -> str:
        return self.submission["submission"]


def finalize(paths: RunPaths, project: Path, what: str, branch: str | None, as_name: str | None) -> dict:
    """Make the branch; {"run", "branch", "base", "file", "submission", "agent", "commits": [...], "sealed": [...], "files", "opened", "commands"}.
    `sealed`: what came of those ideas on the sealed part, where the run is closed.

    `what`: a submission, a method file of the run, or "best". Ideas are what lies between the first ancestor of that submission and
    itself, following parents. One is accepted where its verdict was scored on the main track, or on that of `what`, on the
    rung of `what`, since figures of one draw and of many do not compare, and where its PGR, as agents are told it, is above
    that of the last one accepted; where nothing was accepted yet, that is enough. `what` itself is always the last.

    UserError where there is no such submission, it was not scored or is disqualified, or where branch or file exist already.
    """
    user = open_user_repository(project)
    record = read_record(paths)
    run, base = record.config["name"], record.config["base"]
    chosen = _chosen(record, what)
    if git(Path(user.git_dir), "cat-file", "-e", f"{base}^{{commit}}").returncode != 0:
        raise UserError(f"the base commit {base[:12]} of run {paths.name} is not in this repository: fetch it from whom the run came from")
    branch = branch or f"final/{run}-{chosen['submission']}"
    if git(Path(user.git_dir), "check-ref-format", f"refs/heads/{branch}").returncode != 0 or branch.startswith("-") or TAKEN.fullmatch(branch):
        raise UserError(f"--branch {one_line(branch)!r} is no name for a branch")
    if branch.split("/")[0] == "aar":
        raise UserError(f"--branch {one_line(branch)!r}: aar/ is where the branches of runs are, take another name")
    above = [f"refs/heads/{'/'.join(branch.split('/')[:number])}" for number in range(1, branch.count("/") + 1)]  # git cannot have both
    heads = answer(Path(user.git_dir), "for-each-ref", "--format=%(refname)", "refs/heads/").split()
    if taken := [head for head in heads if head in above or f"{head}/".startswith(f"refs/heads/{branch}/")]:
        raise UserError(f"there is a branch {taken[0].removeprefix('refs/heads/')} already: name another with --branch, or remove that one")
    file = _file_name(as_name or chosen["method"])
    if git(Path(user.git_dir), "cat-file", "-e", f"{base}:{file}").returncode == 0:
        raise UserError(f"{file} exists at the base of run {paths.name}: name the method's file anew with --as NAME.py")
    ideas = _accepted(record, chosen)
    commits = _build(record, Path(user.git_dir), branch, file, ideas)
    subjects = [subject_of(record, idea.submission) for idea in ideas]
    short = base[:12]
    return {
        "run": paths.name, "branch": branch, "base": base, "file": file, "submission": chosen["submission"], "agent": chosen["agent"],
        "commits": [
            {"commit": commit, "submission": idea.name, "agent": idea.submission["agent"], "idea": subject, "pgr": idea.view["pgr"],
             "pgr_low": idea.view["pgr_low"], "pgr_high": idea.view["pgr_high"]}
            for commit, idea, subject in zip(commits, ideas, subjects, strict=True)
        ],
        "sealed": [
            {name: verdict.get(name) for name in SEALED_FIELDS}
            for verdict in record.sealed if record.closed and verdict["submission"] in [idea.name for idea in ideas]
        ],
        "files": answer(Path(user.git_dir), "diff", "--name-only", base, branch).splitlines(),
        "opened": paths.opened.exists(), "warnings": _warnings(ideas),
        "commands": [f"git log -p {short}..{branch}", f"git diff {short}..{branch}", f"git merge {branch}"],
    }  # fmt: skip


def _warnings(ideas: list[Idea]) -> list[str]:
    """What a reviewer should know before merging: the last idea is on the branch because it was asked for."""
    last, said = ideas[-1].view, []
    if last["track"] != "main":
        said.append(f"it is on track {one_line(last['track'])}, which does not compete with main")
    if last["flags"]:
        said.append(f"flagged: {one_line(', '.join(last['flags']), 200)}")
    if last["rung"] != "full":
        said.append(f"it was scored on the {last['rung']} rung only, {last['draws']} draw{'' if last['draws'] == 1 else 's'}")
    if len(ideas) > 1 and None not in (last["pgr"], ideas[-2].view["pgr"]) and last["pgr"] <= ideas[-2].view["pgr"]:
        said.append(f"its PGR is not above that of {ideas[-2].name}, which it was built on")
    return said


def _chosen(record: Record, what: str) -> dict:
    """The verdict of the submission that is meant."""
    verdicts, run = record.verdicts, record.paths.name
    if what == BEST:
        if not (best := contenders(list(verdicts.values()))):
            raise UserError(f"run {run} has no scored submission on the main track: name a submission")
        return best[0]
    if (name := submission_name(what)) in record.submissions:
        if name not in verdicts:
            raise UserError(f"{name} of run {run} has no verdict yet: wait for it, or `python aar.py resume {run}`")
        chosen = verdicts[name]
    else:
        path = f"methods/{Path(what).name.removesuffix('.py')}.py"
        of_name = [v for v in verdicts.values() if v["method"] == path and v["status"] == "scored"]
        if len({v["agent"] for v in of_name}) > 1:
            names = ", ".join(f"{v['submission']} ({v['agent']})" for v in ranked(of_name)[:6])
            raise UserError(f"several agents of run {run} have a {path}: name a submission, {names}")
        if not of_name:
            raise UserError(f"run {run} has no submission and no scored method {one_line(what, 60)!r}: `python aar.py scores {run}` lists them")
        chosen = ranked(of_name)[0]
    if chosen["status"] != "scored":
        raise UserError(f"{chosen['submission']} of run {run} was not scored ({chosen['status']}): there is nothing to keep of it")
    if chosen["track"] == "disqualified":
        raise UserError(f"{chosen['submission']} of run {run} is disqualified: there is nothing to keep of it")
    return chosen


def _file_name(name: str) -> str:
    path = f"methods/{Path(name).name.removesuffix('.py')}.py"
    if not METHOD.fullmatch(path):
        raise UserError(f"--as {one_line(name, 60)!r}: lower-case letters, digits and _, such as my_method.py")
    return path


def _ancestors(record: Record, submission: str) -> list[str]:
    """From the first ancestor to the submission itself. Of several parents the one that the verdict was compared with counts, else
    the last that was named."""
    chain: list[str] = []
    name: str | None = submission
    while name in record.submissions and name not in chain:
        chain.append(name)
        parents = record.submissions[name].get("parents") or [None]
        name = record.verdicts.get(name, {}).get("parent") or parents[-1]
    return chain[::-1]


def _accepted(record: Record, chosen: dict) -> list[Idea]:
    sources = read_files(record.paths.repo, ((s["commit"], s["method"]) for s in record.submissions.values()))
    kept: list[Idea] = []
    last = _idea(record, chosen["submission"], sources)
    if last is None:
        raise UserError(f"the history of run {record.paths.name} lacks the commit of {chosen['submission']}: it came without that branch")
    for name in _ancestors(record, chosen["submission"])[:-1]:
        verdict = record.verdicts.get(name, {"status": "waiting"})
        if verdict["status"] != "scored" or verdict["track"] not in ("main", chosen["track"]) or verdict["rung"] != chosen["rung"]:
            continue
        idea = _idea(record, name, sources)
        if idea is None or idea.view["pgr"] is None or idea.source == last.source:
            continue
        if not kept or idea.view["pgr"] > kept[-1].view["pgr"]:
            kept.append(idea)
    return [*kept, last]


def _idea(record: Record, name: str, sources: Mapping[tuple[str, str], str]) -> Idea | None:
    """A submission with its file; None where the history lacks it. UserError where the file is not what an agent can submit."""
    submission = record.submissions[name]
    source = sources.get((submission["commit"], submission["method"]))
    if source is None:
        return None
    if len(source.encode()) > MOST_BYTES or CONTROL.search(source):
        raise UserError(f"the method file of {name} is no plain text of at most {MOST_BYTES} bytes: it is not taken over")
    return Idea(submission, agent_view(record.verdicts[name]), source)


def _build(record: Record, user: Path, branch: str, file: str, ideas: list[Idea]) -> list[str]:
    """Commit one idea after the other; their commits. The branch appears when all are there."""
    commits: list[str] = []
    parent = record.config["base"]
    with tempfile.TemporaryDirectory() as scratch:
        env = {"GIT_INDEX_FILE": str(Path(scratch, "index"))}
        answer(user, "read-tree", parent, env=env)
        for number, idea in enumerate(ideas, 1):
            files = {file: idea.source.encode()}
            if number == len(ideas):
                files |= forum_files(record, file, [one.submission for one in ideas], commits)
            for path, data in files.items():
                blob = answer(user, "hash-object", "-w", "--stdin", "--no-filters", data=data).strip()
                answer(user, "update-index", "--add", "--cacheinfo", f"100644,{blob},{path}", env=env)
            tree = answer(user, "write-tree", env=env).strip()
            message = commit_message(record, idea.submission, idea.view)
            made = answer(
                user, "-c", "i18n.commitEncoding=UTF-8", "commit-tree", tree, "-p", parent, "-F", "-",
                data=message.encode(), env={**env, **_people(record, user, idea)},
            )  # fmt: skip
            parent = made.strip()
            commits.append(parent)
    answer(user, "update-ref", "-m", f"finalize {record.config['name']}", f"refs/heads/{branch}", parent, "0" * 40)
    return commits


def _people(record: Record, user: Path, idea: Idea) -> dict[str, str]:
    """Author: the agent, when it committed. Committer: the user, where git knows who that is, else the agent."""
    agent, run = idea.submission["agent"], record.config["name"]
    author = {"NAME": agent, "EMAIL": f"{agent}@{run}.aar"}
    when = git(record.paths.repo, "show", "-s", "--format=%at", idea.submission["commit"]).stdout.decode().strip()
    said = {
        key: os.environ.get(f"GIT_COMMITTER_{key}") or git(user, "config", f"user.{key.lower()}").stdout.decode().strip()
        for key in ("NAME", "EMAIL")
    }  # fmt: skip
    committer = said if all(said.values()) else author
    return {
        **{f"GIT_AUTHOR_{key}": value for key, value in author.items()}, **({"GIT_AUTHOR_DATE": f"@{when} +0000"} if when else {}),
        **{f"GIT_COMMITTER_{key}": value for key, value in committer.items()},
    }  # fmt: skip


def finalize_text(facts: dict) -> str:
    """The facts of `finalize` for a terminal."""
    lines = [f"branch {facts['branch']}: {facts['file']} in {len(facts['commits'])} idea{'' if len(facts['commits']) == 1 else 's'}, from base {facts['base'][:12]}"]
    for one in facts["commits"]:
        lines.append(f"  {one['commit'][:12]} {one['submission']} PGR {interval(one, 'pgr')}  {one['idea']}")
    lines.append(f"  figures are coarser than they were measured, as agents were told them: `python aar.py show {facts['submission']} {facts['run']}` has the exact ones")
    lines += [f"  note: {facts['submission']}: {words}" for words in facts["warnings"]]
    where = "on its sender's machine" if facts["opened"] else "on this machine"
    for one in facts["sealed"]:
        opened = f", opening {one['openings']} of this task's sealed part {where}" if one["openings"] else ""
        figures = f"PGR {interval(one, 'pgr')}, lift {interval(one, 'lift', '+')}" if one["status"] == "scored" else one["status"]
        lines.append(f"  {one['submission']} on the sealed part: {figures}{opened}; in no file of the branch, since agents of later runs read those")
    return "\n".join([*lines, *(f"    {command}" for command in facts["commands"])])
