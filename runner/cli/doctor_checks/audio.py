"""Checks PortAudio, the devices, and the echo from the speaker to the microphone.

The loopback test plays tones, records the microphone and finds the tones in the
recording. Times are in seconds, levels in dB, those of signals relative to full scale.
"""

from __future__ import annotations

import os
import sys
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from runner.audio.devices import SAMPLE_BYTES
from runner.audio.echo import AudioProcessor, EchoCanceller
from runner.audio.pcm import (
    Samples,
    mix_to_mono,
    spread,
    to_pcm,
    to_samples,
)
from runner.audio.portaudio.library import (
    NOUNS,
    WITHOUT_SOUND_CARD,
    Direction,
    PortAudio,
    SoundDevice,
    find_device,
    load_portaudio,
)
from runner.audio.portaudio.probe import BLOCK_SECONDS, try_device
from runner.audio.portaudio.streams import StreamSession
from runner.audio.resampler import resample_pcm
from runner.cli.doctor_checks.model import (
    CheckResult,
    DoctorOptions,
    Platform,
    failed,
    passed,
    skipped,
    this_platform,
)
from runner.errors import AudioError, AudioUnavailable, DeviceNotFound, counted

_LIST = "vagent devices"
# The reduction in dB that passes. A choice: in simulated rooms cancellers that work
# reach 20 and more, those with wrong times less than 3.
_MIN_REDUCTION_DB = 15.0
_MAX_ABOVE_NOISE_DB = 6.0  # an echo below this needs no cancellation
_MAX_ROUND_TRIP_SECONDS = 0.4  # a choice: above it, talking is like over a satellite
_UNMEASURED = skipped("echo", "the echo of the agent: not measured")

RATE = 24_000  # of the analysis, in Hz
SECONDS = 2.0  # of the tones
# Modest: 20 dB below full scale, at any volume of the speaker.
_AMPLITUDE = 0.1
_FADE_SECONDS = 0.02
# Eight sweeps up and down, all different: together they mark a moment, and excite every
# frequency repeatedly, so that a canceller converges within the two seconds. It does
# not converge on a single long sweep, and noise is unpleasant to listen to.
_SWEEPS = tuple((150.0 + 40 * number, 4_000.0 + 300 * number) for number in range(8))
# The factor by which the match of the tones exceeds the RMS of all matches. In 1000
# tries with noise alone, white or pink, it was never above 5.6; in 100 tries with tones
# 25 dB below white noise never below 10.2.
_MIN_MATCH = 8.0
_SILENCE_DB = -120.0  # the level of digital silence
_OVERDRIVEN = 0.99  # of full scale
# Blocks of 10 ms, and how many of them a device receives before they are audible.
_BLOCK = RATE // 100
_BLOCKS_AHEAD = 10
# Silence before the tones, in which devices start and the noise is measured; and after
# them, in which a slow path (Bluetooth) returns them.
_LEAD_SECONDS, _TAIL_SECONDS = 0.6, 0.9
_MAX_SECONDS = 8.0  # for the whole recording of 3.5 s


# ---------------------------------------------------------------------------- devices


def check_portaudio(options: DoctorOptions) -> Iterator[CheckResult]:
    """Loads PortAudio and lists the devices."""
    try:
        found = load_portaudio().query_devices()
    except AudioUnavailable as error:
        fix = (error.hint or "").removesuffix(f"; {WITHOUT_SOUND_CARD}")
        yield _absent("portaudio", error.message, fix, options)
    else:
        yield passed("portaudio", f"loads, and finds {counted(len(found), 'device')}")


def check_microphone(options: DoctorOptions) -> Iterator[CheckResult]:
    """Opens the microphone for a moment."""
    yield _check_device("input", options.input_device, options)


def check_speaker(options: DoctorOptions) -> Iterator[CheckResult]:
    """Opens the speaker for a moment."""
    yield _check_device("output", options.output_device, options)


def judge_device(
    library: PortAudio,
    wanted: str | None,
    direction: Direction,
    absent: Callable[[str, str], CheckResult],
    seconds: float = BLOCK_SECONDS,
) -> CheckResult:
    """Opens a device until its first block of audio, for `seconds` at most.

    `absent` returns the result without a device, from the name of the check and
    the detail.
    """
    name = NOUNS[direction]
    try:
        device = find_device(library, wanted, direction)
    except DeviceNotFound as error:
        return failed(name, f"{error.message} ({error.hint})", _LIST)
    except AudioUnavailable as error:
        return absent(name, error.message)
    if reason := try_device(library, direction, device.index, seconds):
        return failed(name, f"'{device.name}': {reason}", _LIST)
    count = device.channels
    channels = "mono" if count == 1 else f"{count} channels"
    audio = f"{device.host}, {device.rate:,} Hz, {channels}"
    return passed(name, f"'{device.name}' works ({audio})")


def connect_device(platform: Platform, has_server: bool) -> str:
    """Returns the fix for a machine without a device that PortAudio can find."""
    plugin = platform.command("reach sound server") if has_server else None
    return plugin or "connect one, or use text: vagent run AGENT --text"


def _check_device(
    direction: Direction, wanted: str | None, options: DoctorOptions
) -> CheckResult:
    def absent(name: str, detail: str) -> CheckResult:
        fix = connect_device(this_platform(), _has_sound_server())
        return _absent(name, detail, fix, options)

    try:
        library = load_portaudio()
    except AudioUnavailable:
        return skipped(NOUNS[direction], "it needs PortAudio")
    return judge_device(library, wanted, direction, absent)


def _absent(name: str, detail: str, fix: str, options: DoctorOptions) -> CheckResult:
    if options.audio:
        return failed(name, detail, fix)
    return skipped(name, f"{detail}; calls with text or audio files need none")


def _has_sound_server() -> bool:
    """Returns True if PulseAudio or its replacement by PipeWire is running."""
    if not sys.platform.startswith("linux"):
        return False
    runtime = os.environ.get("XDG_RUNTIME_DIR", "")
    is_named = bool(os.environ.get("PULSE_SERVER"))
    return is_named or Path(runtime, "pulse", "native").exists()


# ------------------------------------------------------------------------------- echo


def check_loop(options: DoctorOptions) -> Iterator[CheckResult]:
    """Plays two seconds of tones and records them with the microphone."""
    recording = _record(options)
    if isinstance(recording, LoopbackRecording):
        yield from judge_loopback(recording, this_platform(), _canceller())
    else:
        yield recording
        yield _UNMEASURED


def _record(options: DoctorOptions) -> LoopbackRecording | CheckResult:
    """Returns the recording, or the result if none can be made."""
    if not options.audio:
        return skipped("loop", "no tones were played: --no-audio")
    try:
        library = load_portaudio()
        devices = [
            find_device(library, options.input_device, "input"),
            find_device(library, options.output_device, "output"),
        ]
    except AudioError:
        return skipped("loop", "it needs a microphone and a speaker")
    try:
        return record_loopback(library, devices)
    except AudioError as error:
        return failed("loop", error.message, error.hint)


def judge_loopback(
    recording: LoopbackRecording, platform: Platform, canceller: AudioProcessor | None
) -> Iterator[CheckResult]:
    """Yields the results for the round trip and for a canceller, if there is one."""
    found = find_tones(recording.samples)
    if is_digital_silence(recording.samples):
        detail = "the microphone gives digital silence: muted, or not allowed"
        yield failed("loop", detail, platform.command("unmute microphone"))
        yield _UNMEASURED
    elif found is None:
        detail = "the tones did not come back, as with headphones; otherwise "
        detail += "the volume is too low, or this is another microphone"
        yield skipped("loop", detail, _LIST)
        yield _UNMEASURED
    else:
        yield _judge_round_trip(recording, found)
        yield _judge_echo(recording, found, platform, canceller)


def _judge_round_trip(
    recording: LoopbackRecording, found: ToneMeasurement
) -> CheckResult:
    seconds = found.at - recording.handed_at
    detail = (
        f"heard at {found.level:.0f} dBFS, the room at {found.noise:.0f} dBFS; "
        f"round trip {seconds * 1000:.0f} ms"
    )
    if recording.glitches:
        detail += f"; {recording.glitches} blocks were lost or late"
    if found.is_overdriven:
        return failed("loop", f"{detail}; overdriven", "lower the microphone's gain")
    if seconds > _MAX_ROUND_TRIP_SECONDS:
        fix = f"use wired devices: {_LIST}"
        return failed("loop", f"{detail}: as slow as Bluetooth", fix)
    return passed("loop", detail)


def _judge_echo(
    recording: LoopbackRecording,
    found: ToneMeasurement,
    platform: Platform,
    canceller: AudioProcessor | None,
) -> CheckResult:
    echo = f"{round(found.echo_path):+d} dB comes back"
    if canceller is None:
        fix = platform.install_extra("echo")
        return skipped("echo", f"{echo}; no cancellation", fix)
    played_at = recording.audible_at
    reduction = echo_reduction(recording.samples, found, played_at, canceller)
    detail = f"{echo}; cancellation removes {reduction:.0f} dB"
    is_low = found.level - reduction <= found.noise + _MAX_ABOVE_NOISE_DB
    if reduction >= _MIN_REDUCTION_DB or is_low:
        return passed("echo", detail)
    fix = "use headphones, or vagent run AGENT --echo half-duplex"
    return failed("echo", f"{detail}: too little", fix)


def _canceller() -> AudioProcessor | None:
    try:
        return EchoCanceller()
    except AudioUnavailable:
        return None


# -------------------------------------------------------------------------- recording


@dataclass(frozen=True, slots=True)
class LoopbackRecording:
    """The audio of the microphone, mono at `RATE`; times are from its beginning.

    The round trip of tones that are found `at` is `at - handed_at`.
    """

    samples: Samples
    handed_at: float  # when PortAudio got the tones, by the clock of this machine
    audible_at: float  # when the speaker played them, by the times of the stream
    glitches: int  # blocks for which PortAudio reported lost or missing audio


def record_loopback(
    library: PortAudio,
    devices: Sequence[SoundDevice],
    now: Callable[[], float] = time.monotonic,
    *,
    seconds: float = _MAX_SECONDS,
) -> LoopbackRecording:
    """Plays the tones on the second device and records the first, the microphone.

    Raises:
        AudioUnavailable: the devices cannot be opened, or the recording is not complete
            after `seconds`.
    """
    recorder = _LoopbackRecorder(now)
    streams = StreamSession(recorder, recorder, recorder.is_full.set)
    streams.open(library, devices)
    try:
        recorder.prepare(streams.devices["input"], streams.devices["output"])
        for side in streams.devices:
            streams.start_audio(side)
        if not recorder.is_full.wait(seconds):
            moved = "some audio, then none" if recorder.recorded else "no audio at all"
            raise AudioUnavailable(
                f"the {devices[0]} opened and gave {moved}",
                hint="choose another device: vagent devices",
            )
    finally:
        streams.close()
    return recorder.recording(streams.glitches)


_Times: TypeAlias = list[tuple[float, float]]


class _LoopbackRecorder:
    """The source of the speaker and the sink of the microphone, block by block.

    The callbacks run on PortAudio's thread: they copy bytes and note the time.
    """

    def __init__(self, now: Callable[[], float]) -> None:
        self.is_full = threading.Event()
        self.recorded = bytearray()
        self._now = now
        self._played_bytes = 0
        self._tones = b""
        self._devices: tuple[SoundDevice, SoundDevice] | None = None
        # Of both sides, for each block: when the first sample of the stream was passed
        # to or from PortAudio, and when it was audible. The blocks agree up to the
        # delays of threads. A block is passed as a whole, when the callback runs.
        self._starts: tuple[_Times, _Times] = ([], [])

    def prepare(self, microphone: SoundDevice, speaker: SoundDevice) -> None:
        """Makes the tones in the format of the speaker, before the streams run."""
        self._devices = microphone, speaker
        lead = np.zeros(round(_LEAD_SECONDS * speaker.rate), np.float32)
        pcm = to_pcm(np.concatenate([lead, tones(speaker.rate)]))
        self._tones = spread(pcm, speaker.channels)

    def render(self, size: int, at: float) -> bytes:
        """Returns the next bytes to play, and silence after the last."""
        piece = self._tones[self._played_bytes : self._played_bytes + size]
        before = self._seconds(1, self._played_bytes)
        self._starts[1].append((self._now() - before, at - before))
        self._played_bytes += size
        return piece + bytes(size - len(piece))

    def capture(self, pcm: bytes, at: float) -> bool:
        """Adds a recorded block; returns True once the recording is complete."""
        if not self.is_full.is_set():
            before = self._seconds(0, len(self.recorded))
            self.recorded += pcm
            self._starts[0].append((self._now() - before, at - before))
        total = _LEAD_SECONDS + SECONDS + _TAIL_SECONDS
        return self._seconds(0, len(self.recorded)) >= total

    def recording(self, glitches: int) -> LoopbackRecording:
        """Returns the complete recording."""
        assert self._devices is not None
        microphone = self._devices[0]
        mono = mix_to_mono(to_samples(bytes(self.recorded)), microphone.channels)
        samples = to_samples(resample_pcm(to_pcm(mono), microphone.rate, RATE))
        (taken, recorded), (handed, audible) = (_medians(each) for each in self._starts)
        lead = _LEAD_SECONDS
        return LoopbackRecording(
            samples, handed + lead - taken, audible + lead - recorded, glitches
        )

    def _seconds(self, side: int, size: int) -> float:
        assert self._devices is not None
        device = self._devices[side]
        return size / (SAMPLE_BYTES * device.channels * device.rate)


def _medians(times: _Times) -> tuple[float, float]:
    return median(each for each, _ in times), median(each for _, each in times)


# --------------------------------------------------------------------------- analysis


@dataclass(frozen=True, slots=True)
class ToneMeasurement:
    """The tones as found in a recording; `at` is where they begin."""

    at: float
    level: float
    noise: float  # the level of the room before the tones
    echo_path: float  # the level relative to what was played
    is_overdriven: bool


def tones(rate: int) -> Samples:
    """Returns the two seconds of tones at a rate in Hz."""
    parts = [
        _sweep(low, high, rate)[:: -1 if number % 2 else 1]
        for number, (low, high) in enumerate(_SWEEPS)
    ]
    sweeps = np.concatenate(parts)
    ramp = np.minimum(1.0, np.arange(len(sweeps)) / (_FADE_SECONDS * rate))
    shaped: Samples = (_AMPLITUDE * sweeps * ramp * ramp[::-1]).astype(np.float32)
    return shaped


def find_tones(recorded: Samples) -> ToneMeasurement | None:
    """Finds the tones in a recording at `RATE`; None if they are not in it."""
    sought = tones(RATE)
    if len(recorded) < len(sought):
        return None
    match = np.abs(_correlate(recorded, sought))
    start = int(np.argmax(match))
    if match[start] <= _MIN_MATCH * float(np.sqrt(np.mean(np.square(match)))):
        return None
    echo = recorded[start : start + len(sought)]
    noise = _power(recorded[:start])
    path = max(0.0, _power(echo) - noise) / _power(sought)
    return ToneMeasurement(
        at=start / RATE,
        level=_decibels(_power(echo)),
        noise=_decibels(noise),
        echo_path=_decibels(path),
        is_overdriven=bool(np.abs(echo).max() >= _OVERDRIVEN),
    )


def is_digital_silence(recorded: Samples) -> bool:
    """Returns True if the recording does not even contain noise."""
    return not recorded.any()


def echo_reduction(
    recorded: Samples,
    found: ToneMeasurement,
    played_at: float,
    canceller: AudioProcessor,
) -> float:
    """Returns by how many dB a canceller lowers the echo once it has converged.

    `played_at` is when the tones were audible, by the times of the stream, from the
    beginning of the recording: calls have no other alignment. The recording is
    processed twice, and the second pass counts.
    """
    whole = recorded[: len(recorded) - len(recorded) % _BLOCK]
    played = np.zeros(len(whole), np.float32)
    # The part of the tones that is outside of the recording is cut off.
    sought, offset = tones(RATE), round(played_at * RATE)
    first, last = max(offset, 0), min(offset + len(sought), len(played))
    if first < last:
        played[first:last] = sought[first - offset : last - offset]
    output = _process(np.tile(whole, 2), to_pcm(np.tile(played, 2)), canceller)
    start = round(found.at * RATE)
    section = slice(start, start + round(SECONDS * RATE))
    before, after = _power(whole[section]), _power(output[len(whole) :][section])
    return _decibels(before) - _decibels(after)


def _process(recorded: Samples, played: bytes, canceller: AudioProcessor) -> Samples:
    """Returns the output of a canceller; it gets the played blocks ahead of time."""
    canceller.attach(RATE, 1)
    size = _BLOCK * SAMPLE_BYTES
    output = []
    for block in range(-_BLOCKS_AHEAD, len(recorded) // _BLOCK):
        ahead = block + _BLOCKS_AHEAD
        if piece := played[ahead * size : (ahead + 1) * size]:
            canceller.played(piece, ahead * _BLOCK / RATE)
        if block >= 0:
            start = block * _BLOCK
            samples = recorded[start : start + _BLOCK]
            output.append(canceller.process(samples, start / RATE))
    return np.concatenate(output)


def _sweep(low: float, high: float, rate: int) -> NDArray[np.float64]:
    """Returns an exponential sweep of an eighth of the tones, at full scale."""
    seconds = SECONDS / len(_SWEEPS)
    times = np.arange(round(seconds * rate)) / rate
    growth = np.log(high / low) / seconds
    phase = 2 * np.pi * low * np.expm1(growth * times) / growth
    swept: NDArray[np.float64] = np.sin(phase)
    return swept


def _correlate(recorded: Samples, sought: Samples) -> NDArray[np.float64]:
    """Returns the correlation at each offset at which `sought` fits completely."""
    size = 1 << (len(recorded) + len(sought) - 1).bit_length()
    spectrum = np.fft.rfft(recorded, size) * np.conj(np.fft.rfft(sought, size))
    matches: NDArray[np.float64] = np.fft.irfft(spectrum, size)
    return matches[: len(recorded) - len(sought) + 1]


def _power(samples: Samples) -> float:
    return float(np.mean(np.square(samples, dtype=np.float64))) if len(samples) else 0.0


def _decibels(power: float) -> float:
    return max(_SILENCE_DB, 10 * float(np.log10(power))) if power > 0 else _SILENCE_DB
