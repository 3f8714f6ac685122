"""What follows from each error: one table for the wire's codes, the close codes of the
connection and the HTTP statuses that refuse one, by phase.

| column   | phases                             |
|----------|------------------------------------|
| opening  | CONNECTING, CONFIGURING            |
| resuming | WAITING, RESUMING                  |
| live     | LIVE                               |

In DRAINING and ENDING the end is already decided: an error is reported, a lost
connection is the end. Codes are compared in lower case: the service's documentation and
its wire disagree about `UNAUTHORIZED`. What is in no table has a row of its own; an
unknown error code is reported, and the session goes on for as long as the connection
lives. `docs/reference/errors.md` is made from these tables.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum

from runner.protocol.client.state import Phase


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
