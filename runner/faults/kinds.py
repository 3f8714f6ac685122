"""The one table of faults: how each is written, what it does, what it is made of."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from enum import Enum, auto
from typing import Any, TypeAlias

from runner.faults import fault, keys
from runner.faults.fault import BOTH, Effect
from runner.faults.keys import Key

Values: TypeAlias = Mapping[str, Any]  # a spec's values, parsed and completed

_AT_OR_ON = {"at": keys.AT, "on": keys.ON}
_REPEATED = {"every": keys.EVERY, "times": keys.TIMES, "chance": keys.CHANCE}
_ONCE = {**_AT_OR_ON, **_REPEATED}
_OF_A_MESSAGE = {"on": keys.ON, "direction": keys.DIRECTION, **_REPEATED}
_LASTING = {"direction": keys.DIRECTION, **_AT_OR_ON, "for": keys.FOR}
# What the service closes with after a session.error, where a spec does not say.
_FATAL = {
    "session_not_found": 1008,
    "session_expired": 1008,
    "session_forbidden": 1008,
    "unauthorized": 1008,
    "forbidden": 1008,
    "agent_not_found": 1008,
}


class Moment(Enum):
    """When a kind of fault can happen."""

    ANY = auto()  # at a time or at a message; one of the two must be given
    MESSAGE = auto()  # at messages only: it happens to them
    WINDOW = auto()  # from a time or a message on; from the beginning by default


@dataclass(frozen=True, slots=True)
class Kind:
    """One fault as the help shows it and the parser reads it.

    `keys` are all it takes, `defaults` those that need not be given; a key with no
    default that is not one of the trigger's is required.
    """

    name: str
    summary: str
    example: str
    moment: Moment
    keys: Mapping[str, Key]
    defaults: Values
    build: Callable[[Values], Effect]


def _error(values: Values) -> Effect:
    close = values["close"]
    if close == "auto":
        answers = values["on"] in (("session.update", 1), ("session.resume", 1))
        fallback = 1011 if values["code"].lower() == "internal_error" else 1008
        close = _FATAL.get(values["code"].lower(), fallback if answers else None)
    text = values["message"] or f"{values['code']} (on purpose)"
    return fault.Error(values["code"], text, None if close == "none" else close)


_KINDS = (
    Kind(
        "drop",
        "the line breaks without a closing frame (clients see 1006)",
        "drop on=reply.audio:10",
        Moment.ANY,
        {"how": keys.HOW, **_ONCE},
        {"how": "end"},
        lambda values: fault.Drop(values["how"] == "reset"),
    ),
    Kind(
        "close",
        "the line is closed with a code",
        "close code=1011 on=reply.started",
        Moment.ANY,
        {"code": keys.CLOSE_CODE, **_ONCE},
        {},
        lambda values: fault.CloseWith(values["code"]),
    ),
    Kind(
        "outage",
        "all lines break, and new connections are reset for a while",
        "outage at=4s for=3s",
        Moment.ANY,
        {"for": keys.FOR, **_ONCE},
        {},
        lambda values: fault.Outage(values["for"]),
    ),
    Kind(
        "refuse",
        "requests, the upgrade first, get an HTTP status, as from a proxy",
        "refuse status=502 for=2s",
        Moment.WINDOW,
        {"status": keys.STATUS, **_AT_OR_ON, "for": keys.FOR, "times": keys.TIMES},
        {"for": None},
        lambda values: fault.Refuse(values["status"], values["for"], values["times"]),
    ),
    Kind(
        "half-open",
        "nothing is read or sent any more, pings go unanswered; reset after for=",
        "half-open at=4s for=1m",
        Moment.ANY,
        {"for": keys.FOR, **_ONCE},
        {"for": 60.0},
        lambda values: fault.HalfOpen(values["for"]),
    ),
    Kind(
        "slow",
        "messages take longer, in order, as on a bad network",
        "slow by=200ms jitter=100ms direction=both",
        Moment.WINDOW,
        {"by": keys.BY, "jitter": keys.JITTER, **_LASTING},
        {"jitter": 0.0, "direction": BOTH, "for": None},
        lambda values: fault.Slow(
            values["by"], values["jitter"], values["direction"], values["for"]
        ),
    ),
    Kind(
        "burst",
        "messages wait and arrive together, once in a period",
        "burst period=1s direction=down",
        Moment.WINDOW,
        {"period": keys.PERIOD, **_LASTING},
        {"direction": BOTH, "for": None},
        lambda values: fault.Burst(
            values["period"], values["direction"], values["for"]
        ),
    ),
    Kind(
        "late",
        "a message is overtaken by those behind it",
        "late on=reply.done by=500ms",
        Moment.MESSAGE,
        {"by": keys.BY, **_OF_A_MESSAGE},
        {},
        lambda values: fault.Late(values["by"]),
    ),
    Kind(
        "duplicate",
        "a message comes twice",
        "duplicate on=tool.call",
        Moment.MESSAGE,
        {"by": keys.BY, **_OF_A_MESSAGE},
        {"by": 0.0},
        lambda values: fault.Duplicate(values["by"]),
    ),
    Kind(
        "reorder",
        "a message changes places with the next of its direction",
        "reorder on=* chance=0.1 direction=down",
        Moment.MESSAGE,
        {"within": keys.WITHIN, **_OF_A_MESSAGE},
        {"within": 1.0},
        lambda values: fault.Reorder(values["within"]),
    ),
    Kind(
        "lose",
        "a message never arrives; of tool.result, a hung acknowledgement",
        "lose on=tool.result",
        Moment.MESSAGE,
        _OF_A_MESSAGE,
        {},
        lambda values: fault.Lose(),
    ),
    Kind(
        "silence",
        "a reply has started, and nothing more of it comes",
        "silence on=reply.started:2",
        Moment.MESSAGE,
        {"on": keys.ON, **_REPEATED},
        {"on": ("reply.started", 1)},
        lambda values: fault.Silence(),
    ),
    Kind(
        "error",
        "a session.error comes; to a client's message, instead of an answer",
        "error code=at_capacity phase=opening",
        Moment.ANY,
        {
            "code": keys.ERROR_CODE,
            "message": keys.TEXT,
            "close": keys.CLOSE,
            "phase": keys.PHASE,
            **_ONCE,
        },
        {"message": None, "close": "auto"},
        _error,
    ),
    Kind(
        "garbage",
        "something comes that is no message",
        "garbage on=reply.started form=truncated",
        Moment.ANY,
        {"form": keys.FORM, **_ONCE},
        {"form": None},
        lambda values: fault.Garbage(values["form"]),
    ),
    Kind(
        "flood",
        "many messages come at once: copies, or of an unknown type",
        "flood on=reply.audio count=1000 of=copies",
        Moment.ANY,
        {"count": keys.COUNT, "size": keys.SIZE, "of": keys.OF, **_ONCE},
        {"count": 1000, "size": 0, "of": "unknown"},
        lambda values: fault.Flood(
            values["count"], values["size"], values["of"] == "copies"
        ),
    ),
)
KINDS: Mapping[str, Kind] = {kind.name: kind for kind in _KINDS}
