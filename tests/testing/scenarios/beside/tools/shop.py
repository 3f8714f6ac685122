"""The tools of the shop, for tests of scenarios."""

from __future__ import annotations

from typing import Annotated, Literal


def lookup_order(
    order_id: Annotated[
        str, "The number of the order", {"pattern": "[0-9]{4}", "examples": ["1234"]}
    ],
) -> dict[str, str]:
    """Look up the state of an order by its number."""
    return {"order_id": order_id, "status": "shipped"}


def find_size(
    size: Literal["small", "large"],
    colour: Annotated[str, "A colour", {"pattern": "[a-z]+"}] = "red",
    most: int = 3,
) -> int:
    """Count what there is of a size.

    Args:
        size: The size.
        colour: The colour.
        most: How many to count at most.
    """
    return min(most, len(size) + len(colour))
