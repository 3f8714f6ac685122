"""What a plan wants done, on which line; performed by whoever holds the lines."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TypeAlias

from runner.faults.fault import Direction

Data: TypeAlias = str | bytes


@dataclass(frozen=True, slots=True)
class Deliver:
    """Hand this to the client (down) or to the session (up), now."""

    line: int
    direction: Direction
    data: Data


@dataclass(frozen=True, slots=True)
class Abort:
    """Break the connection without a closing frame; with a TCP reset if `resets`."""

    line: int
    resets: bool = False


@dataclass(frozen=True, slots=True)
class Close:
    """Close the connection with this code, after what was delivered."""

    line: int
    code: int


@dataclass(frozen=True, slots=True)
class Freeze:
    """Read nothing and write nothing any more, but keep the connection."""

    line: int


@dataclass(frozen=True, slots=True)
class TurnAway:
    """Answer the upgrade with this HTTP status; None: reset the connection."""

    status: int | None


@dataclass(frozen=True, slots=True)
class Noted:
    """A fault happened: for the operator. `at` is seconds since the first knock."""

    fault: str
    did: str
    at: float


Step: TypeAlias = Deliver | Abort | Close | Freeze | TurnAway | Noted
