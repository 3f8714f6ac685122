"""Keeps a sound card going: sees that its devices stopped, and takes others up."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Set
from functools import partial
from typing import TypeAlias

from runner.audio.bench import PortAudioSession
from runner.audio.heartbeat import StallDetector, has_begun
from runner.audio.herald import DeviceNotifier, InUse
from runner.audio.opening import StreamSession
from runner.audio.portaudio.library import Direction
from runner.audio.sides import DeviceRouter
from runner.audio.worker import Worker

# Seconds.
_WATCH_STEP = 0.1  # between two looks at streams that run
_OPEN_STEP = 0.02  # between two looks at streams that are to begin
_RETRY = 0.5  # between two attempts while there is no device
# What the speaker was yet to play is held so long, in the hope that it plays on; then
# it goes by the clock, since an answer that is seconds late answers something else.
_HOLD = 1.0
# How long a device that was opened may take to begin. PulseAudio's null sinks take two:
# with no more than that, each was closed just before, and opened anew.
_ATTEMPT = 3.0
# A sound server that starts anew is back by then: no word of what is over.
_TELL = 2.0
# Between two searches for the one side that is missing, while the other goes on; each
# costs a process of 0.2 s.
_SEARCH = 3.0
# A device that was opened and gives nothing is opened anew, ever more rarely: the
# other side, which works, is cut short each time.
_PATIENCE = (4.0, 8.0, 16.0, 30.0)
# A device that hangs longer is left to the end of the process.
_CLOSING_SECONDS = 3.0

# Which sides have devices now, found out without touching the streams.
Search: TypeAlias = Callable[[], Awaitable[Set[Direction]]]


class DeviceSupervisor:
    """Runs beside a call, from the first opening of its card to the last closing."""

    def __init__(
        self,
        bench: PortAudioSession,
        sides: DeviceRouter,
        opening: StreamSession,
        *,
        worker: Worker,
        search: Search,
        herald: DeviceNotifier,
    ) -> None:
        """Begin with an opening that is not open yet."""
        self.opening = opening
        self._bench = bench
        self._sides = sides
        self._pace = sides.pace
        self._search = search
        self._herald = herald
        self._worker = worker

    async def open(self) -> None:
        """Open what is wished for; raises AudioUnavailable, DeviceNotFound."""
        self.opening = self.opening.again()
        wishes = dict(self._bench.wishes)
        try:
            await self._worker.run(partial(self._bench.open, self.opening))
        except BaseException:  # also when nobody waits any more
            self._worker.stop(self._bench.close)
            raise
        for side in self._wanted:
            self._sides.join(self.opening, side)
        self._herald.begin(wishes, self._in_use())

    async def close(self) -> None:
        """Close what is open; after `run` was cancelled."""
        self._sides.close()
        self.opening.shut()
        closing = self._worker.run(self._bench.close)
        try:
            await asyncio.wait_for(closing, _CLOSING_SECONDS)
        except TimeoutError:
            self._bench.abandon()
        self._worker.stop()

    async def run(self) -> None:
        """Keep what is open going, without end."""
        futile = 0  # attempts in a row after which a side was missing
        while True:
            await self._watch(_PATIENCE[min(futile, len(_PATIENCE) - 1)])
            await self._recover()
            is_whole = self.opening.is_through == self._wanted
            futile = 0 if is_whole else futile + 1

    @property
    def _wanted(self) -> frozenset[Direction]:
        return frozenset(self._bench.wishes)

    async def _watch(self, patience: float) -> None:
        """Return when something is to be done about the devices."""
        now = self._pace.now()
        hearts = {side: StallDetector(side, now) for side in self._wanted}
        search_at, impatient_at = now + _SEARCH, now + patience
        while not self.opening.has_ended:
            await self._pace.wait_until(now + _WATCH_STEP)
            now = self._pace.now()
            if self._join_what_began():
                self._herald.tell(self._in_use())
            self._herald.tell_silence(self.opening)
            through, blocks = self.opening.is_through, self.opening.blocks
            if any(hearts[side].has_stalled(blocks[side], now) for side in through):
                return
            missing = self._wanted - self.opening.devices.keys()
            if missing and now >= search_at:
                if missing & await self._search():
                    return
                now = self._pace.now()
                search_at = now + _SEARCH
            if self._wanted - missing - through and now >= impatient_at:
                return

    async def _recover(self) -> None:
        """Open the devices anew until at least one side has one that works."""
        lost_at = self._pace.now()
        self._herald.is_disturbed = True
        while True:
            began = self._pace.now()
            self.opening.shut()
            self.opening = self.opening.again()
            if "input" in self._wanted:
                self._sides.stand_in("input")
            await self._attempt(began, lost_at)
            if self.opening.is_through:
                return
            await self._pace.wait_until(began + _RETRY)

    async def _attempt(self, began: float, lost_at: float) -> None:
        """Open what is there, and wait until it works, but not for long."""
        reopening = asyncio.create_task(
            self._worker.run(partial(self._bench.reopen, self.opening))
        )
        try:
            while True:
                now = self._pace.now()
                await self._pace.wait_until(now + _OPEN_STEP)
                if reopening.done():
                    reopening.result()  # raises what is a bug
                    self._join_what_began()
                self._admit_the_loss(now - lost_at)
                is_late = now >= began + _ATTEMPT
                if reopening.done() and (is_late or self._is_settled()):
                    break
        finally:
            reopening.cancel()
        if self.opening.is_through:
            self._herald.tell(self._in_use())
            if "output" not in self.opening.is_through:
                self._stand_in_for_the_speaker()

    def _admit_the_loss(self, seconds: float) -> None:
        """Do without what is still missing so long after it was lost."""
        if seconds >= _HOLD and "output" not in self.opening.is_through:
            self._stand_in_for_the_speaker()
        if seconds >= _TELL and not self.opening.is_through:
            self._herald.tell(self._in_use())

    def _is_settled(self) -> bool:
        """Whether all that was opened works, or there is nothing to wait for."""
        return (
            self.opening.has_ended
            or self.opening.is_through == self.opening.devices.keys()
        )

    def _join_what_began(self) -> bool:
        """Join the sides whose devices have begun to work; tell whether any."""
        opening = self.opening
        began = [
            side
            for side in opening.devices
            if side not in opening.is_through and has_begun(side, opening.blocks[side])
        ]
        for side in began:
            self._sides.join(opening, side)
        return bool(began)

    def _stand_in_for_the_speaker(self) -> None:
        if "output" in self._wanted:
            self._sides.stand_in("output")

    def _in_use(self) -> InUse:
        opening = self.opening
        return {
            side: opening.devices[side] if side in opening.is_through else None
            for side in sorted(self._wanted)
        }
