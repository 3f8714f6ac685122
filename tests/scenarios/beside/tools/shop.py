"""The tools of the shop, for tests of scenarios; nothing imports them."""

from __future__ import annotations

from typing import Annotated, Literal


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
