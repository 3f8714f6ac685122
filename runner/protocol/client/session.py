"""The client's side of a session as a pure state machine.

`feed(event, now)` returns the actions to perform, in order. There is no asyncio, no
clock and no lock here: `now` is an argument, in seconds on any steady clock, and
`deadline` is the time at which the driver owes a `Tick`.

The table in `phases.py` changes the phase; entering a phase emits the lifecycle
actions; what is said and done goes to `Conversation`, and only while the phase is LIVE
or DRAINING.
"""

from __future__ import annotations

from collections.abc import Callable

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
from runner.protocol.client.config import ClientConfig
from runner.protocol.client.conversation import Conversation
from runner.protocol.client.events import (
    Connected,
    Event,
    MalformedMessage,
    MicFrame,
    Received,
    Tick,
)
from runner.protocol.client.state import (
    OUTAGE_SECONDS,
    RESUME_WINDOW_SECONDS,
    TRANSITIONS,
    ConnectionState,
    Interpretation,
    Phase,
    SessionSnapshot,
    Trigger,
    interpret,
)
from runner.protocol.client.timers import CONVERSATIONAL, Timer, Timers
from runner.protocol.client.turn_taking import HangUpState, TurnManager
from runner.protocol.messages import (
    InputAudio,
    InputSpeechStarted,
    ReplyAudio,
    SessionEnd,
    SessionError,
    SessionReady,
    SessionResume,
)

CONNECT_SECONDS = 10.0
ENDED_SECONDS = 5.0  # how long session.ended is awaited
DRAIN_SECONDS = 30.0  # how long the last words may take

_TALKING = (Phase.LIVE, Phase.DRAINING)


class ClientSession:
    """One call with a service, over all its connections.

    The engine calls `start` once, then `feed` for everything that happens, and performs
    what they return. `jitter` returns numbers from 0 to 1 for the backoff.
    """

    def __init__(
        self, config: ClientConfig, *, jitter: Callable[[], float] = lambda: 0.5
    ) -> None:
        self.phase = Phase.CONNECTING
        self.timers = Timers()
        self.conversation = Conversation(config, self.timers)
        self.line = ConnectionState()
        self._config = config
        self._jitter = jitter
        self._verdict = Close(Outcome.CLEAN, "the session is over")

    @property
    def dialogue(self) -> TurnManager:
        """Who holds the floor, and the calls."""
        return self.conversation.dialogue

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
        return self.phase is Phase.LIVE and self.dialogue.is_settled

    def start(self, now: float) -> list[Action]:
        """Begin: the first actions of a session."""
        return self._enter(Phase.CONNECTING, now)

    def feed(self, event: Event, now: float) -> list[Action]:
        """Take in one event and return what is to be done, in order."""
        if self.phase is Phase.CLOSED:
            return []
        if isinstance(event, MicFrame):  # twenty a second: the short way
            return self._hear(event)
        if isinstance(event, Received) and isinstance(event.message, ReplyAudio):
            return self._play(event.message, now)
        if isinstance(event, Tick):
            return self._tick(now)
        judgement = interpret(event, self._situation)
        if judgement is not None and (self.phase, judgement.trigger) in TRANSITIONS:
            return self._follow(event, judgement, now)
        if self.phase is Phase.RESUMING and isinstance(event, Connected):
            self.timers.set(Timer.PHASE, now + self._config.patience.ready)
            return [Send(SessionResume(self.line.session_id))]
        actions = self._notices(event)
        if self.phase in _TALKING:
            actions += self.conversation.feed(event, now)
            return actions + self._hang_up_if_said(now)
        return actions + self.conversation.feed_apart(event)

    def _hear(self, frame: MicFrame) -> list[Action]:
        if self.phase in _TALKING:
            return [Send(InputAudio(frame.pcm))]
        # What was said while nobody could hear it is not sent later.
        if self.line.was_ready:
            self.line.unsent_bytes += len(frame.pcm)
        return []

    def _play(self, message: ReplyAudio, now: float) -> list[Action]:
        return self.conversation.play(message, now) if self.phase in _TALKING else []

    # ------------------------------------------------------- changing phase

    @property
    def _situation(self) -> SessionSnapshot:
        return SessionSnapshot(
            self.phase, self.line, self.dialogue.farewell, self._verdict
        )

    def _follow(
        self, event: Event, judgement: Interpretation, now: float
    ) -> list[Action]:
        """Change the phase as judged."""
        if judgement.verdict is not None:
            self._verdict = judgement.verdict
        if judgement.trigger is Trigger.STALE:
            self.line.forget(self._verdict.reason)
        return self._go(judgement.trigger, now, event)

    def _hang_up_if_said(self, now: float) -> list[Action]:
        if self.phase is not Phase.LIVE:
            return []
        if self.dialogue.farewell is not HangUpState.SAID:
            return []
        self._verdict = Close(Outcome.CLEAN, "the agent hung up")
        return self._go(Trigger.FAREWELL, now)

    def _notices(self, event: Event) -> list[Action]:
        match event:
            case MalformedMessage(reason):
                return [Notify(f"the service sent something unreadable: {reason}")]
            case Received(SessionError() as error):
                return [Notify(f"the service says {error.code}: {error.message}")]
            case _:
                return []

    def _go(
        self, trigger: Trigger, now: float, event: Event | None = None
    ) -> list[Action]:
        before = self.phase
        return self._enter(TRANSITIONS[before, trigger], now, before, event)

    def _enter(
        self,
        phase: Phase,
        now: float,
        before: Phase | None = None,
        event: Event | None = None,
    ) -> list[Action]:
        self.phase = phase
        self.timers.clear(Timer.PHASE, Timer.RETRY)
        match phase:
            case Phase.CONNECTING:
                self.timers.set(Timer.PHASE, now + CONNECT_SECONDS)
                return [*self.dialogue.forget_calls(), Connect()]
            case Phase.CONFIGURING:
                self.timers.set(Timer.PHASE, now + self._config.patience.ready)
                return [Send(self.conversation.opening())]
            case Phase.LIVE:
                return self._enter_live(now, before, event)
            case Phase.DRAINING:
                self.conversation.is_open = False
                self.timers.clear(*CONVERSATIONAL)
                self.timers.set(Timer.PHASE, now + DRAIN_SECONDS)
                return [Drain()]
            case Phase.WAITING:
                return self._enter_waiting(now, event)
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

    def _enter_live(
        self, now: float, before: Phase | None, event: Event | None
    ) -> list[Action]:
        self.conversation.is_open = True
        if before is Phase.DRAINING:
            # The caller spoke before the agent had hung up.
            stop = self.conversation.feed(Received(InputSpeechStarted()), now)
            return [*stop, Notify("the caller spoke again: not hanging up")]
        why = self.line.why
        is_first = not self.line.was_ready
        gone = None
        match event:
            case Received(SessionReady(session_id, resume_token=token)):
                gone = self.line.stand(session_id, token, now)
        if before is Phase.RESUMING:
            back = Notify(f"back after {gone or 0.0:.1f} s")
            return [back, *self.conversation.take_up(now)]
        if is_first:
            limit = self._config.max_duration
            if limit is not None:
                self.timers.set(Timer.MAX_DURATION, now + limit)
            return self.conversation.begin(now, is_first=True)
        told = ", told of the conversation so far" if self._config.carry_over else ""
        text = f"back after {gone or 0.0:.1f} s in a fresh session{told} ({why})"
        return [Notify(text), *self.conversation.begin(now, is_first=False)]

    def _enter_waiting(self, now: float, event: Event | None) -> list[Action]:
        reason = self._verdict.reason
        is_news = self.line.drop(reason, now)
        pause = self.line.pause(self._jitter())
        self.timers.set(Timer.RETRY, now + pause)
        actions = self.conversation.lose_line(event)
        if is_news:
            actions.append(Notify(f"{reason}, reconnecting…"))
        elif not self.line.was_ready:
            actions.append(Notify(f"{reason}; trying again in {pause:.1f} s"))
        return actions

    # ------------------------------------------------------------------ time

    def _tick(self, now: float) -> list[Action]:
        actions: list[Action] = []
        while (timer := self.timers.take_due(now)) is not None:
            actions += self._expire(timer, now)
        return actions

    def _expire(self, timer: Timer, now: float) -> list[Action]:
        match timer:
            case Timer.PHASE:
                return self._phase_timed_out(now)
            case Timer.RETRY:
                return self._go(self._next_try(now), now)
            case Timer.GOODBYE:
                self.dialogue.farewell = HangUpState.SAID
                return self._hang_up_if_said(now)
            case Timer.IDLE:
                silence = self._config.idle.end_after or 0.0
                reason = f"the caller was silent for {silence:g} s"
                self._verdict = Close(Outcome.CLEAN, reason)
                return self._go(Trigger.FAREWELL, now)
            case Timer.MAX_DURATION:
                self._verdict = Close(Outcome.CLEAN, "the call reached its time limit")
                return self._go(Trigger.HANG_UP, now)
            case _:
                return self.conversation.expire(timer, now)

    def _phase_timed_out(self, now: float) -> list[Action]:
        if self.phase in (Phase.CONNECTING, Phase.CONFIGURING):
            self._verdict = Close(Outcome.FAILED, "the service did not answer in time")
            if self.line.was_ready:
                return self._go(Trigger.LOST, now)
        return self._go(Trigger.TIMED_OUT, now)

    def _next_try(self, now: float) -> Trigger:
        if self.line.can_resume(now):
            return Trigger.RETRY_RESUME
        if self.line.is_given_up(now):
            reason = f"the line was gone for {OUTAGE_SECONDS:.0f} s ({self.line.why})"
            self._verdict = Close(Outcome.FAILED, reason)
            return Trigger.TIMED_OUT
        self.line.forget(f"after {RESUME_WINDOW_SECONDS:.0f} s no session is kept")
        return Trigger.RETRY_FRESH
