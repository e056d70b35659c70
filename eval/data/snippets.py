"""Small Python functions, right and wrong, against a docstring: a generated stand-in for code.

    rows(GeneratedData(source="snippets", questions=1000), secret)

A question is a specification in words, a choice the body of `def f(xs):`. The label comes from running the choice and the
right program on PROBES. A wrong choice mostly leaves out one or two things that are asked for; how a choice is written (layout, name of
the variable) is drawn before it is known whether it is right. Whoever runs the choices of a question sees which of them
agree: that shortcut is left open on purpose, for audits to find.
"""
from __future__ import annotations

import random
from collections.abc import Callable
from dataclasses import dataclass, replace
from itertools import product

from eval.data.candidates import check_choices, plan_answers, streams
from eval.data.rows import Row
from eval.task import GeneratedData

# Code -> words. `{v}` stands for the variable, `{k}` for a constant, `{}` for what comes before.
PARTS = {"xs": "in xs", "xs[1:]": "after the first element of xs", "xs[:-1]": "before the last element of xs",
         "xs[::2]": "at even positions of xs", "set(xs)": "in xs without repetitions"}
KINDS = {"": "", "{v} % 2 == 0": "even ", "{v} % 2 == 1": "odd ", "{v} > 0": "positive ", "{v} < 0": "negative "}
RELATIONS = {"": "", "{v} > {k}": "greater than {k} ", "{v} < {k}": "less than {k} ", "{v} >= {k}": "of at least {k} ",
             "{v} <= {k}": "of at most {k} ", "{v} != {k}": "other than {k} ", "{v} % {k} == 0": "divisible by {k} "}
VALUES = {"{v}": "", "{v} * {v}": "squares of the ", "{v} * 2": "doubles of the ", "{v} * 3": "triples of the ",
          "{v} + 1": "successors of the ", "{v} // 2": "rounded halves of the ", "-{v}": "negatives of the ",
          "abs({v})": "absolute values of the "}
RESULTS = {"sum({})": "sum of the ", "max({}, default=0)": "largest of the ", "min({}, default=0)": "smallest of the ",
           "len({})": "number of ", "list({})": "list of the ", "sorted({})": "sorted list of the "}
TABLES = {"part": PARTS, "kind": KINDS, "relation": RELATIONS, "value": VALUES, "result": RESULTS}
NOUNS = tuple("""
ages amounts angles areas balances bids bills bonuses calls charges claims codes costs counts credits days debts degrees delays
depths deposits dates doses errors fees fines flows gains goals grades grants heights hours incomes jumps lengths levels
limits loads losses marks masses meters miles minutes months offers offsets orders pages payments points pounds prices
profits pulses ranks rates ratings rents returns salaries sales savings scores seats seconds shares shifts sizes speeds
steps stocks taxes totals volumes votes wages weeks weights widths years
""".split())
PLACES = tuple("""
airport army bakery bank bar beach bridge bus cafe camp car casino church cinema city clinic club coal college company court
dairy desert factory farm ferry fire fish flight food forest fruit fuel garage garden gas gold grain grocery harbor hospital
hotel house ice island jail kitchen lake library market metro milk mine mountain museum music office oil opera paper park
police pool port prison radio rail restaurant river road salt school ship shop steel street sugar taxi tea theater toy train
tram truck village water wheat wine wood zoo
""".split())
"""What the numbers are called: it matters to nobody but a teacher that looks at words, and may be misled by them."""
FORGOTTEN = {"part": "xs", "kind": "", "relation": "", "value": "{v}"}
"""What a program has where its author left something out."""

BUILTINS = {"__builtins__": {"abs": abs, "filter": filter, "len": len, "list": list, "map": map, "max": max, "min": min,
                             "set": set, "sorted": sorted, "sum": sum}}


def _probes() -> list[list[int]]:
    """Lists of 0 to 91 numbers: random ones, ones with repetitions, and ones that begin or end with what matters."""
    rng = random.Random(0)
    everything = list(range(-30, 61))
    lists = [[], [0], [25], [-4], everything, everything[::-1]]
    lists += [[rng.choice(everything) for _ in range(rng.randint(2, 12))] for _ in range(30)]
    lists += [[rng.choice(few) for _ in range(8)] for few in ((1, 2), (-3, 4, 36), (0, 9, 12), (30, 5, 18), (-2, 47, 10), (33, 24))]
    return lists + [[extreme, *range(2, 50, 5)] for extreme in (-20, 60)] + [[*range(2, 50, 5), extreme] for extreme in (-20, 60)]


PROBES = _probes()
FORGETS = 0.9
"""Share of the mistakes by which something is left out; a small model hardly notices that one thing is taken for another."""
WRONG_ANSWERS = 3
"""In how many ways the wrong choices of a question behave at most."""
TELLING = 4
"""On how many of them a wrong choice gives something else than the right one, at least: no label hangs on one input."""


@dataclass(frozen=True)
class Program:
    """The `result` of the `value`s of the numbers in `part` of the list that are of a `kind` and in a `relation` to `constant`."""

    part: str
    kind: str
    relation: str
    constant: int
    value: str
    result: str

    def words(self, noun: str) -> str:
        relation = RELATIONS[self.relation].format(k=self.constant)
        return f"Return the {RESULTS[self.result]}{VALUES[self.value]}{KINDS[self.kind]}{noun} {relation}{PARTS[self.part]}."

    def asked(self) -> list[str]:
        """What is asked for beside the result, and could be forgotten."""
        return [name for name, code in FORGOTTEN.items() if getattr(self, name) != code]

    def condition(self, v: str) -> str:
        """Python for what is asked of a number `v`; "" where nothing is."""
        return " and ".join(code.format(v=v, k=self.constant) for code in (self.kind, self.relation) if code)

    def comprehension(self, v: str) -> str:
        condition = self.condition(v)
        return f"[{self.value.format(v=v)} for {v} in {self.part}{' if ' + condition if condition else ''}]"

    def of(self, items: str) -> str:
        """Python for the result of a list."""
        return items if self.result == "list({})" else self.result.format(items)


def _inline(program: Program, v: str) -> str:
    return f"    return {program.of(program.comprehension(v))}"


def _named(program: Program, v: str) -> str:
    return f"    ys = {program.comprehension(v)}\n    return {program.of('ys')}"


def _loop(program: Program, v: str) -> str:
    condition, add = program.condition(v), f"ys.append({program.value.format(v=v)})"
    inside = f"        if {condition}:\n            {add}" if condition else f"        {add}"
    return f"    ys = []\n    for {v} in {program.part}:\n{inside}\n    return {program.of('ys')}"


def _mapped(program: Program, v: str) -> str:
    condition, items = program.condition(v), program.part
    if condition:
        items = f"filter(lambda {v}: {condition}, {items})"
    if program.value != "{v}" or not condition:  # so that the variable is named, and no two choices are the same text
        items = f"map(lambda {v}: {program.value.format(v=v)}, {items})"
    return f"    return {program.of(f'list({items})')}"


LAYOUTS: tuple[Callable[[Program, str], str], ...] = (_inline, _named, _loop, _mapped)
WRITINGS = list(product(LAYOUTS, ("x", "n", "v", "i")))


def run(body: str) -> tuple[str, ...]:
    """What the function with this body returns for each of PROBES. Only for bodies that this module wrote."""
    space: dict = {}
    exec(f"def f(xs):\n{body}", dict(BUILTINS), space)
    return tuple(repr(space["f"](list(probe))) for probe in PROBES)


def _constant(rng: random.Random, relation: str) -> int:
    return 0 if not relation else rng.randint(3, 9) if "%" in relation else rng.randint(11, 49)


def _specification(rng: random.Random) -> Program:
    """A specification that asks for something, and to which the probes are not all the same."""
    while True:
        result, relation = rng.choice(list(RESULTS)), rng.choice(list(RELATIONS))
        program = Program(part="xs" if rng.random() < 0.6 else rng.choice(list(PARTS)), kind=rng.choice(list(KINDS)),
                          relation=relation, constant=_constant(rng, relation), result=result,
                          value="{v}" if result == "len({})" else rng.choice(list(VALUES)))
        if program.part == "set(xs)" and result == "list({})":
            continue  # the order of a set is nobody's business
        if program.asked() and len(set(run(_inline(program, "x")))) > len(PROBES) // 3:
            return program


def _forget(rng: random.Random, right: Program) -> Program:
    """One thing that is asked for is left out, or two."""
    asked = right.asked()
    names = rng.sample(asked, 2 if len(asked) > 1 and rng.random() < 0.25 else 1)
    return replace(right, **{name: FORGOTTEN[name] for name in names})


def _confuse(rng: random.Random, right: Program) -> Program:
    """Something that is asked for is taken for something else."""
    name = rng.choice([*right.asked(), "result"])
    if name == "relation" and rng.random() < 0.2:
        return replace(right, constant=right.constant + rng.choice((-1, 1)))
    return _changed(rng, right, name)


def _changed(rng: random.Random, right: Program, name: str) -> Program:
    """The program with something else in one place."""
    others = [code for code in TABLES[name] if code not in (getattr(right, name), FORGOTTEN.get(name))]
    changed = replace(right, **{name: rng.choice(others)})
    comparable = changed.relation and right.relation and "%" not in changed.relation + right.relation
    return changed if comparable else replace(changed, constant=_constant(rng, changed.relation))


def _wrong_programs(rng: random.Random, right: Program, expected: tuple[str, ...], authors: int) -> list[Program]:
    """What comes out when each of some authors makes one mistake: at most WRONG_ANSWERS programs that behave in as many ways."""
    found: dict[tuple[str, ...], Program] = {}
    for _ in range(authors):
        wrong = (_forget if rng.random() < FORGETS else _confuse)(rng, right)
        outputs = run(_inline(wrong, "x"))
        if sum(one != other for one, other in zip(outputs, expected)) >= TELLING:
            found.setdefault(outputs, wrong)
    return list(found.values())[:WRONG_ANSWERS]


def rows(data: GeneratedData, secret: bytes) -> list[Row]:
    """`questions` specifications with `choices` bodies each, the same for the same secret; no two specifications do the same.

    The group is the question, the key what the choice returns for PROBES. UserError for a number of choices that cannot be made.
    """
    check_choices(data.source, data.choices, len(WRITINGS))
    seen, made = set(), []
    for rng in streams(secret):
        if len(seen) == data.questions:
            return made
        right = _specification(rng)
        expected = run(_inline(right, "x"))
        programs = _wrong_programs(rng, right, expected, data.choices)
        if expected in seen or not programs:
            continue
        seen.add(expected)
        question = right.words(f"{rng.choice(PLACES)} {rng.choice(NOUNS)}")
        by_answer, answers = [right, *programs], plan_answers(rng, data.choices, len(programs))
        for answer, (layout, v) in zip(answers, rng.sample(WRITINGS, data.choices)):
            body = layout(by_answer[answer], v)
            outputs = run(body)
            made.append(Row({"question": question, "choice": body}, int(outputs == expected), question, key=str(outputs)))
