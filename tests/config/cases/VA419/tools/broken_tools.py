"""Functions that are no good as tools, each for one reason."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from datetime import date


def add(*numbers: int) -> int:
    """Add numbers up."""
    return sum(numbers)


def search(**words: str) -> list[str]:
    """Search the catalogue for words."""
    return sorted(words.values())


def price(item) -> float:
    """Look up the price of an item in the catalogue."""
    return {"lamp": 20.0}.get(item, 0.0)


def save(picture: memoryview) -> str:
    """Save a picture that the caller has sent."""
    return f"{len(picture)} bytes"


def due(day: date) -> list[str]:
    """List the orders that are ready on a day."""
    raise LookupError(day)


def sizes() -> Iterator[int]:
    """Count through the sizes that there are."""
    yield from (38, 40, 42)


def handle() -> memoryview:
    """Open the catalogue for reading, as it is stored."""
    return memoryview(b"")


def undescribed(most: int = 3) -> int:
    return most


def misdescribed(most: int = 3) -> int:
    """List the caller's last orders.

    Args:
        limit: how many of them
    """
    return most
