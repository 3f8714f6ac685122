"""Opens PortAudio streams on devices that were found: one for both, or one each."""

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

# Seconds. What ALSA calls low came to 20 ms: on a machine that is busy thinking of an
# answer it underran 16 times a second, each time with a click and a line on stderr.
# From 40 ms on that became rare, and 100 ms was no better.
_ALSA_LATENCY = 0.05
_DEVICE_UNAVAILABLE = -9985  # PortAudio's paDeviceUnavailable


@dataclass(frozen=True, slots=True)
class Callbacks:
    """What PortAudio's thread calls; each copies bytes and leaves."""

    duplex: Callable[..., None]
    input: Callable[..., None]
    output: Callable[..., None]
    finished: Callable[[], None]


def open_streams(
    library: PortAudio,
    devices: Sequence[SoundDevice],
    callbacks: Callbacks,
) -> tuple[list[Stream], list[SoundDevice]]:
    """Open one duplex stream, or one for each device where that is no good.

    Returns the streams, not yet started, and the devices with the rates and channels
    that were chosen. One stream has one clock, and macOS refuses two on one device;
    but two devices may have no rate in common or belong to different host APIs.
    """
    try:
        pair = _agree(library, devices) if _can_be_one(devices) else None
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
        pass  # not together, then: if one is at fault, opening it alone says which
    return _open_apart(library, devices, callbacks)


def _can_be_one(devices: Sequence[SoundDevice]) -> bool:
    # ALSA's devices are mostly PulseAudio or PipeWire in disguise: microphone and
    # speaker start up to seconds apart, and PortAudio gives a duplex stream up at the
    # underrun that follows, whatever its latency. One stream each runs for ever.
    return len(devices) == 2 and all(device.host != "ALSA" for device in devices)


def _settings(device: SoundDevice, callbacks: Callbacks) -> dict[str, Any]:
    return {
        "samplerate": device.rate,
        # 10 ms: left to itself, PortAudio calls back for single samples with ALSA.
        "blocksize": device.rate // 100,
        "latency": _ALSA_LATENCY if device.host == "ALSA" else "low",
        "finished_callback": callbacks.finished,
    }


def _open_apart(
    library: PortAudio,
    devices: Sequence[SoundDevice],
    callbacks: Callbacks,
) -> tuple[list[Stream], list[SoundDevice]]:
    streams: list[Stream] = []
    chosen: list[SoundDevice] = []
    for device in devices:
        fitting = _fit(library, device, device.rate) or device
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
    """Close at once; what the device still holds is not played."""
    for stream in streams:
        stream.close(ignore_errors=True)


def cannot_open(devices: Sequence[SoundDevice], error: Exception) -> AudioUnavailable:
    """Turn PortAudio's refusal into a sentence."""
    names = " and ".join(f"the {device}" for device in devices)
    is_busy = _DEVICE_UNAVAILABLE in error.args[1:2]
    reason = "it is busy or was unplugged" if is_busy else str(error)
    return AudioUnavailable(
        f"cannot open {names}: {reason}",
        hint=f"close what else may use it, or choose another; {WITHOUT_SOUND_CARD}",
    )


def _agree(
    library: PortAudio, devices: Sequence[SoundDevice]
) -> list[SoundDevice] | None:
    """Find a rate that both devices take: the speaker's own first, it is heard."""
    for rate in dict.fromkeys(device.rate for device in reversed(devices)):
        fitting = [_fit(library, device, rate) for device in devices]
        pair = [device for device in fitting if device is not None]
        if len(pair) == len(devices):
            return pair
    return None


def _fit(library: PortAudio, device: SoundDevice, rate: int) -> SoundDevice | None:
    """Return the device at this rate with the fewest channels that it takes."""
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


# One opening of the sound card: streams from their start to their end or their loss.
#
# PortAudio's thread copies bytes to and from two buffers and leaves.


# Seconds. No device is so far from its stream's clock: such a time was not told. MME
# tells none of what it recorded, WDM-KS none at all (PortAudio's issues 135 and 531).
_FARTHEST = 5.0


class CaptureSink(Protocol):
    """Takes what a microphone records; in PortAudio's thread."""

    def capture(self, pcm: bytes, at: float) -> bool: ...


class PlaybackSource(Protocol):
    """Gives what a speaker plays; in PortAudio's thread."""

    def render(self, size: int, at: float) -> bytes: ...


class StreamSession:
    """The streams that were opened at one time; made, opened and closed by the card.

    Sound passes a side once it was let through: until then what is recorded is
    forgotten, and silence is played. `blocks` counts what came and went all the same.
    """

    def __init__(
        self, ear: CaptureSink, mouth: PlaybackSource, wake: Callable[[], None]
    ) -> None:
        """`wake` is called in PortAudio's thread when there is something to read."""
        self.devices: Mapping[Direction, SoundDevice] = {}
        self.blocks: dict[Direction, int] = {"input": 0, "output": 0}
        self.glitches = 0  # blocks with which PortAudio reported lost or missing sound
        self.has_ended = False  # a stream stopped, by itself or because it was closed
        self.quiet = SilenceDetector(1, 1)
        self._sides = ear, mouth, wake
        self._streams: dict[Direction, Stream] = {}
        self._let_through: frozenset[Direction] = frozenset()

    def again(self) -> StreamSession:
        """Return one that is not open yet, between the same ends, counting on."""
        fresh = StreamSession(*self._sides)
        fresh.glitches = self.glitches
        return fresh

    def open(self, library: PortAudio, wanted: Sequence[SoundDevice]) -> None:
        """Open and start the devices, besides those that are open; raises if refused.

        To be called where PortAudio is at home, like `close`.
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
            self.quiet = SilenceDetector(device.rate, device.channels)
        try:
            for stream in streams:
                stream.start()
        except library.PortAudioError as error:
            close_streams(streams)
            self._forget(opened)
            self.has_ended = False  # that was these, and nobody relied on them yet
            raise cannot_open(devices, error) from error
        for number, device in enumerate(devices):
            self._streams[device.direction] = streams[number % len(streams)]

    def close(self) -> None:
        """Close all; what the devices still hold is not played."""
        streams = list(dict.fromkeys(self._streams.values()))
        self._streams = {}
        self.shut()
        close_streams(streams)

    def latency(self, direction: Direction) -> float:
        """Return the device's own delay on this side, in seconds, as it says."""
        latency = self._streams[direction].latency
        if isinstance(latency, float):
            return latency
        return latency[0 if direction == "input" else 1]

    def let_through(self, direction: Direction) -> None:
        """Let sound pass this side from now on."""
        self._let_through |= {direction}

    def shut(self) -> None:
        """Let no sound pass any more."""
        self._let_through = frozenset()

    @property
    def is_through(self) -> frozenset[Direction]:
        """The sides that sound passes."""
        return self._let_through

    def _forget(self, sides: Mapping[Direction, SoundDevice]) -> None:
        kept = {side: it for side, it in self.devices.items() if side not in sides}
        self.devices = kept

    # PortAudio's thread runs what follows: copy bytes, leave.

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
        self.quiet.feed(pcm)
        ear, _, wake = self._sides
        seconds = frames / self.devices["input"].rate
        if ear.capture(pcm, _told(time.inputBufferAdcTime, time, -seconds)):
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
        at = _told(time.outputBufferDacTime, time, 0.0)
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


def _told(at: float, time: Any, otherwise: float) -> float:
    """Return a block's time if it was told, else one that far from now.

    On Windows, where it may not be told, PortAudio's clock is `perf_counter`.
    """
    now: float = time.currentTime or clocks.perf_counter()
    return at if abs(at - now) < _FARTHEST else now + otherwise


# PortAudio's end of a sound card: which devices are opened, first and again.
#
# All of it runs on the thread to which PortAudio belongs.


class PortAudioSession:
    """Holds the one opening there is at a time; the sound card's own.

    PortAudio is one for the process: two benches at a time would take each other's
    streams away when one of them looks for devices again.
    """

    def __init__(
        self, wishes: Mapping[Direction, DeviceName], library: PortAudio | None = None
    ) -> None:
        self.wishes = dict(wishes)
        self._library = library
        self._opening: StreamSession | None = None

    def open(self, opening: StreamSession) -> None:
        """Open what is wished for; raises AudioUnavailable, DeviceNotFound.

        From then on the same devices are meant, whatever their numbers become; who
        wished for the default gets what is the default then.
        """
        library = self._load()
        found = [self._find(library, side) for side in self.wishes]
        opening.open(library, found)
        self._opening = opening
        for device in found:
            if isinstance(self.wishes[device.direction], int | str):
                self.wishes[device.direction] = device.known

    def reopen(self, opening: StreamSession) -> None:
        """Close what is open, look for devices again, open what can be had of them.

        For each side the same device, else the default, else none: the opening says.
        """
        self.close()
        self._opening = opening
        library = self._load()
        try:
            refresh(library)
        except library.PortAudioError:
            return  # the sound system is not there just now
        devices = []
        for side in self.wishes:
            with contextlib.suppress(AudioError):
                devices.append(self._find(library, side))
        try:
            opening.open(library, devices)
        except AudioError:  # one of them is at fault, or all: each by itself
            for device in devices:
                self._open_alone(library, opening, device)

    def close(self) -> None:
        """Close what is open, if anything is."""
        opening, self._opening = self._opening, None
        if opening is not None:
            opening.close()

    def abandon(self) -> None:
        """Keep a device that hangs from holding up the end of the process, too."""
        if self._library is not None:
            atexit.unregister(self._library._exit_handler)

    def _load(self) -> PortAudio:
        if self._library is None:
            self._library = load_portaudio()
        return self._library

    def _find(self, library: PortAudio, side: Direction) -> SoundDevice:
        wish = self.wishes[side]
        try:
            return find_device(library, wish, side)
        except DeviceNotFound:
            if not isinstance(wish, KnownDevice):
                raise
            return find_device(library, None, side)

    def _open_alone(
        self, library: PortAudio, opening: StreamSession, device: SoundDevice
    ) -> None:
        with contextlib.suppress(AudioError):
            opening.open(library, [device])
            return
        with contextlib.suppress(AudioError):
            default = find_device(library, None, device.direction)
            if default.index != device.index:
                opening.open(library, [default])


# The thread to which PortAudio belongs.
#
# The library is not made for several threads, and on Windows what it holds belongs to
# the one that first used it (COM). Away from the loop, because opening takes some 10
# ms, a look at what is plugged in up to half a second, and a call to a sound server
# that hangs half a minute: a conversation goes on meanwhile.


_T = TypeVar("_T")
_Job = Callable[[], None]


class Worker(Protocol):
    """Does PortAudio's work somewhere; tests give one that does it at once."""

    async def run(self, work: Callable[[], _T]) -> _T: ...

    def stop(self, last: Callable[[], None] | None = None) -> None: ...


class AudioWorker:
    """Does what it is given, one after another; made by whoever opens a sound card.

    The thread begins with the first job. It is a daemon: a device that hangs keeps
    nobody from leaving.
    """

    def __init__(self) -> None:
        self._jobs: SimpleQueue[_Job | None] = SimpleQueue()
        self._thread: Thread | None = None

    async def run(self, work: Callable[[], _T]) -> _T:
        """Return what `work` returns, or raise what it raises.

        Giving up the wait does not stop the work: what is asked next waits for its end.
        """
        if self._thread is None:
            self._thread = Thread(target=self._serve, name="portaudio", daemon=True)
            self._thread.start()
        outcome: Future[_T] = Future()

        def job() -> None:
            # Nobody waits any more: done all the same, since later jobs build on it.
            is_awaited = outcome.set_running_or_notify_cancel()
            try:
                result = work()
            except (
                BaseException
            ) as error:  # whatever it is, the awaiting side raises it
                if is_awaited:
                    outcome.set_exception(error)
            else:
                if is_awaited:
                    outcome.set_result(result)

        self._jobs.put(job)
        return await asyncio.wrap_future(outcome)

    def stop(self, last: Callable[[], None] | None = None) -> None:
        """Let the thread end once all that it was given is done, `last` at the end."""
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
    """Let this thread use Windows' sound system, if another one loaded PortAudio."""
    if sys.platform == "win32":
        import ctypes

        ctypes.windll.ole32.CoInitializeEx(None, 0)  # 0: no window, so multithreaded


# A microphone that gives nothing: no permission, muted, or the wrong one.
#
# A real one has noise; digital silence means that somebody withholds the sound.


# Long enough that a device has woken, short enough that nobody has given up yet.
PATIENCE_SECONDS = 5.0

_REASONS = {
    "darwin": "allow the terminal to use it in System Settings > Privacy & Security > "
    "Microphone",
    "win32": "allow desktop apps to use it in Settings > Privacy & security > "
    "Microphone",
}
_OTHER_REASON = "is it muted in the sound settings (pavucontrol, alsamixer)?"


class SilenceDetector:
    """Finds out whether a microphone gave nothing but digital silence from its start.

    Fed in the device's thread. Once there was any sound it costs nothing more: who
    falls silent later may have muted the microphone on purpose.
    """

    def __init__(self, rate: int, channels: int) -> None:
        self._frame_bytes = 2 * channels
        self._left = round(PATIENCE_SECONDS * rate) * self._frame_bytes
        self._has_sound = False
        self._still: bytes | None = None  # the frame that is repeated

    def feed(self, pcm: bytes) -> None:
        """Take in a block of interleaved PCM16."""
        if self._has_sound or self._left <= 0 or not pcm:
            return
        frame = pcm[: self._frame_bytes]
        if self._still is None:
            self._still = frame
        # A constant is silence, too: some devices have an offset.
        if pcm != self._still * (len(pcm) // self._frame_bytes):
            self._has_sound = True
        self._left -= len(pcm)

    @property
    def is_silent(self) -> bool:
        """True once there were 5 s of sound, all of it silence."""
        return self._left <= 0 and not self._has_sound


def describe_silence(name: str, system: str = sys.platform) -> str:
    """Say that a microphone gives nothing, and what to do about it here."""
    reason = _REASONS.get(system, _OTHER_REASON)
    return (
        f"the microphone '{name}' has given nothing but silence for "
        f"{PATIENCE_SECONDS:g} s: {reason}; or choose another with --input-device "
        "(vagent devices lists them)"
    )
