"""A file of tools, for examples of rules."""

from __future__ import annotations

from typing import Annotated


def lookup(
    order: Annotated[str, "The order's number", {"pattern": "[0-9]{4}"}],
) -> dict[str, str]:
    """Look up the state of an order by its number."""
    return {"order": order, "state": "shipped"}


class Shop:
    """No tool: a class."""
