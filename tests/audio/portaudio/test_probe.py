"""Devices asked of another process: one that hangs or dies costs only its time."""

from __future__ import annotations

import json
import sys

import pytest

from runner.audio.portaudio.library import ListedDevice, list_devices
from runner.audio.portaudio.probe import DeviceProber, ProbeResult, main, try_device
from runner.errors import AudioUnavailable
from tests.audio.fakes import FakePortAudio, FakePortAudioError, device

HEADSET = device("Headset", inputs=1, outputs=2, rate=16_000.0)
OUTPUT = device("Out", outputs=2)


def probe(code: str, seconds: float = 8.0) -> DeviceProber:
    """A census whose probe is this program."""
    return DeviceProber(
        (sys.executable, "-c", f"import json, sys, time\n{code}"), seconds
    )


def test_the_list_has_both_sides_and_the_defaults() -> None:
    listed = list_devices(FakePortAudio(HEADSET, OUTPUT))
    assert listed == [
        ListedDevice(0, "Headset", "Core Audio", 1, 2, 16_000, ("input", "output")),
        ListedDevice(1, "Out", "Core Audio", 0, 2, 48_000),
    ]
    assert [each.sides for each in listed] == [("input", "output"), ("output",)]


def test_a_device_goes_through_json_unchanged() -> None:
    (listed,) = list_devices(FakePortAudio(HEADSET))
    assert ListedDevice.from_json(json.loads(json.dumps(listed.to_json()))) == listed


def test_a_device_that_is_refused_or_gives_no_block_has_a_reason() -> None:
    lines: list[dict[str, object]] = []
    library = FakePortAudio(
        HEADSET, refuse={"output": FakePortAudioError("no such rate", -9997)}
    )
    main(["open", "output:0"], library, lines.append)
    assert lines[0]["side"] == "output"
    assert "no such rate" in str(lines[0]["reason"])
    assert try_device(library, "input", 0, seconds=0.05) == (
        "it opened, but delivered no audio for 0.05 s"
    )
    assert all(stream.is_closed for stream in library.streams)


async def test_the_answers_of_a_probe_are_the_trials() -> None:
    census = probe(
        "for text in sys.argv[2:]:\n"
        "    side, index = text.split(':')\n"
        "    reason = None if side == 'input' else 'busy'\n"
        "    print(json.dumps({'reason': reason}), flush=True)"
    )
    trials = [each async for each in census.try_out([("input", 0), ("output", 1)])]
    assert trials == [ProbeResult(0, "input", None), ProbeResult(1, "output", "busy")]


async def test_a_device_that_hangs_is_given_up_and_the_next_one_tried() -> None:
    census = probe(
        "for text in sys.argv[2:]:\n"
        "    if text == 'input:0': time.sleep(60)\n"
        "    print(json.dumps({'reason': None}), flush=True)",
        seconds=1.0,
    )
    trials = [each async for each in census.try_out([("input", 0), ("input", 1)])]
    assert trials[0] == ProbeResult(0, "input", "it did not answer for 1 s")
    assert trials[1] == ProbeResult(1, "input", None)


async def test_a_device_that_brings_the_probe_down_is_reported_and_the_next_tried() -> (
    None
):
    census = probe(
        "for text in sys.argv[2:]:\n"
        "    if text == 'input:0': sys.exit(1)\n"
        "    print(json.dumps({'reason': None}), flush=True)"
    )
    trials = [each async for each in census.try_out([("input", 0), ("input", 1)])]
    assert trials[0].reason == "it crashed the probe"
    assert trials[1].reason is None


async def test_without_portaudio_its_sentence_is_raised() -> None:
    census = probe("print(json.dumps({'error': 'no PortAudio', 'hint': 'get it'}))")
    with pytest.raises(AudioUnavailable, match="no PortAudio") as raised:
        await census.list_devices()
    assert raised.value.hint == "get it"
