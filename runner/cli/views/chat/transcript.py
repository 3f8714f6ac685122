"""The transcript of the chat view: entries that become final in order."""

from __future__ import annotations

import json
import unicodedata
from collections.abc import Callable
from dataclasses import dataclass, field
from math import inf
from typing import TypeAlias, TypeVar

from runner.observers.events import (
    AgentReplyEnded,
    AgentReplyStarted,
    CallEnded,
    CallEvent,
    ConnectionLost,
    ErrorReported,
    FinalTranscript,
    NoticeGiven,
    PartialTranscript,
    PlaybackStopped,
    PlaybackTruncated,
    ToolEnded,
    ToolStarted,
)


@dataclass(slots=True)
class UserMessageEntry:
    """Text of the caller; it is replaced as it grows until it `is_final`."""

    text: str
    is_final: bool = False


@dataclass(frozen=True, slots=True)
class Word:
    """A word of the agent; `start_ms` counts from the start of its reply's audio."""

    text: str
    start_ms: int | None = None


@dataclass(slots=True)
class AgentMessageEntry:
    """A reply of the agent; times are seconds on the engine's clock.

    `text` is the service's transcript, which arrives after all audio. Audio is played
    from `began` to `ends`; `heard_ms` is the length played before an interruption.
    """

    reply_id: str
    words: list[Word] = field(default_factory=list)
    text: str | None = None
    began: float | None = None
    ends: float = 0.0
    heard_ms: float | None = None
    is_interrupted: bool = False
    is_over: bool = False

    def is_done(self, now: float) -> bool:
        """Returns True if the entry cannot change any more."""
        return self.is_over and now >= self.ends

    def shown(self, now: float) -> tuple[str, str]:
        """Returns the words played so far, and those that will not be played."""
        if self.is_interrupted:
            return self._cut()
        if self.is_done(now) or not self._has_times:
            return (self.text if self.text is not None else join(self.words)), ""
        if self.began is None:
            return "", ""
        so_far = (now - self.began) * 1000
        return join([w for w in self.words if (w.start_ms or 0) <= so_far]), ""

    @property
    def _has_times(self) -> bool:
        return any(word.start_ms is not None for word in self.words)

    def _cut(self) -> tuple[str, str]:
        if self.heard_ms is not None and self._has_times:
            heard = [w for w in self.words if (w.start_ms or 0) < self.heard_ms]
            return join(heard), join(self.words[len(heard) :])
        everything = join(self.words)
        if self.text is None:
            return everything, ""
        # The service cuts its transcript to the part it considers spoken.
        if everything.startswith(self.text):
            return self.text, everything[len(self.text) :].strip()
        return self.text, ""


@dataclass(slots=True)
class ToolCallEntry:
    """A tool call; `ended` is None while it runs."""

    call_id: str
    name: str
    arguments: str
    began: float
    ended: float | None = None
    result: str = ""
    is_error: bool = False
    is_cancelled: bool = False


@dataclass(frozen=True, slots=True)
class NoticeEntry:
    """A message of vagent or a line of a log."""

    text: str


Entry: TypeAlias = UserMessageEntry | AgentMessageEntry | ToolCallEntry | NoticeEntry


def join(words: list[Word]) -> str:
    """Joins words, with or without their own spaces.

    No space is added between characters of scripts that do not use spaces.
    """
    text = ""
    for word in words:
        if text and word.text and _needs_space(text[-1], word.text[0]):
            text += " "
        text += word.text
    return text.strip()


def _needs_space(before: str, after: str) -> bool:
    if before.isspace() or after.isspace() or not after.isalnum():
        return False
    wide = ("W", "F")
    return unicodedata.east_asian_width(before) not in wide or (
        unicodedata.east_asian_width(after) not in wide
    )


# With more open entries, the first one is taken although it is not final.
_MAX_OPEN_ENTRIES = 8

_E = TypeVar("_E", UserMessageEntry, AgentMessageEntry, ToolCallEntry)


@dataclass(slots=True)
class Transcript:
    """The entries that may still change; a view takes the final ones.

    `clean` removes control characters and secrets from text.
    """

    clean: Callable[[str], str]
    open: list[Entry] = field(default_factory=list)
    turns: int = 0  # of the caller, spoken or typed
    _running: dict[str, ToolCallEntry] = field(default_factory=dict)

    def follow(self, event: CallEvent) -> None:
        """Processes an event."""
        match event:
            case PartialTranscript() | FinalTranscript():
                self._note_text(event)
            case AgentReplyStarted() | AgentReplyEnded():
                self._note_reply(event)
            case PlaybackStopped() | PlaybackTruncated():
                self._note_cut(event)
            case ToolStarted():
                self._start_tool(event)
            case ToolEnded():
                self._end_tool(event)
            case NoticeGiven(_, text):
                self.note(text)
            case ErrorReported(_, source, code, text):
                self._note_error(source, code, text)
            case ConnectionLost() | CallEnded():
                self._finish_all()
                if isinstance(event, CallEnded):
                    self.note(f"{event.close.reason}.")
            case _:
                pass

    def note(self, text: str) -> None:
        """Adds a notice."""
        self.open.append(NoticeEntry(self.clean(text)))

    def note_playback(self, reply_id: str, begins: float, ends: float) -> None:
        """Notes when audio of a reply is played."""
        reply = self._reply(reply_id)
        if reply is not None:
            reply.began = begins if reply.began is None else reply.began
            reply.ends = ends

    def running(self) -> str | None:
        """Returns the name of the running tool that started last."""
        names = [run.name for run in self._running.values()]
        return names[-1] if names else None

    def take_finished(self, now: float) -> list[Entry]:
        """Removes and returns the final entries in order."""
        taken: list[Entry] = []
        while self.open:
            is_due = _is_final(self.open[0], now) or len(self.open) > _MAX_OPEN_ENTRIES
            if not is_due:
                break
            taken.append(self.open.pop(0))
        return taken

    def take_all(self) -> list[Entry]:
        """Removes and returns all entries, at the end of a call."""
        taken, self.open = self.open, []
        return taken

    def _note_text(self, event: PartialTranscript | FinalTranscript) -> None:
        text, is_final = event.text, isinstance(event, FinalTranscript)
        if event.speaker == "caller":
            self._note_caller_text(text, is_final=is_final)
        elif isinstance(event, PartialTranscript):
            word = Word(self.clean(text), event.start_ms)
            self._reply_or_new(event.reply_id).words.append(word)
        elif event.source == "announcement":
            # Its audio comes next and sets `ends`.
            entry = AgentMessageEntry(event.reply_id, ends=inf, is_over=True)
            entry.text = self.clean(text)
            self.open.append(entry)
        else:
            reply = self._reply_or_new(event.reply_id)
            reply.text = self.clean(text)
            reply.is_interrupted = reply.is_interrupted or event.is_interrupted

    def _note_reply(self, event: AgentReplyStarted | AgentReplyEnded) -> None:
        if isinstance(event, AgentReplyStarted):
            self.open.append(AgentMessageEntry(event.reply_id))
            return
        reply = self._reply_or_new(event.reply_id)
        reply.is_over = True
        reply.is_interrupted = reply.is_interrupted or event.is_interrupted

    def _note_cut(self, event: PlaybackStopped | PlaybackTruncated) -> None:
        if isinstance(event, PlaybackTruncated):
            reply = self._reply(event.reply_id)
            if reply is not None:
                reply.heard_ms, reply.is_interrupted = event.played_seconds * 1000, True
            return
        for reply in self._all(AgentMessageEntry):
            if reply.ends > event.at:
                began = event.at if reply.began is None else min(reply.began, event.at)
                # An estimate by the clock; the speaker's count follows.
                reply.heard_ms = (event.at - began) * 1000
                reply.ends, reply.is_interrupted = event.at, True

    def _note_error(self, source: str, code: str, text: str) -> None:
        if source == "reply":
            self.note(f"reply failed: {text or code}")
        elif source == "session":
            self.note(f"{code}: {text}" if text else code)

    def _note_caller_text(self, text: str, *, is_final: bool) -> None:
        self.turns += is_final
        partial = [each for each in self._all(UserMessageEntry) if not each.is_final]
        if partial:
            partial[-1].text = self.clean(text)
            partial[-1].is_final = is_final
        else:
            self.open.append(UserMessageEntry(self.clean(text), is_final))

    def _start_tool(self, started: ToolStarted) -> None:
        call = started.call
        arguments = json.dumps(dict(call.arguments), ensure_ascii=False)
        run = ToolCallEntry(
            call.call_id, self.clean(call.name), self.clean(arguments), started.at
        )
        self._running[call.call_id] = run
        self.open.append(run)

    def _end_tool(self, ended: ToolEnded) -> None:
        run = self._running.pop(ended.call.call_id)
        run.ended, run.result = ended.at, self.clean(ended.text)
        run.is_error = ended.outcome == "error"
        run.is_cancelled = ended.outcome == "cancelled"
        if not run.is_cancelled and not any(each is run for each in self.open):
            self.open.append(run)  # it was taken while it ran

    def _finish_all(self) -> None:
        for reply in self._all(AgentMessageEntry):
            reply.is_over = True
        for message in self._all(UserMessageEntry):
            message.is_final = True

    def _all(self, kind: type[_E]) -> list[_E]:
        return [each for each in self.open if isinstance(each, kind)]

    def _reply(self, reply_id: str) -> AgentMessageEntry | None:
        replies = [
            each for each in self._all(AgentMessageEntry) if each.reply_id == reply_id
        ]
        return replies[-1] if replies else None

    def _reply_or_new(self, reply_id: str) -> AgentMessageEntry:
        reply = self._reply(reply_id)
        if reply is None:
            reply = AgentMessageEntry(reply_id)
            # Its start was not seen, so its end may not be seen either.
            reply.is_over = True
            self.open.append(reply)
        return reply


def _is_final(entry: Entry, now: float) -> bool:
    match entry:
        case UserMessageEntry(is_final=is_final):
            return is_final
        case AgentMessageEntry():
            return entry.is_done(now)
        case ToolCallEntry(ended=ended):
            return ended is not None
        case NoticeEntry():
            return True
