"""What an event means for the phase: reads, decides, changes nothing.

The session applies a judgement only where the table in `phases.py` has a row for it, so
what is said here about, say, a lost line while already waiting has no effect.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

from runner.protocol.client.actions import Close, Outcome
from runner.protocol.client.dialogue import Farewell
from runner.protocol.client.events import (
    Connected,
    Disconnected,
    Event,
    HangUp,
    PlaybackDrained,
    Received,
)
from runner.protocol.client.phases import Phase, Trigger
from runner.protocol.client.recovery import Recovery, rule_for
from runner.protocol.messages import (
    InputSpeechStarted,
    ServerMessage,
    SessionEnded,
    SessionError,
    SessionReady,
)

FRESH_TRIES = 4  # how often a session that never became ready is tried
NORMAL_CLOSURE = 1000  # RFC 6455, section 7.4.1
POLICY_VIOLATION = 1008  # how the service closes after a refusal
MESSAGE_TOO_BIG = 1009  # sent by this end: a peer that floods is not called again


@dataclass(slots=True)
class Line:
    """What is known about the connection, over its drops."""

    session_id: str = ""
    resume_token: str = ""
    dropped_at: float | None = None
    tries: int = 0


@dataclass(frozen=True, slots=True)
class Situation:
    """What a judgement depends on beside the event."""

    phase: Phase
    line: Line
    farewell: Farewell
    verdict: Close  # how the session would end if it ended as things stand

    @property
    def is_talking(self) -> bool:
        return self.phase in (Phase.LIVE, Phase.DRAINING)

    @property
    def is_leaving(self) -> bool:
        """Whether the end is already decided, so that its reason stands."""
        return self.phase in (Phase.DRAINING, Phase.ENDING)


@dataclass(frozen=True, slots=True)
class Judgement:
    """A trigger, and how the session ends if it ends by it (None: as decided)."""

    trigger: Trigger
    verdict: Close | None = None


def judge(event: Event, situation: Situation) -> Judgement | None:
    """Return what the event means for the phase; None when it means nothing."""
    match event:
        case Connected():
            return Judgement(Trigger.CONNECTED)
        case Received(message):
            return _judge_message(message, situation)
        case Disconnected():
            return _judge_disconnect(event, situation)
        case HangUp(reason, after_playback):
            trigger = Trigger.FAREWELL if after_playback else Trigger.HANG_UP
            return Judgement(trigger, Close(Outcome.CLEAN, reason))
        case PlaybackDrained():
            return Judgement(Trigger.DRAINED)
        case _:
            return None


def _judge_message(message: ServerMessage, situation: Situation) -> Judgement | None:
    match message:
        case SessionReady():
            return Judgement(Trigger.READY)
        case SessionEnded():
            if situation.is_leaving:
                return Judgement(Trigger.ENDED, replace(situation.verdict, drain=True))
            ended = Close(Outcome.CLEAN, "the service ended the session", drain=True)
            return Judgement(Trigger.ENDED, ended)
        case SessionError():
            return _judge_error(message, situation)
        case InputSpeechStarted() if (
            situation.phase is Phase.DRAINING and situation.farewell is Farewell.SAID
        ):
            return Judgement(Trigger.SPOKE_ON)
        case _:
            return None


def _judge_error(error: SessionError, situation: Situation) -> Judgement | None:
    rule = rule_for(error.code)
    recovery = rule.live if situation.is_talking else rule.before_ready
    what = f"{error.code}: {error.message}" if error.message else error.code
    match recovery:
        case Recovery.REJECTED:
            sentence = f"the service does not accept the key ({what})"
            verdict = Close(Outcome.REJECTED, sentence, rule.advice)
            return Judgement(Trigger.GAVE_UP, verdict)
        case Recovery.FATAL:
            sentence = f"the service refused the session ({what})"
            verdict = Close(Outcome.FAILED, sentence, rule.advice)
            return Judgement(Trigger.GAVE_UP, verdict)
        case Recovery.FRESH:
            sentence = f"the session is gone ({what})"
            return Judgement(Trigger.STALE, Close(Outcome.FAILED, sentence))
        case Recovery.RETRY:
            sentence = f"the service could not start the session ({what})"
            verdict = Close(Outcome.FAILED, sentence, rule.advice)
            return Judgement(_lost_or_gave_up(situation.line), verdict)
        case Recovery.REPORT:
            return None


def _judge_disconnect(event: Disconnected, situation: Situation) -> Judgement:
    if situation.is_leaving:
        return Judgement(Trigger.LOST)
    if event.key_rejected:
        advice = rule_for("unauthorized").advice
        rejected = Close(Outcome.REJECTED, event.reason, advice)
        return Judgement(Trigger.GAVE_UP, rejected)
    if event.code == NORMAL_CLOSURE and situation.phase is Phase.LIVE:
        closed = Close(Outcome.CLEAN, "the service closed the session", drain=True)
        return Judgement(Trigger.ENDED, closed)
    verdict = Close(Outcome.FAILED, event.reason)
    refused = event.code == POLICY_VIOLATION and situation.phase is Phase.CONFIGURING
    # A first connection that fails is a wrong address, not a dropped line.
    nobody_there = situation.phase is Phase.CONNECTING and situation.line.tries == 0
    floods = event.code == MESSAGE_TOO_BIG
    if refused or nobody_there or floods:
        return Judgement(Trigger.GAVE_UP, verdict)
    return Judgement(_lost_or_gave_up(situation.line), verdict)


def _lost_or_gave_up(line: Line) -> Trigger:
    was_ready = bool(line.session_id)
    if not was_ready and line.tries + 1 >= FRESH_TRIES:
        return Trigger.GAVE_UP
    return Trigger.LOST
