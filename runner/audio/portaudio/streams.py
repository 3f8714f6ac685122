"""Opens PortAudio streams on devices that were found: one for both, or one each."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Any

from runner.audio.portaudio.library import (
    WITHOUT_SOUND_CARD,
    PortAudio,
    SoundDevice,
    Stream,
)
from runner.errors import AudioUnavailable

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
