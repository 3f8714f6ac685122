"""The client side of a session as a pure state machine.

`feed(event, now)` returns the actions to perform, in order, without asyncio, clock or
lock. `now` is in seconds on any monotonic clock; the driver must feed a `Tick` at
`deadline`. The table in `state.py` changes the phase, entering a phase emits the
lifecycle actions, and `Conversation` handles all other events.
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
ENDED_SECONDS = 5.0  # timeout of session.ended
DRAIN_SECONDS = 30.0  # limit for the playback of the last audio
# Reasons of a `Close` by a limit; the second is followed by the time.
TIME_LIMIT_REASON = "the call reached its time limit"
SILENCE_REASON = "the caller was silent for"

_CONVERSING = (Phase.LIVE, Phase.DRAINING)


class ClientSession:
    """One call with a service, over all its connections.

    The engine calls `start` once, then `feed` for every event, and performs the actions
    that they return. `jitter` returns numbers from 0 to 1 for the backoff.
    """

    def __init__(
        self, config: ClientConfig, *, jitter: Callable[[], float] = lambda: 0.5
    ) -> None:
        self.phase = Phase.CONNECTING
        self.timers = Timers()
        self.conversation = Conversation(config, self.timers)
        self.connection = ConnectionState()
        self._config = config
        self._jitter = jitter
        self._close = Close(Outcome.CLEAN, "the session is over")

    @property
    def turn_manager(self) -> TurnManager:
        """The floor, the reply in progress and the tool calls."""
        return self.conversation.turn_manager

    @property
    def deadline(self) -> float | None:
        """When the driver must feed a `Tick`; None if no timer runs."""
        return self.timers.next

    @property
    def is_live(self) -> bool:
        """True if the session is live."""
        return self.phase is Phase.LIVE

    @property
    def is_settled(self) -> bool:
        """True if the session is live and no reply, tool call or hang-up is pending."""
        return self.phase is Phase.LIVE and self.turn_manager.is_settled

    def start(self, now: float) -> list[Action]:
        """Returns the first actions of a session."""
        return self._enter(Phase.CONNECTING, now)

    def feed(self, event: Event, now: float) -> list[Action]:
        """Handles an event and returns the actions to perform, in order."""
        if self.phase is Phase.CLOSED:
            return []
        if isinstance(event, MicFrame):  # first, because they are frequent
            return self._send_audio(event)
        if isinstance(event, Received) and isinstance(event.message, ReplyAudio):
            return self._play(event.message, now)
        if isinstance(event, Tick):
            return self._tick(now)
        interpretation = interpret(event, self._snapshot)
        if (
            interpretation is not None
            and (self.phase, interpretation.trigger) in TRANSITIONS
        ):
            return self._follow(event, interpretation, now)
        if self.phase is Phase.RESUMING and isinstance(event, Connected):
            self.timers.set(Timer.PHASE, now + self._config.patience.ready)
            return [Send(SessionResume(self.connection.session_id))]
        actions = self._notices(event)
        if self.phase in _CONVERSING:
            actions += self.conversation.feed(event, now)
            return actions + self._hang_up_if_said(now)
        return actions + self.conversation.feed_offline(event)

    def _send_audio(self, frame: MicFrame) -> list[Action]:
        if self.phase in _CONVERSING:
            return [Send(InputAudio(frame.pcm))]
        # Audio of the time without a connection is not sent later.
        if self.connection.was_ready:
            self.connection.unsent_bytes += len(frame.pcm)
        return []

    def _play(self, message: ReplyAudio, now: float) -> list[Action]:
        return self.conversation.play(message, now) if self.phase in _CONVERSING else []

    # ------------------------------------------------------------------- phases

    @property
    def _snapshot(self) -> SessionSnapshot:
        return SessionSnapshot(
            self.phase, self.connection, self.turn_manager.hang_up_state, self._close
        )

    def _follow(
        self, event: Event, interpretation: Interpretation, now: float
    ) -> list[Action]:
        """Changes the phase."""
        if interpretation.close is not None:
            self._close = interpretation.close
        if interpretation.trigger is Trigger.STALE:
            self.connection.forget(self._close.reason)
        return self._go(interpretation.trigger, now, event)

    def _hang_up_if_said(self, now: float) -> list[Action]:
        if self.phase is not Phase.LIVE:
            return []
        if self.turn_manager.hang_up_state is not HangUpState.SAID:
            return []
        self._close = Close(Outcome.CLEAN, "the agent hung up")
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
                return [*self.turn_manager.forget_calls(), Connect()]
            case Phase.CONFIGURING:
                self.timers.set(Timer.PHASE, now + self._config.patience.ready)
                return [Send(self.conversation.opening_message())]
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
                return [Connect(self.connection.resume_token or None)]
            case Phase.ENDING:
                self.timers.clear_all()
                self.timers.set(Timer.PHASE, now + ENDED_SECONDS)
                stop = [
                    *self.turn_manager.connection_lost(),
                    *self.turn_manager.forget_calls(),
                ]
                return [*stop, Send(SessionEnd())]
            case Phase.CLOSED:
                self.timers.clear_all()
                stop = [] if self._close.drain else [StopPlayback()]
                return [*stop, *self.turn_manager.forget_calls(), self._close]

    def _enter_live(
        self, now: float, before: Phase | None, event: Event | None
    ) -> list[Action]:
        self.conversation.is_open = True
        if before is Phase.DRAINING:
            # The caller spoke before the hang-up.
            stop = self.conversation.feed(Received(InputSpeechStarted()), now)
            return [*stop, Notify("the caller spoke again: not hanging up")]
        why = self.connection.drop_reason
        is_first = not self.connection.was_ready
        outage = None
        match event:
            case Received(SessionReady(session_id, resume_token=token)):
                outage = self.connection.note_ready(session_id, token, now)
        if before is Phase.RESUMING:
            back = Notify(f"back after {outage or 0.0:.1f} s")
            return [back, *self.conversation.resume(now)]
        if is_first:
            limit = self._config.max_duration
            if limit is not None:
                self.timers.set(Timer.MAX_DURATION, now + limit)
            return self.conversation.begin(now, is_first=True)
        history = ", told of the conversation so far" if self._config.carry_over else ""
        text = f"back after {outage or 0.0:.1f} s in a fresh session{history} ({why})"
        return [Notify(text), *self.conversation.begin(now, is_first=False)]

    def _enter_waiting(self, now: float, event: Event | None) -> list[Action]:
        reason = self._close.reason
        is_drop = self.connection.note_drop(reason, now)
        pause = self.connection.pause(self._jitter())
        self.timers.set(Timer.RETRY, now + pause)
        actions = self.conversation.connection_lost(event)
        if is_drop:
            actions.append(Notify(f"{reason}, reconnecting…"))
        elif not self.connection.was_ready:
            actions.append(Notify(f"{reason}; trying again in {pause:.1f} s"))
        return actions

    # ------------------------------------------------------------------- timers

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
                return self._go(self._next_attempt(now), now)
            case Timer.GOODBYE:
                self.turn_manager.hang_up_state = HangUpState.SAID
                return self._hang_up_if_said(now)
            case Timer.IDLE:
                silence = self._config.idle.end_after or 0.0
                reason = f"{SILENCE_REASON} {silence:g} s"
                self._close = Close(Outcome.CLEAN, reason)
                return self._go(Trigger.FAREWELL, now)
            case Timer.MAX_DURATION:
                self._close = Close(Outcome.CLEAN, TIME_LIMIT_REASON)
                return self._go(Trigger.HANG_UP, now)
            case _:
                return self.conversation.expire(timer, now)

    def _phase_timed_out(self, now: float) -> list[Action]:
        if self.phase in (Phase.CONNECTING, Phase.CONFIGURING):
            self._close = Close(Outcome.FAILED, "the service did not answer in time")
            if self.connection.was_ready:
                return self._go(Trigger.LOST, now)
        return self._go(Trigger.TIMED_OUT, now)

    def _next_attempt(self, now: float) -> Trigger:
        if self.connection.can_resume(now):
            return Trigger.RETRY_RESUME
        if self.connection.is_outage_too_long(now):
            why = self.connection.drop_reason
            reason = f"the line was gone for {OUTAGE_SECONDS:.0f} s ({why})"
            self._close = Close(Outcome.FAILED, reason)
            return Trigger.TIMED_OUT
        self.connection.forget(
            f"after {RESUME_WINDOW_SECONDS:.0f} s no session is kept"
        )
        return Trigger.RETRY_FRESH
