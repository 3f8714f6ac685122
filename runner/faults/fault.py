"""What a fault is: a trigger that says when, and an effect that says what."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum
from typing import TypeAlias

ANY = "*"  # stands for every type of message


class Direction(Enum):
    """Which way a message goes: up from the client, down from the service."""

    UP = "up"
    DOWN = "down"


BOTH = (Direction.UP, Direction.DOWN)


@dataclass(frozen=True, slots=True)
class Trigger:
    """When a fault happens: at a time (`at`), or at messages of a type (`on`).

    `at` is in seconds since the first client knocked. With `on`, the `nth` message of
    the type is the first that counts. `every` is how many seconds, or messages, lie
    between two occasions; without it there is one, or, with `on`, as many as `times`
    says. Each occasion is taken with probability `chance`.
    """

    at: float | None = None
    on: str | None = None
    nth: int = 1
    every: float | None = None
    times: int | None = 1  # None: no limit
    chance: float = 1.0
    directions: tuple[Direction, ...] = BOTH


@dataclass(frozen=True, slots=True)
class Drop:
    """The line breaks without a closing frame: clients see 1006.

    The TCP connection ends, or is reset if `resets`.
    """

    resets: bool = False


@dataclass(frozen=True, slots=True)
class CloseWith:
    """The service closes the line with a closing frame."""

    code: int


@dataclass(frozen=True, slots=True)
class Outage:
    """All lines break, and every new connection is reset, for so many seconds."""

    seconds: float


@dataclass(frozen=True, slots=True)
class Refuse:
    """The upgrade is answered with an HTTP status.

    For `seconds` (None: until the end), at most `times` times (None: no limit).
    """

    status: int
    seconds: float | None
    times: int | None


@dataclass(frozen=True, slots=True)
class HalfOpen:
    """Nothing is read or sent any more, pings included; reset after so many seconds."""

    seconds: float


@dataclass(frozen=True, slots=True)
class Slow:
    """Every message takes `by` and up to `jitter` seconds longer; the order is kept."""

    by: float
    jitter: float
    directions: tuple[Direction, ...]
    seconds: float | None


@dataclass(frozen=True, slots=True)
class Burst:
    """Messages wait and arrive together, once in `period` seconds."""

    period: float
    directions: tuple[Direction, ...]
    seconds: float | None


@dataclass(frozen=True, slots=True)
class Late:
    """One message comes so many seconds later; those behind it overtake it."""

    by: float


@dataclass(frozen=True, slots=True)
class Duplicate:
    """One message comes twice, the copy so many seconds later."""

    by: float


@dataclass(frozen=True, slots=True)
class Reorder:
    """One message changes places with the next one, if that comes in time."""

    within: float


@dataclass(frozen=True, slots=True)
class Lose:
    """One message never arrives."""


@dataclass(frozen=True, slots=True)
class Error:
    """The client gets a session.error; it stands for the answer to a client's message.

    With `close`, the line is closed with that code after it.
    """

    code: str
    text: str
    close: int | None


@dataclass(frozen=True, slots=True)
class Garbage:
    """The client gets something that is no message; no `form`: one is drawn."""

    form: str | None


@dataclass(frozen=True, slots=True)
class Flood:
    """The client gets `count` messages at once, each padded to `size` bytes.

    They are copies of the message that set it off, or of a type that nobody knows.
    """

    count: int
    size: int
    copies: bool


@dataclass(frozen=True, slots=True)
class Silence:
    """A reply has started, and nothing more of it comes."""


Effect: TypeAlias = (
    Drop
    | CloseWith
    | Outage
    | Refuse
    | HalfOpen
    | Slow
    | Burst
    | Late
    | Duplicate
    | Reorder
    | Lose
    | Error
    | Garbage
    | Flood
    | Silence
)


@dataclass(frozen=True, slots=True)
class Fault:
    """One thing that goes wrong; `spec` is how the person wrote it."""

    spec: str
    trigger: Trigger
    effect: Effect
