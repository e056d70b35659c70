"""A script for the Messages API that does research of a sort: claims, writes methods, predicts, submits, posts, keeps a notebook.

What it says depends on the conversation it is sent alone, as with a model: which agent speaks is read off the system prompt, how
far it is off its own turns. So it works for any number of agents, through a proxy, over restarts and hand-offs.
"""

from __future__ import annotations

import re

from tests.messages_replies import Call, Reply, turn

IDEAS = (
    ("confident", "the surest weak labels are right more often", "filtering", "margin >= np.quantile(margin, {share})"),
    ("unsure", "what the teacher is unsure of tells more about the boundary", "filtering", "margin <= np.quantile(margin, 1 - {share})"),
    ("middle", "the extremes hold the systematic errors of the teacher", "filtering", "margin <= np.quantile(margin, 1 - {share} / 2)"),
)
METHOD = '''"""{title} (an idea of its own): {why}."""
import numpy as np

FAMILY = "{family}"


def fit(w2s):
    margin = np.abs(w2s.weak[:, 1] - 0.5)
    keep = {keep}
    return w2s.student().fit(w2s.texts[keep], w2s.weak[keep], l2={l2})
'''
STEPS = 4
"""Turns to a submission and its post."""


def agent_of(call: Call) -> str:
    """Who speaks: `You are agent-3, one of ...`."""
    system = call.body.get("system") or ""
    text = system if isinstance(system, str) else " ".join(block.get("text", "") for block in system)
    found = re.search(r"You are ([a-z0-9_-]+), one of", text)
    return found[1] if found else "nobody"


def blocks(call: Call, role: str, kind: str) -> list[dict]:
    """All blocks of a kind in what one side said."""
    return [block for message in call.body["messages"] if message["role"] == role
            for block in message["content"] if isinstance(block, dict) and block["type"] == kind]  # fmt: skip


def text_of(result: dict) -> str:
    content = result.get("content", "")
    return content if isinstance(content, str) else " ".join(block.get("text", "") for block in content)


def research(call: Call) -> Reply:
    """The next turn of the agent that asks."""
    if "tool_use" not in str(call.body["messages"][-1]) and "Your context is nearly full" in str(call.body["messages"][-1]):
        return turn("I was comparing which items to trust. Next: vary the share. Notes are in notebook.md.")
    agent = agent_of(call)
    done = len(blocks(call, "assistant", "tool_use"))
    number, step = divmod(done, STEPS)
    seed = 5 * int(re.sub(r"\D", "", agent) or 0) + 7 * number
    name, why, family, keep = IDEAS[seed % len(IDEAS)]
    share, l2 = round(0.2 + 0.1 * (seed % 6), 2), round(0.01 * 2 ** (seed % 7), 3)
    file = f"methods/{name}_{agent.replace('-', '')}_{number}.py"
    thought = f"Attempt {number}. My guess: {why}; a share of {share} should show it, and if it does not the guess is wrong."
    if step == 0:
        return turn("Who else tries this?", tools=[("bash", {"command": f'aar claim "{name}: {why}, share {share}"; aar task | tail -3'})], thinking=thought)
    if step == 1:
        source = METHOD.format(title=name, why=why, family=family, keep=keep.format(share=share), l2=l2)
        command = f"cat > {file} <<'EOF'\n{source}EOF\necho '- {file}: {why}' >> notebook.md; wc -l notebook.md"
        return turn("I write it down.", tools=[("bash", {"command": command})], thinking=thought)
    if step == 2:
        command = f"aar submit {file} -m '{why}' --predict 0.{3 + seed % 4} --wait"
        return turn("Now the test.", tools=[("bash", {"command": command, "seconds": 300})])
    last = text_of(blocks(call, "user", "tool_result")[-1])
    submission = re.search(r"\bs\d{4}\b", last)
    if submission is None:
        return turn("No verdict came.", tools=[("bash", {"command": "aar scores | tail -3"})])
    body = f"Guess: {why}. Tried a share of {share} with l2 {l2}. What follows: compare with the other end of the margin before believing it."
    command = f"aar post --type result --title '{name} at {share}' --submission {submission[0]} <<'EOF'\n{body}\nEOF"
    return turn("I tell the others.", tools=[("bash", {"command": command})])
