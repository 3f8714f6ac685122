"""The microphone of a caller whose words are handed over as text."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Self


class NullMicrophone:
    """Gives no sound at all, not even silence."""

    dropped_ms = 0.0

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *exc: object) -> None:
        return None

    async def frames(self) -> AsyncIterator[bytes]:
        """Wait for as long as it is asked."""
        await asyncio.Event().wait()
        yield b""
