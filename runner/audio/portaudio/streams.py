"""PortAudio streams: opening them, their callbacks, and the thread that owns them."""

from __future__ import annotations

import asyncio
import atexit
import contextlib
import sys
import time as clocks
from collections.abc import Callable, Iterable, Mapping, Sequence
from concurrent.futures import Future
from dataclasses import dataclass, replace
from queue import SimpleQueue
from threading import Thread
from typing import Any, Protocol, TypeVar

import numpy as np

from runner.audio.pcm import to_pcm, to_samples
from runner.audio.portaudio.library import (
    WITHOUT_SOUND_CARD,
    DeviceName,
    Direction,
    KnownDevice,
    PortAudio,
    SoundDevice,
    Stream,
    find_device,
    load_portaudio,
    refresh,
)
from runner.errors import AudioError, AudioUnavailable, DeviceNotFound

# Seconds. ALSA's "low" was 20 ms: on a machine busy with a local model it underran 16
# times per second, each time with a click and a line on stderr. From 40 ms on that was
# rare, and 100 ms was no better.
_ALSA_LATENCY = 0.05
_DEVICE_UNAVAILABLE = -9985  # PortAudio's paDeviceUnavailable


@dataclass(frozen=True, slots=True)
class Callbacks:
    """Callbacks of the PortAudio thread; each only copies bytes."""

    duplex: Callable[..., None]
    input: Callable[..., None]
    output: Callable[..., None]
    finished: Callable[[], None]


def open_streams(
    library: PortAudio,
    devices: Sequence[SoundDevice],
    callbacks: Callbacks,
) -> tuple[list[Stream], list[SoundDevice]]:
    """Opens one duplex stream, or one for each device if that is not possible.

    Returns the streams, not yet started, and the devices with the chosen rates and
    channels.
    """
    # One stream has one clock, and macOS refuses two on one device; but two devices may
    # have no common rate, or belong to different host APIs.
    try:
        pair = _find_common_rate(library, devices) if _can_be_duplex(devices) else None
        if pair is not None:
            stream = library.RawStream(
                device=tuple(device.index for device in pair),
                channels=tuple(device.channels for device in pair),
                dtype=tuple(_sample_type(device) for device in pair),
                callback=callbacks.duplex,
                **_settings(pair[0], callbacks),
            )
            return [stream], pair
    except library.PortAudioError:
        pass  # opened separately, so that the error names the device at fault
    return _open_separately(library, devices, callbacks)


def _can_be_duplex(devices: Sequence[SoundDevice]) -> bool:
    # ALSA devices are mostly PulseAudio or PipeWire: microphone and speaker start up to
    # seconds apart, and PortAudio ends a duplex stream at the underrun that follows, at
    # any latency. Separate streams keep running.
    return len(devices) == 2 and all(device.host != "ALSA" for device in devices)


def _settings(device: SoundDevice, callbacks: Callbacks) -> dict[str, Any]:
    return {
        "samplerate": device.rate,
        # 10 ms: by default PortAudio calls back for single samples with ALSA.
        "blocksize": device.rate // 100,
        "latency": _ALSA_LATENCY if device.host == "ALSA" else "low",
        "finished_callback": callbacks.finished,
    }


def _open_separately(
    library: PortAudio,
    devices: Sequence[SoundDevice],
    callbacks: Callbacks,
) -> tuple[list[Stream], list[SoundDevice]]:
    streams: list[Stream] = []
    chosen: list[SoundDevice] = []
    for device in devices:
        fitting = _find_format(library, device, device.rate) or device
        is_input = device.direction == "input"
        make = library.RawInputStream if is_input else library.RawOutputStream
        try:
            stream = make(
                device=fitting.index,
                channels=fitting.channels,
                dtype=_sample_type(fitting),
                callback=callbacks.input if is_input else callbacks.output,
                **_settings(fitting, callbacks),
            )
        except library.PortAudioError as error:
            close_streams(streams)
            raise cannot_open([device], error) from error
        streams.append(stream)
        chosen.append(fitting)
    return streams, chosen


def close_streams(streams: Iterable[Stream]) -> None:
    """Closes streams immediately; audio in the device is not played."""
    for stream in streams:
        stream.close(ignore_errors=True)


def cannot_open(devices: Sequence[SoundDevice], error: Exception) -> AudioUnavailable:
    """Returns the error for a device that PortAudio could not open."""
    names = " and ".join(f"the {device}" for device in devices)
    is_busy = _DEVICE_UNAVAILABLE in error.args[1:2]
    reason = "it is busy or was unplugged" if is_busy else str(error)
    return AudioUnavailable(
        f"cannot open {names}: {reason}",
        hint="close other programs that use it, or choose another device; "
        f"{WITHOUT_SOUND_CARD}",
    )


def _find_common_rate(
    library: PortAudio, devices: Sequence[SoundDevice]
) -> list[SoundDevice] | None:
    """Returns both devices at a common rate, preferably the speaker's; None: none."""
    for rate in dict.fromkeys(device.rate for device in reversed(devices)):
        fitting = [_find_format(library, device, rate) for device in devices]
        pair = [device for device in fitting if device is not None]
        if len(pair) == len(devices):
            return pair
    return None


def _find_format(
    library: PortAudio, device: SoundDevice, rate: int
) -> SoundDevice | None:
    """Returns the device at this rate with the fewest channels that it accepts."""
    is_input = device.direction == "input"
    check = library.check_input_settings if is_input else library.check_output_settings
    for is_float in (False, True):
        for channels in sorted({1, min(2, device.channels), device.channels}):
            fitting = replace(device, rate=rate, channels=channels, is_float=is_float)
            try:
                check(
                    device=device.index,
                    channels=channels,
                    dtype=_sample_type(fitting),
                    samplerate=rate,
                )
            except library.PortAudioError:
                continue
            return fitting
    return None


def _sample_type(device: SoundDevice) -> str:
    return "float32" if device.is_float else "int16"


# Seconds. A block time farther from the clock of its stream is missing: MME reports
# none for recorded blocks, WDM-KS none at all (PortAudio's issues 135 and 531).
_MAX_CLOCK_OFFSET = 5.0


class CaptureSink(Protocol):
    """Receives recorded audio; in the PortAudio thread."""

    def capture(self, pcm: bytes, at: float) -> bool: ...


class PlaybackSource(Protocol):
    """Returns the audio to play; in the PortAudio thread."""

    def render(self, size: int, at: float) -> bytes: ...


class StreamSession:
    """The streams of a sound card between two openings of its devices.

    Until a direction is let through, recorded audio is discarded and silence is played.
    `blocks` counts the blocks of each direction in any case.
    """

    def __init__(
        self, sink: CaptureSink, source: PlaybackSource, wake: Callable[[], None]
    ) -> None:
        """`wake` is called in the PortAudio thread when there is audio to read."""
        self.devices: Mapping[Direction, SoundDevice] = {}
        self.blocks: dict[Direction, int] = {"input": 0, "output": 0}
        self.glitches = 0  # blocks with an overflow or underflow
        self.has_ended = False  # a stream stopped or was closed
        self.silence = SilenceDetector(1, 1)
        self._sides = sink, source, wake
        self._streams: dict[Direction, Stream] = {}
        self._let_through: frozenset[Direction] = frozenset()

    def fresh(self) -> StreamSession:
        """Returns an unopened session with the same sink, source and glitch count."""
        session = StreamSession(*self._sides)
        session.glitches = self.glitches
        return session

    def open(self, library: PortAudio, wanted: Sequence[SoundDevice]) -> None:
        """Opens and starts devices in addition to those that are open.

        Call it and `close` on the thread that owns PortAudio. Raises AudioUnavailable.
        """
        callbacks = Callbacks(
            duplex=self._on_block,
            input=self._on_input,
            output=self._on_output,
            finished=self._on_finished,
        )
        streams, devices = open_streams(library, wanted, callbacks)
        opened = {device.direction: device for device in devices}
        self.devices = {**self.devices, **opened}
        if device := opened.get("input"):
            self.silence = SilenceDetector(device.rate, device.channels)
        try:
            for stream in streams:
                stream.start()
        except library.PortAudioError as error:
            close_streams(streams)
            self._forget(opened)
            self.has_ended = False  # set by these streams, which are not in use yet
            raise cannot_open(devices, error) from error
        for number, device in enumerate(devices):
            self._streams[device.direction] = streams[number % len(streams)]

    def close(self) -> None:
        """Closes all streams; audio in the devices is not played."""
        streams = list(dict.fromkeys(self._streams.values()))
        self._streams = {}
        self.stop_audio()
        close_streams(streams)

    def latency(self, direction: Direction) -> float:
        """Returns the latency that the device reports, in seconds."""
        latency = self._streams[direction].latency
        if isinstance(latency, float):
            return latency
        return latency[0 if direction == "input" else 1]

    def start_audio(self, direction: Direction) -> None:
        """Lets audio pass in this direction from now on."""
        self._let_through |= {direction}

    def stop_audio(self) -> None:
        """Stops audio in both directions."""
        self._let_through = frozenset()

    @property
    def active(self) -> frozenset[Direction]:
        """The directions in which audio passes."""
        return self._let_through

    def _forget(self, sides: Mapping[Direction, SoundDevice]) -> None:
        kept = {side: it for side, it in self.devices.items() if side not in sides}
        self.devices = kept

    # The PortAudio thread runs the following methods, which only copy bytes.

    def _on_block(
        self, recorded: Any, played: Any, frames: int, time: Any, status: Any
    ) -> None:
        self._play(played, time)
        self._on_input(recorded, frames, time, status)

    def _on_input(self, recorded: Any, frames: int, time: Any, status: Any) -> None:
        self._count("input", status)
        if "input" not in self._let_through:
            return
        pcm = bytes(recorded)
        if self.devices["input"].is_float:
            pcm = to_pcm(np.frombuffer(pcm, np.float32))
        self.silence.feed(pcm)
        sink, _, wake = self._sides
        seconds = frames / self.devices["input"].rate
        if sink.capture(pcm, _block_time(time.inputBufferAdcTime, time, -seconds)):
            wake()

    def _on_output(self, played: Any, frames: int, time: Any, status: Any) -> None:
        if status:
            self.glitches += 1
        self._play(played, time)

    def _play(self, played: Any, time: Any) -> None:
        self.blocks["output"] += 1
        if "output" not in self._let_through:
            played[:] = bytes(len(played))
            return
        at = _block_time(time.outputBufferDacTime, time, 0.0)
        if self.devices["output"].is_float:
            pcm = self._sides[1].render(len(played) // 2, at)
            played[:] = to_samples(pcm).tobytes()
        else:
            played[:] = self._sides[1].render(len(played), at)

    def _count(self, direction: Direction, status: Any) -> None:
        self.blocks[direction] += 1
        if status:
            self.glitches += 1

    def _on_finished(self) -> None:
        self.has_ended = True


def _block_time(at: float, time: Any, otherwise: float) -> float:
    """Returns the time of a block if it was reported, else now plus `otherwise`."""
    # On Windows, where the time may be missing, PortAudio's clock is `perf_counter`.
    now: float = time.currentTime or clocks.perf_counter()
    return at if abs(at - now) < _MAX_CLOCK_OFFSET else now + otherwise


class PortAudioSession:
    """Opens and reopens the devices of a sound card; on the thread that owns PortAudio.

    Use one at a time: PortAudio is global to the process, so refreshing the devices
    ends the streams of every other session.
    """

    def __init__(
        self,
        requested: Mapping[Direction, DeviceName],
        library: PortAudio | None = None,
    ) -> None:
        self.requested = dict(requested)
        self._library = library
        self._streams: StreamSession | None = None

    def open(self, streams: StreamSession) -> None:
        """Opens the requested devices; raises AudioUnavailable, DeviceNotFound.

        `reopen` finds the same devices even if their indices change, or the then
        current default device if the default was requested.
        """
        library = self._load()
        found = [self._find(library, side) for side in self.requested]
        streams.open(library, found)
        self._streams = streams
        for device in found:
            if isinstance(self.requested[device.direction], int | str):
                self.requested[device.direction] = device.known

    def reopen(self, streams: StreamSession) -> None:
        """Closes the streams, refreshes the devices and opens the available ones.

        For each direction the same device, else the default, else none.
        """
        self.close()
        self._streams = streams
        library = self._load()
        try:
            refresh(library)
        except library.PortAudioError:
            return  # the sound system is not available at the moment
        devices = []
        for side in self.requested:
            with contextlib.suppress(AudioError):
                devices.append(self._find(library, side))
        try:
            streams.open(library, devices)
        except AudioError:  # one or all failed: each is tried separately
            for device in devices:
                self._open_alone(library, streams, device)

    def close(self) -> None:
        """Closes the streams, if they are open."""
        streams, self._streams = self._streams, None
        if streams is not None:
            streams.close()

    def abandon(self) -> None:
        """Prevents a device that hangs from delaying the exit of the process."""
        if self._library is not None:
            atexit.unregister(self._library._exit_handler)

    def _load(self) -> PortAudio:
        if self._library is None:
            self._library = load_portaudio()
        return self._library

    def _find(self, library: PortAudio, side: Direction) -> SoundDevice:
        name = self.requested[side]
        try:
            return find_device(library, name, side)
        except DeviceNotFound:
            if not isinstance(name, KnownDevice):
                raise
            return find_device(library, None, side)

    def _open_alone(
        self, library: PortAudio, streams: StreamSession, device: SoundDevice
    ) -> None:
        with contextlib.suppress(AudioError):
            streams.open(library, [device])
            return
        with contextlib.suppress(AudioError):
            default = find_device(library, None, device.direction)
            if default.index != device.index:
                streams.open(library, [default])


_T = TypeVar("_T")
_Job = Callable[[], None]


class Worker(Protocol):
    """Runs PortAudio functions; tests pass one that runs them immediately."""

    async def run(self, work: Callable[[], _T]) -> _T: ...

    def stop(self, last: Callable[[], None] | None = None) -> None: ...


class AudioWorker:
    """Runs jobs one after another on the thread that owns PortAudio.

    The thread starts with the first job.
    """

    # PortAudio is not thread-safe, and on Windows its objects belong to the thread that
    # first used them (COM). A separate thread, because opening a device takes about
    # 10 ms, listing devices up to half a second, and a call to a hanging sound server
    # half a minute. A daemon, so that a device that hangs does not prevent the exit.

    def __init__(self) -> None:
        self._jobs: SimpleQueue[_Job | None] = SimpleQueue()
        self._thread: Thread | None = None

    async def run(self, work: Callable[[], _T]) -> _T:
        """Returns the result of `work`, or raises its exception.

        Cancelling does not stop the work; the next job waits for its end.
        """
        if self._thread is None:
            self._thread = Thread(target=self._serve, name="portaudio", daemon=True)
            self._thread.start()
        outcome: Future[_T] = Future()

        def job() -> None:
            # Run even if it was cancelled, because later jobs depend on it.
            is_awaited = outcome.set_running_or_notify_cancel()
            try:
                result = work()
            except BaseException as error:  # raised where the job is awaited
                if is_awaited:
                    outcome.set_exception(error)
            else:
                if is_awaited:
                    outcome.set_result(result)

        self._jobs.put(job)
        return await asyncio.wrap_future(outcome)

    def stop(self, last: Callable[[], None] | None = None) -> None:
        """Ends the thread after all queued jobs and `last`."""
        if self._thread is not None:
            if last is not None:
                self._jobs.put(last)
            self._jobs.put(None)
            self._thread = None

    def _serve(self) -> None:
        _enter_com()
        while (job := self._jobs.get()) is not None:
            job()


def _enter_com() -> None:
    """Enables COM on this thread, in case another thread loaded PortAudio."""
    if sys.platform == "win32":
        import ctypes

        ctypes.windll.ole32.CoInitializeEx(None, 0)  # 0: no window, so multithreaded


# Long enough for a device to start, short enough that a caller still waits.
SILENCE_SECONDS = 5.0

_ADVICE = {
    "darwin": "allow the terminal to use it in System Settings > Privacy & Security > "
    "Microphone",
    "win32": "allow desktop apps to use it in Settings > Privacy & security > "
    "Microphone",
}
_OTHER_ADVICE = "unmute it in the mixer (pavucontrol, alsamixer)"


class SilenceDetector:
    """Detects a microphone that delivers only digital silence from its start.

    That means no permission, muted, or the wrong device: a working microphone has
    noise. Fed in the thread of the device.
    """

    # Once there was any audio, feeding costs nothing: silence that begins later may be
    # an intentional mute.

    def __init__(self, rate: int, channels: int) -> None:
        self._frame_bytes = 2 * channels
        self._bytes_left = round(SILENCE_SECONDS * rate) * self._frame_bytes
        self._has_audio = False
        self._constant_frame: bytes | None = None  # the frame that is repeated

    def feed(self, pcm: bytes) -> None:
        """Adds a block of interleaved PCM16."""
        if self._has_audio or self._bytes_left <= 0 or not pcm:
            return
        frame = pcm[: self._frame_bytes]
        if self._constant_frame is None:
            self._constant_frame = frame
        # A constant is silence too: some devices have an offset.
        if pcm != self._constant_frame * (len(pcm) // self._frame_bytes):
            self._has_audio = True
        self._bytes_left -= len(pcm)

    @property
    def is_silent(self) -> bool:
        """True after 5 s of audio that was all silence."""
        return self._bytes_left <= 0 and not self._has_audio


def describe_silence(name: str, system: str = sys.platform) -> str:
    """Returns a message about a silent microphone, with a hint for the system."""
    advice = _ADVICE.get(system, _OTHER_ADVICE)
    return (
        f"the microphone '{name}' has delivered only silence for "
        f"{SILENCE_SECONDS:g} s: {advice}, or choose another with --input-device "
        "(`vagent devices` lists them)"
    )
