"""A scenario made from a recorded call: yesterday's trouble as a test of today.

The caller says what the caller said, tools answer what they answered, and on the
scripted service the mind says and calls, step by step, what it did then.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from runner.protocol.client.actions import Close, RunTool
from runner.protocol.client.events import (
    Connected,
    Disconnected,
    HangUp,
    Received,
    Say,
    ToolFinished,
)
from runner.protocol.messages import (
    InputSpeechStarted,
    ReplyStarted,
    SessionEnded,
    ToolCall,
    TranscriptAgent,
    TranscriptUser,
)
from runner.recording.lines import Entry, Sound
from runner.recording.reader import Recording
from runner.scenarios.model import (
    AgentTurn,
    BrainRule,
    CallTurn,
    EndTurn,
    LineTurn,
    MockAnswer,
    Party,
    Place,
    Scenario,
    Suite,
    Turn,
    UserTurn,
    read_pattern,
)

_LONGEST_WORDS = 60  # characters of an utterance that are expected
_SENTENCE_END = re.compile(r"(?<=[.!?])\s")
# A reply that was cut off is recorded as far as it was heard; it has to go on, or there
# would be nothing to interrupt.
_GOING_ON = "and there was more to it, which went on until somebody interrupted"


def suite_from_recording(recording: Recording, path: Path) -> Suite:
    """Return a suite of one scenario, to be written at `path`."""
    header = recording.header
    place = Place(path, 1, 1)
    extraction = _Extraction(place)
    for at, entry in recording.entries:
        extraction.note(at, entry)
    terminal = {name for name, rules in header.config.tools.items() if rules.terminal}
    scenario = Scenario(
        name=f"a call of {header.started[:16].replace('T', ' ')}",
        place=place,
        agent=Path(header.agent.path),
        turns=tuple(extraction.turns),
        variables=dict(header.variables),
        mock={
            name: tuple(_in_turn(answers))
            for name, answers in extraction.answers.items()
            if name not in terminal
        },
        brain=tuple(extraction.brain()),
    )
    return Suite(path, (scenario,))


@dataclass(slots=True)
class _Reply:
    text: str = ""
    is_cut: bool = False
    calls: list[ToolCall] = field(default_factory=list)


@dataclass(slots=True)
class _Extraction:
    """Goes through a call and writes down its turns, results and replies."""

    place: Place
    turns: list[Turn] = field(default_factory=list)
    answers: dict[str, list[MockAnswer]] = field(default_factory=dict)
    _replies: dict[str, _Reply] = field(default_factory=dict)
    _reply_id: str = ""
    _calls: dict[str, tuple[float, ToolCall]] = field(default_factory=dict)
    _sounding_since: float | None = None
    _interrupts_after: float | None = None
    _dropped_at: float | None = None
    _ender: Party = "agent"

    def note(self, at: float, entry: Entry) -> None:
        """Take the next line of the recording."""
        match entry:
            case Sound(played=played) if played and self._sounding_since is None:
                self._sounding_since = at
            case Received(message):
                self._note_message(at, message)
            case Say(text):
                self.turns.append(UserTurn(self.place, text))
            case RunTool(call):
                self._calls[call.call_id] = (at, call)
                self._replies.setdefault(self._reply_id, _Reply()).calls.append(call)
                arguments = dict(call.arguments)
                self.turns.append(CallTurn(self.place, call.name, arguments))
            case ToolFinished() if entry.call_id in self._calls:
                self._note_result(at, entry)
            case Disconnected():
                self._dropped_at = at if self._dropped_at is None else self._dropped_at
            case Connected() if self._dropped_at is not None:
                drop = LineTurn(self.place, max(0.1, round(at - self._dropped_at, 1)))
                self.turns.append(drop)
                self._dropped_at = None
            case HangUp():
                self._ender = "caller"
            case Close():
                self.turns.append(EndTurn(self.place, self._ender))
            case _:
                pass

    def brain(self) -> Iterator[BrainRule]:
        """Yield the replies as steps of a script; the greeting needs none."""
        for number, reply in enumerate(self._replies.values()):
            is_greeting = not number and not reply.calls
            if is_greeting or not (reply.text or reply.calls):
                continue
            text = f"{reply.text} {_GOING_ON}" if reply.is_cut else reply.text
            calls = tuple((each.name, dict(each.arguments)) for each in reply.calls)
            yield BrainRule(says=text or None, calls=calls)

    def _note_message(self, at: float, message: object) -> None:
        match message:
            case ReplyStarted(reply_id):
                self._reply_id, self._sounding_since = reply_id, None
                self._replies[reply_id] = _Reply()
            case InputSpeechStarted():
                since = self._sounding_since
                self._interrupts_after = None if since is None else at - since
            case TranscriptUser(text=text):
                self._note_words(text)
            case TranscriptAgent():
                reply = self._replies.setdefault(message.reply_id, _Reply())
                reply.text, reply.is_cut = message.text, message.interrupted
                if message.text and not message.interrupted:
                    says = (read_pattern(_distinctive(message.text)),)
                    self.turns.append(AgentTurn(self.place, says))
            case SessionEnded():
                pass

    def _note_words(self, text: str) -> None:
        reply = self._replies.get(self._reply_id)
        after = self._interrupts_after if reply and reply.is_cut else None
        if text:
            after = None if after is None else max(0.1, round(after, 1))
            self.turns.append(UserTurn(self.place, text, after))
        self._interrupts_after = None

    def _note_result(self, at: float, finished: ToolFinished) -> None:
        began, call = self._calls[finished.call_id]
        delay = round(at - began, 1)
        value = _value(finished.text)
        if finished.is_error:
            said = value.get("error") if isinstance(value, dict) else None
            answer = MockAnswer(raises=_bare(said or finished.text, call.name))
        else:
            answer = MockAnswer(returns=value)
        self.answers.setdefault(call.name, []).append(
            MockAnswer(answer.returns, answer.raises, delay)
        )


def _in_turn(answers: Sequence[MockAnswer]) -> Iterator[MockAnswer]:
    """Give each answer once, and the last one for ever; equal ones are one."""
    distinct = [
        each
        for number, each in enumerate(answers)
        if not number or each != answers[number - 1]
    ]
    for each in distinct[:-1]:
        times = sum(1 for other in answers if other == each)
        yield MockAnswer(each.returns, each.raises, each.delay, times)
    yield from distinct[-1:]


def _distinctive(text: str) -> str:
    """Return the beginning of an utterance, to be found again: a sentence, or less."""
    first = _SENTENCE_END.split(text.strip(), maxsplit=1)[0]
    if len(first) > _LONGEST_WORDS:
        first = first[:_LONGEST_WORDS].rpartition(" ")[0]
    return first.strip("/") or text


def _value(text: str) -> Any:
    try:
        return json.loads(text)
    except ValueError:
        return text


def _bare(message: str, tool: str) -> str:
    """Take off what the registry says in front of a tool's own words."""
    return message.removeprefix(f"{tool} failed: ")
