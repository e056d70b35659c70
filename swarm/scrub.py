"""Finds secrets, and takes them out of what leaves this machine. Used by `bundle`.

    scrubber = Scrubber(Known.here(paths), places)       what this machine knows
    scrubber.data("ledger.jsonl", data)                  the same without secrets and own paths; JSON stays JSON
    leaks("ledger.jsonl", data, known, places)           the second look, at the bytes as they are read

A secret is a value that this machine knows (keys in the environment, the secret of the run), however it is encoded, or what has
the shape of a well-known kind of key. It becomes `[REDACTED:kind]`. Paths of this machine become `~`, `PROJECT`, `RUN`,
`AAR_HOME`.
"""

from __future__ import annotations

import base64
import json
import os
import re
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from urllib.parse import quote

import tomli
import tomli_w

from state.paths import RunPaths, aar_home, runs_folder
from swarm.key import SECRET
from swarm.key_shapes import SHAPES, Shape, found_of

LEAST = 12
"""Characters that a variable's value has to have: what is shorter is no key, and stands in too many words."""
LONG = 20
"""So long a value is a key, or a phrase in place of one, whatever it is made of."""
HARMLESS = re.compile(r"(?i).*_(URL|MODEL|DIR|PATH|FILE|VERSION|REGION|PROJECT_ID|ENTRYPOINT|HOST|PORT|NAME)")
"""Settings that have the prefix of a maker of models, and hold no key."""
HEADER = re.compile(r"(?i)(authorization|-api-key|aws_secret_access_key)\W*$")
"""The name of a field whose value is a key, whatever it looks like."""
NAMED_KINDS = ("auth-header", "aws-secret")
"""What is found by the name before it, which in JSON is that of a field."""
BREAK = r"(?:\\+[nr]|[\r\n])+"
"""A line's end, also as JSON writes it: `base64` ends one after 76 characters."""
_BREAK_IN_TEXT, _BREAK_IN_BYTES = re.compile(BREAK), re.compile(BREAK.encode())
NAMED = 'authorization":"'


class Known:
    """Secrets that this machine knows, each in all the forms that it may be written in: `forms`, form -> kind, longest first."""

    def __init__(self, values: Mapping[str, str | bytes]):
        found = {form: kind for kind, value in values.items() for form in forms_of(value)}
        self.forms: dict[bytes, str] = dict(sorted(found.items(), key=lambda one: -len(one[0])))

    @classmethod
    def here(cls, paths: RunPaths, environment: Mapping[str, str] = os.environ) -> Known:
        """What a run's folder and the environment hold. A variable counts by its name, and where its value can be a key: at least LEAST
        characters with a letter and a digit among them, or at least LONG. `SOME_TOKEN=production` is a word that texts need."""
        values: dict[str, str | bytes] = {
            name: value.strip() for name, value in environment.items()
            if SECRET.fullmatch(name) and not HARMLESS.fullmatch(name) and _can_be_a_key(value.strip())
        }  # fmt: skip
        if (paths.evaluator / "secret").exists():
            values["run-secret"] = (paths.evaluator / "secret").read_bytes()
        return cls(values)


def _can_be_a_key(value: str) -> bool:
    mixed = any(map(str.isdigit, value)) and any(map(str.isalpha, value))
    return len(value) >= LONG or len(value) >= LEAST and mixed


def forms_of(value: str | bytes) -> set[bytes]:
    """A secret as it is, and as it looks in JSON, a URL, hex, base64 at each of its three alignments, and the name of a file. Each is
    also found where lines end in its midst."""
    raw = value if isinstance(value, bytes) else value.encode("utf-8", "surrogateescape")
    forms = {raw, raw.hex().encode(), raw.hex().upper().encode()}
    for shift in range(3):
        whole = base64.b64encode(b"\0" * shift + raw)[(0, 2, 3)[shift] : (shift + len(raw)) * 8 // 6]
        if len(whole) >= 10:
            forms |= {whole, whole.translate(bytes.maketrans(b"+/", b"-_"))}
    if isinstance(value, str):
        slug = re.sub(r"[^a-z0-9]+", "-", value.lower()).strip("-")[:16]  # a title that holds it names the post's file
        forms |= {slug.encode()} if len(slug) >= 12 else set()
        forms |= {json.dumps(value)[1:-1].encode(), json.dumps(json.dumps(value)[1:-1])[1:-1].encode(), quote(value, safe="").encode()}
    else:
        forms |= {repr(raw)[2:-1].encode()}
    return forms


def places_here(paths: RunPaths, project: Path) -> dict[str, str]:
    """Paths of this machine, and of where the run was made -> what stands for them, the longest first."""
    named = [(paths.root, "RUN"), (aar_home(), "AAR_HOME"), (project, "PROJECT"), *_made_at(paths), (Path.home(), "~")]
    found = {str(form): word for place, word in reversed(named) for form in (place, place.resolve()) if len(form.parts) > 1}
    return dict(sorted(found.items(), key=lambda one: -len(one[0])))


def _made_at(paths: RunPaths) -> list[tuple[Path, str]]:
    """Where run.toml says that the run was made: elsewhere, where its folder was moved or copied since."""
    said = tomli.loads(paths.toml.read_text(encoding="utf-8")) if paths.toml.exists() else {}
    git = Path(said.get("user_git", ""))
    if not git.is_absolute():
        return []
    project = Path(*git.parts[: git.parts.index(".git")]) if ".git" in git.parts else git.parent
    homes = [(Path(*git.parts[:3]), "~")] if git.parts[1:2] in (("home",), ("Users",)) and len(git.parts) > 3 else []
    return [(runs_folder(project) / said.get("name", paths.name), "RUN"), (project, "PROJECT"), *homes]


def _place_pattern(place: str) -> str:
    """A path where it ends with a part of it; a short one (/root) also has to begin where a path begins."""
    before = r"(?:(?<![A-Za-z0-9_.~/-])|(?<=//)|(?<=\\[nrt]))" if place.count("/") < 2 else ""
    return f"{before}{re.escape(place)}(?![A-Za-z0-9_-])"


class Scrubber:
    """Takes out secrets and paths. `found`: how many of each kind; `paths`: how many paths."""

    def __init__(self, known: Known, places: Mapping[str, str]):
        self.found: Counter[str] = Counter()
        self.paths = 0
        self._known = [(form.decode("utf-8", "surrogateescape"), kind) for form, kind in known.forms.items()]
        self._places = dict(places)
        self._place = re.compile("|".join(map(_place_pattern, self._places)) or r"(?!)")

    def text(self, text: str) -> str:
        before = None
        while text != before:  # what is taken out may have hidden where the next one begins
            before, text = text, self._once(text)
        return text

    def _once(self, text: str) -> str:
        for form, kind in self._known:
            if form in text:
                self.found[kind] += text.count(form)
                text = text.replace(form, f"[REDACTED:{kind}]")
        if self._known and _BREAK_IN_TEXT.search(text):
            text = self._unwrapped(text)
        for shape in SHAPES:
            if shape.begins in text:
                text = self._without(shape, text)
        return self._place.sub(self._word, text) if "/" in text else text

    def _unwrapped(self, text: str) -> str:
        """Without secrets that go over the end of a line."""
        flat = _BREAK_IN_TEXT.sub("", text)
        for form, kind in self._known:
            if form in flat:
                text, number = re.subn(f"(?:{BREAK})?".join(map(re.escape, form)), lambda found, kind=kind: f"[REDACTED:{kind}]", text)
                self.found[kind] += number
        return text

    def _without(self, shape: Shape, text: str) -> str:
        parts, end = [], 0
        for found in found_of(shape, text):
            start, stop = found.span(found.lastindex or 0)
            parts += [text[end:start], f"[REDACTED:{shape.kind}]"]
            end = stop
            self.found[shape.kind] += 1
        return "".join([*parts, text[end:]])

    def _word(self, found: re.Match[str]) -> str:
        self.paths += 1
        return self._places[found[0]]

    def value(self, value: object) -> object:
        """The same for what JSON or TOML is read as: all its strings, keys included."""
        if isinstance(value, str):
            return self.text(value)
        if isinstance(value, dict):
            return dict(self._pair(key, one) for key, one in value.items())
        return [self.value(one) for one in value] if isinstance(value, list) else value

    def _pair(self, key: str, value: object) -> tuple[str, object]:
        if isinstance(value, str) and HEADER.search(key):
            value = self.text(NAMED + value).removeprefix(NAMED)
        return self.text(key), self.value(value)

    def data(self, name: str, data: bytes) -> bytes:
        """The same for a file. JSON lines that are torn, which no reader reads, are left out."""
        text = data.decode("utf-8", "surrogateescape")
        if name.endswith(".jsonl"):
            kept = [self._line(line) for line in text[: text.rfind("\n") + 1].split("\n") if line]
            return "".join(f"{line}\n" for line in kept).encode("utf-8", "surrogateescape")
        if name.endswith(".json"):
            return _dumped(self.value(json.loads(text)), indent=1)
        if name.endswith(".toml"):
            return tomli_w.dumps(self.value(tomli.loads(text))).encode()
        return self.text(text).encode("utf-8", "surrogateescape")

    def _line(self, line: str) -> str:
        return _dumped(self.value(json.loads(line)), separators=(",", ":")).decode("utf-8", "surrogateescape")


def _dumped(value: object, **form: object) -> bytes:
    return json.dumps(value, ensure_ascii=False, **form).encode("utf-8", "backslashreplace")


def _strings(value: object) -> Iterator[str]:
    if isinstance(value, str):
        yield value
    elif isinstance(value, dict):
        for key, one in value.items():
            yield key
            yield from _strings(one)
            if isinstance(one, str) and HEADER.search(key):
                yield NAMED + one
    elif isinstance(value, list):
        for one in value:
            yield from _strings(one)


def secrets_in(data: bytes, known: Known, strictly: bool = False, shapes: Sequence[Shape] = SHAPES) -> list[str]:
    """The kinds of secret that bytes hold."""
    flat = _BREAK_IN_BYTES.sub(b"", data) if known.forms else b""
    found = [kind for form, kind in known.forms.items() if form in data or form in flat]
    found += [shape.kind for shape in shapes if next(found_of(shape, data, strictly), None)]
    return list(dict.fromkeys(found))


def leaks(name: str, data: bytes, known: Known, places: Sequence[str]) -> list[str]:
    """The second look at a file: kinds of secret, and "path", in its name, in its bytes, and in the strings that its JSON has."""
    looked, shapes = [name.encode(), data], SHAPES
    if name.endswith((".json", ".jsonl")):
        values = map(json.loads, data.splitlines()) if name.endswith("l") else [json.loads(data)]
        looked.append("\0".join(one for value in values for one in _strings(value)).encode("utf-8", "surrogatepass"))
        shapes = [shape for shape in SHAPES if shape.kind not in NAMED_KINDS]  # what belongs to a field's name, the strings tell
    found = [kind for one in looked for kind in secrets_in(one, known, shapes=SHAPES if one is looked[-1] else shapes)]
    for place in places:
        pattern: Callable = re.compile(_place_pattern(place).encode()).search
        found += ["path" for one in looked if place.encode() in one and pattern(one)]
    return list(dict.fromkeys(found))
