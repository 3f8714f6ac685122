"""The keys of a fault's spec and how their values are read."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from runner.config.durations import parse_duration
from runner.config.names import nearest
from runner.faults.fault import ANY, BOTH, Direction
from runner.protocol.codec import CLIENT_MESSAGES, SERVER_MESSAGES

TYPES: Mapping[str, tuple[Direction, ...]] = {
    **dict.fromkeys(CLIENT_MESSAGES, (Direction.UP,)),
    **dict.fromkeys(SERVER_MESSAGES, (Direction.DOWN,)),
}
# What a client's first message is in each phase, and what begins a live session.
PHASES = {
    "opening": "session.update",
    "resume": "session.resume",
    "live": "session.ready",
}
FORMS = ("text", "truncated", "nested", "array", "untyped", "mistyped", "binary")
# What RFC 6455 lets an endpoint send (7.4): the others stand for missing frames.
_CLOSE_CODES = {1000, 1001, 1002, 1003, *range(1007, 1015), *range(3000, 5000)}
# A repetition in less than this would only be a busy loop.
_SHORTEST_PERIOD = 0.1
_MOST_MESSAGES = 1_000_000
_MOST_BYTES = 16 * 2**20


class Unfit(ValueError):
    """A value that its key does not take; `meant` is what it takes."""

    def __init__(self, meant: str, guess: str | None = None) -> None:
        super().__init__(meant)
        self.meant = meant
        self.guess = guess


@dataclass(frozen=True, slots=True)
class Key:
    """`parse` turns the text into the value and raises Unfit; `meaning` is for help."""

    parse: Callable[[str], Any]
    meaning: str


def _duration(text: str) -> float:
    try:
        return parse_duration(text)
    except ValueError:
        raise Unfit("a duration such as 500ms, 2s or 1m") from None


def _some_time(text: str) -> float:
    seconds = _duration(text)
    if not seconds:
        raise Unfit("longer than 0s")
    return seconds


def _period(text: str) -> float:
    seconds = _duration(text)
    if seconds < _SHORTEST_PERIOD:
        raise Unfit("a duration of at least 100ms")
    return seconds


def _number(lowest: int, highest: int) -> Callable[[str], int]:
    def parse(text: str) -> int:
        # No `isdigit`: it takes digits that `int` does not.
        if re.fullmatch("[0-9]{1,9}", text) and lowest <= int(text) <= highest:
            return int(text)
        raise Unfit(f"a number from {lowest} to {highest}")

    return parse


def _every(text: str) -> float | int:
    """Seconds with a unit, messages without; the grammar holds it against `at`."""
    if re.fullmatch("[1-9][0-9]{0,8}", text):
        return int(text)
    try:
        return _period(text)
    except Unfit:
        raise Unfit(
            "a duration of at least 100ms (with at=) or a number (with on=)"
        ) from None


def _chance(text: str) -> float:
    if re.fullmatch(r"[01](\.[0-9]{1,9})?", text) and 0 < float(text) <= 1:
        return float(text)
    raise Unfit("a probability above 0, up to 1, such as 0.1")


def _choice(*choices: str) -> Callable[[str], str]:
    def parse(text: str) -> str:
        if text not in choices:
            raise Unfit(f"one of {', '.join(choices)}", nearest(text, choices))
        return text

    return parse


def _direction(text: str) -> tuple[Direction, ...]:
    name = _choice("up", "down", "both")(text)
    return BOTH if name == "both" else (Direction(name),)


def _message(text: str) -> tuple[str, int]:
    name, colon, count = text.partition(":")
    if name != ANY and name not in TYPES:
        raise Unfit("a type of message, or *", nearest(name, TYPES))
    return name, _number(1, 10**9 - 1)(count) if colon else 1


def _close_code(text: str) -> int:
    if re.fullmatch("[0-9]{4}", text) and int(text) in _CLOSE_CODES:
        return int(text)
    raise Unfit(
        "a code that can be sent: 1000 to 1003, 1007 to 1014 or 3000 to 4999; "
        "1006 is what a drop looks like"
    )


def _close_after(text: str) -> int | str:
    return text if text in ("auto", "none") else _close_code(text)


def _error_code(text: str) -> str:
    if re.fullmatch("[A-Za-z][A-Za-z0-9_]{0,99}", text):
        return text
    raise Unfit("a code of session.error, such as internal_error")


AT = Key(_duration, "this long after the first client knocked")
ON = Key(_message, "TYPE or TYPE:N: the n-th message of that type; * is any type")
EVERY = Key(_every, "again after so long (at=) or so many messages (on=)")
TIMES = Key(_number(1, _MOST_MESSAGES), "how often at most")
CHANCE = Key(_chance, "with this probability at each occasion")
DIRECTION = Key(_direction, "up (from the client), down or both (default)")
FOR = Key(_some_time, "how long it lasts")
BY = Key(_duration, "how much later")
JITTER = Key(_duration, "up to so much later still, drawn for each message")
PERIOD = Key(_some_time, "the time between two bursts")
WITHIN = Key(_some_time, "how long to wait for the next message (default 1s)")
CLOSE_CODE = Key(_close_code, "the code of the closing frame")
STATUS = Key(_number(300, 599), "the HTTP status")
ERROR_CODE = Key(_error_code, "the code of the session.error")
TEXT = Key(str, "its words, in quotes")
CLOSE = Key(_close_after, "a code to close with after it; none; default: by its code")
PHASE = Key(_choice(*PHASES), "opening, resume or live, in place of on=")
HOW = Key(_choice("end", "reset"), "how TCP ends: end (default) or reset")
FORM = Key(_choice(*FORMS), f"{', '.join(FORMS)} (default: any)")
COUNT = Key(_number(1, _MOST_MESSAGES), "how many (default 1000)")
SIZE = Key(_number(0, _MOST_BYTES), "pad each to so many bytes")
OF = Key(_choice("unknown", "copies"), "unknown (default), or copies of the message")
