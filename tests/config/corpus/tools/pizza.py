"""Orders for the kitchen's printer."""

import logging
from dataclasses import dataclass, field
from decimal import Decimal
from enum import IntEnum
from typing import Annotated, Literal, Optional

log = logging.getLogger(__name__)

DELIVERY = Decimal("2.50")
PRICES = {26: Decimal("8.00"), 32: Decimal("10.50")}
EXTRAS = frozenset({"olives", "anchovies", "rocket"})


class Size(IntEnum):
    """Diameter in centimetres."""

    SMALL = 26
    LARGE = 32


@dataclass
class Pizza:
    """One pizza as it was ordered."""

    kind: Literal["margherita", "funghi", "salami", "quattro formaggi"]
    size: Size = Size.SMALL
    extras: list[str] = field(default_factory=list)


def place_order(
    pizzas: Annotated[list[Pizza], "What was ordered"],
    street: Annotated[
        Optional[str],  # noqa: UP045 - the author writes for Python 3.9 as well
        "Street and number, if it is to be delivered",
        {"examples": ["Mill Lane 4"]},
    ] = None,
    phone: Annotated[
        str | None,
        "The caller's telephone number",
        {"pattern": "[0-9 ]{6,20}", "examples": ["0151 496 0002"]},
    ] = None,
) -> dict[str, str | int]:
    """Send an order to the kitchen. Use it only after the caller has confirmed it.

    Args:
        pizzas: What was ordered.
        street: Where to bring it; nobody comes without it.
        phone: For the driver.
    """
    total = sum((PRICES[each.size] for each in pizzas), start=Decimal(0))
    if street:
        total += DELIVERY
    log.info("order of %d for %s", len(pizzas), phone or "the counter")
    return {"pizzas": len(pizzas), "total": f"{total:.2f}", "minutes": 35}


def delivery_time() -> str:
    """Tell how long a delivery takes at the moment."""
    return "about thirty-five minutes"
