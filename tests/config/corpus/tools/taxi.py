"""Orders for the dispatcher."""

from __future__ import annotations

import functools
from collections.abc import Awaitable, Callable
from datetime import datetime
from typing import TYPE_CHECKING, Annotated, ParamSpec, TypeVar

if TYPE_CHECKING:
    from collections.abc import Mapping

P = ParamSpec("P")
R = TypeVar("R")


def once_more(run: Callable[P, Awaitable[R]]) -> Callable[P, Awaitable[R]]:
    """Run again when the dispatcher's line is busy."""

    @functools.wraps(run)
    async def wrapper(*args: P.args, **kwargs: P.kwargs) -> R:
        try:
            return await run(*args, **kwargs)
        except ConnectionError:
            return await run(*args, **kwargs)

    return wrapper


@once_more
async def order_taxi(
    pick_up: Annotated[str, "Street and number", {"examples": ["Western Road 12"]}],
    destination: Annotated[str, "Where to", {"examples": ["Brighton station"]}],
    passengers: Annotated[int, "How many", {"minimum": 1, "maximum": 8}] = 1,
    at: datetime | None = None,
) -> dict[str, object]:
    """Order a taxi, after the caller has confirmed the addresses.

    :param pick_up: where the caller waits
    :param destination: where to go
    :param passengers: how many people
    :param at: when, if it is not now
    """
    minutes = 0 if at else 7 + len(pick_up) % 5
    return _answer({"car": "van" if passengers > 4 else "car", "minutes": minutes})


def _answer(order: Mapping[str, object]) -> dict[str, object]:
    return {"ordered": True, **order}
