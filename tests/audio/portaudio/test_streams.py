import pytest

from runner.audio.portaudio.library import SoundDevice, find_device
from runner.audio.portaudio.streams import Callbacks, open_streams
from runner.errors import AudioUnavailable
from tests.audio.fakes import LAPTOP, FakePortAudio, FakePortAudioError, device

CALLBACKS = Callbacks(*[lambda *_: None] * 4)


def both(library: FakePortAudio) -> list[SoundDevice]:
    return [find_device(library, None, "input"), find_device(library, None, "output")]


def test_both_sides_share_one_stream_at_the_speakers_rate() -> None:
    library = FakePortAudio(
        device("Mic", inputs=2, rate=16_000.0), device("Out", outputs=2)
    )
    streams, devices = open_streams(library, both(library), CALLBACKS)
    assert [stream.kind for stream in library.streams] == ["duplex"]
    settings = library.streams[0].settings
    assert (settings["samplerate"], settings["device"]) == (48_000, (0, 1))
    assert settings["dtype"] == ("int16", "int16")
    assert [d.rate for d in devices] == [48_000, 48_000]
    assert len(streams) == 1


def test_the_microphones_rate_is_taken_where_the_speakers_is_refused() -> None:
    library = FakePortAudio(
        device("Mic", inputs=1, rate=16_000.0),
        device("Out", outputs=2),
        rates={0: (16_000,)},
    )
    open_streams(library, both(library), CALLBACKS)
    assert library.streams[0].settings["samplerate"] == 16_000


@pytest.mark.parametrize(
    "library",
    [
        pytest.param(
            FakePortAudio(
                device("Mic", inputs=1, rate=16_000.0),
                device("Out", outputs=2),
                rates={0: (16_000,), 1: (48_000,)},
            ),
            id="no rate in common",
        ),
        pytest.param(
            FakePortAudio(
                device("Mic", inputs=1, rate=16_000.0),
                device("Out", outputs=2),
                refuse={"duplex": FakePortAudioError("Illegal combination", -9993)},
            ),
            id="not together",
        ),
        pytest.param(
            FakePortAudio(
                device("Mic", inputs=1, rate=16_000.0),
                device("Out", outputs=2),
                hosts=("ALSA",),
            ),
            id="ALSA",
        ),
    ],
)
def test_devices_that_cannot_share_get_a_stream_each_at_their_own_rate(
    library: FakePortAudio,
) -> None:
    streams, devices = open_streams(library, both(library), CALLBACKS)
    assert [stream.kind for stream in library.streams] == ["input", "output"]
    assert [s.settings["samplerate"] for s in library.streams] == [16_000, 48_000]
    assert [d.rate for d in devices] == [16_000, 48_000]
    assert len(streams) == 2


@pytest.mark.parametrize(("host", "latency"), [("ALSA", 0.05), ("Core Audio", "low")])
def test_latency_is_low_but_where_that_underruns(
    host: str, latency: float | str
) -> None:
    library = FakePortAudio(*LAPTOP, hosts=(host,))
    open_streams(library, both(library), CALLBACKS)
    assert {s.settings["latency"] for s in library.streams} == {latency}


@pytest.mark.parametrize("only", [1, 2, 8])
def test_a_device_is_opened_with_the_fewest_channels_it_takes(only: int) -> None:
    library = FakePortAudio(device("Mixer", inputs=8), channels={0: only})
    _, devices = open_streams(library, [find_device(library, None, "input")], CALLBACKS)
    assert devices[0].channels == library.streams[0].settings["channels"] == only


def test_a_busy_device_is_a_clear_sentence() -> None:
    busy = FakePortAudioError("Device unavailable", -9985)
    library = FakePortAudio(*LAPTOP, refuse={"duplex": busy, "output": busy})
    with pytest.raises(AudioUnavailable) as caught:
        open_streams(library, both(library), CALLBACKS)
    assert caught.value.message == (
        "cannot open the speaker 'Built-in Output': it is busy or was unplugged"
    )
    assert "--output FILE.wav|null" in (caught.value.hint or "")
    # The microphone, which had been opened alone by then, is given back.
    assert [stream.is_closed for stream in library.streams] == [True]


def test_another_refusal_is_reported_in_portaudios_words() -> None:
    library = FakePortAudio(
        *LAPTOP, refuse={"input": FakePortAudioError("Invalid sample rate", -9997)}
    )
    with pytest.raises(AudioUnavailable, match="Invalid sample rate"):
        open_streams(library, [find_device(library, None, "input")], CALLBACKS)
