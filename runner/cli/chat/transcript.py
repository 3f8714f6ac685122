"""The conversation as it grows: a list of entries of which the first ones are final."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass, field
from math import inf
from typing import TypeVar

from runner.cli.chat.entries import (
    AgentWords,
    CallerWords,
    Entry,
    Note,
    ToolRun,
    Word,
)
from runner.protocol.client.actions import Action, CancelTool, Close, Notify, RunTool
from runner.protocol.client.events import (
    Disconnected,
    Event,
    PlaybackCut,
    Received,
    Say,
    ToolFinished,
)
from runner.protocol.messages import (
    ReplyDone,
    ReplyError,
    ReplyStarted,
    SessionError,
    ToolCall,
    TranscriptAgent,
    TranscriptAgentDelta,
    TranscriptUser,
    TranscriptUserDelta,
)

# Entries that wait for one that is not over, before it is passed over.
_MOST_OPEN = 8

_E = TypeVar("_E", CallerWords, AgentWords, ToolRun)


@dataclass(slots=True)
class Transcript:
    """Entries that may still change; whoever shows them takes what is final.

    `clean` makes foreign text fit to be shown: no control characters, no secrets.
    """

    clean: Callable[[str], str]
    open: list[Entry] = field(default_factory=list)
    _announced: int = 0  # so many times the local voice spoke
    turns: int = 0  # of the caller, spoken or typed
    _running: dict[str, ToolRun] = field(default_factory=dict)

    def observe(self, at: float, what: Event | Action) -> None:
        """Take in an event or an action other than sound."""
        match what:
            case Received(message):
                self._receive(message)
            case RunTool(call):
                self._run(at, call)
            case ToolFinished(call_id, text, is_error):
                self._finish(at, call_id, text, is_error)
            case PlaybackCut():
                self._know_cut(what)
            case CancelTool(call_id):
                self._cancel(at, call_id)
            case Say(text):  # no transcript follows what was never sound
                self._caller_says(text, is_final=True)
            case Notify(text):
                self.note(text)
            case Disconnected():
                self._leave_off()
            case Close(reason=reason):
                self._leave_off()
                self.note(f"{reason}.")
            case _:
                pass

    def note(self, text: str) -> None:
        """Add a sentence of vagent's own."""
        self.open.append(Note(self.clean(text)))

    def announce(self, text: str) -> str:
        """Add words of the local voice; return the id that their sound is heard by."""
        self._announced += 1
        reply_id = f"announcement {self._announced}"
        # Its sound comes next, and says until when it is heard.
        words = AgentWords(reply_id, text=self.clean(text), ends=inf, is_over=True)
        self.open.append(words)
        return reply_id

    def hear(self, reply_id: str, begins: float, ends: float) -> None:
        """Take note of when sound of a reply is heard."""
        reply = self._reply(reply_id)
        if reply is not None:
            reply.began = begins if reply.began is None else reply.began
            reply.ends = ends

    def cut(self, at: float) -> None:
        """Take note that what was not heard yet never will be."""
        for reply in self._all(AgentWords):
            if reply.ends > at:
                began = at if reply.began is None else min(reply.began, at)
                # By the clock; the speaker's own count follows as `PlaybackCut`.
                reply.heard_ms = (at - began) * 1000
                reply.ends, reply.is_interrupted = at, True

    def running(self) -> str | None:
        """Return the name of the tool that was started last and still runs."""
        names = [run.name for run in self._running.values()]
        return names[-1] if names else None

    def take_finished(self, now: float) -> list[Entry]:
        """Return the entries that will not change any more, once, in their order."""
        taken: list[Entry] = []
        while self.open:
            is_due = _is_final(self.open[0], now) or len(self.open) > _MOST_OPEN
            if not is_due:
                break
            taken.append(self.open.pop(0))
        return taken

    def take_all(self) -> list[Entry]:
        """Return what is left: the call is over."""
        taken, self.open = self.open, []
        return taken

    def _receive(self, message: object) -> None:
        match message:
            case TranscriptUserDelta(text=text):
                self._caller_says(text, is_final=False)
            case TranscriptUser(text=text):
                self._caller_says(text, is_final=True)
            case ReplyStarted(reply_id):
                self.open.append(AgentWords(reply_id))
            case TranscriptAgentDelta(delta, reply_id, start_ms=start_ms):
                word = Word(self.clean(delta), start_ms)
                self._reply_or_new(reply_id).words.append(word)
            case TranscriptAgent(text, reply_id, interrupted=interrupted):
                reply = self._reply_or_new(reply_id)
                reply.text = self.clean(text)
                reply.is_interrupted = reply.is_interrupted or interrupted
            case ReplyDone(reply_id, status):
                reply = self._reply_or_new(reply_id)
                reply.is_over = True
                reply.is_interrupted = reply.is_interrupted or status == "interrupted"
            case ReplyError(code=code, message=text):
                self.note(f"reply failed: {text or code}")
            case SessionError(code, text):
                self.note(f"{code}: {text}" if text else code)
            case _:
                pass

    def _know_cut(self, cut: PlaybackCut) -> None:
        reply = self._reply(cut.reply_id)
        if reply is not None:
            reply.heard_ms, reply.is_interrupted = cut.played_ms, True

    def _caller_says(self, text: str, *, is_final: bool) -> None:
        self.turns += is_final
        partial = [each for each in self._all(CallerWords) if not each.is_final]
        if partial:
            partial[-1].text = self.clean(text)
            partial[-1].is_final = is_final
        else:
            self.open.append(CallerWords(self.clean(text), is_final))

    def _run(self, at: float, call: ToolCall) -> None:
        said = json.dumps(dict(call.arguments), ensure_ascii=False)
        run = ToolRun(call.call_id, self.clean(call.name), self.clean(said), at)
        self._running[call.call_id] = run
        self.open.append(run)

    def _finish(self, at: float, call_id: str, text: str, is_error: bool) -> None:
        run = self._running.pop(call_id, None)
        if run is None:
            return
        run.ended, run.result, run.is_error = at, self.clean(text), is_error
        if not any(each is run for each in self.open):
            self.open.append(run)  # it was passed over while it ran

    def _cancel(self, at: float, call_id: str) -> None:
        run = self._running.pop(call_id, None)
        if run is not None:
            run.ended, run.is_cancelled = at, True

    def _leave_off(self) -> None:
        for reply in self._all(AgentWords):
            reply.is_over = True
        for words in self._all(CallerWords):
            words.is_final = True

    def _all(self, kind: type[_E]) -> list[_E]:
        return [each for each in self.open if isinstance(each, kind)]

    def _reply(self, reply_id: str) -> AgentWords | None:
        replies = [each for each in self._all(AgentWords) if each.reply_id == reply_id]
        return replies[-1] if replies else None

    def _reply_or_new(self, reply_id: str) -> AgentWords:
        reply = self._reply(reply_id)
        if reply is None:
            reply = AgentWords(reply_id)
            # Its own beginning was missed, and with it perhaps its end.
            reply.is_over = True
            self.open.append(reply)
        return reply


def _is_final(entry: Entry, now: float) -> bool:
    match entry:
        case CallerWords(is_final=is_final):
            return is_final
        case AgentWords():
            return entry.is_done(now)
        case ToolRun(ended=ended):
            return ended is not None
        case Note():
            return True
