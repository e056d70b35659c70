"""The researcher `claude`: a model of the Messages API with a shell, in a conversation that survives whatever ends its process.

A step is one turn: news go in, the model thinks, its tools run. Everything is in transcript.jsonl before it counts
(conversation.py), so the agent can be killed at any instant and go on. When the context fills, the model writes a note to
itself and a new conversation begins with it; `notebook.md` in the worktree is the memory that lasts. What goes wrong with
the API is handled in faults.py, what a command may do in bash_tool.py.
"""

from __future__ import annotations

import time
from typing import Any

from state.errors import UserError
from state.files import read_jsonl
from swarm.post_text import one_line
from swarm.researchers import AgentConfig, Hands, Parked, Record
from swarm.researchers import bash_tool as bash
from swarm.researchers.conversation import Conversation, cut_middle, text_block
from swarm.researchers.faults import ERRORS, Fault, Patience, fault_of
from swarm.researchers.heard import News, ask_news, told
from swarm.researchers.model import Model, Turn
from swarm.settings import Model as ModelSettings

FINISH = {
    "name": "finish",
    "description": "End your work on this run for good. Only when nothing is left that you would still try.",
    "input_schema": {"type": "object", "properties": {"reason": {"type": "string", "description": "why, in one line"}}, "required": ["reason"]},
}
BEGIN = """Your work begins now.{direction}

`notebook.md` in your worktree is your memory: this conversation is replaced by a short note when it gets long, the notebook stays. \
Keep in it what you believe, why, what is running and what you would try next. Read it first; it may hold something already."""
BEGIN_AGAIN = """You are in the middle of your work. Your earlier conversation had become too long; this is the note that you left yourself:

{note}

(end of the note){direction}

`notebook.md` in your worktree is your durable memory: read it, and check the state of things (`aar scores`, `aar task`) before you go on."""
HAND_OFF = """Your context is nearly full. This conversation will be replaced by a note that you write now, and nothing else of it stays. \
Answer with the note alone, as text, without calling a tool: what you are after and why; what you found, with figures and submissions; \
what failed; what is running or waiting (submissions, jobs) and which files matter; what you would do next."""
GO_ON = "Go on. (A turn without a tool call does nothing; when nothing is left to try, call `finish`.)"
EMPTY = "Your last turn was empty. Go on with your work, or call `finish`."
CUT = "Your last turn was cut off at {most} tokens. Go on, in smaller pieces."
REFUSED = "The model's safety system stopped your last turn, and it was dropped. Leave that path and go on another way."
NOT_RUN_CUT = "not run: your turn was cut off at {most} tokens, perhaps in the middle of this call. Write smaller pieces, such as a file in several parts."
NOT_RUN_BROKEN = "not run: the input of this call was not a JSON object"
NOT_RUN_FINISHED = "not run: you had called finish"
NO_NOTE = "(no note could be written; these were the last words)\n{words}"

MOST_REFUSALS, MOST_EMPTY, MOST_IDLE = 3, 4, 20
"""In a row: refusals that park, empty turns and turns without a tool that finish."""
LEAST_TURNS = 3
"""Before a hand-off by size: a prompt that fills the context by itself must not end in notes about notes."""
MOST_NOTES, MOST_UNSTARTED = 3, 3


class Overlong(Exception):  # noqa: N818
    """The conversation does not fit."""


class Spent(Exception):  # noqa: N818
    """The budget is spent; the text is the proxy's."""


class ClaudeResearcher:
    """One step is one turn of the model with all that it calls."""

    def __init__(self, config: AgentConfig, hands: Hands, record: Record, news: News | None = None):
        self.config, self.record = config, record
        self.settings = ModelSettings.model_validate(config.settings.get("model", {}))
        # Of a small context no single output may take more than a part.
        self.bash = bash.Bash(hands, min(16_000, max(2000, self.settings.context_tokens // 8)))
        self.news = news or ask_news(config.folder / "door.sock")
        self.model = Model(config.folder, config.model, self.settings, config.prompt, [bash.DEFINITION, FINISH])
        self.patience = Patience(config.tell, record, self.settings.outage_hours)
        self.conversation = Conversation(record, read_jsonl(config.folder / "transcript.jsonl"))
        self.conversation.settle()
        self._refusals = self._unstarted = 0

    def step(self) -> bool:
        """False where the work is over: finished by the model, or the budget is spent."""
        conversation = self.conversation
        if conversation.finished is not None:
            return self._over(conversation.finished)
        try:
            if conversation.full or (conversation.tokens > self.settings.handoff_share * self.settings.context_tokens and conversation.turns >= LEAST_TURNS):
                self._hand_off()
            if not conversation.paused:
                self._hear()
            self.config.tell("thinking", f"turn {conversation.asked + 1}")
            turn = self._ask()
        except Overlong as error:
            if conversation.turns == 0:
                raise Parked(f"the prompt alone does not fit into the model's context: {error}") from None
            conversation.full = True  # the next step hands off, also after a restart: the API says it again
            return True
        except Spent as error:
            self.record({"kind": "trouble", "what": f"budget spent: {error}"})
            return self._over(f"budget spent: {error}")
        return self._take(turn)

    def _over(self, why: str) -> bool:
        self.config.tell("finished", why)
        return False

    def _hear(self) -> None:
        """Put in what happened meanwhile; and where the model would have nothing to answer, a word to go on."""
        conversation = self.conversation
        news, cursor = self.news(conversation.cursor)
        content = []
        if not conversation.messages:
            content.append(text_block(self._first_word()))
        if text := told(news):
            content.append(text_block(text))
        elif conversation.needs_word and not content:
            content.append(text_block(GO_ON))
        if content or cursor != conversation.cursor:
            conversation.add(kind="user", content=content, cursor=cursor)

    def _first_word(self) -> str:
        direction = self.config.direction.strip()
        told = not direction or direction.splitlines()[-1] in self.config.prompt  # a prompt of a fork may leave it out
        direction = "" if told else f"\n\nWhere you begin:\n\n{direction}"
        if self.conversation.note:
            return BEGIN_AGAIN.format(note=self.conversation.note, direction=direction)
        return BEGIN.format(direction=direction)

    def _ask(self, more: str = "") -> Turn:
        """One turn of the model, however long the API fails. Overlong, Spent or Parked where waiting does not help."""
        while True:
            try:
                turn = self.model.ask(self.conversation.request(self.model.mark, more))
            except ERRORS as error:
                self._bear(fault_of(error))
            else:
                self.patience.over()
                return turn

    def _bear(self, fault: Fault) -> None:
        match fault.kind:
            case "again":
                self.patience.wait(fault)
            case "overlong":
                raise Overlong(fault.line)
            case "budget":
                raise Spent(fault.line)
            case "thinking" if self.conversation.thinks:
                self.conversation.add(kind="trimmed", what="thinking")
            case _:
                raise Parked(fault.line)

    def _take(self, turn: Turn) -> bool:
        """Keep a turn, and do what it asks for."""
        conversation = self.conversation
        conversation.add(kind="assistant", content=turn.content, stop_reason=turn.stop_reason, usage=turn.usage, seconds=turn.seconds)
        if turn.stop_reason == "refusal":
            self._refused()
            return True
        self._refusals = 0
        if conversation.empty:
            if conversation.empty >= MOST_EMPTY and turn.stop_reason == "max_tokens":
                raise Parked(f"{MOST_EMPTY} turns in a row ended at {turn.most_tokens} tokens before an answer: raise max_tokens in aar.toml, or lower effort")
            if conversation.empty >= MOST_EMPTY:
                return self._finish(f"the model had nothing to say {MOST_EMPTY} times in a row")
            conversation.say(CUT.format(most=turn.most_tokens) if turn.stop_reason == "max_tokens" else EMPTY)
        elif conversation.open:
            self._act(turn)
            return conversation.finished is None
        elif conversation.idle >= MOST_IDLE:
            return self._finish(f"the model called no tool in {MOST_IDLE} turns")
        elif turn.stop_reason == "max_tokens":
            conversation.say(CUT.format(most=turn.most_tokens))
        return True

    def _refused(self) -> None:
        self._refusals += 1
        if self._refusals >= MOST_REFUSALS:
            raise Parked(f"the model refused {MOST_REFUSALS} times in a row to go on (stop_reason refusal): see the end of transcript.jsonl")
        if self._refusals == MOST_REFUSALS - 1:  # then it is not what the model wanted but what it read
            self.conversation.add(kind="trimmed", what="latest results")
        self.conversation.say(REFUSED)

    def _act(self, turn: Turn) -> None:
        for call in turn.calls:
            name = call["id"]
            if turn.stop_reason in ("max_tokens", "model_context_window_exceeded"):
                self._answer(name, NOT_RUN_CUT.format(most=turn.most_tokens), True)
            elif name in turn.broken:
                self._answer(name, NOT_RUN_BROKEN, True)
            elif self.conversation.finished is not None:
                self._answer(name, NOT_RUN_FINISHED, True)
            elif call["name"] == "finish":
                self._finish(str(call["input"].get("reason") or "no reason given"))
                self._answer(name, "finished", False)
            elif call["name"] == "bash":
                self._run(name, call["input"])
            else:
                self._answer(name, f"there is no tool {call['name']!r}: there are bash and finish", True)

    def _run(self, name: str, given: dict[str, Any]) -> None:
        try:
            command, seconds = bash.read_input(given)
        except UserError as problem:
            self._answer(name, f"not run: {problem}", True)
            return
        number = self.conversation.begun + 1
        self.conversation.add(kind="begin", tool_use_id=name, output=bash.name_of(number))
        self.config.tell("acting", one_line(command))
        began = time.monotonic()
        try:
            shown = self.bash.run(number, command, seconds)
        except UserError as problem:
            self._unstarted += 1
            if self._unstarted >= MOST_UNSTARTED:
                raise Parked(f"no sandbox can be started: {problem}") from None
            self._answer(name, f"not run: {problem}", True)
            return
        self._unstarted = 0
        self._answer(name, shown.text, shown.is_error, seconds=round(time.monotonic() - began, 4))

    def _answer(self, name: str, text: str, is_error: bool, **more: float) -> None:
        self.conversation.add(kind="result", tool_use_id=name, content=text, is_error=is_error, **more)

    def _finish(self, reason: str) -> bool:
        self.conversation.add(kind="finished", reason=reason)
        return self._over(reason)

    def _hand_off(self) -> None:
        """Replace the conversation by a note. Ends in any case: each try brings a note or makes the conversation shorter."""
        conversation, tries, note, usage = self.conversation, 0, "", {}
        words = conversation.last_words()
        self.config.tell("thinking", "writes a hand-off note")
        while not note and tries < MOST_NOTES:
            try:
                turn = self._ask(HAND_OFF)
                if turn.stop_reason == "model_context_window_exceeded":
                    raise Overlong("no room for a note")
            except Overlong:
                if not conversation.shorten():
                    break
                continue
            tries, usage = tries + 1, turn.usage
            note = turn.text if turn.stop_reason != "refusal" else ""
        if not note:
            note = NO_NOTE.format(words=words)
        # A long note would fill the next context by itself: at most about an eighth of it.
        note = cut_middle(note, max(2000, self.settings.context_tokens // 2), "too long")
        conversation.add(kind="handoff", note=note, usage=usage)
