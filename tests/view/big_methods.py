"""What a made-up run holds: methods that descend from better ones, what they are worth, and what became of them."""

from __future__ import annotations

import random
from collections.abc import Sequence

HOSTILE = (
    "<script>alert(1)</script>", '<img src=x onerror="alert(2)">', "$\\frac{", "a & b < c > d", "\u202egnp.exe", "rocket \U0001f680 wins",
    "\x1b[2Jcleared", "]]><svg onload=alert(3)>", "x" * 400, "$x_{", "' onmouseover='alert(4)", "\u05e9\u05dc\u05d5\u05dd \u0645\u0631\u062d\u0628\u0627",
)  # fmt: skip
FAMILIES = (
    "filtering",
    "smoothing",
    "product of experts",
    "small loss",
    "co-training",
    "difference of means",
    "auxiliary confidence",
    "self-training",
    "noisy channel",
    "clustering",
    "weighting",
    "distillation",
)
DIRECTIONS = (
    "combining",
    "distillation",
    "elicitation",
    "evolution",
    "hidden-states",
    "learnability",
    "noisy-channel",
    "reweighting",
    "simplicity",
)
MODELS = {"claude-opus-4-6": (5.0, 25.0), "claude-haiku-4-5": (1.0, 5.0), "glm-5": (0.6, 2.2)}
"""Model -> dollars a million input and output tokens, roughly."""
WEAK, NAIVE, CEILING, DRAWS = 0.592, 0.696, 0.869, 8
FLAGS = {
    "elicitation": ("needs-no-teacher", "a permuted teacher gives the same answers"), "prior": ("natural-language", "a list of 40 words"),
    "transductive": ("batch-dependent", "answers change with the batch"), "disqualified": ("opens-files", "opened /proc/self/environ"),
}  # fmt: skip
ERRORS = {
    "crashed": 'Traceback (most recent call last):\n  File "method.py", line 9, in fit\nValueError: operands <b>do not</b> match',
    "timeout": "stopped after 60 s while fitting draw 3",
    "rejected": "line 4: import of 'socket' is not allowed",
}


class Invented:
    """Invents submissions and their verdicts, one after the other; `best` and `of` remember what is known so far."""

    def __init__(self, chance: random.Random, agents: Sequence[dict], hostile: bool):
        self.chance, self.agents, self.hostile = chance, agents, hostile
        self.quality: dict[str, float] = {}
        self.known: dict[str, dict] = {}
        self.leaders: list[str] = []
        self.of: dict[str, list[str]] = {agent["name"]: [] for agent in agents}
        self.shift = [chance.gauss(0, 0.08) for _ in range(16)]

    def words(self, usual: str, rate: float = 0.02) -> str:
        return self.chance.choice(HOSTILE) if self.hostile and self.chance.random() < rate else usual

    def parent(self, agent: str) -> str | None:
        """What a submission descends from: mostly the author's own, else what leads the run; at times nothing."""
        own, pick = self.of[agent], self.chance.random()
        if own and pick < 0.65:
            return self.chance.choice(own[:4])
        return self.chance.choice(self.leaders[:5]) if self.leaders and pick < 0.93 else None

    def submission(self, name: str, agent: str, number: int) -> dict:
        """What an agent says when it submits; `source` and `family` are those of its file."""
        chance = self.chance
        parents = [one for one in [self.parent(agent)] if one]
        if parents and self.leaders and chance.random() < 0.15:
            parents = list(dict.fromkeys([*parents, chance.choice(self.leaders[:5])]))
        family = self.known[parents[0]]["family"] if parents and chance.random() < 0.6 else chance.choice(FAMILIES)
        family = self.words(family or FAMILIES[0], 0.01)
        start = max((self.quality[one] for one in parents), default=chance.uniform(-0.1, 0.35))
        gap = (0.85 - start) * max(0.88, chance.gauss(1.1, 0.12))
        self.quality[name] = 0.85 - gap
        idea = self.words(f"{family}: keep the {chance.randrange(20, 95)} % that the teacher is surest of, {chance.randrange(1, 9)} times")
        method = f"methods/{FAMILIES[number % 12].replace(' ', '_').replace('-', '_')}_{number % 60}.py"
        return {
            "submission": name, "agent": agent, "method": method, "message": idea, "parents": parents, "family": family,
            "predict": round(start + chance.gauss(0.05, 0.08), 2) if chance.random() < 0.9 else None, "source": source(family, idea, number),
        }  # fmt: skip

    def verdict(self, submission: dict, commit: str) -> dict:
        chance, name = self.chance, submission["submission"]
        found = {
            "submission": name, "commit": commit, "method": submission["method"], "agent": submission["agent"],
            "family": submission["family"], "track": "main", "status": "scored", "rung": "full", "draws": DRAWS,
            **dict.fromkeys(("pgr", "pgr_low", "pgr_high", "lift", "lift_low", "lift_high", "accuracy")), "flags": [], "reasons": [],
            "isolation": "bubblewrap", "device": "cpu-0", "method_seconds": round(chance.lognormvariate(0.9, 0.5), 3),
            "overhead_seconds": round(chance.uniform(0.1, 0.5), 3), "peak_memory_mib": round(chance.uniform(60, 700), 1), "error": None,
        }  # fmt: skip
        kind = chance.random()
        if kind < 0.05:
            status = chance.choice(tuple(ERRORS))
            error = self.words(ERRORS[status], 0.2)
            return found | {"status": status, "error": error, "rung": "quick", "draws": 1}
        if kind < 0.07 and submission["parents"]:
            earlier = self.known[submission["parents"][0]]
            same = ("commit", "agent", "method", "submission")
            return {**earlier, **{key: found[key] for key in same}, "same_as": earlier["submission"]}
        if kind < 0.11:
            track = chance.choice(tuple(FLAGS))
            flag, reason = FLAGS[track]
            found |= {"track": track, "flags": [flag], "reasons": [self.words(reason, 0.1)]}
        elif kind < 0.13 and submission["parents"]:
            found |= {"flags": ["near-duplicate"], "reasons": [f"answers as {submission['parents'][0]} does"]}
        best = self.known[self.leaders[0]] if self.leaders else None
        close = best is None or self.quality[name] > best["pgr"] - 0.09 or chance.random() < 0.05
        found |= self.figures(self.quality[name], list(range(DRAWS)) if close else [0])
        found |= {"rung": "full" if close else "quick", "draws": DRAWS if close else 1}
        found |= {"promotion": ("upper bound" if best else "first") if close else None, "permuted_pgr": round(chance.gauss(0, 0.03), 4)}
        for what, other in (("best", best), ("parent", self.known.get(submission["parents"][0]) if submission["parents"] else None)):
            if other is None or other.get("pgr") is None:
                continue
            over = round(found["pgr"] - other["pgr"], 4)
            half = abs(chance.gauss(0.05, 0.01))
            words = "better" if over > half else "worse" if over < -half else "within noise"
            found |= {
                what: other["submission"],
                f"against_{what}": words,
                f"over_{what}": over,
                f"over_{what}_low": over - half,
                f"over_{what}_high": over + half,
            }
        return found

    def figures(self, quality: float, draws: Sequence[int]) -> dict:
        """The figures of a verdict on these draws: their shifts are the same for all, and each has noise of its own."""
        chance, gap = self.chance, CEILING - WEAK
        naive = (NAIVE - WEAK) / gap
        by_draw = [quality + self.shift[draw] + chance.gauss(0, 0.06) for draw in draws]
        over = [value - naive - self.shift[draw] for value, draw in zip(by_draw, draws, strict=True)]
        pgr, lift, half = sum(by_draw) / len(draws), sum(over) / len(draws), 0.27 / len(draws) ** 0.5
        right = min(0.99, 0.66 + 0.2 * quality + chance.gauss(0, 0.01))
        accuracy = WEAK + gap * pgr
        return {
            "pgr": pgr, "pgr_low": pgr - half, "pgr_high": pgr + 0.93 * half, "lift": lift, "lift_low": lift - 0.8 * half,
            "lift_high": lift + 0.8 * half, "pgr_by_draw": [round(v, 4) for v in by_draw], "lift_by_draw": [round(v, 4) for v in over],
            "accuracy": accuracy, "weak_accuracy": WEAK, "ceiling_accuracy": CEILING, "tuned_naive_accuracy": NAIVE,
            "independent_items": 3092.0, "accuracy_where_teacher_right": right,
            "accuracy_where_teacher_wrong": (accuracy - WEAK * right) / (1 - WEAK), "teacher_agreement": 0.61,
        }  # fmt: skip

    def learn(self, verdict: dict) -> None:
        """From here on agents may build on it."""
        name = verdict["submission"]
        self.known[name] = verdict
        competes = verdict["status"] == "scored" and verdict["rung"] == "full" and verdict["track"] == "main"
        if competes and not verdict.get("same_as") and not verdict["flags"]:
            for some in (self.leaders, self.of[verdict["agent"]]):
                some.append(name)
                some.sort(key=lambda one: -self.known[one]["pgr_low"])
                del some[8:]


def source(family: str, idea: str, number: int) -> str:
    """A method file; what agents may write stands in its docstring and its family."""
    return (
        f'"""{idea!r}"""\nimport numpy as np\n\nFAMILY = {family!r}\n\nSHARE = {0.2 + number % 70 / 100:.2f}\nROUNDS = {1 + number % 5}\n\n\n'
        "def fit(w2s):\n    confidence = w2s.weak.max(axis=1)\n    keep = confidence >= np.quantile(confidence, 1 - SHARE)\n"
        "    student = w2s.student().fit(w2s.texts[keep], w2s.weak[keep])\n    for _ in range(ROUNDS):\n"
        "        own = student.predict_proba(w2s.texts)\n        student = w2s.student().fit(w2s.texts, (own + w2s.weak) / 2)\n    return student\n"
    )
