"""Who holds the floor, and why the next reply is wanted."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum, auto

from runner.protocol.messages import ReplyCreate


class Turn(Enum):
    """Who holds the floor."""

    IDLE = auto()
    USER = auto()
    AGENT = auto()


@dataclass(slots=True)
class ReplyRequest:
    """Why the next reply is wanted; false when it is not. A reply covers all of it."""

    create: ReplyCreate | None = None
    results: bool = False
    lost: bool = False  # a reply was cut by a drop before it was heard

    def __bool__(self) -> bool:
        return self.create is not None or self.results or self.lost
