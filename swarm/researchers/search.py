"""The search researcher: an honest evolutionary search over method building blocks, with no language model.

Each step chooses a recipe (`evolve.py`), writes it as a method file (`method_file.py`), submits it with a prediction,
waits for the verdict, and tells the forum what was learned, failures included (`words.py`). It reads the run's scores,
the method files of others from their commits, and what people write in the forum, whose words tilt its taste as its
direction's do.

It works through the same door as any other agent. All that it knows is in its transcript and in the ledger: built anew
on the same folder it goes on, and what was submitted once is not submitted again. Standard library only, since many
of these wait beside each other.
"""

from __future__ import annotations

import json
import random
import re
import shlex
import time
from collections.abc import Iterable
from dataclasses import asdict
from typing import Any

from state.files import read_jsonl
from swarm.researchers import AgentConfig, Hands, Record
from swarm.researchers.archive import Found, standing, taste
from swarm.researchers.commands import MOST_BYTES, MOST_READ, PAGE, Script, last_object, notebook
from swarm.researchers.evolve import Evolution, Plan, choose
from swarm.researchers.method_file import read, write
from swarm.researchers.recipe import Recipe, file_name, title
from swarm.researchers.words import Post, first_note, learned, note, post_about

WAIT_SECONDS = 3600.0
MOST_FILES = 150
"""Method files that stay in the worktree; beyond, the worst go. Their commits remain."""
TAKEN, OVER = {"status": "taken"}, {"status": "over"}
NO_MORE = re.compile(r"aar: ((?:you have made all|all) \d+ submissions that (?:an agent|this run) may |the run takes no more submissions)")
"""How the door refuses what it will refuse ever after (swarm/desk.py)."""
PATIENCE = 6
"""Failures of the door in a row before the researcher gives up."""


class SearchResearcher:
    """See the module. `step` returns False when no submission can be made any more, or the door fails `PATIENCE` times in a row."""

    def __init__(self, config: AgentConfig, hands: Hands, record: Record) -> None:
        self.config, self.hands, self.record, self.pause = config, hands, record, time.sleep
        self.recipes: dict[str, Recipe | None] = {}  # commit -> recipe, None where the file cannot be read
        self.tried: dict[str, Recipe] = {}  # own method path -> recipe
        self.taken: set[Recipe] = set()  # what others were found to have committed first
        self.scores: dict[str, dict[str, Any]] = {}  # submission -> verdict as agents see it
        self.pending: dict[str, Any] | None = None  # a plan whose verdict is not known
        self.posts: list[Post] = []  # to be sent with the next command
        self.notes: list[str] = []
        self.cycle = self.failures = self.since_post = 0
        self.last_move, self.best, self.people = "", "", ""
        self._remember(read_jsonl(config.folder / "transcript.jsonl"))

    # --- memory -----------------------------------------------------------------------------------------------------

    def _remember(self, records: Iterable[dict[str, Any]]) -> None:
        """Take in the transcript of an earlier life."""
        for entry in records:
            kind = entry.get("kind")
            if kind == "plan":
                self.pending = entry
                self.tried[entry["method"]] = Recipe.from_json(entry["recipe"])
            elif kind == "taken":
                self.pending = None
                self.taken.add(self.tried.pop(entry["method"]))
            elif kind == "outcome":
                self.pending, self.cycle, self.last_move = None, entry["cycle"] + 1, entry["move"]
                self.since_post, self.best = entry["since_post"], entry["best"]
                self.notes, self.posts = [entry["note"]], [Post(**entry["post"])] if entry["post"] else []
            elif kind == "read":
                self.recipes[entry["commit"]] = Recipe.from_json(entry["recipe"]) if entry["recipe"] else None

    def archive(self) -> list[Found]:
        """All verdicts of the run on the main track, with their recipes where they can be read."""
        found = []
        for verdict in self.scores.values():
            mine = verdict["agent"] == self.config.name
            recipe = self.tried.get(verdict["method"]) if mine else self.recipes.get(verdict["commit"])
            scored = verdict["status"] == "scored" and verdict.get("track") == "main"
            figures = {key: verdict.get(key) if scored else None for key in ("pgr", "lift", "lift_low")}
            found.append(
                Found(
                    verdict["submission"],
                    verdict["agent"],
                    verdict["commit"],
                    recipe,
                    scored and verdict.get("rung") == "full",
                    figures["pgr"],
                    figures["lift"],
                    figures["lift_low"],
                )
            )
        return found

    # --- one cycle --------------------------------------------------------------------------------------------------

    def step(self) -> bool:
        """One submission: think, write, submit, wait, learn."""
        plan = self.pending or self._think()
        if self.pending is None:
            self.record(plan)
            self.pending = plan
            self.tried[plan["method"]] = Recipe.from_json(plan["recipe"])
            verdict = self._submit(plan, unless_taken=True)
            if verdict == TAKEN:
                entry = {"kind": "taken", "method": plan["method"]}
                self.record(entry)
                self._remember([entry])
                return True
        else:  # of an earlier life, or the command was cut off: it may be in the ledger by now
            verdict = self._recall(plan["method"]) or self._submit(plan)
        if verdict == OVER:
            return False
        if verdict is None:
            self.failures += 1
            if self.failures >= PATIENCE:
                return False
            self.pause(min(30.0, 2.0**self.failures))
            return True
        self.failures = 0
        self._learn(plan, verdict)
        return True

    def _think(self) -> dict[str, Any]:
        if self.cycle and not self.scores:
            self._observe()
        self._read_more()
        rng = random.Random(f"{self.config.seed} {self.config.name} {self.cycle} {len(self.taken)}")
        seen = self.taken | set(self.tried.values()) | {recipe for recipe in self.recipes.values() if recipe}
        mind = Evolution(
            self.archive(),
            self.config.name,
            taste(f"{self.config.direction}\n{self.people}", self.config.views),
            seen,
            rng,
        )
        plan = choose(mind, self.cycle, self.last_move == "drop")
        return {
            "kind": "plan",
            "cycle": self.cycle,
            "method": self._free_name(plan.recipe),
            "recipe": plan.recipe.to_json(),
            "move": plan.move,
            "parents": list(plan.parents),
            "inspired_by": list(plan.inspired_by),
            "predict": plan.predict,
            "why": plan.why,
        }

    def _free_name(self, recipe: Recipe) -> str:
        stem = file_name(recipe)[:50]
        taken = {verdict["method"] for verdict in self.scores.values()} | set(self.tried)
        names = (f"methods/{stem}{f'_{n}' if n > 1 else ''}.py" for n in range(1, len(taken) + 2))
        return next(name for name in names if name not in taken)

    def _submit(self, plan: dict[str, Any], unless_taken: bool = False) -> dict[str, Any] | None:
        """Write the file and the notes, submit and wait, all in one command; None where no verdict came back. With
        `unless_taken`, TAKEN and no submission where somebody committed the same file in the meantime. OVER where there can be none."""
        recipe = Recipe.from_json(plan["recipe"])
        path, message = plan["method"], f"{title(recipe)}\n\n{plan['move']}: {plan['why']}."
        options = f"-m {shlex.quote(message)} --predict {plan['predict']:.2f} --wait --json"
        options += "".join(f" --inspired-by {shlex.quote(commit)}" for commit in plan["inspired_by"])
        script = Script()
        noted = notebook(first_note(self.config), self.notes, plan["cycle"])
        script.run(f"mkdir -p methods notes\ncat > {shlex.quote(path)}\n{self._tidy()}{noted}")
        script.post(self.posts, self.config.name)
        submit = f"aar submit {shlex.quote(path)} {options}"
        if unless_taken:
            known = f'git cat-file -e "$(git hash-object {shlex.quote(path)})" 2> /dev/null'
            submit = f"if {known}; then rm {shlex.quote(path)}; echo '{json.dumps(TAKEN)}'; else {submit}; fi"
        script.run(submit, "verdict")
        script.look(self._known_up_to(), self.config.name)
        parts = script.parts(self.hands.sh(script.text, write(recipe), WAIT_SECONDS))
        self.posts, self.notes = [], []
        self._see(parts)
        verdict = last_object(parts.get("verdict", ""))
        if verdict is None or "status" not in verdict:
            said = parts.get("verdict", "")[-2000:].strip()
            if NO_MORE.match(said):
                reason = said.removeprefix("aar: ")
                self.record({"kind": "finished", "cycle": plan["cycle"], "reason": reason})
                self.config.tell("finished", reason)
                return OVER
            self.record({"kind": "trouble", "cycle": plan["cycle"], "said": said})
            return None
        return verdict

    def _tidy(self) -> str:
        """A command that removes own method files beyond the limit, the worst first."""
        worth = {f.submission: f.low if f.full and f.low is not None else -9.0 for f in self.archive()}
        mine = {v["method"]: worth[v["submission"]] for v in self.scores.values() if v["agent"] == self.config.name}
        gone = sorted(mine, key=mine.__getitem__)[: max(0, len(self.tried) - MOST_FILES)]
        return f"rm -f {' '.join(map(shlex.quote, gone))}\n" if gone else ""

    def _recall(self, method: str) -> dict[str, Any] | None:
        self._observe()
        mine = (v for v in self.scores.values() if v["agent"] == self.config.name and v["method"] == method)
        return next(mine, None)

    def _learn(self, plan: dict[str, Any], verdict: dict[str, Any]) -> None:
        """Note the verdict, and decide whether the others should hear of it."""
        self.scores[verdict["submission"]] = verdict
        archive = self.archive()
        mine = sorted(
            (f for f in archive if f.agent == self.config.name and f.full and f.low is not None), key=standing
        )
        is_best = bool(mine) and mine[0].submission == verdict["submission"] and self.best != verdict["submission"]
        self.best = mine[0].submission if mine else ""
        self.since_post += 1
        said = Plan(
            Recipe.from_json(plan["recipe"]),
            plan["move"],
            tuple(plan["parents"]),
            tuple(plan["inspired_by"]),
            plan["predict"],
            plan["why"],
        )
        parent = next((f for f in archive if plan["parents"] and f.submission == plan["parents"][0]), None)
        post = post_about(said, verdict, parent, is_best, first=plan["cycle"] == 0)
        if post is None and self.since_post >= 8:
            post = learned(archive)
        line = note(said, verdict)
        if post:
            self.posts, self.since_post = [post], 0
        self.notes, self.pending, self.last_move = [line], None, plan["move"]
        self.record(
            {
                "kind": "outcome",
                "cycle": plan["cycle"],
                "move": plan["move"],
                "submission": verdict["submission"],
                "status": verdict["status"],
                "pgr": verdict.get("pgr"),
                "best": self.best,
                "note": line,
                "since_post": self.since_post,
                "post": asdict(post) if post else None,
            }
        )
        self.cycle = plan["cycle"] + 1
        if post and plan["cycle"] == 0:  # the first is not put off: a short run may end before the next command
            script = Script()
            script.post(self.posts, self.config.name)
            self.hands.sh(script.text)
            self.posts = []

    # --- the door ---------------------------------------------------------------------------------------------------

    def _observe(self) -> None:
        """Take in all verdicts that are not known yet, page by page."""
        while True:
            script, before = Script(), len(self.scores)
            script.look(self._known_up_to(), self.config.name)
            self._see(script.parts(self.hands.sh(script.text)))
            if len(self.scores) < before + PAGE:
                return

    def _see(self, parts: dict[str, str]) -> None:
        """Take in the sections of a command's output."""
        for line in parts.get("scores", "").splitlines():
            try:
                verdict = json.loads(line)
            except ValueError:
                continue  # what the door said instead, or a line that was cut
            if isinstance(verdict, dict) and isinstance(verdict.get("submission"), str):
                self.scores.setdefault(verdict["submission"], verdict)
        self.people = parts.get("people", self.people)
        commits = {v["commit"] for v in self.scores.values() if v["agent"] != self.config.name} - set(self.recipes)
        self._read({commit: parts[commit] for commit in sorted(commits) if commit in parts})

    def _known_up_to(self) -> str:
        """The last submission before the first whose verdict is not known; verdicts need not come in order."""
        number = 0
        while f"s{number + 1:04d}" in self.scores:
            number += 1
        return f"s{number:04d}"

    def _read_more(self) -> None:
        """Read the files of others that did not fit into the last command, for ideas and so as not to repeat them."""
        unread = sorted(
            (v for v in self.scores.values() if v["agent"] != self.config.name and v["commit"] not in self.recipes),
            key=lambda v: -(v["lift_low"] if v["lift_low"] is not None else -9.0),
        )[:MOST_READ]
        if len(unread) < MOST_READ:
            return
        script = Script()
        for verdict in unread:
            name = shlex.quote(f"{verdict['commit']}:{verdict['method']}")
            script.run(f"git show {name} | head -c {MOST_BYTES}", verdict["commit"])
        parts = script.parts(self.hands.sh(script.text))
        self._read({verdict["commit"]: parts.get(verdict["commit"], "") for verdict in unread})

    def _read(self, sources: dict[str, str]) -> None:
        for commit, source in sources.items():
            recipe = self.recipes[commit] = read(source)
            self.record({"kind": "read", "commit": commit, "recipe": recipe and recipe.to_json()})
