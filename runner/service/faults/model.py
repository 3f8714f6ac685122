"""Faults (a trigger and an effect) and the actions that a plan returns for them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import Enum
from typing import Any, TypeAlias

ANY = "*"  # matches every message type
Data: TypeAlias = str | bytes


class Direction(Enum):
    """The direction of a message: up from the client, down from the service."""

    UP = "up"
    DOWN = "down"


BOTH = (Direction.UP, Direction.DOWN)
# The forms of `garbage`.
FORMS = ("text", "truncated", "nested", "array", "untyped", "mistyped", "binary")


@dataclass(frozen=True, slots=True)
class Trigger:
    """When a fault happens: at a time (`at`), or at messages of a type (`on`).

    `at` is in seconds since the first client connected. With `on`, the `nth` message of
    the type is the first that counts. `every` is the distance between two occasions, in
    seconds with `at` and in messages with `on`; without it there is one occasion with
    `at`, and one at each message with `on`. A fault happens at most `times` times
    (None: no limit), at each occasion with probability `chance`.
    """

    at: float | None = None
    on: str | None = None
    nth: int = 1
    every: float | None = None
    times: int | None = 1
    chance: float = 1.0
    directions: tuple[Direction, ...] = BOTH


@dataclass(frozen=True, slots=True)
class Fault:
    """One fault. `spec` is its text as written by the user, for messages.

    `parameters` holds the parsed values of the effect by their names in the spec, with
    defaults filled in: durations in seconds, `direction` as a tuple of Direction. The
    catalog in `parser` lists the parameters of each `kind`.
    """

    spec: str
    kind: str
    trigger: Trigger
    parameters: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Deliver:
    """Pass a message to the client (down) or to the session (up)."""

    connection: int
    direction: Direction
    data: Data


@dataclass(frozen=True, slots=True)
class Abort:
    """End the connection without a closing frame; with a TCP reset if `resets`."""

    connection: int
    resets: bool = False


@dataclass(frozen=True, slots=True)
class Close:
    """Closes the connection with this code, after the messages delivered before."""

    connection: int
    code: int


@dataclass(frozen=True, slots=True)
class Freeze:
    """Stops reading from and writing to the connection, and keeps it open."""

    connection: int


@dataclass(frozen=True, slots=True)
class RejectConnection:
    """Answer the upgrade with this HTTP status; None: reset the connection."""

    status: int | None


@dataclass(frozen=True, slots=True)
class FaultReported:
    """A fault happened. `at` is in seconds since the first client connected."""

    fault: str
    did: str
    at: float


Action: TypeAlias = Deliver | Abort | Close | Freeze | RejectConnection | FaultReported
