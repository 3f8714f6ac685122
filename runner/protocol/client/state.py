"""Phases of a client session, their transitions as data, and the error recovery table.

`interpret` maps an event to a `Trigger`; `TRANSITIONS` contains the phase that follows.
Any other trigger leaves the phase unchanged. Only entering a phase emits its lifecycle
actions (`session.py`).
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
    """Phases of a session."""

    CONNECTING = auto()  # a connection for a fresh session is being opened
    CONFIGURING = auto()  # session.update is sent, session.ready is awaited
    LIVE = auto()
    DRAINING = auto()  # the last audio is being played, then ENDING
    WAITING = auto()  # the connection is lost; a delay before the next attempt
    RESUMING = auto()  # a connection for the dropped session is being opened
    ENDING = auto()  # session.end is sent, session.ended is awaited
    CLOSED = auto()


class Trigger(Enum):
    """Meaning of an event for the phase."""

    CONNECTED = auto()
    READY = auto()  # session.ready
    ENDED = auto()  # session.ended
    LOST = auto()  # the connection is lost, and another attempt is allowed
    GAVE_UP = auto()  # no further attempt is allowed, or an error is fatal
    STALE = auto()  # the dropped session cannot be resumed
    HANG_UP = auto()  # end now
    FAREWELL = auto()  # end after playback
    DRAINED = auto()
    SPOKE_ON = auto()  # the caller spoke during the goodbye
    RETRY_RESUME = auto()  # the delay is over, the session may still exist
    RETRY_FRESH = auto()  # the delay is over, the session is lost
    TIMED_OUT = auto()  # the timer of the phase expired


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


# The error recovery tables: error codes of the wire, close codes of the connection, and
# HTTP statuses that refuse one. `docs/reference/errors.md` is generated from them.
#
# In DRAINING and ENDING the end is already decided: an error is reported, and a lost
# connection ends the call. Codes are compared in lower case, because the service's
# documentation and its wire disagree about `UNAUTHORIZED`.


class Recovery(Enum):
    """Reaction to an error; the value is its text in the documentation."""

    REJECTED = "give up: the key is not accepted (exit 4)"
    FATAL = "give up with an error message (exit 3)"
    RETRY = "try again with backoff, up to a limit"
    FRESH = "start a fresh session"
    REPORT = "report and continue"
    END = "the session has ended normally"


@dataclass(frozen=True, slots=True)
class Rule:
    """A row of the recovery tables: meaning, reaction by phase, advice to the user.

    `opening` applies in CONNECTING and CONFIGURING, `resuming` in WAITING and RESUMING,
    `live` in LIVE.
    """

    meaning: str
    opening: Recovery
    resuming: Recovery
    live: Recovery
    advice: str | None = None

    def at(self, phase: Phase) -> Recovery:
        """Returns the reaction in a phase."""
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

# While resuming, an error that would be fatal at the start, including a rejected token,
# leads to a fresh session. If the cause persists, the start of that session fails.
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
        "the session has reached the service's time limit", _RETRY, _FRESH, _FRESH
    ),
    "agent_init_failed": Rule(
        "a worker of the service failed to start", _RETRY, _RETRY, _REPORT, _WAIT
    ),
    "agent_timeout": Rule(
        "a worker of the service timed out",
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
    "internal_error": Rule(
        "an internal error of the service", _RETRY, _RETRY, _REPORT, _WAIT
    ),
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
        "a message is not JSON, or the service does not accept its type or shape",
        _FATAL,
        _FRESH,
        _REPORT,
        _CHECK_FILE,
    ),
    "invalid_value": Rule(
        "the service does not accept a value", _FATAL, _FRESH, _REPORT, _CHECK_FILE
    ),
    "invalid_config": Rule(
        "the configuration is invalid", _FATAL, _FRESH, _REPORT, _CHECK_FILE
    ),
    "invalid_webhook": Rule(
        "the service does not accept the webhook",
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
    "invalid_audio": Rule("audio could not be decoded", _REPORT, _REPORT, _REPORT),
    "audio_rate_violation": Rule(
        "audio arrived faster than real time; the excess was dropped",
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
    1001: Rule("the service or a proxy shuts down", _RETRY, _RETRY, _RETRY),
    1002: Rule("a protocol error", _FATAL, _FRESH, _RETRY),
    1003: Rule("unsupported data", _FATAL, _FRESH, _RETRY),
    1006: Rule("lost without a close code", _RETRY, _RETRY, _RETRY),
    1007: Rule("text that is not UTF-8", _FATAL, _FRESH, _RETRY),
    1008: Rule("refused: key, configuration or resume", _FATAL, _FRESH, _RETRY),
    # Sent by this end: a service that floods the client is not called again.
    1009: Rule("a message that is too large", _FATAL, _FATAL, _FATAL),
    1011: Rule("an internal error of the service", _RETRY, _RETRY, _RETRY, _WAIT),
    1012: Rule("the service restarts", _RETRY, _RETRY, _RETRY, _WAIT),
    1013: Rule("the service is overloaded", _RETRY, _RETRY, _RETRY, _WAIT),
    1014: Rule("a proxy cannot reach the service", _RETRY, _RETRY, _RETRY, _WAIT),
}
UNKNOWN_CLOSE = Rule("any other code", _RETRY, _RETRY, _RETRY)

# HTTP statuses that refuse a connection.
REFUSALS: dict[int, Rule] = {
    401: Rule("the key is not accepted", _REJECTED, _FRESH, _FRESH, _CHECK_KEY),
    403: Rule("forbidden", _FATAL, _FRESH, _FRESH, "check the account, or the proxy"),
    404: Rule("not found", _FATAL, _RETRY, _RETRY, _CHECK_URL),
    408: Rule("the request took too long", _RETRY, _RETRY, _RETRY, _WAIT),
    425: Rule("too early", _RETRY, _RETRY, _RETRY, _WAIT),
    429: Rule("too many requests", _RETRY, _RETRY, _RETRY, _WAIT),
    500: Rule("an internal error of the service", _RETRY, _RETRY, _RETRY, _WAIT),
    502: Rule("a proxy cannot reach the service", _RETRY, _RETRY, _RETRY, _WAIT),
    503: Rule("the service is not available", _RETRY, _RETRY, _RETRY, _WAIT),
    504: Rule(
        "a proxy timed out waiting for the service", _RETRY, _RETRY, _RETRY, _WAIT
    ),
}
UNKNOWN_REFUSAL = Rule("any other status", _FATAL, _RETRY, _RETRY, _CHECK_URL)
# No connection. At the first attempt the address is wrong, later it is an outage.
UNREACHABLE = Rule("no answer at this address", _FATAL, _RETRY, _RETRY, _CHECK_URL)


def rule_for_error(code: str) -> Rule:
    """Returns the rule of an error code, regardless of case."""
    return ERRORS.get(code.lower(), UNKNOWN_ERROR)


def rule_for_close(code: int | None) -> Rule:
    """Returns the rule of a close code; None means lost without one."""
    return CLOSES[1006] if code is None else CLOSES.get(code, UNKNOWN_CLOSE)


def rule_for_refusal(status: int | None) -> Rule:
    """Returns the rule of an HTTP status; None means no answer."""
    return UNREACHABLE if status is None else REFUSALS.get(status, UNKNOWN_REFUSAL)


# Interpretation of events: without side effects. The session applies a trigger only if
# TRANSITIONS has a row for it.


@dataclass(frozen=True, slots=True)
class SessionSnapshot:
    """The state of a session on which the interpretation of an event depends."""

    phase: Phase
    connection: ConnectionState
    hang_up_state: HangUpState
    close: Close  # the last action, if the session ended now

    @property
    def is_leaving(self) -> bool:
        """True if the end is already decided, so that its reason remains."""
        return self.phase in (Phase.DRAINING, Phase.ENDING)


@dataclass(frozen=True, slots=True)
class Interpretation:
    """A trigger, and the last action if the session ends by it (None: unchanged)."""

    trigger: Trigger
    close: Close | None = None


def interpret(event: Event, snapshot: SessionSnapshot) -> Interpretation | None:
    """Returns the meaning of an event for the phase, or None."""
    match event:
        case Connected():
            return Interpretation(Trigger.CONNECTED)
        case Received(message):
            return _interpret_message(message, snapshot)
        case Disconnected():
            return _interpret_disconnect(event, snapshot)
        case HangUp(reason, after_playback):
            trigger = Trigger.FAREWELL if after_playback else Trigger.HANG_UP
            return Interpretation(trigger, Close(Outcome.CLEAN, reason))
        case PlaybackDrained():
            return Interpretation(Trigger.DRAINED)
        case _:
            return None


def _interpret_message(
    message: ServerMessage, snapshot: SessionSnapshot
) -> Interpretation | None:
    match message:
        case SessionReady():
            return Interpretation(Trigger.READY)
        case SessionEnded():
            if snapshot.is_leaving:
                return Interpretation(
                    Trigger.ENDED, replace(snapshot.close, drain=True)
                )
            ended = Close(Outcome.CLEAN, "the service ended the session", drain=True)
            return Interpretation(Trigger.ENDED, ended)
        case SessionError(code, text):
            rule = rule_for_error(code)
            what = f"{code}: {text}" if text else code
            return _apply(rule, rule.at(snapshot.phase), what, snapshot)
        case InputSpeechStarted() if snapshot.hang_up_state is HangUpState.SAID:
            return Interpretation(Trigger.SPOKE_ON)
        case _:
            return None


def _interpret_disconnect(
    event: Disconnected, snapshot: SessionSnapshot
) -> Interpretation | None:
    if snapshot.is_leaving:
        return Interpretation(Trigger.LOST)
    if event.status is not None or snapshot.phase is Phase.CONNECTING:
        rule = rule_for_refusal(event.status)
    else:
        rule = rule_for_close(event.code)
    recovery = rule.at(snapshot.phase)
    if recovery is Recovery.FATAL and snapshot.connection.was_ready:
        # A session was ready before, so the address is right: this is an outage.
        recovery = rule.resuming
        if recovery is Recovery.FRESH:  # in progress already
            recovery = Recovery.RETRY
    return _apply(rule, recovery, event.reason, snapshot)


def _apply(
    rule: Rule, recovery: Recovery, what: str, snapshot: SessionSnapshot
) -> Interpretation | None:
    match recovery:
        case Recovery.REJECTED:
            sentence = f"the service does not accept the key ({what})"
            close = Close(Outcome.REJECTED, sentence, rule.advice)
            return Interpretation(Trigger.GAVE_UP, close)
        case Recovery.FATAL:
            close = Close(Outcome.FAILED, what, rule.advice)
            return Interpretation(Trigger.GAVE_UP, close)
        case Recovery.RETRY:
            close = Close(Outcome.FAILED, what, rule.advice)
            is_last_try = snapshot.connection.has_no_tries_left
            return Interpretation(
                Trigger.GAVE_UP if is_last_try else Trigger.LOST, close
            )
        case Recovery.FRESH:
            return Interpretation(Trigger.STALE, Close(Outcome.FAILED, what))
        case Recovery.END:
            closed = Close(Outcome.CLEAN, "the service closed the session", drain=True)
            return Interpretation(Trigger.ENDED, closed)
        case Recovery.REPORT:
            return None


# The state of the connection, over all drops.


FRESH_TRIES = 4  # attempts for a session that has never been ready
RESUME_WINDOW_SECONDS = 30.0  # the service keeps a dropped session this long
# After this time a dropped call is not continued, not even in a fresh session.
OUTAGE_SECONDS = 60.0
BACKOFF_SECONDS = 0.25  # doubles with every attempt
BACKOFF_LIMIT_SECONDS = 5.0


@dataclass(slots=True)
class ConnectionState:
    """The session at the service, and the drops of the connection to it.

    `session_id` is empty if there is nothing to resume. `dropped_at` is the time of the
    drop, None while connected.
    """

    session_id: str = ""
    resume_token: str = ""
    was_ready: bool = False  # a session has been ready at least once
    dropped_at: float | None = None
    drop_reason: str = ""
    tries: int = 0  # since the drop, or since the start
    # Microphone audio that was discarded while disconnected; number of drops and their
    # total duration.
    unsent_bytes: int = 0
    drops: int = 0
    outage_seconds: float = 0.0

    @property
    def has_no_tries_left(self) -> bool:
        """True if all attempts for a session that was never ready are used."""
        return not self.was_ready and self.tries + 1 >= FRESH_TRIES

    def note_ready(
        self, session_id: str, resume_token: str, now: float
    ) -> float | None:
        """Records that the session is ready; returns the seconds of the outage."""
        outage = None if self.dropped_at is None else now - self.dropped_at
        self.session_id, self.resume_token = session_id, resume_token
        self.was_ready = True
        self.outage_seconds += outage or 0.0
        self.dropped_at, self.drop_reason, self.tries = None, "", 0
        return outage

    def note_drop(self, why: str, now: float) -> bool:
        """Records a drop; returns True if the session was ready and connected."""
        if self.dropped_at is not None or not self.was_ready:
            return False
        self.dropped_at, self.drop_reason = now, why
        self.drops += 1
        return True

    def forget(self, why: str) -> None:
        """Records that the session cannot be resumed."""
        if self.session_id:
            self.session_id, self.drop_reason = "", why

    def pause(self, jitter: float) -> float:
        """Returns the seconds until the next attempt; `jitter` is from 0 to 1."""
        pause = BACKOFF_SECONDS * (1 << min(self.tries, 8)) * (1 + jitter / 2)
        self.tries += 1
        return min(BACKOFF_LIMIT_SECONDS, pause)

    def can_resume(self, now: float) -> bool:
        """True if the service may still have the session."""
        if not self.session_id or self.dropped_at is None:
            return False
        return now - self.dropped_at <= RESUME_WINDOW_SECONDS

    def is_outage_too_long(self, now: float) -> bool:
        """True if the outage is longer than OUTAGE_SECONDS."""
        return self.dropped_at is not None and now - self.dropped_at > OUTAGE_SECONDS
