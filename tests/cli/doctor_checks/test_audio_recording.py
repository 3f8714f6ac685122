from __future__ import annotations

import pytest

from runner.audio.portaudio.library import SoundDevice, find_device
from runner.cli.doctor_checks.audio import find_tones, record_loopback
from runner.errors import AudioUnavailable
from tests.audio.fakes import FakePortAudio, FakePortAudioError, device
from tests.cli.doctor_checks.rooms import Room

CARD = (device("Mic", inputs=1), device("Out", outputs=2))


def devices(library: FakePortAudio) -> list[SoundDevice]:
    return [find_device(library, None, side) for side in ("input", "output")]


@pytest.mark.parametrize("host", ["Core Audio", "ALSA"])
@pytest.mark.parametrize("outputs", [1, 2])
def test_the_round_trip_is_measured_with_one_stream_or_two(
    host: str, outputs: int
) -> None:
    library = FakePortAudio(*CARD, hosts=(host,), channels={1: outputs})
    room = Room(library, delay_blocks=12)
    with room.running():
        recording = record_loopback(library, devices(library), room.now)
    found = find_tones(recording.samples)

    assert found is not None
    # A block that is handed over comes back 12 blocks of 10 ms later.
    assert found.at - recording.handed_at == pytest.approx(0.12, abs=0.0011)
    # By the stream's times the devices hold 10 ms each: 20 ms of these are theirs.
    assert found.at - recording.audible_at == pytest.approx(0.1, abs=0.0011)
    assert recording.glitches == 0
    assert all(stream.is_closed for stream in library.streams)


def test_devices_with_floating_point_only_are_measured() -> None:
    library = FakePortAudio(*CARD, hosts=("ALSA",), channels={1: 1}, floats=(1,))
    room = Room(library, delay_blocks=12)
    with room.running():
        recording = record_loopback(library, devices(library), room.now)
    found = find_tones(recording.samples)

    assert found is not None
    assert found.echo_path == pytest.approx(-6, abs=0.2)


def test_devices_without_audio_time_out() -> None:
    library = FakePortAudio(*CARD)

    with pytest.raises(AudioUnavailable, match="opened and gave no audio at all"):
        record_loopback(library, devices(library), seconds=0.05)
    assert all(stream.is_closed for stream in library.streams)


def test_a_device_that_does_not_open_is_an_error() -> None:
    refusal = FakePortAudioError("Device unavailable", -9985)
    kinds = ("duplex", "input", "output")
    library = FakePortAudio(*CARD, refuse=dict.fromkeys(kinds, refusal))

    with pytest.raises(AudioUnavailable, match="cannot open the microphone 'Mic'"):
        record_loopback(library, devices(library))
