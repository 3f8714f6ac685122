"""What the microphone and the speaker of a sound card have in common."""

from __future__ import annotations

from typing import Any, Protocol, Self


class Card(Protocol):
    """What a half knows of the card that it is a half of."""

    @property
    def is_open(self) -> bool: ...

    def raise_if_lost(self) -> None: ...

    async def __aenter__(self) -> Any: ...

    async def __aexit__(self, *exc: object) -> None: ...


class SoundCardDevice:
    """One side of a card; entering either opens the card, leaving both closes it."""

    def __init__(self, card: Card) -> None:
        self._card = card

    async def __aenter__(self) -> Self:
        await self._card.__aenter__()
        return self

    async def __aexit__(self, *exc: object) -> None:
        await self._card.__aexit__(*exc)
