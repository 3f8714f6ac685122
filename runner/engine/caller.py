"""Somebody at the near end who speaks lines, from the command line or a keyboard."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass

from runner.audio.devices import Speaker
from runner.engine.engine import Engine
from runner.protocol.client.events import HangUp

# Quiet for this long, and the agent has finished: it covers the gap between the last
# sound of a reply and what the far end may still do on its own.
FINISHED_SECONDS = 0.4
# A line that is not heard after this long is passed over, with a word.
UNHEARD_SECONDS = 4.0
# How long an answer may take before the next line is spoken all the same.
ANSWER_SECONDS = 45.0

Deliver = Callable[[str], Awaitable[None]]
Notice = Callable[[str], None]


@dataclass(frozen=True, slots=True)
class ScriptedCaller:
    """Delivers lines to a call, each after the agent has finished, then hangs up."""

    engine: Engine
    speaker: Speaker
    deliver: Deliver
    notice: Notice

    async def speak_in_turn(self, lines: AsyncIterator[str]) -> None:
        """Say each line when the agent has finished, hang up after the last answer."""
        async for line in lines:
            await self.finished()
            await self.deliver(line)
            await self._be_answered(line)
        await self.hang_up_when_quiet(FINISHED_SECONDS)

    async def speak_at_once(self, lines: AsyncIterator[str]) -> None:
        """Say each line as it comes; hang up when there are no more."""
        async for line in lines:
            await self.deliver(line)
        await self.hang_up_when_quiet(FINISHED_SECONDS)

    async def hang_up_when_quiet(self, seconds: float) -> None:
        """Hang up once the agent has finished and nothing follows for a while."""
        await self.finished(seconds)
        self.engine.post(HangUp("everything has been said", after_playback=True))

    async def finished(self, seconds: float = FINISHED_SECONDS) -> None:
        """Return when the agent has had nothing to say or do for this long."""
        while True:
            await self.engine.settled.wait()
            await self.speaker.drained()
            if await self._stays_settled(seconds):
                return

    async def _stays_settled(self, seconds: float) -> bool:
        try:
            await asyncio.wait_for(self.engine.unsettled.wait(), seconds)
        except TimeoutError:
            return True
        return False

    async def _be_answered(self, line: str) -> None:
        if await self._stays_settled(UNHEARD_SECONDS):
            self.notice(f"nobody heard: {line!r}")
            return
        try:
            await asyncio.wait_for(self.engine.settled.wait(), ANSWER_SECONDS)
        except TimeoutError:
            self.notice(f"no answer after {ANSWER_SECONDS:.0f} s to: {line!r}")
