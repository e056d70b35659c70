"""What the commits of a final branch say, and what its last one brings: posts, verdicts and a page about the method's way.

Everything that an agent wrote is cleaned here as it was when it was posted: a run may have come from somebody else. Figures
are those that agents are told, also of a closed run, and none is from the sealed part: what is merged becomes the base of later
runs, whose agents read it. The page says where sealed figures are.
"""

from __future__ import annotations

import json
import subprocess

from state.ledger import NULL_STAMP, agent_view
from state.posts import Post
from state.record import Record
from swarm.post_text import harmless, one_line, plain

MOST_IDEA = 100


def subject_of(record: Record, submission: dict) -> str:
    """The idea of a submission on one line: the first line of what its agent said, which the ledger holds run together."""
    said = one_line(submission.get("message") or "", MOST_IDEA)
    done = subprocess.run(
        ["git", "--git-dir", str(record.paths.repo), "show", "-s", "--format=%s", submission["commit"]],
        capture_output=True, stdin=subprocess.DEVNULL,
    )  # fmt: skip
    subject = one_line(done.stdout.decode("utf-8", "replace"), MOST_IDEA)
    return subject if subject and said.startswith(subject) else said or subject or f"Submit {submission['method']}"


def _figures(view: dict) -> str:
    if view["pgr"] is None:
        why = ", ".join(view["flags"] or ()) or "the gap of this task is not established"
        return f"PGR n/a ({one_line(why)}), {view['rung']} rung, {view['draws']} draws"
    return (
        f"PGR {interval(view, 'pgr')}, lift {interval(view, 'lift', '+')} over tuned naive "
        f"({view['rung']} rung, {view['draws']} draws, track {view['track']})"
    )


def interval(view: dict, name: str, sign: str = "") -> str:
    """A figure of a verdict with its interval, or n/a."""
    if view.get(name) is None:
        return "n/a"
    return f"{view[name]:{sign}.2f} [{view[f'{name}_low']:{sign}.2f}, {view[f'{name}_high']:{sign}.2f}]"


def commit_message(record: Record, submission: dict, view: dict) -> str:
    """The idea, what came of it, and where it is from."""
    lines = [subject_of(record, submission), "", _figures(view) + "."]
    lines += [f"Flags: {one_line(', '.join(view['flags']))}."] if view["flags"] and view["pgr"] is not None else []
    lines += ["ISOLATION: NONE."] if view["isolation"] == "none" else []
    lines += [f"{NULL_STAMP}."] if record.config.get("null") else []
    directions = {agent["name"]: agent.get("direction") for agent in record.config["agents"]}
    trailers = [("Run", record.config["name"]), ("Agent", submission["agent"]), ("Submission", submission["submission"])]
    trailers += [("Commit", submission["commit"]), ("Direction", directions.get(submission["agent"]) or "none")]
    trailers += [("Inspired-by", name) for name in submission.get("inspired_by") or ()]
    trailers += [("Predicted", f"{submission['predict']:.2f}")] if submission.get("predict") is not None else []
    return "\n".join([*lines, "", *(f"{key}: {one_line(str(value))}" for key, value in trailers)]) + "\n"


def forum_files(record: Record, file: str, chain: list[dict], commits: list[str]) -> dict[str, bytes]:
    """forum/RUN/ of a final branch: path -> contents. `chain`: the accepted submissions; `commits`: those made so far."""
    names = [one["submission"] for one in chain]
    posts = [post for post in record.posts if post.submission in names]
    folder = f"forum/{record.config['name']}-{names[-1]}"  # two final branches of one run do not meet
    verdicts = [json.dumps(line, ensure_ascii=False) for line in _verdicts(record, names)]
    return {
        f"{folder}/README.md": _page(record, file, chain, commits, posts).encode(),
        f"{folder}/verdicts.jsonl": "".join(f"{line}\n" for line in verdicts).encode(),
        **{f"{folder}/{post.name}": _post(post).encode() for post in posts},
    }


def _verdicts(record: Record, names: list[str]) -> list[dict]:
    return [_cleaned({"part": "public", **agent_view(record.verdicts[name])}) for name in names]


def _cleaned(value: object) -> object:
    if isinstance(value, str):
        return plain(value, 4000)
    if isinstance(value, dict):
        return {plain(key, 100): _cleaned(one) for key, one in value.items() if key != "kind"}
    return [_cleaned(one) for one in value] if isinstance(value, list) else value


def _post(post: Post) -> str:
    """A post in the form of forum/README.md, as it stands on the board."""
    front = {"agent": one_line(post.agent), "type": one_line(post.type), "title": json.dumps(harmless(one_line(post.title)), ensure_ascii=False)}
    front |= {"submission": one_line(post.submission), "replies_to": one_line(post.replies_to), "time": one_line(post.time)}
    words = [f"*Words of {front['agent']}; figures below were typed, not measured.*", harmless(plain(post.words, 20_000))] if post.words else []
    text = "---\n" + "".join(f"{key}: {value}\n" for key, value in front.items() if value) + "---\n\n"
    return text + "\n\n".join([*([harmless(plain(post.figures, 4000))] if post.figures else []), *words]) + "\n"


def _cell(text: str, most: int = 100) -> str:
    return harmless(one_line(text, most)).replace("|", "/")


def _page(record: Record, file: str, chain: list[dict], commits: list[str], posts: list[Post]) -> str:
    config, run = record.config, record.config["name"]
    last = chain[-1]
    lines = [
        f"# `{file}` of run {run}", "",
        *([f"**{NULL_STAMP}**", ""] if config.get("null") else []),
        f"Found on task `{config['task']}` by {last['agent']}, submission {last['submission']}. Its way from the base commit",
        f"{config['base'][:12]}, one commit an accepted idea: an idea is accepted where its PGR, on as many draws, is above that of",
        "the one before. What was tried besides is on the branch of the agent, which stays as it is.", "",
        "| commit | submission | agent | idea | predicted | PGR | lift | rung |",
        "|---|---|---|---|---|---|---|---|",
    ]  # fmt: skip
    for number, one in enumerate(chain):
        view = agent_view(record.verdicts[one["submission"]])
        commit = commits[number][:12] if number < len(commits) else "this one"
        predicted = "" if one.get("predict") is None else f"{one['predict']:.2f}"
        cells = [commit, one["submission"], one["agent"], _cell(subject_of(record, one)), predicted]
        cells += [interval(view, "pgr"), interval(view, "lift", "+"), f"{view['rung']}, {view['draws']} draws"]
        lines.append(f"| {' | '.join(cells)} |")
    lines += ["", "PGR and lift over tuned naive with 95 % intervals, on public test items, as agents were told them, which is coarser than"]
    lines += [f"they were measured: `python aar.py show {last['submission']} {run}` has the exact ones. The best of many looks better than it is."]
    lines += [_status(record, last["submission"])]
    lines += ["STARTED FROM UNCOMMITTED CHANGES: the base commit alone does not reproduce this run."] if config.get("dirty") else []
    lines += ["ISOLATION: NONE: no walls stood between this code and the labels."] if config.get("isolation") == "none" else []
    lines += ["", "- `verdicts.jsonl`: these verdicts, as agents may see them"]
    lines += [f"- `{post.name}`: {_cell(post.title)}, by {_cell(post.agent, 40)}" for post in posts]
    return "\n".join(lines) + "\n"


def _status(record: Record, last: str) -> str:
    if not record.closed:
        return "The run was open when this was made: nothing of it was verified on the sealed part."
    if any(verdict["submission"] == last for verdict in record.sealed):
        return f"It was verified on the sealed part: `verification.md` on the branch aar/{record.config['name']}/board has the figures."
    return "The run is closed; this submission was not among those verified on the sealed part."
