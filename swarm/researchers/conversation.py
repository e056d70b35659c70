"""The conversation with a model, as its transcript tells it: a list of entries makes a list of messages, always the same.

    conversation = Conversation(record, read_jsonl(folder / "transcript.jsonl"))
    conversation.settle()                       # answers the tool calls that a crash left open; nothing is run again
    conversation.add(kind="user", content=[{"type": "text", "text": "go on"}])
    conversation.request(mark)                  # messages for the API, with `mark` where a prefix should be cached

Whatever changes the messages is an entry that is on disk before it counts, so that a restart at any line of the file finds
messages which are valid to the rules of the API: roles alternate, every tool call is answered in the message behind it.
"""

from __future__ import annotations

from typing import Any

from swarm.researchers import Record

INTERRUPTED = "interrupted: this was cut off by a restart from outside; it may have run in part: check before you repeat it."
NOT_RUN = "not run: a restart from outside came first. Call it again if you still want it."
LEFT_OUT = "[left out: the model declined to go on after it had read this]"
CHARACTERS_A_TOKEN = 3.0
"""For what was added since the API last counted; rather too few than too many."""
TRIMS = ("old results", "long results", "old turns")
"""What is given up, in this order, when the API says that a conversation is too long to be asked for a note."""
THINKING = ("thinking", "redacted_thinking")
MOST_PAUSES = 5


def text_block(text: str) -> dict[str, Any]:
    return {"type": "text", "text": text}


def kept(content: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """What of a model's turn can be sent back: the API refuses empty texts, thinking without its signature and turns that end
    in thinking. [] where nothing is left."""
    content = [
        block
        for block in content
        if not (block["type"] == "text" and not block["text"].strip())
        and not (block["type"] == "thinking" and not block.get("signature"))
    ]
    while content and content[-1]["type"] in THINKING:
        content = content[:-1]
    return content


def cut_middle(text: str, most: int, note: str) -> str:
    """At most about `most` characters of `text`: its beginning and its end."""
    if len(text) <= most:
        return text
    return f"{text[: most // 2]}\n[... {note} ...]\n{text[-(most - most // 2) :]}"


class Conversation:
    """What was said since the last hand-off, and what must be remembered over hand-offs."""

    def __init__(self, record: Record, entries: list[dict[str, Any]]):
        self._record = record
        self.messages: list[dict[str, Any]] = []
        self.open: dict[str, str] = {}
        """Tool calls without an answer: id -> "" or, where it began, the number of its output."""
        self.note = ""
        self.cursor: dict[str, Any] | None = None
        self.finished: str | None = None
        self.begun = 0
        """Commands that began, over all hand-offs."""
        self.turns = self.asked = 0
        """Turns of the model since the last hand-off, and in all."""
        self.full = False
        self.pauses = self.empty = self.idle = 0
        """Turns in a row that paused, said nothing, called no tool."""
        self._counted, self._added = 0, 0
        for entry in entries:
            self._apply(entry)

    def add(self, **entry: Any) -> None:
        """Write an entry, then let it count."""
        self._record(entry)
        self._apply(entry)

    def settle(self) -> None:
        """Answer what a crash left open: what had begun was interrupted, the rest was not run."""
        for name, number in list(self.open.items()):
            where = f" What it had printed may be in $HOME/outputs/{number}.txt." if number else ""
            self.add(kind="result", tool_use_id=name, content=INTERRUPTED + where if number else NOT_RUN, is_error=True)

    def say(self, text: str) -> None:
        """One more text for the model."""
        self.add(kind="user", content=[text_block(text)])

    @property
    def tokens(self) -> int:
        """How long the next request is: what the API counted last, and an estimate of what came after."""
        return self._counted + int(self._added / CHARACTERS_A_TOKEN)

    @property
    def paused(self) -> bool:
        """Whether the model is to go on with its own last turn."""
        return 0 < self.pauses <= MOST_PAUSES and bool(self.messages) and self.messages[-1]["role"] == "assistant"

    @property
    def needs_word(self) -> bool:
        """Whether nothing is there that the model could answer."""
        return not self.messages or (self.messages[-1]["role"] == "assistant" and not self.paused)

    @property
    def thinks(self) -> bool:
        """Whether thinking of the model is part of the messages."""
        return any(block["type"] in THINKING for message in self.messages for block in message["content"])

    def request(self, mark: dict[str, Any], more: str = "") -> list[dict[str, Any]]:
        """Messages for the API. `more` is said once and not kept. The last three messages of the user carry `mark`: the next
        request finds the prefix that this one wrote to the cache, however many blocks a turn has."""
        messages = list(self.messages)
        if more:
            if messages[-1]["role"] == "assistant":
                messages.append({"role": "user", "content": []})
            messages[-1] = {"role": "user", "content": [*messages[-1]["content"], text_block(more)]}
        users = [place for place, message in enumerate(messages) if message["role"] == "user"]
        for place in users[-3:]:
            content = messages[place]["content"]
            messages[place] = {"role": "user", "content": [*content[:-1], {**content[-1], "cache_control": mark}]}
        return messages

    def shorten(self) -> bool:
        """Give up the least valuable part that is left. False where nothing is left to give up."""
        for what in TRIMS:
            before = self._length()
            self.add(kind="trimmed", what=what)
            if self._length() < before:
                return True
        return False

    def last_words(self) -> str:
        """The latest texts of the model itself."""
        said = [block["text"] for message in self.messages if message["role"] == "assistant" for block in message["content"] if block["type"] == "text"]
        return "\n\n".join(said[-5:])

    def _length(self) -> int:
        return sum(_size(block) for message in self.messages for block in message["content"])

    def _apply(self, entry: dict[str, Any]) -> None:
        match entry["kind"]:
            case "user":
                self.cursor = entry.get("cursor", self.cursor)
                self._extend("user", entry["content"])
            case "assistant":
                self._assistant(entry)
            case "begin" if entry["tool_use_id"] in self.open:
                self.begun += 1
                self.open[entry["tool_use_id"]] = entry["output"]
            case "result" if entry["tool_use_id"] in self.open:
                del self.open[entry["tool_use_id"]]
                result = {"type": "tool_result", "tool_use_id": entry["tool_use_id"], "content": entry["content"]}
                self._extend("user", [result | ({"is_error": True} if entry["is_error"] else {})])
            case "handoff":
                self.note, self.messages, self.open = entry["note"], [], {}
                self.turns, self.full, self._counted, self._added = 0, False, 0, 0
                self.pauses = self.empty = self.idle = 0
            case "trimmed":
                self._trim(entry["what"])
            case "finished":
                self.finished = entry["reason"]

    def _extend(self, role: str, content: list[dict[str, Any]]) -> None:
        if not content:
            return
        if not self.messages or self.messages[-1]["role"] != role:
            self.messages.append({"role": role, "content": []})
        self.messages[-1]["content"] += content
        self._added += sum(map(_size, content))

    def _assistant(self, entry: dict[str, Any]) -> None:
        self.asked += 1
        usage, reason = entry["usage"], entry["stop_reason"]
        if reason == "refusal":  # what was refused would be refused again
            return
        content = kept(entry["content"])
        self.empty = 0 if content else self.empty + 1
        if not content:
            return
        calls = [block["id"] for block in content if block["type"] == "tool_use"]
        self.turns += 1
        self.idle = 0 if calls else self.idle + 1
        self.pauses = self.pauses + 1 if reason == "pause_turn" and not calls else 0
        self.full = self.full or reason == "model_context_window_exceeded"
        self._extend("assistant", content)
        told = sum(usage.get(name) or 0 for name in ("input_tokens", "cache_read_input_tokens", "cache_creation_input_tokens", "output_tokens"))
        if told:  # a server that does not count leaves the estimate
            self._counted, self._added = told, 0
        self.open = dict.fromkeys(calls, "")

    def _trim(self, what: str) -> None:
        users = [message for message in self.messages if message["role"] == "user"]
        match what:
            case "thinking":
                for message in self.messages:
                    message["content"] = [block for block in message["content"] if block["type"] not in THINKING]
            case "latest results":
                _cut_results(users[-1:], lambda text: LEFT_OUT)
            case "old results":
                _cut_results(users[:-2], lambda text: cut_middle(text, 600, "shortened"))
            case "long results":
                _cut_results(users, lambda text: cut_middle(text, 2000, "shortened"))
            case "old turns":  # the first message stays; pairs of a turn and its answer go, the older half of them
                pairs = (len(self.messages) - 1) // 2
                del self.messages[1 : 1 + 2 * ((pairs + 1) // 2)]


def _cut_results(messages: list[dict[str, Any]], shorter) -> None:
    for message in messages:
        message["content"] = [
            {**block, "content": shorter(block["content"])} if block["type"] == "tool_result" else block for block in message["content"]
        ]


def _size(block: dict[str, Any]) -> int:
    """About how many characters the model reads."""
    return len(str(block.get("text") or block.get("content") or block.get("thinking") or block.get("input") or ""))
