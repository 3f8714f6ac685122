"""Converts a recorded call to a scenario that expects the same again.

A recording does not show which of it matters: remarks mark the expectations that a
person should loosen.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from runner.audio.devices import BYTES_PER_SECOND
from runner.observers.events import (
    AgentReplyEnded,
    AgentReplyStarted,
    CallEnded,
    CallerSpeechStarted,
    CallEvent,
    CallInterpreter,
    ConfigurationChanged,
    ConnectionLost,
    FinalTranscript,
    PartialTranscript,
    ReplyRequested,
    SessionOpened,
    ToolRequested,
    ToolStarted,
)
from runner.observers.timeline import ToolRun, trace
from runner.protocol.messages import ToolCall, parse_verbatim
from runner.recording.format import AudioSummary, Entry, Header, InvalidRecording
from runner.recording.reader import Recording
from runner.testing.scenarios.model import (
    AgentTurn,
    ConnectionTurn,
    EndTurn,
    ExpectTurn,
    LlmRule,
    MockAnswer,
    Place,
    Scenario,
    Suite,
    ToolCallTurn,
    Turn,
    UserTurn,
    WaitTurn,
    read_pattern,
)
from runner.testing.scenarios.writer import write_suite

_SOONEST_SECONDS = 0.1
# Default speech before services detect an interruption.
_DECISION_MS = 500
# Speech is not much faster: an interruption must find the agent still speaking.
_SECONDS_PER_WORD = 0.2
# Shorter pauses are not a silence; and the end of a call may take this long.
_SILENCE_SECONDS = 1.0
_END_SECONDS = 30.0


@dataclass(frozen=True, slots=True)
class CommentedTurn:
    """A turn, and a remark for the reader."""

    turn: Turn
    remark: str | None = None


@dataclass(slots=True)
class Reply:
    """One reply of the agent: its text, tool calls and playback.

    `is_thought` is false where the text was given: the greeting, an announcement.
    """

    reply_id: str = ""
    is_thought: bool = True
    text: str = ""
    pieces: str = ""
    calls: list[ToolCall] = field(default_factory=list)
    audible_at: float | None = None
    audible_until: float = 0.0
    is_over: bool = False

    @property
    def says(self) -> str:
        """The full text, as far as it is known."""
        return max(self.text, self.pieces, key=len).strip()

    def note(self, event: CallEvent) -> None:
        """Keeps the events of this reply."""
        match event:
            case PartialTranscript(speaker="agent", text=text):
                # A word; the service sends those of a greeting without a space.
                self.pieces += f"{text.strip()} "
            case FinalTranscript(speaker="agent", text=text, source="speech"):
                self.text = text
            case ToolRequested(_, call):
                self.calls.append(call)
            case AgentReplyEnded():
                self.is_over = True
            case _:
                pass

    def play(self, at: float, sound: AudioSummary) -> None:
        """Counts audio that went to the speaker."""
        if self.audible_at is None:
            self.audible_at = self.audible_until = at
        length = sound.played / BYTES_PER_SECOND
        self.audible_until = max(self.audible_until, at) + length

    def calls_made(self) -> Iterator[tuple[str, Mapping[str, Any]]]:
        """Yields the tools that it asked for, with their arguments."""
        for call in self.calls:
            yield call.name, dict(call.arguments)


class RecordingConverter:
    """Converts a recorded call to turns; `part_of` returns the pattern for a text."""

    def __init__(
        self, header: Header, place: Place, part_of: Callable[[str], str]
    ) -> None:
        self.turns: list[CommentedTurn] = []
        self.replies: list[Reply] = []
        self.lacks: dict[str, None] = {}  # what no turn can say, in order
        self._header = header
        self._place = place
        self._part_of = part_of
        self._now = _State()

    def read(self, entries: list[tuple[float, Entry]]) -> None:
        """Follows a whole call and collects its turns."""
        interpreter = CallInterpreter(self._note)
        for at, entry in entries:
            interpreter.observe(at, entry)
            if isinstance(entry, AudioSummary) and entry.played and self.replies:
                self.replies[-1].play(at, entry)

    @property
    def _reply(self) -> Reply | None:
        return self.replies[-1] if self.replies else None

    def _note(self, event: CallEvent) -> None:
        if self._reply is not None:
            self._reply.note(event)
        match event:
            case AgentReplyStarted(_, reply_id):
                self.replies.append(Reply(reply_id, self._is_thought()))
                self._now.was_dictated = False
            case CallerSpeechStarted(at):
                self._note_cut(at)
            case FinalTranscript() if event.text.strip():
                self._note_text(event)
            case ToolStarted(at, call):
                self._run(at, call)
            case ConfigurationChanged():
                self.lacks["the agent was changed during the call"] = None
            case ConnectionLost() | SessionOpened():
                self._note_connection(event)
            case ReplyRequested() | CallEnded():
                self._note_silence(event)
            case _:
                pass

    # -------------------------------------------------------------------------- texts

    def _note_text(self, said: FinalTranscript) -> None:
        if said.speaker == "agent":
            if not said.is_interrupted:
                self._answer(said.at, said.text)
            return
        if said.source == "typed":
            self._note_cut(said.at)
        self._speak(said.at, said.text)

    @property
    def _announcements(self) -> set[str]:
        rules = self._header.config.tools.values()
        return {each.announce for each in rules if each.announce is not None}

    def _is_thought(self) -> bool:
        is_greeting = bool(self._header.config.session.get("greeting"))
        return not self._now.was_dictated and (bool(self.replies) or not is_greeting)

    def _note_cut(self, at: float) -> None:
        reply, self._now.cut = self._reply, None
        if reply is None or reply.audible_at is None:
            return
        if at < reply.audible_until or not reply.is_over:
            self._now.cut = at - reply.audible_at

    def _speak(self, at: float, text: str) -> None:
        heard, self._now.cut = self._now.cut, None
        if heard is None:
            self._add(at, UserTurn(self._place, text))
            return
        if self.turns and isinstance(self.turns[-1].turn, AgentTurn):
            self.turns.pop()  # it had said all, and was still heard
        session = self._header.config.session
        detection = session.get("input", {}).get("turn_detection", {})
        heard -= detection.get("interruption_delay", _DECISION_MS) / 1000
        reply = self._reply
        length = len(reply.says.split()) * _SECONDS_PER_WORD if reply else heard
        after = max(_SOONEST_SECONDS, round(min(heard, length), 1))
        turn = UserTurn(self._place, text, after)
        self._add(at, turn, "into the agent's words, as then")

    def _answer(self, at: float, text: str) -> None:
        part = self._part_of(text)
        remark = None if len(part) == len(text.strip()) else f"of: {text.strip()}"
        self._add(at, AgentTurn(self._place, (read_pattern(part),)), remark)

    def _wait(self, until: float) -> None:
        """Adds a silence that made the agent speak, or the call end."""
        seconds = round(until - self._now.last_at, 1)
        if seconds >= _SILENCE_SECONDS:
            self._add(until, WaitTurn(self._place, seconds), "silence")

    def _add(self, at: float, turn: Turn, remark: str | None = None) -> None:
        self.turns.append(CommentedTurn(turn, remark))
        self._now.last_at = at

    # --------------------------------------------------- tools, connection and the end

    def _run(self, at: float, call: ToolCall) -> None:
        rules = self._header.config.tools.get(call.name)
        if rules is not None and rules.terminal:
            return  # the last turn says which side ends the call
        turn = ToolCallTurn(self._place, call.name, dict(call.arguments))
        remark = "all arguments; `matching:` takes a schema" if call.arguments else None
        self._add(at, turn, remark)

    def _note_connection(self, event: ConnectionLost | SessionOpened) -> None:
        if isinstance(event, ConnectionLost):
            self._now.lost_why = event.reason
            if self._reply is not None and not self._reply.is_over:
                self.lacks["the connection was lost during a reply"] = None
            return
        why, self._now.lost_why = self._now.lost_why, None
        if why is None:
            return
        drops = max(_SOONEST_SECONDS, round(event.lost_seconds or 0.0, 1))
        self._add(event.at, ConnectionTurn(self._place, drops), why)
        if event.is_resumed:
            self._add(event.at, ExpectTurn(self._place, resumed=True))

    def _note_silence(self, event: ReplyRequested | CallEnded) -> None:
        """Notes a silence that made the agent speak, or the call end."""
        if isinstance(event, ReplyRequested):
            words = parse_verbatim(event.instructions)
            self._now.was_dictated = words is not None
            if words not in self._announcements:
                self._wait(event.at)
            return
        self._now.end = event
        is_long = event.at - self._now.last_at > _END_SECONDS
        if event.ended_by != "caller" and is_long:
            self._wait(event.at - _END_SECONDS)

    def end(self) -> CommentedTurn | None:
        """Returns the last turn; None where the recording has no end."""
        end = self._now.end
        if end is None:
            return None
        return CommentedTurn(EndTurn(self._place, end.ended_by), end.close.reason)


@dataclass(slots=True)
class _State:
    """`cut` is how many seconds were heard of the reply that the caller interrupts."""

    last_at: float = 0.0
    cut: float | None = None
    lost_why: str | None = None  # set between two connections
    was_dictated: bool = False
    end: CallEnded | None = None


# The scenario file of a recording.


_MAX_PART_WORDS = 5  # words of what the agent said that are looked for
_MAX_REMARK_CHARACTERS = 60  # characters
_CLAUSE_ENDS = re.compile(r"(?<=[,.;:!?])\s+")
_TURNS = "    turns:\n"


def scenario_from_recording(recording: Recording, file: Path) -> str:
    """Returns the text of a scenario file, to be written to `file`, of a recorded call.

    The path of the agent is relative to it. Tools are mocked with their recorded
    results, and on the scripted service the agent repeats its recorded replies.

    Raises:
        InvalidRecording: the call has nothing that a scenario could expect.
    """
    header, place = recording.header, Place(file, 1, 1)
    # Twice: the distinctive part of a text depends on all other texts.
    said = [reply.says for reply in _read(recording, place, str).replies]
    account = _read(recording, place, _parts(said))
    end = account.end()
    turns = [*account.turns, *([end] if end is not None else [])]
    if not turns:
        folder = recording.folder
        raise InvalidRecording(f"nothing is said or done in the call in '{folder}'")
    scenario = Scenario(
        f"goes as it did on {header.started[:10]}",
        place,
        Path(header.agent.path),
        tuple(each.turn for each in turns),
        variables=dict(header.variables),
        mock=_mocks(header, trace(recording.entries).tools),
        llm=tuple(_steps(account.replies)),
    )
    text = write_suite(Suite(file, (scenario,)))
    return _with_remarks(text, turns, _preface(recording, account))


def _read(
    recording: Recording, place: Place, part_of: Callable[[str], str]
) -> RecordingConverter:
    account = RecordingConverter(recording.header, place, part_of)
    account.read(recording.entries)
    return account


def _parts(said: Sequence[str]) -> Callable[[str], str]:
    """Returns a function that finds the distinctive words of a text."""
    counts = Counter(word for text in said for word in set(_words(text)))

    def part_of(text: str) -> str:
        best, least = text.strip(), float("inf")
        for clause in _CLAUSE_ENDS.split(text.strip()):
            words = clause.split()
            for start in range(max(1, len(words) - _MAX_PART_WORDS + 1)):
                window = words[start : start + _MAX_PART_WORDS]
                # Few words are distinctive only if they are rare.
                common = sum(counts[word] for word in _words(" ".join(window)))
                rarity = (common + _MAX_PART_WORDS) / len(window)
                if rarity < least:
                    best, least = " ".join(window), rarity
        return best.strip(" /,.;:!?") or text.strip()

    return part_of


def _words(text: str) -> list[str]:
    return re.findall(r"\w+", text.lower())


def _steps(replies: Sequence[Reply]) -> Iterator[LlmRule]:
    for reply in replies:
        calls = tuple(reply.calls_made())
        if reply.is_thought and (reply.says or calls):
            yield LlmRule(says=reply.says or None, tool_calls=calls)


def _mocks(
    header: Header, runs: Sequence[ToolRun]
) -> dict[str, tuple[MockAnswer, ...]]:
    mocks: dict[str, list[MockAnswer]] = {}
    for run in runs:
        rules = header.config.tools.get(run.name)
        is_terminal = rules is not None and rules.terminal
        if run.state != "refused" and not is_terminal:
            mocks.setdefault(run.name, []).append(_answer(run))
    return {name: _in_turn(answers) for name, answers in mocks.items()}


def _answer(run: ToolRun) -> MockAnswer:
    value, delay = run.result, round(run.seconds or 0.0, 1)
    if run.state == "done":
        return MockAnswer(value, delay=delay)
    if run.state == "failed":
        reason = value.get("error", value) if isinstance(value, dict) else value
        return MockAnswer(raises=str(reason), delay=delay)
    # Cancelled: it is cancelled again if it takes longer than in the recorded call.
    return MockAnswer(delay=delay + 5.0)


def _in_turn(answers: Sequence[MockAnswer]) -> tuple[MockAnswer, ...]:
    """Returns the answers in order; the last one without limit."""
    kept = [answers[0]]
    if any(each != answers[0] for each in answers):
        kept = [*(replace(each, times=1) for each in answers[:-1]), answers[-1]]
    return tuple(kept)


def _preface(recording: Recording, account: RecordingConverter) -> Iterator[str]:
    header = recording.header
    yield f"Made from a recording: {header.service}, {header.started}."
    yield "It asks for what was said and done then. Loosen what need not be so:"
    yield "fewer words, a /pattern/, `matching:` in place of `arguments:`."
    if not recording.is_complete:
        yield "The recording was cut off, and so is the scenario."
    if header.is_redacted:
        yield "The recording is redacted: figures and addresses are not the real ones."
    for lack in account.lacks:
        yield f"Not in it: {lack}."


def _with_remarks(
    text: str, turns: Sequence[CommentedTurn], preface: Iterator[str]
) -> str:
    modeline, _, rest = text.partition("\n")
    head, _, lines = rest.partition(_TURNS)
    commented = [
        f"{line}{_comment(each.remark)}"
        for line, each in zip(lines.splitlines(), turns, strict=True)
    ]
    comments = "".join(f"# {line}\n" for line in preface)
    return f"{modeline}\n{comments}{head}{_TURNS}" + "".join(
        f"{line}\n" for line in commented
    )


def _comment(remark: str | None) -> str:
    if not remark:
        return ""
    line = "".join(each if each.isprintable() else " " for each in remark)
    line = " ".join(line.split())
    if len(line) > _MAX_REMARK_CHARACTERS:
        line = f"{line[:_MAX_REMARK_CHARACTERS].rstrip()}…"
    return f"  # {line}"
