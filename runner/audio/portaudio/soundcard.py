"""The sound card: a microphone and a speaker that last, whatever becomes of devices.

What was unplugged, suspended or changed is taken up again on the same device or on the
default, while both halves stay the same objects and a call goes on.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Self

from runner.audio.bench import PortAudioSession
from runner.audio.census import find_sides
from runner.audio.echo import AudioProcessor
from runner.audio.herald import DeviceNotifier, Notice
from runner.audio.lasting import DeviceSupervisor, Search
from runner.audio.opening import StreamSession
from runner.audio.pace import Clock, LoopClock
from runner.audio.portaudio.library import DeviceName, Direction, PortAudio
from runner.audio.portaudio.microphone import CardMicrophone
from runner.audio.portaudio.speaker import CardSpeaker
from runner.audio.sides import DeviceRouter
from runner.audio.worker import AudioWorker, Worker
from runner.errors import AudioUnavailable


@dataclass(frozen=True, slots=True)
class SoundCardDependencies:
    """What a card stands on: time, a thread for PortAudio, a way to find devices."""

    pace: Clock = field(default_factory=LoopClock)
    worker: Worker = field(default_factory=AudioWorker)
    search: Search = find_sides


class SoundCard:
    """Opens the devices, and owns the streams that both halves share.

    Used as a context itself, or through its halves, in any order.
    """

    def __init__(
        self,
        *,
        input: bool = True,
        output: bool = True,
        input_device: DeviceName = None,
        output_device: DeviceName = None,
        notice: Notice = lambda text: None,
        front_end: AudioProcessor | None = None,
        library: PortAudio | None = None,
        ground: SoundCardDependencies | None = None,
    ) -> None:
        """Open only the sides that are asked for; devices by index, name or part.

        `notice` is told what becomes of them while the card is open. A front end
        stands between the microphone and its reader, and is told of all that the
        speaker plays.
        """
        wishes: dict[Direction, DeviceName] = {}
        if input:
            wishes["input"] = input_device
        if output:
            wishes["output"] = output_device
        self.microphone = CardMicrophone(self, front_end)
        self.speaker = CardSpeaker(self, self._on_low, front_end)
        ground = ground or SoundCardDependencies()
        opening = StreamSession(self.microphone, self.speaker, self._on_recorded)
        self._lasting = DeviceSupervisor(
            PortAudioSession(wishes, library),
            DeviceRouter(self.microphone, self.speaker, ground.pace),
            opening,
            worker=ground.worker,
            search=ground.search,
            herald=DeviceNotifier(notice),
        )
        self._users = 0  # contexts that are entered: the card itself and its halves
        self._loop: asyncio.AbstractEventLoop | None = None
        self._keeping: asyncio.Task[None] | None = None  # while it is open

    @property
    def is_open(self) -> bool:
        """True from the first entering to the last leaving, with a device or without.

        False, too, when keeping it failed, which `raise_if_lost` then tells.
        """
        return self._keeping is not None and not self._keeping.done()

    @property
    def glitches(self) -> int:
        """Blocks with which PortAudio reported lost or missing sound."""
        return self._lasting.opening.glitches

    def raise_if_lost(self) -> None:
        """Raise AudioUnavailable when the card could not be kept: by a bug of ours."""
        if self._keeping is None or not self._keeping.done():
            return
        if not self._keeping.cancelled() and (error := self._keeping.exception()):
            raise AudioUnavailable(f"the sound card was given up: {error}") from error

    async def __aenter__(self) -> Self:
        if not self._users:
            self._loop = asyncio.get_running_loop()
            await self._lasting.open()
            self._keeping = asyncio.create_task(self._lasting.run(), name="sound card")
            self._keeping.add_done_callback(lambda _: self._wake())
        self._users += 1
        return self

    async def __aexit__(self, *exc: object) -> None:
        self._users -= 1
        if not self._users:
            keeping, self._keeping = self._keeping, None
            if keeping is not None:
                keeping.cancel()
                await asyncio.wait([keeping])
            self._wake()
            await self._lasting.close()

    # PortAudio's thread runs the next three.

    def _on_recorded(self) -> None:
        self._call_loop(self.microphone.wake)

    def _on_low(self) -> None:
        self._call_loop(self.speaker.wake)

    def _call_loop(self, callback: Callable[[], None]) -> None:
        if self._loop is not None:
            # RuntimeError: the loop was closed without the card; nobody listens.
            with contextlib.suppress(RuntimeError):
                self._loop.call_soon_threadsafe(callback)

    def _wake(self) -> None:
        self.microphone.wake()
        self.speaker.wake()
