"""The sound card: a microphone and a speaker on one duplex PortAudio stream, or on two.

PortAudio's thread copies bytes to and from two buffers and leaves.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable
from types import TracebackType
from typing import Any, Self

from runner.audio.card_microphone import CardMicrophone
from runner.audio.card_speaker import CardSpeaker
from runner.audio.echo import FrontEnd
from runner.audio.portaudio import (
    DeviceName,
    Direction,
    PortAudio,
    Stream,
    find_device,
    load_portaudio,
)
from runner.audio.streams import Callbacks, cannot_open, close_streams, open_streams
from runner.errors import AudioUnavailable


class SoundCard:
    """Opens the devices, and owns the stream that both halves share.

    Used as a context itself, or through its halves, in any order.
    """

    def __init__(
        self,
        *,
        input: bool = True,
        output: bool = True,
        input_device: DeviceName = None,
        output_device: DeviceName = None,
        front_end: FrontEnd | None = None,
        library: PortAudio | None = None,
    ) -> None:
        """Open only the sides that are asked for; devices by index, name or part.

        A front end stands between the microphone and its reader, and is told of all
        that the speaker plays.
        """
        self.microphone = CardMicrophone(self, front_end)
        self.speaker = CardSpeaker(self, self._on_low, front_end)
        self.glitches = 0  # blocks with which PortAudio reported lost or missing sound
        self._sides: list[tuple[Direction, DeviceName]] = []
        if input:
            self._sides.append(("input", input_device))
        if output:
            self._sides.append(("output", output_device))
        self._library = library
        self._streams: list[Stream] = []
        self._users = 0  # contexts that are entered: the card itself and its halves
        self._is_lost = False
        self._loop: asyncio.AbstractEventLoop | None = None

    @property
    def is_open(self) -> bool:
        """True from the first entering to the last leaving, unless it is lost."""
        return bool(self._streams) and not self._is_lost

    def raise_if_lost(self) -> None:
        """Raise AudioUnavailable when the device stopped by itself."""
        if self._is_lost:
            raise AudioUnavailable(
                "the sound card stopped",
                hint="was it unplugged? connect it and start again",
            )

    async def __aenter__(self) -> Self:
        if not self._users:
            # On this thread: PortAudio's Windows side belongs to the thread that
            # first used it. It takes some 10 ms, before the call.
            self._open()
        self._users += 1
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._users -= 1
        if not self._users:
            self._close()

    def _open(self) -> None:
        library = self._library or load_portaudio()
        self._loop = asyncio.get_running_loop()
        self._is_lost = False
        wanted = [find_device(library, name, side) for side, name in self._sides]
        callbacks = Callbacks(
            duplex=self._on_block,
            input=self._on_input,
            output=self._on_output,
            finished=self._on_finished,
        )
        streams, devices = open_streams(library, wanted, callbacks)
        for number, device in enumerate(devices):
            if device.direction == "input":
                self.microphone.attach(device)
            else:
                latency = streams[number % len(streams)].latency
                seconds = latency if isinstance(latency, float) else latency[1]
                self.speaker.attach(device, seconds)
        self._streams = streams
        try:
            for stream in streams:
                stream.start()
        except library.PortAudioError as error:
            self._close()
            raise cannot_open(devices, error) from error

    def _close(self) -> None:
        # Emptied first: an end that is wanted is no loss.
        streams, self._streams = self._streams, []
        close_streams(streams)
        self._wake()

    # PortAudio's thread runs what follows, up to `_wake`: copy bytes, leave.

    def _on_block(
        self, recorded: Any, played: Any, frames: int, time: Any, status: Any
    ) -> None:
        played[:] = self.speaker.render(len(played), time.outputBufferDacTime)
        self._on_input(recorded, frames, time, status)

    def _on_input(self, recorded: Any, frames: int, time: Any, status: Any) -> None:
        if status:
            self.glitches += 1
        if self.microphone.capture(bytes(recorded), time.inputBufferAdcTime):
            self._call_loop(self.microphone.wake)

    def _on_output(self, played: Any, frames: int, time: Any, status: Any) -> None:
        if status:
            self.glitches += 1
        played[:] = self.speaker.render(len(played), time.outputBufferDacTime)

    def _on_low(self) -> None:
        self._call_loop(self.speaker.wake)

    def _on_finished(self) -> None:
        if self._streams:
            self._call_loop(self._note_loss)

    def _call_loop(self, callback: Callable[[], None]) -> None:
        if self._loop is not None:
            # RuntimeError: the loop was closed without the card; nobody listens.
            with contextlib.suppress(RuntimeError):
                self._loop.call_soon_threadsafe(callback)

    def _note_loss(self) -> None:
        self._is_lost = True
        self._wake()

    def _wake(self) -> None:
        self.microphone.wake()
        self.speaker.wake()
