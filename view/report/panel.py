"""What the page shows of one submission when it is opened: its verdict in full, where it comes from, its code, and its ledger lines.

    chunks(record, each)     one text for each 50 submissions, in the order of the ledger, compressed

A submission is a dict of plain texts and numbers; the page puts them in as text nodes.
"""

from __future__ import annotations

import json
import shlex
from collections import defaultdict
from collections.abc import Callable, Iterator

from state.files import read_jsonl
from state.record import Record
from stats.selection import luck
from view.format import clean, clean_lines, count, figure, interval, lift_of, pgr_of, recipe_pgr_of
from view.git_words import git_words, is_opened
from view.report.code import Colours, Pool, diff, was_cut
from view.report.data import packed
from view.report.table import CHUNK, unscored

MOST_LINKS = 40
ENDS = ("_low", "_high")
ACCURACIES = {
    "accuracy": "accuracy", "accuracy_where_teacher_right": "accuracy where the teacher is right",
    "accuracy_where_teacher_wrong": "accuracy where the teacher is wrong", "teacher_agreement": "agrees with the teacher on",
    "weak_accuracy": "anchor: weak teacher", "tuned_naive_accuracy": "anchor: tuned naive", "ceiling_accuracy": "anchor: ceiling",
    "recipe_ceiling_accuracy": "its own recipe on true labels",
}  # fmt: skip
AUDITS = {
    "permuted_pgr": "PGR with teachers shuffled", "permuted_distance": "answers changed by shuffled teachers",
    "blind_pgr": "PGR with hidden states of other items", "other_company": "answers changed in other batches",
}  # fmt: skip
OTHERS = {
    "promotion": "sent to the full rung by", "device": "device", "isolation": "isolation", "same_as": "same code as", "tree": "syntax tree",
    "openings": "openings of the sealed part on its machine",
}  # fmt: skip
TOLD = {
    "kind", "submission", "commit", "method", "agent", "family", "track", "status", "rung", "draws", "flags", "reasons", "error", "time", "parent",
    "best", "control", "method_seconds", "overhead_seconds", "audit_seconds", "peak_memory_mib", "independent_items", "null", "pgr", "lift",
    "recipe_pgr", "against_best", "against_parent", "over_best", "over_parent", "nearest_by_code", "nearest_by_predictions", "lift_by_draw",
    "pgr_by_draw", *ACCURACIES, *AUDITS, *OTHERS,
}  # fmt: skip
"""Fields that are shown by name; what else a verdict holds stands behind them."""


def main_facts(verdict: dict, shrunk: float | None = None) -> list[list[str]]:
    """What a verdict says first, as [label, value]."""
    rows = [["PGR", pgr_of(verdict)], ["lift over tuned naive", lift_of(verdict)]] if verdict.get("status") == "scored" else []
    if shrunk is not None and shrunk < verdict["pgr"]:  # below the middle there is no luck to take off
        rows.append(["PGR, luck taken off", figure(shrunk)])
    if verdict.get("recipe_pgr") is not None:
        rows.append(["PGR against its own recipe's ceiling", recipe_pgr_of(verdict)])
    for what, label in (("best", "against the best then"), ("parent", "against its parent")):
        if (words := verdict.get(f"against_{what}")) or verdict.get(f"over_{what}") is not None:
            link = {"better": "than", "worse": "than", "within noise": "of"}.get(words, "")
            figures = [verdict.get(f"over_{what}{end}") for end in ("", *ENDS)]
            over = [interval(*figures, signed=True)] if figures[0] is not None else []
            named = [link, clean(verdict[what], 12)] if verdict.get(what) else []
            rows.append([label, ", ".join(filter(None, [" ".join(filter(None, [clean(words or "", 20), *named])), *over]))])
    if verdict.get("draws"):
        items = f", {verdict['independent_items']:,.0f} independent items" if verdict.get("independent_items") else ""
        rows.append(["rung", f"{clean(verdict.get('rung') or '?', 12)}, {count(verdict['draws'], 'draw')}{items}"])
    return rows + _costs(verdict)


def other_facts(verdict: dict) -> list[list[str]]:
    """All the rest of it: accuracies, audits, what every draw gave, and fields that are not known here under their own names."""
    rows = [[label, figure(verdict[name], digits=3)] for name, label in {**ACCURACIES, **AUDITS}.items() if verdict.get(name) is not None]
    for name, label in (("lift_by_draw", "lift by draw"), ("pgr_by_draw", "PGR by draw")):
        if verdict.get(name):
            rows.append([label, "  ".join(figure(value, signed=name[0] == "l") for value in verdict[name])])
    for name, label in (("nearest_by_code", "nearest in the library, by code"), ("nearest_by_predictions", "nearest in the library, by answers")):
        if isinstance(near := verdict.get(name), dict):
            alike = near.get("similarity", near.get("agreement"))
            rows.append([label, clean(near.get("method") or "?", 80) + (f", {alike:.0%}" if alike is not None else "")])
    rows += [[label, clean(verdict[name], 80)] for name, label in OTHERS.items() if verdict.get(name) not in (None, "")]
    rest = {name: value for name, value in verdict.items() if name not in TOLD and not name.endswith(ENDS) and value not in (None, "", [], {})}
    texts = {name: value if isinstance(value, str) else json.dumps(value) for name, value in rest.items()}
    return rows + [[clean(name.replace("_", " "), 40), clean(text, 200)] for name, text in texts.items()]


def _costs(verdict: dict) -> list[list[str]]:
    parts = [("in the method", "method_seconds"), ("around it", "overhead_seconds"), ("in audits", "audit_seconds")]
    seconds = [f"{figure(verdict[name], digits=1)} s {words}" for words, name in parts if verdict.get(name) is not None]
    memory = [f"peak {verdict['peak_memory_mib']:,.0f} MiB"] if verdict.get("peak_memory_mib") is not None else []
    return [["cost", ", ".join(seconds + memory)]] if seconds + memory else []


class Panels:
    """Makes the entries; what needs the whole run is looked up once."""

    def __init__(self, record: Record):
        self.record = record
        self.colours = Colours()
        self.raw = read_jsonl(record.paths.ledger) if not record.public or record.closed else None
        self.sealed = {verdict["submission"]: verdict for verdict in record.sealed}
        found = luck([verdict for verdict in record.verdicts.values() if not verdict.get("same_as")])
        self.shrunk = found.shrunken if found else {}
        self.by_commit = {one["commit"]: name for name, one in record.submissions.items()}
        self.children, self.posts = defaultdict(list), defaultdict(list)
        for name, one in record.submissions.items():
            for parent in one.get("parents") or ():
                self.children[parent].append(name)
        self.post_names = {post.name.removesuffix(".md") for post in record.posts}
        for post in record.posts:
            if post.submission:
                about = [clean(post.title, 120), clean(post.agent, 40), clean(post.type, 20)]
                self.posts[post.submission].append([post.name.removesuffix(".md"), *about])

    def entry(self, name: str, pool: Pool) -> dict:
        """One submission, with its code and diff as lines of `pool`."""
        record, said = self.record, self.record.submissions[name]
        verdict = record.verdicts.get(name, {})
        parents = [parent for parent in said.get("parents") or () if parent in record.submissions]
        inspired = [one for one in said.get("inspired_by") or () if one not in {record.submissions[parent]["commit"] for parent in parents}]
        source, sealed = record.source(name), self.sealed.get(name, {})
        entry = {
            "status": clean(verdict.get("status") or unscored(record), 20), "track": clean(verdict.get("track") or "", 20),
            "time": said.get("time", ""), "commit": said["commit"][:12], "idea": clean_lines(said.get("message") or "", 2000),
            "facts": main_facts(verdict, self.shrunk.get(name)), "others": other_facts(verdict), "sealed": main_facts(sealed),
            "sealed_others": other_facts(sealed), "control": bool(sealed.get("control")),
            "flags": [clean(flag, 60) for flag in verdict.get("flags") or ()],
            "reasons": [clean(reason, 400) for reason in verdict.get("reasons") or ()],
            "error": clean_lines(verdict.get("error") or "", 4000).strip(), "predicted": predicted(said, verdict), "parents": parents[:MOST_LINKS],
            "inspired": [self._inspired(one) for one in inspired[:MOST_LINKS]], "children": self.children[name][:MOST_LINKS],
            "more": max(0, len(self.children[name]) - MOST_LINKS), "posts": self.posts[name][:MOST_LINKS],
            "commands": self._commands(name, said, parents), "ledger": self._ledger(name), "sealed_line": self._sealed_line(name), "code": None, "diff": None,
        }  # fmt: skip
        if source is not None:
            entry |= {"code": pool.add(self.colours.lines(source)), "cut": was_cut(source)}
            before = record.source(parents[0]) if parents else None
            if before is not None:
                entry["diff"] = diff(pool.add(self.colours.lines(before)), entry["code"])
        return entry

    def _inspired(self, one: str) -> list[str]:
        """[what is shown, what it links to]: a submission by its name, a post by its own, else the commit as it is."""
        if one in self.by_commit:
            return [self.by_commit[one], self.by_commit[one]]
        name = one.removesuffix(".md")
        return [clean(name, 100), f"post-{name}"] if name in self.post_names else [clean(one[:12], 100), ""]

    def _commands(self, name: str, said: dict, parents: list[str]) -> list[list[str]]:
        run, commit, method = self.record.name, said["commit"][:12], said["method"]
        opened, git = is_opened(self.record), git_words(self.record, on_a_page=True)
        found = [["read it", shlex.join([*git, "show", f"{commit}:{method}"])]]
        if parents:
            other = self.record.submissions[parents[0]]
            files = [f"{other['commit'][:12]}:{other['method']}", f"{commit}:{method}"]
            found.append([f"compare it with {parents[0]}", shlex.join([*git, "diff", *files])])
        return found if opened else [*found, ["score it again", shlex.join(["python", "aar.py", "eval", name, "--run", run])]]

    def _sealed_line(self, name: str) -> list[list]:
        """[number of the line in evaluator/sealed.jsonl, the line] of what was found on the sealed part; [] where it was not opened, or
        must not be shown."""
        if name not in self.sealed:
            return []
        lines = enumerate(read_jsonl(self.record.paths.evaluator / "sealed.jsonl"), 1)
        return [[number, json.dumps(one, separators=(",", ":"))[:20_000]] for number, one in lines if one["submission"] == name][-1:]

    def _ledger(self, name: str) -> list[list]:
        """[number of the line, the line]: as in the file, but for what is beyond ASCII, which is escaped; while agents must not see
        test-side figures, the verdict as they do."""
        lines = []
        for kind in ("submission", "verdict"):
            number = self.record.lines.get((kind, name))
            if number is None:
                continue
            shown = self.raw[number - 1] if self.raw is not None else (self.record.verdicts if kind == "verdict" else self.record.submissions)[name]
            lines.append([number, json.dumps(shown, separators=(",", ":"))[:20_000]])
        return lines


def predicted(said: dict, verdict: dict) -> str:
    """What its author expected, beside what came; "" where nothing was predicted."""
    expected, found = said.get("predict"), verdict.get("pgr")
    if expected is None:
        return ""
    if found is None or verdict.get("pgr_low") is None:
        return f"PGR {expected:.2f} predicted"
    low, high = verdict["pgr_low"], verdict["pgr_high"]
    words = "too much was expected" if expected > high else "too little was expected" if expected < low else "within its interval"
    return f"PGR {expected:.2f} predicted, {found:.2f} observed: {words}"


def chunks(record: Record, each: Callable[[int], None] = lambda done: None) -> Iterator[str]:
    """The compressed texts, each {"lines": [...], "of": {submission: entry}}; `each(done)` is told how many are made."""
    panels, names = Panels(record), list(record.submissions)
    for start in range(0, len(names), CHUNK):
        pool, of = Pool(), {}
        for name in names[start : start + CHUNK]:
            of[name] = panels.entry(name, pool)
        yield packed({"lines": pool.lines, "of": of})
        each(min(start + CHUNK, len(names)))
