"""A file of tools, for examples of rules."""

from __future__ import annotations

from typing import Annotated, Literal


def lookup(
    order: Annotated[str, "The order's number", {"pattern": "[0-9]{4}"}],
) -> dict[str, str]:
    """Look up the state of an order by its number."""
    return {"order": order, "state": "shipped"}


class Shop:
    """No tool: a class."""


def find_size(size: Literal["small", "large"]) -> int:
    """Count what there is of a size."""
    return {"small": 3, "large": 5}[size]


def list_orders(most: int = 3) -> list[str]:
    """List the caller's last orders, at most so many."""
    return ["1234", "5678", "4321"][:most]
