"""A call under test: caller actions, observed events and the end of the call."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise
from math import inf
from typing import Any, Literal, TypeAlias

from runner.audio.devices import Speaker
from runner.engine.caller import FINISHED_SECONDS, ScriptedCaller
from runner.engine.engine import Engine
from runner.observers.call_stats import Counters, format_losses
from runner.observers.events import (
    AgentReplyEnded,
    AgentReplyStarted,
    CallEnded,
    CallerSpeechStarted,
    CallEvent,
    ErrorReported,
    FinalTranscript,
    PlaybackStarted,
    PlaybackStopped,
    SessionOpened,
    Side,
    ToolEnded,
    ToolStarted,
)
from runner.protocol.client.actions import Close, Outcome
from runner.protocol.client.events import HangUp
from runner.protocol.messages import ToolCall
from runner.testing.impairments import CuttableConnection
from runner.testing.results import CallSeen
from runner.testing.scenarios.model import Party

# Speaks a text into the call; returns the end of its audio (time of the loop).
SayLine: TypeAlias = Callable[[str], Awaitable[float]]

# Longer than any reply, the default timeout of tools, and any recoverable drop.
MAX_WAIT_SECONDS = 120.0


class ExpectationNotMet(AssertionError):
    """An expected event did not occur; the message says what occurred instead."""


@dataclass(frozen=True, slots=True)
class CallEnd:
    """The end of a call: the side that ended it, the reason, and if it was clean."""

    by: Party
    reason: str
    is_clean: bool


class CallObservation:
    """The conversation, tool calls and losses observed in a call."""

    def __init__(
        self, observer: CallObserver, counters: Callable[[], Counters]
    ) -> None:
        self.observer = observer
        self.counters = counters

    @property
    def said(self) -> Sequence[tuple[str, str]]:
        """The conversation so far: ("caller" or "agent", text)."""
        return [(each.speaker, each.text) for each in self.observer.said]

    @property
    def agent_said(self) -> str:
        """The text of the agent so far."""
        return " ".join(text for speaker, text in self.said if speaker == "agent")

    @property
    def calls(self) -> Sequence[CallSeen]:
        """The tool calls so far, in order."""
        return [
            replace(call.seen, after=self.observer.utterances_before(call.began))
            for call in self.observer.calls.values()
        ]

    def tool(self, name: str) -> CallSeen:
        """Returns the last call of a tool; raises AssertionError if there was none."""
        for call in reversed(self.calls):
            if call.tool == name:
                return call
        names = ", ".join(call.tool for call in self.calls) or "none"
        raise ExpectationNotMet(f"{name} was not called; the calls were: {names}")

    def losses(self) -> Sequence[str]:
        """Returns descriptions of what was lost, without connection drops."""
        return format_losses(replace(self.counters(), connection_drops=0))


class CallUnderTest(CallObservation):
    """A running call; made by `vagent_session`.

    The caller speaks when the agent has finished, unless it interrupts the agent.
    """

    def __init__(
        self,
        engine: Engine,
        speaker: Speaker,
        observer: CallObserver,
        counters: Callable[[], Counters],
        line: CuttableConnection,
        say_line: SayLine,
    ) -> None:
        super().__init__(observer, counters)
        self.engine = engine
        self._line = line
        self._say_line = say_line
        self._caller = ScriptedCaller(engine, speaker, self.speak, lambda text: None)
        self._running: asyncio.Task[Close] | None = None

    def begin(self) -> asyncio.Task[Close]:
        """Starts the call; returns the task that ends with it."""
        self._running = asyncio.create_task(self.engine.run())
        return self._running

    async def user(self, text: str, *, interrupts_after: float | None = None) -> str:
        """Speaks, and returns the answer of the agent once it has finished.

        With `interrupts_after` the caller interrupts the agent after that many seconds
        of its audio.
        """
        if interrupts_after is None:
            await self.agent_finished()
        else:
            await self.wait_until_playing(text, interrupts_after)
        so_far = len(self.observer.said)  # before speaking: an answer may be quick
        self._expect_line(text)
        await self.speak(text)
        await self.agent_finished()
        said = self.observer.said[so_far:]
        if interrupts_after is not None and said and said[0].interrupted:
            said = said[1:]  # the rest of the interrupted reply is not an answer
        return " ".join(each.text for each in said if each.speaker == "agent")

    async def say(self, text: str) -> None:
        """Speaks when the agent has finished; returns after the last word."""
        await self.agent_finished()
        self._expect_line(text)
        await self.speak(text)

    async def interrupt(self, text: str, after: float) -> None:
        """Interrupts the agent after this many seconds of its audio.

        Raises:
            ExpectationNotMet: the agent had finished by then, or did not speak.
        """
        await self.wait_until_playing(text, after)
        await self.speak(text)

    async def wait_until_playing(self, text: str, after: float) -> None:
        """Waits until it is time to interrupt; see `interrupt`."""
        observer = self.observer

        def has_begun() -> bool:
            return observer.reply.audible_at is not None and self._is_playing

        what = f"{text!r} should interrupt the agent"
        if not await self.waits_for(has_begun):
            raise ExpectationNotMet(f"{what}, but the agent said nothing")
        due = (observer.reply.audible_at or 0.0) + after
        await self.wait(max(0.0, due - asyncio.get_running_loop().time()))
        if not self._is_playing:
            raise ExpectationNotMet(
                f"{what} after {after:g} s, but the agent had finished before"
            )

    async def speak(self, text: str) -> None:
        """Speaks now, even while the agent speaks; returns after the last word."""

        async def speak() -> None:
            self.observer.quiet_at.append(await self._say_line(text))

        await self._before_the_end(speak())

    async def wait(self, seconds: float) -> None:
        """Says nothing for this many seconds, or until the call is over."""
        await self._before_the_end(asyncio.sleep(seconds))

    def drop_line(self, seconds: float) -> None:
        """Cuts the connection and refuses new ones for this many seconds."""
        self._line.cut(seconds)

    async def agent_finished(self) -> None:
        """Returns when the agent has finished its speech and tools, or at the end."""
        await self._before_the_end(self._caller.finished(FINISHED_SECONDS))

    async def waits_for(self, happened: Callable[[], bool]) -> bool:
        """Waits until a condition holds; False if the agent finishes before that."""
        if happened():
            return True
        seen = asyncio.create_task(self.observer.until(happened))
        done = asyncio.create_task(self.agent_finished())
        try:
            await asyncio.wait((seen, done), return_when="FIRST_COMPLETED")
        finally:
            for task in (seen, done):
                task.cancel()
            await asyncio.gather(seen, done, return_exceptions=True)
        return happened()

    async def hang_up(self) -> None:
        """Ends the call from the caller's side once the agent has finished.

        Does nothing if the agent hangs up first.
        """
        await self.agent_finished()
        if self.observer.close is None:
            self.engine.post(HangUp("the caller hung up", after_playback=True))

    async def ended(self, within: float = MAX_WAIT_SECONDS) -> CallEnd:
        """Waits for the end of the call.

        Raises:
            ExpectationNotMet: it did not end within `within` seconds.
            VagentError: it failed on this side.
        """
        assert self._running is not None, "the call has not begun"
        await asyncio.wait((self._running,), timeout=within)
        if not self._running.done():
            raise ExpectationNotMet(f"the call did not end within {within:g} s")
        close, end = self._running.result(), self.observer.end
        assert end is not None, "the engine reports the end before it returns"
        return CallEnd(end.ended_by, close.reason, close.outcome.value == "clean")

    # ------------------------------------------------------------------- below

    @property
    def _is_playing(self) -> bool:
        speaker = self.observer.speaker
        return speaker is not None and speaker.pending_ms > 0

    def _expect_line(self, text: str) -> None:
        close = self.observer.close
        if close is not None:
            raise ExpectationNotMet(
                f"the call was over before {text!r}: {close.reason}"
            )

    async def _before_the_end(self, work: Awaitable[Any]) -> None:
        """Awaits something, at most to the end of the call or `MAX_WAIT_SECONDS`."""
        assert self._running is not None, "the call has not begun"
        task = asyncio.ensure_future(work)
        try:
            await asyncio.wait(
                (task, self._running),
                timeout=MAX_WAIT_SECONDS,
                return_when="FIRST_COMPLETED",
            )
            if not task.done() and not self._running.done():
                raise ExpectationNotMet(
                    f"the agent did not finish within {MAX_WAIT_SECONDS:g} s"
                )
            if task.done():
                task.result()
        finally:
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)


# What scenarios ask about a call: texts, tool calls, interruptions, errors.


@dataclass(slots=True)
class Utterance:
    """One utterance; of the agent, `audible_at` is the time of its first audio."""

    speaker: Side
    text: str
    at: float
    audible_at: float | None = None
    interrupted: bool = False


@dataclass(slots=True)
class Interruption:
    """The caller took the floor: when that was decided, and when silence followed."""

    decided_at: float
    reply_id: str
    what: Literal["greeting", "reply", "tool"]  # the last: a tool call was running
    silent_at: float | None = None
    is_broken: bool = False  # audio of the reply was played after it


@dataclass(slots=True)
class CallRecord:
    """One tool call; `ended` is None while it runs and if it was cancelled."""

    message: ToolCall
    began: float
    ended: float | None = None
    result: str | None = None
    is_error: bool = False
    is_cancelled: bool = False

    @property
    def is_running(self) -> bool:
        """True if it has neither ended nor been cancelled."""
        return self.ended is None and not self.is_cancelled

    @property
    def seen(self) -> CallSeen:
        """The call as reports show it."""
        took = None if self.ended is None else round(self.ended - self.began, 3)
        name, arguments = self.message.name, self.message.arguments
        return CallSeen(name, arguments, self.result, self.is_error, took)


@dataclass(slots=True)
class Reply:
    """The latest reply."""

    reply_id: str = ""
    audible_at: float | None = None
    is_over: bool = True


class CallObserver:
    """Follows the events of one call; times are on the engine's clock."""

    def __init__(self) -> None:
        self.said: list[Utterance] = []
        self.calls: dict[str, CallRecord] = {}
        self.interruptions: list[Interruption] = []
        self.errors: list[str] = []
        self.reply = Reply()
        self.resumes = 0
        self.fresh_starts = 0
        self.ready_at = 0.0  # of the first session
        self.quiet_at: list[float] = []  # the ends of the caller's utterances
        self.end: CallEnded | None = None
        self.speaker: Speaker | None = None  # set once it is open
        self._changed = asyncio.Event()

    def utterances_before(self, at: float) -> int:
        """Returns the number of utterances that began to be heard before a time."""
        return sum((each.audible_at or each.at) <= at for each in self.said)

    async def until(self, happened: Callable[[], bool]) -> None:
        """Returns when a condition holds; it is checked after each event."""
        while not happened():
            self._changed.clear()
            await self._changed.wait()

    def quiet_since(self, at: float) -> float:
        """Returns the end of the caller's last utterance before `at`."""
        return max(
            (each for each in self.quiet_at if each <= at), default=self.ready_at
        )

    @property
    def close(self) -> Close | None:
        """The last action of the call; None while it is running."""
        return None if self.end is None else self.end.close

    @property
    def ended_by(self) -> Party | None:
        """The side that ended the call; None while it goes on and after a failure."""
        end = self.end
        is_clean = end is not None and end.close.outcome is Outcome.CLEAN
        return end.ended_by if end is not None and is_clean else None

    @property
    def waits(self) -> list[float]:
        """Seconds from the end of each utterance to the first audio of the answer."""
        waits: list[float] = []
        answers = [each for each in self.said if each.speaker == "agent"]
        sounds = [each.audible_at or each.at for each in answers]
        for since, until in pairwise([*self.quiet_at, inf]):
            answered = [each for each in sounds if since <= each < until]
            waits += [round(answered[0] - since, 3)] if answered else []
        return waits

    def note(self, event: CallEvent) -> None:
        """Updates the observation with an event."""
        match event:
            case FinalTranscript():
                self._note_text(event)
            case AgentReplyStarted() | AgentReplyEnded():
                self._note_reply(event)
            case CallerSpeechStarted(at):
                self._note_interruption(at)
            case PlaybackStarted() | PlaybackStopped():
                self._note_playback(event)
            case ToolStarted(at, call):
                self.calls[call.call_id] = CallRecord(call, at)
            case ToolEnded():
                self._note_tool_end(event)
            case SessionOpened():
                self._note_session(event)
            case ErrorReported(_, source, code, text):
                kind = "unreadable" if source == "message" else code
                self.errors.append(f"{kind}: {text}")
            case CallEnded():
                self.end = event
            case _:
                pass
        self._changed.set()

    def _note_reply(self, event: AgentReplyStarted | AgentReplyEnded) -> None:
        if isinstance(event, AgentReplyStarted):
            self.reply = Reply(event.reply_id, is_over=False)
        else:
            self.reply.is_over = True

    def _note_session(self, opened: SessionOpened) -> None:
        if opened.lost_seconds is None:
            self.ready_at = opened.at
        elif opened.is_resumed:
            self.resumes += 1
        else:
            self.fresh_starts += 1

    def _note_tool_end(self, ended: ToolEnded) -> None:
        record = self.calls[ended.call.call_id]
        if ended.outcome == "cancelled":
            record.is_cancelled = True
            return
        record.ended, record.result = ended.at, ended.text
        record.is_error = ended.outcome == "error"

    def _note_playback(self, event: PlaybackStarted | PlaybackStopped) -> None:
        last = self.interruptions[-1] if self.interruptions else None
        if isinstance(event, PlaybackStopped):
            if last and last.silent_at is None and not last.is_broken:
                # What is still in the buffer is the fade, once the speaker has the
                # order to stop; observers see the order just before the speaker does.
                asyncio.get_running_loop().call_soon(self._measure, last, event.at)
            return
        if last is not None and last.reply_id == event.reply_id:
            last.silent_at = None
            last.is_broken = True
        if self.reply.audible_at is None:
            self.reply.audible_at = event.at

    def _measure(self, interruption: Interruption, at: float) -> None:
        pending = 0.0 if self.speaker is None else self.speaker.pending_ms
        interruption.silent_at = at + pending / 1000
        self._changed.set()

    def _note_interruption(self, at: float) -> None:
        if self.reply.is_over and not (self.speaker and self.speaker.pending_ms > 0):
            return
        what: Literal["greeting", "reply", "tool"] = "reply"
        if any(call.is_running for call in self.calls.values()):
            what = "tool"
        elif not any(each.speaker == "caller" for each in self.said):
            what = "greeting"
        self.interruptions.append(Interruption(at, self.reply.reply_id, what))

    def _note_text(self, said: FinalTranscript) -> None:
        audible_at = None
        if said.source == "announcement":
            audible_at = said.at
        elif said.reply_id == self.reply.reply_id and said.speaker == "agent":
            audible_at = self.reply.audible_at
        self.said.append(
            Utterance(said.speaker, said.text, said.at, audible_at, said.is_interrupted)
        )
