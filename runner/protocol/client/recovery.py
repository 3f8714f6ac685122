"""What follows from each error code: one table, read by phase.

Codes are compared in lower case: the service's documentation and its wire disagree
about `UNAUTHORIZED`. A code that is not in the table is reported, and the session goes
on for as long as the connection lives.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum


class Recovery(Enum):
    """What a client does about an error."""

    REJECTED = "the key is not accepted: give up"
    FATAL = "give up with a sentence"
    RETRY = "try again with backoff, a limited number of times"
    FRESH = "start a fresh session"
    REPORT = "tell the person and carry on"


@dataclass(frozen=True, slots=True)
class ErrorRule:
    """One code: what to do before the session is ready and while it is live.

    `advice` tells the person what to do, where there is something to do.
    """

    before_ready: Recovery
    live: Recovery
    advice: str | None = None


_CHECK_FILE = "correct the agent file; `vagent validate` finds most of these"
_WAIT = "the service is busy; try again in a minute"

RULES: dict[str, ErrorRule] = {
    "unauthorized": ErrorRule(
        Recovery.REJECTED,
        Recovery.REJECTED,
        "get a key from the service's dashboard and set ASSEMBLYAI_API_KEY "
        "(in the environment or in .env)",
    ),
    "forbidden": ErrorRule(
        Recovery.REJECTED,
        Recovery.REJECTED,
        "the key is valid but may not use voice agents; check the account",
    ),
    "session_not_found": ErrorRule(Recovery.FRESH, Recovery.REPORT),
    "session_forbidden": ErrorRule(Recovery.FRESH, Recovery.REPORT),
    "session_expired": ErrorRule(Recovery.FRESH, Recovery.FRESH),
    "agent_init_failed": ErrorRule(Recovery.RETRY, Recovery.REPORT, _WAIT),
    "agent_timeout": ErrorRule(Recovery.RETRY, Recovery.REPORT, _WAIT),
    "server_error": ErrorRule(Recovery.RETRY, Recovery.REPORT, _WAIT),
    "at_capacity": ErrorRule(Recovery.RETRY, Recovery.REPORT, _WAIT),
    "concurrency_exceeded": ErrorRule(
        Recovery.RETRY, Recovery.REPORT, "end another session of this account first"
    ),
    "internal_error": ErrorRule(Recovery.RETRY, Recovery.REPORT, _WAIT),
    "agent_not_found": ErrorRule(Recovery.FATAL, Recovery.REPORT, _CHECK_FILE),
    "agent_id_not_first": ErrorRule(Recovery.FATAL, Recovery.REPORT),
    "invalid_format": ErrorRule(Recovery.FATAL, Recovery.REPORT),
    "invalid_value": ErrorRule(Recovery.FATAL, Recovery.REPORT, _CHECK_FILE),
    "invalid_config": ErrorRule(Recovery.FATAL, Recovery.REPORT, _CHECK_FILE),
    "invalid_webhook": ErrorRule(Recovery.FATAL, Recovery.REPORT, _CHECK_FILE),
    "immutable_field": ErrorRule(
        Recovery.FATAL,
        Recovery.REPORT,
        "the greeting and the voice are fixed for a session; run again to change them",
    ),
    "invalid_audio": ErrorRule(Recovery.REPORT, Recovery.REPORT),
    "audio_rate_violation": ErrorRule(Recovery.REPORT, Recovery.REPORT),
}

_UNKNOWN = ErrorRule(Recovery.REPORT, Recovery.REPORT)


def rule_for(code: str) -> ErrorRule:
    """Return the rule of an error code, in whatever case it came."""
    return RULES.get(code.lower(), _UNKNOWN)
