"""The life of a client session as data: all transitions between phases stand here.

An event is first read as a `Trigger`; the table says which phase follows. What the
table does not list leaves the phase alone. Entering a phase emits its lifecycle
actions (`session.py`), nothing else does.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from enum import Enum, auto

from runner.protocol.client.actions import Close, Outcome
from runner.protocol.client.events import (
    Connected,
    Disconnected,
    Event,
    HangUp,
    PlaybackDrained,
    Received,
)
from runner.protocol.client.turn_taking import HangUpState
from runner.protocol.messages import (
    InputSpeechStarted,
    ServerMessage,
    SessionEnded,
    SessionError,
    SessionReady,
)


class Phase(Enum):
    """Where a session is in its life."""

    CONNECTING = auto()  # a connection is being made for a fresh session
    CONFIGURING = auto()  # session.update is sent, session.ready is awaited
    LIVE = auto()
    DRAINING = auto()  # the last words are still being played, then ENDING
    WAITING = auto()  # the line is gone; a pause before the next try
    RESUMING = auto()  # a connection is being made for the dropped session
    ENDING = auto()  # session.end is sent, session.ended is awaited
    CLOSED = auto()


class Trigger(Enum):
    """What an event means for the phase."""

    CONNECTED = auto()
    READY = auto()  # session.ready
    ENDED = auto()  # session.ended
    LOST = auto()  # the connection is gone, and another try is allowed
    GAVE_UP = auto()  # no further try is allowed, or an error is fatal
    STALE = auto()  # the dropped session cannot be taken up again
    HANG_UP = auto()  # end now
    FAREWELL = auto()  # end when the speaker is done
    DRAINED = auto()
    SPOKE_ON = auto()  # the caller spoke before the farewell was over
    RETRY_RESUME = auto()  # the pause is over, the session may still be there
    RETRY_FRESH = auto()  # the pause is over, the session is gone
    TIMED_OUT = auto()  # what this phase waits for did not come


P, T = Phase, Trigger

TRANSITIONS: dict[tuple[Phase, Trigger], Phase] = {
    (P.CONNECTING, T.CONNECTED): P.CONFIGURING,
    (P.CONNECTING, T.LOST): P.WAITING,
    (P.CONNECTING, T.GAVE_UP): P.CLOSED,
    (P.CONNECTING, T.HANG_UP): P.CLOSED,
    (P.CONNECTING, T.FAREWELL): P.CLOSED,
    (P.CONNECTING, T.TIMED_OUT): P.CLOSED,
    (P.CONFIGURING, T.READY): P.LIVE,
    (P.CONFIGURING, T.ENDED): P.CLOSED,
    (P.CONFIGURING, T.LOST): P.WAITING,
    (P.CONFIGURING, T.GAVE_UP): P.CLOSED,
    (P.CONFIGURING, T.HANG_UP): P.ENDING,
    (P.CONFIGURING, T.FAREWELL): P.ENDING,
    (P.CONFIGURING, T.TIMED_OUT): P.CLOSED,
    (P.LIVE, T.ENDED): P.CLOSED,
    (P.LIVE, T.LOST): P.WAITING,
    (P.LIVE, T.GAVE_UP): P.CLOSED,
    (P.LIVE, T.STALE): P.WAITING,
    (P.LIVE, T.HANG_UP): P.ENDING,
    (P.LIVE, T.FAREWELL): P.DRAINING,
    (P.DRAINING, T.DRAINED): P.ENDING,
    (P.DRAINING, T.SPOKE_ON): P.LIVE,
    (P.DRAINING, T.ENDED): P.CLOSED,
    (P.DRAINING, T.LOST): P.CLOSED,
    (P.DRAINING, T.GAVE_UP): P.CLOSED,
    (P.DRAINING, T.STALE): P.CLOSED,
    (P.DRAINING, T.HANG_UP): P.ENDING,
    (P.DRAINING, T.TIMED_OUT): P.ENDING,
    (P.WAITING, T.RETRY_RESUME): P.RESUMING,
    (P.WAITING, T.RETRY_FRESH): P.CONNECTING,
    (P.WAITING, T.TIMED_OUT): P.CLOSED,
    (P.WAITING, T.HANG_UP): P.CLOSED,
    (P.WAITING, T.FAREWELL): P.CLOSED,
    (P.RESUMING, T.READY): P.LIVE,
    (P.RESUMING, T.ENDED): P.CLOSED,
    (P.RESUMING, T.LOST): P.WAITING,
    (P.RESUMING, T.GAVE_UP): P.CLOSED,
    (P.RESUMING, T.STALE): P.CONNECTING,
    (P.RESUMING, T.HANG_UP): P.CLOSED,
    (P.RESUMING, T.FAREWELL): P.CLOSED,
    (P.RESUMING, T.TIMED_OUT): P.WAITING,
    (P.ENDING, T.ENDED): P.CLOSED,
    (P.ENDING, T.LOST): P.CLOSED,
    (P.ENDING, T.GAVE_UP): P.CLOSED,
    (P.ENDING, T.STALE): P.CLOSED,
    (P.ENDING, T.TIMED_OUT): P.CLOSED,
}


# What follows from each error: one table for the wire's codes, the close codes of the
# connection and the HTTP statuses that refuse one, by phase.
#
# | column   | phases                             |
# |----------|------------------------------------| | opening  | CONNECTING, CONFIGURING
# | | resuming | WAITING, RESUMING                  | | live     | LIVE
# |
#
# In DRAINING and ENDING the end is already decided: an error is reported, a lost
# connection is the end. Codes are compared in lower case: the service's documentation
# and its wire disagree about `UNAUTHORIZED`. What is in no table has a row of its own;
# an unknown error code is reported, and the session goes on for as long as the
# connection lives. `docs/reference/errors.md` is made from these tables.


class Recovery(Enum):
    """What a client does about an error; the value is how the documentation says it."""

    REJECTED = "give up: the key is not accepted (exit 4)"
    FATAL = "give up with a sentence (exit 3)"
    RETRY = "try again with backoff, up to a limit"
    FRESH = "start a fresh session"
    REPORT = "tell and carry on"
    END = "the session is over, cleanly"


@dataclass(frozen=True, slots=True)
class Rule:
    """One row: what it means, what is done about it by phase, what a person can do."""

    meaning: str
    opening: Recovery
    resuming: Recovery
    live: Recovery
    advice: str | None = None

    def at(self, phase: Phase) -> Recovery:
        """Return what is done about it in a phase."""
        match phase:
            case Phase.CONNECTING | Phase.CONFIGURING:
                return self.opening
            case Phase.WAITING | Phase.RESUMING:
                return self.resuming
            case Phase.LIVE:
                return self.live
            case Phase.DRAINING | Phase.ENDING | Phase.CLOSED:
                return Recovery.REPORT


_CHECK_FILE = "correct the agent file; `vagent validate` finds most of these"
_CHECK_KEY = (
    "get a key from the service's dashboard and set ASSEMBLYAI_API_KEY "
    "(in the environment or in .env)"
)
_WAIT = "the service is busy; try again in a minute"
_CHECK_URL = "check the address, and that something speaks the wire there"

_REJECTED, _FATAL, _RETRY = Recovery.REJECTED, Recovery.FATAL, Recovery.RETRY
_FRESH, _REPORT, _END = Recovery.FRESH, Recovery.REPORT, Recovery.END

# While resuming, the only question is whether the old session can still be had: what
# would be fatal at the start, the token's rejection included, leads to a fresh session,
# and that one's start gives the final answer.
ERRORS: dict[str, Rule] = {
    "unauthorized": Rule(
        "the key is missing, expired or wrong",
        _REJECTED,
        _FRESH,
        _REJECTED,
        _CHECK_KEY,
    ),
    "forbidden": Rule(
        "the key lacks permission",
        _REJECTED,
        _FRESH,
        _REJECTED,
        "the key is valid but may not use voice agents; check the account",
    ),
    "session_not_found": Rule(
        "the session is unknown, or was dropped more than 30 s ago",
        _RETRY,
        _FRESH,
        _REPORT,
    ),
    "session_forbidden": Rule(
        "the session belongs to another account", _RETRY, _FRESH, _REPORT
    ),
    "session_expired": Rule(
        "the session's time is over at the service", _RETRY, _FRESH, _FRESH
    ),
    "agent_init_failed": Rule(
        "a worker of the service failed to start", _RETRY, _RETRY, _REPORT, _WAIT
    ),
    "agent_timeout": Rule(
        "a worker of the service was not ready in time",
        _RETRY,
        _RETRY,
        _REPORT,
        _WAIT,
    ),
    "server_error": Rule("the service is at capacity", _RETRY, _RETRY, _REPORT, _WAIT),
    "at_capacity": Rule("the service is at capacity", _RETRY, _RETRY, _REPORT, _WAIT),
    "concurrency_exceeded": Rule(
        "the account has too many sessions",
        _RETRY,
        _RETRY,
        _REPORT,
        "end another session of this account first",
    ),
    "internal_error": Rule("the service failed inside", _RETRY, _RETRY, _REPORT, _WAIT),
    "agent_not_found": Rule(
        "the service has no such agent", _FATAL, _FRESH, _REPORT, _CHECK_FILE
    ),
    "agent_id_not_first": Rule(
        "a stored agent can be named in the first update only",
        _FATAL,
        _FRESH,
        _REPORT,
        _CHECK_FILE,
    ),
    "invalid_format": Rule(
        "a message is no JSON, or of a type or shape the service does not take",
        _FATAL,
        _FRESH,
        _REPORT,
        _CHECK_FILE,
    ),
    "invalid_value": Rule(
        "a value is not one the service takes", _FATAL, _FRESH, _REPORT, _CHECK_FILE
    ),
    "invalid_config": Rule(
        "the configuration does not hold", _FATAL, _FRESH, _REPORT, _CHECK_FILE
    ),
    "invalid_webhook": Rule(
        "the webhook is not one the service takes",
        _FATAL,
        _FRESH,
        _REPORT,
        _CHECK_FILE,
    ),
    "immutable_field": Rule(
        "a field cannot change in a running session",
        _FATAL,
        _FRESH,
        _REPORT,
        "the greeting and the voice are fixed for a session; run again to change them",
    ),
    "invalid_audio": Rule("sound could not be decoded", _REPORT, _REPORT, _REPORT),
    "audio_rate_violation": Rule(
        "sound came faster than it is spoken; the surplus was dropped",
        _REPORT,
        _REPORT,
        _REPORT,
    ),
}
UNKNOWN_ERROR = Rule(
    "an error that this version does not know", _REPORT, _REPORT, _REPORT
)

# RFC 6455, section 7.4.1; codes above 1011 from the IANA registry.
CLOSES: dict[int, Rule] = {
    1000: Rule("closed normally", _FATAL, _FRESH, _END, _CHECK_URL),
    1001: Rule("the service or a proxy goes away", _RETRY, _RETRY, _RETRY),
    1002: Rule("a protocol error", _FATAL, _FRESH, _RETRY),
    1003: Rule("a kind of data that is not taken", _FATAL, _FRESH, _RETRY),
    1006: Rule("lost without a word", _RETRY, _RETRY, _RETRY),
    1007: Rule("text that is no UTF-8", _FATAL, _FRESH, _RETRY),
    1008: Rule("refused: key, configuration or resume", _FATAL, _FRESH, _RETRY),
    # Sent by this end: a peer that floods is not called again.
    1009: Rule("a message that is too large", _FATAL, _FATAL, _FATAL),
    1011: Rule("the service failed inside", _RETRY, _RETRY, _RETRY, _WAIT),
    1012: Rule("the service restarts", _RETRY, _RETRY, _RETRY, _WAIT),
    1013: Rule("the service is overloaded", _RETRY, _RETRY, _RETRY, _WAIT),
    1014: Rule("a proxy cannot reach the service", _RETRY, _RETRY, _RETRY, _WAIT),
}
UNKNOWN_CLOSE = Rule("any other code", _RETRY, _RETRY, _RETRY)

# How a connection is refused before it is one.
REFUSALS: dict[int, Rule] = {
    401: Rule("the key is not accepted", _REJECTED, _FRESH, _FRESH, _CHECK_KEY),
    403: Rule("forbidden", _FATAL, _FRESH, _FRESH, "check the account, or the proxy"),
    404: Rule("nothing is there", _FATAL, _RETRY, _RETRY, _CHECK_URL),
    408: Rule("the request took too long", _RETRY, _RETRY, _RETRY, _WAIT),
    425: Rule("too early", _RETRY, _RETRY, _RETRY, _WAIT),
    429: Rule("too many requests", _RETRY, _RETRY, _RETRY, _WAIT),
    500: Rule("the service failed inside", _RETRY, _RETRY, _RETRY, _WAIT),
    502: Rule("a proxy cannot reach the service", _RETRY, _RETRY, _RETRY, _WAIT),
    503: Rule("the service is not available", _RETRY, _RETRY, _RETRY, _WAIT),
    504: Rule("a proxy waits in vain", _RETRY, _RETRY, _RETRY, _WAIT),
}
UNKNOWN_REFUSAL = Rule("any other status", _FATAL, _RETRY, _RETRY, _CHECK_URL)
# No connection at all. At the very first try that is a wrong address, not an outage.
UNREACHABLE = Rule("nobody answers there", _FATAL, _RETRY, _RETRY, _CHECK_URL)


def rule_for_error(code: str) -> Rule:
    """Return the rule of an error code, in whatever case it came."""
    return ERRORS.get(code.lower(), UNKNOWN_ERROR)


def rule_for_close(code: int | None) -> Rule:
    """Return the rule of a close code; None is a line that was lost without one."""
    return CLOSES[1006] if code is None else CLOSES.get(code, UNKNOWN_CLOSE)


def rule_for_refusal(status: int | None) -> Rule:
    """Return the rule of an HTTP status; None is no answer at all."""
    return UNREACHABLE if status is None else REFUSALS.get(status, UNKNOWN_REFUSAL)


# What an event means for the phase: reads, decides, changes nothing.
#
# The session applies a judgement only where the table in `phases.py` has a row for it,
# so what is said here about, say, a lost line while already waiting has no effect.


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


# What a session knows about its connection, over all drops of it.


FRESH_TRIES = 4  # how often a session that never became ready is tried
RESUME_WINDOW_SECONDS = 30.0  # the service keeps a dropped session this long
# How long after a drop a call is worth taking up again, in a fresh session if need be.
OUTAGE_SECONDS = 60.0
BACKOFF_SECONDS = 0.25  # doubles with every try
BACKOFF_LIMIT_SECONDS = 5.0


@dataclass(slots=True)
class ConnectionState:
    """The session that the service holds for us, and how long it has been out of reach.

    `session_id` is empty when there is nothing to resume. `dropped_at` is when the line
    was lost, None while it stands.
    """

    session_id: str = ""
    resume_token: str = ""
    was_ready: bool = False  # whether a session has ever stood on this line
    dropped_at: float | None = None
    why: str = ""  # what ended the connection that stood
    tries: int = 0  # since it was lost, or since the beginning
    # What was lost: sound of the microphone while nothing stood, and how often and for
    # how many seconds that was.
    unsent_bytes: int = 0
    drops: int = 0
    outage_seconds: float = 0.0

    @property
    def is_tired(self) -> bool:
        """Whether no further try is due: the session was never ready."""
        return not self.was_ready and self.tries + 1 >= FRESH_TRIES

    def stand(self, session_id: str, resume_token: str, now: float) -> float | None:
        """Note that the session is ready; return how long the line was gone."""
        gone = None if self.dropped_at is None else now - self.dropped_at
        self.session_id, self.resume_token = session_id, resume_token
        self.was_ready = True
        self.outage_seconds += gone or 0.0
        self.dropped_at, self.why, self.tries = None, "", 0
        return gone

    def drop(self, why: str, now: float) -> bool:
        """Note that the line is gone; return whether that is news."""
        if self.dropped_at is not None or not self.was_ready:
            return False
        self.dropped_at, self.why = now, why
        self.drops += 1
        return True

    def forget(self, why: str) -> None:
        """Note that the session cannot be had any more; a fresh one is needed."""
        if self.session_id:
            self.session_id, self.why = "", why

    def pause(self, jitter: float) -> float:
        """Return the seconds until the next try; `jitter` is from 0 to 1."""
        pause = BACKOFF_SECONDS * (1 << min(self.tries, 8)) * (1 + jitter / 2)
        self.tries += 1
        return min(BACKOFF_LIMIT_SECONDS, pause)

    def can_resume(self, now: float) -> bool:
        """Whether the service may still hold the session."""
        if not self.session_id or self.dropped_at is None:
            return False
        return now - self.dropped_at <= RESUME_WINDOW_SECONDS

    def is_given_up(self, now: float) -> bool:
        """Whether the line has been gone for too long."""
        return self.dropped_at is not None and now - self.dropped_at > OUTAGE_SECONDS
