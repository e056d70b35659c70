"""A run with its broker and evaluator, whose agents' hands the tests move."""

from __future__ import annotations

import json

import swarm.create
from eval.client import Slots, make_slots
from swarm.access import load_config, open_repo
from swarm.board import Board
from swarm.boxes import agent_box
from swarm.broker import Door
from swarm.create import Options, create_run
from swarm.desk import Desk
from swarm.hands import Hands
from swarm.settings import Settings, Swarm

NAIVE = '''"""Naive."""
FAMILY = "naive"


def fit(w2s):
    labels = (w2s.weak[:, 1] > 0.5).astype(float)
    return w2s.student().fit(w2s.texts, labels, l2={l2})
'''


class Run:
    """Made by `create_run` in a checkout and operated by its desk, without agents' processes. `scores`: with an evaluator."""

    def __init__(self, checkout, name, share_after_minutes=None, scores=True):
        self.checkout, self.name, self.scores = checkout, name, scores
        settings = Settings(swarm=Swarm(share_after_minutes=share_after_minutes))
        swarm.create.PROJECT, before = checkout.folder, swarm.create.PROJECT
        try:
            self.paths = create_run(Options(agents=2, task="smoke", run=name, seconds=3600, settings=settings))
        finally:
            swarm.create.PROJECT = before
        self.config = load_config(self.paths)
        self.repo = open_repo(self.paths, self.config)
        self.open()

    def open(self):
        """What an operator does at its start."""
        self.desk = Desk(self.paths, self.config, self.repo, Board(self.paths, self.repo), Slots(make_slots()))
        self.doors = [Door(self.desk, name, self.paths.door(name)) for name in ("agent-1", "agent-2")]
        if self.scores:
            self.desk.start()
        else:
            self.desk.sharing.start(self.desk.stop, self.desk.problem)

    def box(self, agent="agent-1", kind="shell"):
        return agent_box(self.paths, agent, "smoke", "bubblewrap", kind)

    def sh(self, command, stdin="", agent="agent-1", kind="shell"):
        return Hands(self.box(agent, kind)).sh(command, stdin, seconds=100)

    def submit(self, source, name="methods/x.py", agent="agent-1", options="--wait --json"):
        """Write and submit one method as an agent would; the verdict."""
        outcome = self.sh(f"cat > {name} && aar submit {name} {options}", source, agent)
        assert outcome.code == 0, outcome.output
        return json.loads(outcome.output)

    def close(self):
        self.desk.close()
        for door in self.doors:
            door.close()
