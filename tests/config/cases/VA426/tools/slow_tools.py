"""Tools that take their time."""

from __future__ import annotations

import asyncio
import time


async def wait(seconds: int = 3) -> str:
    """Wait for the kitchen, for so many seconds."""
    time.sleep(seconds)
    return "ready"


async def wait_in_a_thread(seconds: int = 3) -> str:
    """Wait for the kitchen, for so many seconds."""

    def pause() -> None:
        time.sleep(seconds)

    await asyncio.to_thread(pause)
    return "ready"
