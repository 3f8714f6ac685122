"""What is done about echo, and that it is done to what the sound card records."""

from __future__ import annotations

import asyncio
import contextlib
import sys

import numpy as np
import pytest

from runner.audio.echo import INSTALL_COMMAND
from runner.engine.audio_setup import (
    AdaptiveAudioProcessor,
    AudioOptions,
    EchoMode,
    choose_echo,
    is_headphones,
    open_sound_card,
    read_echo_mode,
)
from runner.errors import AudioUnavailable, DeviceNotFound, UsageError
from tests.audio.fakes import LAPTOP, FakePortAudio, device, settle

SPEAKER = "MacBook Pro Speakers"
LOUD = np.full(480, 9_000, "<i2").tobytes()  # 10 ms at 48 kHz


@pytest.fixture
def without_package(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "pywebrtc_audio", None)


@pytest.mark.parametrize("mode", ["auto", "on", "off", "half-duplex"])
def test_an_echo_mode_is_read_as_it_is_written(mode: str) -> None:
    assert read_echo_mode(mode) == mode


def test_an_unknown_echo_mode_is_rejected_with_the_known_modes() -> None:
    with pytest.raises(UsageError, match="'maybe' is not an echo mode") as caught:
        read_echo_mode("maybe")
    assert caught.value.hint == "--echo takes auto, on, off, half-duplex"


@pytest.mark.parametrize(
    "name",
    [
        "Headphones (Realtek(R) Audio)",
        "Headset (WH-1000XM4 Hands-Free AG Audio)",
        "External Headphones",
        "Anna's AirPods Pro",
        "Galaxy Buds2",
        "USB Headset: Audio (hw:2,0)",
        "Kopfhörer (High Definition Audio)",
        "EarPods",
    ],
)
def test_outputs_that_are_worn_are_known_by_name(name: str) -> None:
    assert is_headphones(name)


@pytest.mark.parametrize(
    "name",
    [
        SPEAKER,
        "Speakers / Headphones (Realtek Audio)",
        "Lautsprecher/Kopfhörer (Realtek)",
        "Jabra Speak 510 Hands-Free",
        "default",
        "pulse",
        "HDA Intel PCH: ALC257 Analog (hw:0,0)",
        "DELL U2720Q",
    ],
)
def test_what_may_be_heard_in_the_room_is_a_speaker(name: str) -> None:
    assert not is_headphones(name)


@pytest.mark.parametrize("can_cancel", [True, False])
@pytest.mark.parametrize(
    ("mode", "name", "with_package", "without"),
    [
        ("auto", SPEAKER, "cancel", "half-duplex"),
        ("auto", "AirPods", "nothing", "nothing"),
        ("on", "AirPods", "cancel", "cancel"),  # it then raises: see below
        ("on", SPEAKER, "cancel", "cancel"),
        ("off", SPEAKER, "nothing", "nothing"),
        ("half-duplex", SPEAKER, "half-duplex", "half-duplex"),
        ("half-duplex", "AirPods", "half-duplex", "half-duplex"),
    ],
)
def test_what_is_done_follows_the_option_the_output_and_what_is_installed(
    mode: EchoMode, name: str, with_package: str, without: str, can_cancel: bool
) -> None:
    choice = choose_echo(AudioOptions(echo=mode), name, can_cancel)

    assert choice.mode == (with_package if can_cancel else without)


@pytest.mark.parametrize("mode", ["auto", "on", "half-duplex"])
def test_with_headphones_it_has_no_echo_whatever_the_output_is_called(
    mode: EchoMode,
) -> None:
    options = AudioOptions(echo=mode, headphones=True)

    assert choose_echo(options, SPEAKER, can_cancel=True).mode == "nothing"


def test_another_speaker_is_another_choice_and_none_changes_nothing() -> None:
    notices: list[str] = []
    front_end = AdaptiveAudioProcessor(AudioOptions(), notices.append)
    front_end.attach(48_000, 2, "AirPods")
    heard = np.full(480, 0.3, np.float32)
    assert front_end.process(heard, 0.0) is heard
    front_end.attach(24_000, 1)
    assert front_end.process(heard, 0.02) is heard
    front_end.attach(44_100, 2, SPEAKER)
    assert front_end.process(heard, 0.04) is not heard
    front_end.attach(48_000, 2, SPEAKER)
    assert [text.partition(":")[2].split()[0] for text in notices] == ["none", "the"]


def test_half_duplex_takes_noise_out_too_where_that_is_requested() -> None:
    options = AudioOptions(echo="half-duplex", noise_suppression=True)
    front_end = AdaptiveAudioProcessor(options, lambda text: None)
    front_end.attach(24_000, 1, SPEAKER)
    noise = np.random.default_rng(1).normal(0, 0.01, (300, 480)).astype(np.float32)
    for number, each in enumerate(noise):
        rest = front_end.process(each, number * 0.02)
    assert np.sqrt(np.mean(rest**2)) < 0.005


@pytest.mark.usefixtures("without_package")
@pytest.mark.parametrize(
    "options", [AudioOptions(echo="on"), AudioOptions(noise_suppression=True)]
)
def test_what_needs_the_package_says_so_before_the_call(options: AudioOptions) -> None:
    with pytest.raises(AudioUnavailable, match="pywebrtc-audio"):
        AdaptiveAudioProcessor(options, lambda text: None)


async def opened(options: AudioOptions) -> tuple[list[str], list[bytes]]:
    """Record loud audio while loud audio is played; return the notices and frames."""
    notices: list[str] = []
    library = FakePortAudio(device("Mic", inputs=1), device("Out", outputs=1))
    async with contextlib.AsyncExitStack() as stack:
        microphone, speaker = await open_sound_card(
            options, stack, notices.append, library=library
        )
        assert speaker is not None
        speaker.play(np.full(24_000, 9_000, "<i2").tobytes())
        frames = aiter(microphone.frames())
        heard = []
        for _ in range(20):
            reading = asyncio.ensure_future(anext(frames))
            while not reading.done():
                library.streams[0].exchange(LOUD, frames=480)
                await settle()
            heard.append(await reading)
    return notices, heard


async def test_without_the_package_one_speaks_after_the_other_and_is_reported(
    without_package: None,
) -> None:
    notices, heard = await opened(AudioOptions())

    assert any("the microphone is muted while" in text for text in notices)
    assert any(INSTALL_COMMAND in text and "--headphones" in text for text in notices)
    assert not any(heard[5])
    assert not any(heard[-1])


async def test_with_headphones_the_microphone_is_as_it_is(
    without_package: None,
) -> None:
    _, heard = await opened(AudioOptions(headphones=True))

    assert any(heard[-1])


async def test_to_cancel_without_the_package_is_refused_with_what_installs_it(
    without_package: None,
) -> None:
    async with contextlib.AsyncExitStack() as stack:
        with pytest.raises(AudioUnavailable) as caught:
            await open_sound_card(
                AudioOptions(echo="on"), stack, print, library=FakePortAudio(*LAPTOP)
            )
    assert INSTALL_COMMAND in (caught.value.hint or "")


async def test_with_the_package_echo_is_cancelled_and_it_is_said() -> None:
    pytest.importorskip("pywebrtc_audio", reason="the audio extra is not installed")

    notices, _ = await opened(AudioOptions())

    assert [text for text in notices if text.startswith("echo: ")] == [
        "echo: the agent's voice is removed from the microphone audio"
    ]


async def test_an_output_that_is_not_there_is_refused() -> None:
    options = AudioOptions(output_device="Gramophone")
    async with contextlib.AsyncExitStack() as stack:
        with pytest.raises(DeviceNotFound, match="Gramophone"):
            await open_sound_card(options, stack, print, library=FakePortAudio(*LAPTOP))
