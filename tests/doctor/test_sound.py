from __future__ import annotations

from pathlib import Path

import numpy as np

from runner.audio.echo import EchoCancelling
from runner.audio.pcm import Samples
from runner.audio.portaudio import Direction
from runner.doctor.findings import Finding, State, passed, skipped
from runner.doctor.loop import Recording
from runner.doctor.platforms import Platform
from runner.doctor.sound import (
    check_loop,
    judge_loop,
    judge_side,
    reach_sound,
)
from runner.doctor.wishes import Wishes
from tests.audio.fakes import LAPTOP, FakePortAudio, FakePortAudioError, device
from tests.doctor.rooms import Room
from tests.doctor.test_tones import AUDIBLE, LENGTH, Deaf, room

DEBIAN = Platform("linux", ("debian",))


def judge(
    samples: Samples, *, slow: float = 0.0, canceller: object = None, glitches: int = 0
) -> list[Finding]:
    recording = Recording(samples, AUDIBLE - slow, AUDIBLE, glitches)
    return list(judge_loop(recording, DEBIAN, canceller))


def test_a_loop_that_works_is_described() -> None:
    loop, echo = judge(room(143, -12), canceller=EchoCancelling(), glitches=2)

    assert (loop.state, echo.state) == (State.OK, State.OK)
    assert loop.detail == (
        "heard at -35 dBFS, the room at -65 dBFS; round trip 143 ms; "
        "2 blocks were lost or late"
    )
    assert echo.detail.startswith("-12 dB comes back; cancellation takes ")


def test_a_muted_microphone_names_the_command_of_its_system() -> None:
    loop, echo = judge(np.zeros(LENGTH, np.float32))

    assert loop.state is State.FAILED
    assert loop.fix == "pactl set-source-mute @DEFAULT_SOURCE@ 0"
    assert echo.state is State.SKIPPED


def test_headphones_are_no_fault() -> None:
    quiet = 0.001 * np.random.default_rng(1).standard_normal(LENGTH)
    loop, echo = judge(quiet.astype(np.float32))

    assert loop.state is State.SKIPPED
    assert "headphones" in loop.detail
    assert echo.state is State.SKIPPED


def test_a_way_as_slow_as_bluetooth_is_told() -> None:
    loop, _ = judge(room(143, -12), slow=0.3)

    assert loop.state is State.FAILED
    assert "round trip 443 ms: as slow as Bluetooth" in loop.detail


def test_an_overdriven_microphone_is_told() -> None:
    loop, _ = judge(np.clip(room(50, 25), -1, 1))

    assert (loop.state, loop.fix) == (State.FAILED, "lower the microphone's gain")


def test_without_a_canceller_the_command_for_one_is_named() -> None:
    _, echo = judge(room(50, -6))

    assert echo.state is State.SKIPPED
    assert echo.fix == "python -m pip install 'vagent[echo]'"


def test_a_canceller_that_does_not_hold_is_told() -> None:
    _, echo = judge(room(50, -6), canceller=Deaf())

    assert echo.state is State.FAILED
    assert "cancellation takes 0 dB away: too little" in echo.detail
    assert echo.fix == "headphones, or vagent run AGENT --echo half-duplex"


def test_an_echo_that_is_hardly_there_needs_no_cancelling() -> None:
    _, echo = judge(room(50, -40), canceller=Deaf())

    assert echo.state is State.OK


def missing(name: str, detail: str) -> Finding:
    return skipped(name, detail)


def look(
    library: FakePortAudio, wanted: str | None = None, *, side: Direction = "input"
) -> Finding:
    return judge_side(library, wanted, side, missing, seconds=0.05)


def test_a_device_works_when_sound_moves() -> None:
    library = FakePortAudio(*LAPTOP, hosts=("ALSA",))
    with Room(library).sounding():
        finding = judge_side(library, "Headset", "output", missing)

    assert finding == passed(
        "speaker", "'USB Headset' works (ALSA, 44,100 Hz, 2 channels)"
    )
    assert library.streams[0].is_closed


def test_a_device_that_gives_no_sound_does_not_work() -> None:
    finding = look(FakePortAudio(*LAPTOP))

    assert finding.state is State.FAILED
    assert finding.detail == (
        "'Built-in Microphone': it opened, but gave no sound for 0.05 s"
    )
    assert finding.fix == "vagent devices"


def test_a_device_that_refuses_says_why() -> None:
    refusal = FakePortAudioError("Device unavailable", -9985)
    finding = look(FakePortAudio(*LAPTOP, refuse={"input": refusal}))

    assert finding.state is State.FAILED
    assert finding.detail == "'Built-in Microphone': it is busy or was unplugged"


def test_a_device_of_that_name_must_be_there() -> None:
    finding = look(FakePortAudio(*LAPTOP), "Nobody")

    assert finding.state is State.FAILED
    assert finding.detail.startswith("no microphone goes by 'Nobody' (")


def test_a_machine_without_a_device_is_judged_by_who_asks() -> None:
    finding = look(FakePortAudio(device("Out", outputs=2)))

    assert finding == skipped(
        "microphone", "this machine has no microphone that PortAudio can find"
    )


def test_a_sound_server_that_alsa_cannot_reach_names_the_plugin() -> None:
    assert reach_sound(DEBIAN, True) == "sudo apt install libasound2-plugins"
    assert "vagent run AGENT --text" in reach_sound(DEBIAN, False)
    assert "connect one" in reach_sound(Platform("darwin"), True)


def test_no_sound_plays_nothing(tmp_path: Path) -> None:
    loop, echo = check_loop(Wishes({}, tmp_path, sound=False))

    assert (loop.state, echo.state) == (State.SKIPPED, State.SKIPPED)
    assert loop.detail == "no tones were played: --no-audio"
