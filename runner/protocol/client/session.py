"""The client's side of a session as a pure state machine.

`feed(event, now)` returns the actions to perform, in order. There is no asyncio, no
clock and no lock here: `now` is an argument, in seconds on any steady clock, and
`deadline` is the time at which the driver owes a `Tick`.

The table in `phases.py` changes the phase; entering a phase emits the lifecycle
actions; messages of the conversation go to `Dialogue`, and only while the phase is LIVE
or DRAINING.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from runner.protocol.client.actions import (
    Action,
    Close,
    Connect,
    Drain,
    Notify,
    Outcome,
    Send,
    StopPlayback,
)
from runner.protocol.client.calls import CallRules
from runner.protocol.client.dialogue import Dialogue, Farewell, Turn
from runner.protocol.client.events import (
    Connected,
    Disconnected,
    Event,
    Garbled,
    MicFrame,
    Received,
    Reconfigure,
    Say,
    Tick,
    ToolFinished,
)
from runner.protocol.client.judgement import Judgement, Line, Situation, judge
from runner.protocol.client.phases import TRANSITIONS, Phase, Trigger
from runner.protocol.client.timers import Timer, Timers
from runner.protocol.messages import (
    ConversationMessage,
    InputAudio,
    InputSpeechStarted,
    ReplyCreate,
    SessionEnd,
    SessionError,
    SessionReady,
    SessionResume,
    SessionUpdate,
)

CONNECT_SECONDS = 10.0
READY_SECONDS = 10.0
ENDED_SECONDS = 5.0  # how long session.ended is awaited
DRAIN_SECONDS = 30.0  # how long the last words may take
RESUME_WINDOW_SECONDS = 30.0  # the service keeps a dropped session this long
BACKOFF_SECONDS = 0.25  # doubles with every try
BACKOFF_LIMIT_SECONDS = 5.0

_FIXED = ("greeting", "output")  # immutable after the first update, but for volume


@dataclass(frozen=True, slots=True)
class ClientConfig:
    """What a client session is made of.

    `session` is the session object of session.update. `ready_seconds` is how long the
    service may take to answer it.
    """

    session: Mapping[str, Any] = field(default_factory=dict)
    tools: Mapping[str, CallRules] = field(default_factory=dict)
    immediate_results: bool = False
    max_duration: float | None = None
    ready_seconds: float = READY_SECONDS


class ClientSession:
    """One session with a service, over all its connections.

    The engine calls `start` once, then `feed` for everything that happens, and performs
    what they return. `jitter` returns numbers from 0 to 1 for the backoff.
    """

    def __init__(
        self, config: ClientConfig, *, jitter: Callable[[], float] = lambda: 0.5
    ) -> None:
        self.config = config
        self.phase = Phase.CONNECTING
        self.timers = Timers()
        self.dialogue = Dialogue(
            self.timers, config.tools, immediate_results=config.immediate_results
        )
        self.line = Line()
        self._jitter = jitter
        self._verdict = Close(Outcome.CLEAN, "the session is over")

    @property
    def deadline(self) -> float | None:
        """When the driver owes a `Tick`; None while nothing is awaited."""
        return self.timers.next

    @property
    def is_live(self) -> bool:
        """Whether the conversation is going on."""
        return self.phase is Phase.LIVE

    @property
    def is_settled(self) -> bool:
        """Whether the session is live and nobody owes anybody anything."""
        return self.is_live and self.dialogue.is_settled

    def start(self, now: float) -> list[Action]:
        """Begin: the first actions of a session."""
        return self._enter(Phase.CONNECTING, now)

    def feed(self, event: Event, now: float) -> list[Action]:
        """Take in one event and return what is to be done, in order."""
        if self.phase is Phase.CLOSED:
            return []
        if isinstance(event, MicFrame):  # twenty a second: the short way
            return [Send(InputAudio(event.pcm))] if self._is_talking else []
        if isinstance(event, Tick):
            return self._tick(now)
        actions = self._notices(event)
        judgement = judge(event, self._situation)
        if judgement is not None and (self.phase, judgement.trigger) in TRANSITIONS:
            self._note(event, judgement, now)
            return actions + self._go(judgement.trigger, now)
        if self.phase is Phase.RESUMING and isinstance(event, Connected):
            self.timers.set(Timer.PHASE, now + self.config.ready_seconds)
            return [*actions, Send(SessionResume(self.line.session_id))]
        actions += self._converse(event, now)
        return actions + self._hang_up_if_said(now)

    @property
    def _is_talking(self) -> bool:
        return self.phase in (Phase.LIVE, Phase.DRAINING)

    # ------------------------------------------------------- changing phase

    @property
    def _situation(self) -> Situation:
        return Situation(self.phase, self.line, self.dialogue.farewell, self._verdict)

    def _note(self, event: Event, judgement: Judgement, now: float) -> None:
        if judgement.verdict is not None:
            self._verdict = judgement.verdict
        match event:
            case Received(SessionReady() as ready):
                self.line = Line(ready.session_id, ready.resume_token)
            case Disconnected() if self.line.dropped_at is None:
                self.line.dropped_at = now
        if judgement.trigger is Trigger.STALE:
            self.line.session_id = ""

    def _hang_up_if_said(self, now: float) -> list[Action]:
        if self.phase is not Phase.LIVE:
            return []
        if self.dialogue.farewell is not Farewell.SAID:
            return []
        self._verdict = Close(Outcome.CLEAN, "the agent hung up")
        return self._go(Trigger.FAREWELL, now)

    def _notices(self, event: Event) -> list[Action]:
        match event:
            case Garbled(reason):
                return [Notify(f"the service sent something unreadable: {reason}")]
            case Received(SessionError() as error):
                return [Notify(f"the service says {error.code}: {error.message}")]
            case _:
                return []

    def _go(self, trigger: Trigger, now: float) -> list[Action]:
        before = self.phase
        return self._enter(TRANSITIONS[before, trigger], now, before)

    def _enter(
        self, phase: Phase, now: float, before: Phase | None = None
    ) -> list[Action]:
        self.phase = phase
        self.timers.clear(Timer.PHASE, Timer.RETRY)
        match phase:
            case Phase.CONNECTING:
                self.timers.set(Timer.PHASE, now + CONNECT_SECONDS)
                forgotten = self.dialogue.forget_calls()
                return [*forgotten, Connect()]
            case Phase.CONFIGURING:
                self.timers.set(Timer.PHASE, now + self.config.ready_seconds)
                return [Send(SessionUpdate(self.config.session))]
            case Phase.LIVE:
                return self._enter_live(now, before)
            case Phase.DRAINING:
                self.timers.clear(Timer.GOODBYE, Timer.FLOOR)
                self.timers.set(Timer.PHASE, now + DRAIN_SECONDS)
                return [Drain()]
            case Phase.WAITING:
                return self._enter_waiting(now)
            case Phase.RESUMING:
                self.timers.set(Timer.PHASE, now + CONNECT_SECONDS)
                return [Connect(self.line.resume_token or None)]
            case Phase.ENDING:
                self.timers.clear_all()
                self.timers.set(Timer.PHASE, now + ENDED_SECONDS)
                stop = [*self.dialogue.lose_line(), *self.dialogue.forget_calls()]
                return [*stop, Send(SessionEnd())]
            case Phase.CLOSED:
                self.timers.clear_all()
                stop = [] if self._verdict.drain else [StopPlayback()]
                return [*stop, *self.dialogue.forget_calls(), self._verdict]

    def _enter_live(self, now: float, before: Phase | None) -> list[Action]:
        if before is Phase.CONFIGURING:
            limit = self.config.max_duration
            if limit is not None and not self.timers.is_set(Timer.MAX_DURATION):
                self.timers.set(Timer.MAX_DURATION, now + limit)
            if self.config.session.get("greeting"):
                self.dialogue.expect_reply(now)
            return []
        if before is Phase.RESUMING:
            return [Notify("back on the line"), *self.dialogue.send_results(now)]
        # From DRAINING: the caller spoke before the agent had hung up.
        stop = self.dialogue.receive(InputSpeechStarted(), now)
        return [*stop, Notify("the caller spoke again: not hanging up")]

    def _enter_waiting(self, now: float) -> list[Action]:
        line = self.line
        pause = min(BACKOFF_LIMIT_SECONDS, BACKOFF_SECONDS * 2**line.tries)
        line.tries += 1
        self.timers.set(Timer.RETRY, now + pause * (0.5 + self._jitter() / 2))
        reason = self._verdict.reason
        return [
            *self.dialogue.lose_line(),
            Notify(f"{reason}; trying again in {pause:.1f} s"),
        ]

    # ------------------------------------------------------------------ time

    def _tick(self, now: float) -> list[Action]:
        actions: list[Action] = []
        for timer in self.timers.take_due(now):
            actions += self._expire(timer, now)
        return actions

    def _expire(self, timer: Timer, now: float) -> list[Action]:
        match timer:
            case Timer.PHASE:
                return self._phase_timed_out(now)
            case Timer.RETRY:
                return self._go(self._next_try(now), now)
            case Timer.FLOOR:
                return self.dialogue.give_up_waiting(now)
            case Timer.GOODBYE:
                self.dialogue.farewell = Farewell.SAID
                return self._hang_up_if_said(now)
            case Timer.MAX_DURATION:
                self._verdict = Close(Outcome.CLEAN, "the call reached its time limit")
                return self._go(Trigger.HANG_UP, now)

    def _phase_timed_out(self, now: float) -> list[Action]:
        if self.phase in (Phase.CONNECTING, Phase.CONFIGURING):
            self._verdict = Close(Outcome.FAILED, "the service did not answer in time")
        return self._go(Trigger.TIMED_OUT, now)

    def _next_try(self, now: float) -> Trigger:
        line = self.line
        dropped_at = now if line.dropped_at is None else line.dropped_at
        in_window = now - dropped_at <= RESUME_WINDOW_SECONDS
        if line.session_id and in_window:
            return Trigger.RETRY_RESUME
        line.session_id = ""
        return Trigger.RETRY_FRESH

    # ---------------------------------------------------------- conversation

    def _converse(self, event: Event, now: float) -> list[Action]:
        if not self._is_talking:
            if isinstance(event, ToolFinished):  # answered once the line is back
                self.dialogue.calls.finish(event.call_id, event.text, event.is_error)
            return []
        match event:
            case Received(message):
                return self.dialogue.receive(message, now)
            case ToolFinished(call_id, text, is_error):
                return self.dialogue.tool_finished(call_id, text, is_error, now)
            case Say(text):
                return self._say(text, now)
            case Reconfigure(session):
                return self._reconfigure(session)
            case _:
                return []

    def _say(self, text: str, now: float) -> list[Action]:
        stop = self.dialogue.stop_reply() if self.dialogue.turn is Turn.AGENT else []
        self.dialogue.expect_reply(now)
        return [*stop, Send(ConversationMessage("user", text)), Send(ReplyCreate())]

    def _reconfigure(self, session: Mapping[str, Any]) -> list[Action]:
        self.config = replace(self.config, session=session)
        changed = {key: value for key, value in session.items() if key not in _FIXED}
        volume = session.get("output", {}).get("volume")
        if volume is not None:
            changed["output"] = {"volume": volume}
        return [Send(SessionUpdate(changed))]
