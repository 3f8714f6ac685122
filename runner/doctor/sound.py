"""Sound: the library, the devices, and the way from the speaker to the microphone."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

from runner.audio.echo import EchoCancelling, FrontEnd
from runner.audio.portaudio import (
    NOUNS,
    WITHOUT_SOUND_CARD,
    Direction,
    PortAudio,
    SoundDevice,
    find_device,
    load_portaudio,
)
from runner.audio.probe import BLOCK_SECONDS, try_device
from runner.doctor.findings import Finding, failed, passed, skipped
from runner.doctor.loop import Recording, record_loop
from runner.doctor.platforms import Platform, this_platform
from runner.doctor.tones import Heard, cancelled_by, find_tones, is_digital_silence
from runner.doctor.wishes import Wishes
from runner.errors import AudioError, AudioUnavailable, DeviceNotFound

_LIST = "vagent devices"
# dB that a canceller has to take away. A judgement: in rooms made of software those
# that work take 20 and more, those that are misled about the times less than 3.
_HOLDS = 15.0
_NEAR_NOISE = 6.0  # dB above the room: less is not worth cancelling
_UNMEASURED = skipped("echo", "how much of the agent comes back: not measured")
_SLOW_SECONDS = 0.4  # a judgement: from here on talking is like over a satellite


def check_portaudio(wishes: Wishes) -> Iterator[Finding]:
    """Load the library and let it look for devices."""
    try:
        found = load_portaudio().query_devices()
    except AudioUnavailable as error:
        fix = (error.hint or "").removesuffix(f"; {WITHOUT_SOUND_CARD}")
        yield _absent("portaudio", error.message, fix, wishes)
    else:
        yield passed("portaudio", f"loads, and finds {len(found)} devices")


def check_microphone(wishes: Wishes) -> Iterator[Finding]:
    """Open the microphone for a moment."""
    yield from _check_device("input", wishes)


def check_speaker(wishes: Wishes) -> Iterator[Finding]:
    """Open the speaker for a moment."""
    yield from _check_device("output", wishes)


def check_loop(wishes: Wishes) -> Iterator[Finding]:
    """Play two seconds of tones and listen for them."""
    if not wishes.sound:
        yield skipped("loop", "no tones were played: --no-audio")
        yield _UNMEASURED
        return
    try:
        library = load_portaudio()
        devices = [
            find_device(library, wishes.input_device, "input"),
            find_device(library, wishes.output_device, "output"),
        ]
    except AudioError:
        yield skipped("loop", "it takes a microphone and a speaker")
        yield _UNMEASURED
        return
    try:
        recording = record_loop(library, devices)
    except AudioError as error:
        yield failed("loop", error.message, error.hint)
        yield _UNMEASURED
        return
    yield from judge_loop(recording, this_platform(), _canceller())


def judge_side(
    library: PortAudio,
    wanted: str | None,
    direction: Direction,
    absent: Callable[[str, str], Finding],
    seconds: float = BLOCK_SECONDS,
) -> Finding:
    """Open a device until its first block, for so long at most; `absent` if it is none.

    That is given the name of the line and what was missed.
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
    return passed(name, describe(device))


def judge_loop(
    recording: Recording, platform: Platform, front_end: FrontEnd | None
) -> Iterator[Finding]:
    """Judge what the microphone heard of the tones, and a canceller if there is one."""
    heard = recording.samples
    found = find_tones(heard)
    if is_digital_silence(heard):
        detail = "the microphone gives digital silence: muted, or not allowed"
        yield failed("loop", detail, platform.unmute_microphone())
        yield _UNMEASURED
    elif found is None:
        detail = "the tones did not come back: as it should be with headphones; else "
        detail += "the volume is too low, or this is another microphone"
        yield skipped("loop", detail, _LIST)
        yield _UNMEASURED
    else:
        yield _judge_way(recording, found)
        yield _judge_echo(recording, found, platform, front_end)


def _judge_way(recording: Recording, found: Heard) -> Finding:
    seconds = found.at - recording.handed_at
    detail = (
        f"heard at {found.level:.0f} dBFS, the room at {found.noise:.0f} dBFS; "
        f"round trip {seconds * 1000:.0f} ms"
    )
    if recording.glitches:
        detail += f"; {recording.glitches} blocks were lost or late"
    if found.is_overdriven:
        return failed("loop", f"{detail}; overdriven", "lower the microphone's gain")
    if seconds > _SLOW_SECONDS:
        fix = f"use wired devices: {_LIST}"
        return failed("loop", f"{detail}: as slow as Bluetooth", fix)
    return passed("loop", detail)


def _judge_echo(
    recording: Recording,
    found: Heard,
    platform: Platform,
    front_end: FrontEnd | None,
) -> Finding:
    strength = f"{round(found.echo_path):+d} dB comes back"
    if front_end is None:
        fix = platform.install_extra("echo")
        return skipped("echo", f"{strength}; no cancellation", fix)
    taken = cancelled_by(recording.samples, found, recording.audible_at, front_end)
    left = found.level - taken
    detail = f"{strength}; cancellation takes {taken:.0f} dB away"
    if taken >= _HOLDS or left <= found.noise + _NEAR_NOISE:
        return passed("echo", detail)
    fix = "headphones, or vagent run AGENT --echo half-duplex"
    return failed("echo", f"{detail}: too little", fix)


def describe(device: SoundDevice) -> str:
    """Return which device works, and what it is."""
    count = device.channels
    channels = "mono" if count == 1 else f"{count} channels"
    return f"'{device.name}' works ({device.host}, {device.rate:,} Hz, {channels})"


def reach_sound(platform: Platform, has_server: bool) -> str:
    """Return what brings a device to a machine on which PortAudio finds none."""
    plugin = platform.reach_sound_server()
    if has_server and plugin:
        return plugin
    return "connect one, or do without: vagent run AGENT --text"


def _check_device(direction: Direction, wishes: Wishes) -> Iterator[Finding]:
    wanted = wishes.input_device if direction == "input" else wishes.output_device

    def absent(name: str, detail: str) -> Finding:
        fix = reach_sound(this_platform(), _has_sound_server())
        return _absent(name, detail, fix, wishes)

    try:
        library = load_portaudio()
    except AudioUnavailable:
        yield skipped(NOUNS[direction], "it takes PortAudio")
    else:
        yield judge_side(library, wanted, direction, absent)


def _absent(name: str, detail: str, fix: str, wishes: Wishes) -> Finding:
    if wishes.sound:
        return failed(name, detail, fix)
    return skipped(name, f"{detail}; calls by text or sound files need none")


def _has_sound_server() -> bool:
    """Whether PulseAudio runs, or PipeWire in its stead."""
    if not sys.platform.startswith("linux"):
        return False
    runtime = os.environ.get("XDG_RUNTIME_DIR", "")
    is_named = bool(os.environ.get("PULSE_SERVER"))
    return is_named or Path(runtime, "pulse", "native").exists()


def _canceller() -> FrontEnd | None:
    try:
        return EchoCancelling()
    except AudioUnavailable:
        return None
