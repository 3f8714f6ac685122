"""What an event means for the phase: reads, decides, changes nothing.

The session applies a judgement only where the table in `phases.py` has a row for it, so
what is said here about, say, a lost line while already waiting has no effect.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

from runner.protocol.client.actions import Close, Outcome
from runner.protocol.client.events import (
    Connected,
    Disconnected,
    Event,
    HangUp,
    PlaybackDrained,
    Received,
)
from runner.protocol.client.line import ConnectionState
from runner.protocol.client.recovery import (
    Recovery,
    Rule,
    rule_for_close,
    rule_for_error,
    rule_for_refusal,
)
from runner.protocol.client.state import Phase, Trigger
from runner.protocol.client.turn import HangUpState
from runner.protocol.messages import (
    InputSpeechStarted,
    ServerMessage,
    SessionEnded,
    SessionError,
    SessionReady,
)


@dataclass(frozen=True, slots=True)
class SessionSnapshot:
    """What a judgement depends on beside the event."""

    phase: Phase
    line: ConnectionState
    farewell: HangUpState
    verdict: Close  # how the session would end if it ended as things stand

    @property
    def is_leaving(self) -> bool:
        """Whether the end is already decided, so that its reason stands."""
        return self.phase in (Phase.DRAINING, Phase.ENDING)


@dataclass(frozen=True, slots=True)
class Interpretation:
    """A trigger, and how the session ends if it ends by it (None: as decided)."""

    trigger: Trigger
    verdict: Close | None = None


def interpret(event: Event, situation: SessionSnapshot) -> Interpretation | None:
    """Return what the event means for the phase; None when it means nothing."""
    match event:
        case Connected():
            return Interpretation(Trigger.CONNECTED)
        case Received(message):
            return _judge_message(message, situation)
        case Disconnected():
            return _judge_disconnect(event, situation)
        case HangUp(reason, after_playback):
            trigger = Trigger.FAREWELL if after_playback else Trigger.HANG_UP
            return Interpretation(trigger, Close(Outcome.CLEAN, reason))
        case PlaybackDrained():
            return Interpretation(Trigger.DRAINED)
        case _:
            return None


def _judge_message(
    message: ServerMessage, situation: SessionSnapshot
) -> Interpretation | None:
    match message:
        case SessionReady():
            return Interpretation(Trigger.READY)
        case SessionEnded():
            if situation.is_leaving:
                return Interpretation(
                    Trigger.ENDED, replace(situation.verdict, drain=True)
                )
            ended = Close(Outcome.CLEAN, "the service ended the session", drain=True)
            return Interpretation(Trigger.ENDED, ended)
        case SessionError(code, text):
            rule = rule_for_error(code)
            what = f"{code}: {text}" if text else code
            return _apply(rule, rule.at(situation.phase), what, situation)
        case InputSpeechStarted() if situation.farewell is HangUpState.SAID:
            return Interpretation(Trigger.SPOKE_ON)
        case _:
            return None


def _judge_disconnect(
    event: Disconnected, situation: SessionSnapshot
) -> Interpretation | None:
    if situation.is_leaving:
        return Interpretation(Trigger.LOST)
    if event.status is not None or situation.phase is Phase.CONNECTING:
        rule = rule_for_refusal(event.status)
    else:
        rule = rule_for_close(event.code)
    recovery = rule.at(situation.phase)
    if recovery is Recovery.FATAL and situation.line.was_ready:
        # Where a session has been, the address was right: this is an outage.
        recovery = rule.resuming
        if recovery is Recovery.FRESH:  # which is being tried already
            recovery = Recovery.RETRY
    return _apply(rule, recovery, event.reason, situation)


def _apply(
    rule: Rule, recovery: Recovery, what: str, situation: SessionSnapshot
) -> Interpretation | None:
    match recovery:
        case Recovery.REJECTED:
            sentence = f"the service does not accept the key ({what})"
            verdict = Close(Outcome.REJECTED, sentence, rule.advice)
            return Interpretation(Trigger.GAVE_UP, verdict)
        case Recovery.FATAL:
            verdict = Close(Outcome.FAILED, what, rule.advice)
            return Interpretation(Trigger.GAVE_UP, verdict)
        case Recovery.RETRY:
            verdict = Close(Outcome.FAILED, what, rule.advice)
            gives_up = situation.line.is_tired
            return Interpretation(
                Trigger.GAVE_UP if gives_up else Trigger.LOST, verdict
            )
        case Recovery.FRESH:
            return Interpretation(Trigger.STALE, Close(Outcome.FAILED, what))
        case Recovery.END:
            closed = Close(Outcome.CLEAN, "the service closed the session", drain=True)
            return Interpretation(Trigger.ENDED, closed)
        case Recovery.REPORT:
            return None
