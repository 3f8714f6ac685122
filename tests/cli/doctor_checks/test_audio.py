from __future__ import annotations

from pathlib import Path

import numpy as np

from runner.audio.echo import AudioProcessor, EchoCanceller
from runner.audio.pcm import Samples
from runner.audio.portaudio.library import Direction
from runner.cli.doctor_checks.audio import (
    LoopbackRecording,
    check_loop,
    connect_device,
    judge_device,
    judge_loopback,
)
from runner.cli.doctor_checks.model import (
    CheckResult,
    DoctorOptions,
    Platform,
    State,
    passed,
    skipped,
)
from tests.audio.fakes import LAPTOP, FakePortAudio, FakePortAudioError, device
from tests.cli.doctor_checks.rooms import Room
from tests.cli.doctor_checks.test_audio_tones import (
    AUDIBLE,
    LENGTH,
    NullCanceller,
    room,
)

DEBIAN = Platform("linux", ("debian",))


def judge(
    samples: Samples,
    *,
    slow: float = 0.0,
    canceller: AudioProcessor | None = None,
    glitches: int = 0,
) -> list[CheckResult]:
    recording = LoopbackRecording(samples, AUDIBLE - slow, AUDIBLE, glitches)
    return list(judge_loopback(recording, DEBIAN, canceller))


def test_a_working_loop_is_described() -> None:
    loop, echo = judge(room(143, -12), canceller=EchoCanceller(), glitches=2)

    assert (loop.state, echo.state) == (State.OK, State.OK)
    assert loop.detail == (
        "heard at -35 dBFS, the room at -65 dBFS; round trip 143 ms; "
        "2 blocks were lost or late"
    )
    assert echo.detail.startswith("-12 dB comes back; cancellation removes ")


def test_a_muted_microphone_has_the_command_of_its_system() -> None:
    loop, echo = judge(np.zeros(LENGTH, np.float32))

    assert loop.state is State.FAILED
    assert loop.fix == "pactl set-source-mute @DEFAULT_SOURCE@ 0"
    assert echo.state is State.SKIPPED


def test_headphones_are_not_a_failure() -> None:
    quiet = 0.001 * np.random.default_rng(1).standard_normal(LENGTH)
    loop, echo = judge(quiet.astype(np.float32))

    assert loop.state is State.SKIPPED
    assert "headphones" in loop.detail
    assert echo.state is State.SKIPPED


def test_a_round_trip_as_slow_as_bluetooth_fails() -> None:
    loop, _ = judge(room(143, -12), slow=0.3)

    assert loop.state is State.FAILED
    assert "round trip 443 ms: as slow as Bluetooth" in loop.detail


def test_an_overdriven_microphone_fails() -> None:
    loop, _ = judge(np.clip(room(50, 25), -1, 1))

    assert (loop.state, loop.fix) == (State.FAILED, "lower the microphone's gain")


def test_a_missing_canceller_has_the_command_that_installs_it() -> None:
    _, echo = judge(room(50, -6))

    assert echo.state is State.SKIPPED
    assert echo.fix == "python -m pip install 'vagent[echo]'"


def test_a_canceller_that_removes_too_little_fails() -> None:
    _, echo = judge(room(50, -6), canceller=NullCanceller())

    assert echo.state is State.FAILED
    assert "cancellation removes 0 dB: too little" in echo.detail
    assert echo.fix == "use headphones, or vagent run AGENT --echo half-duplex"


def test_an_echo_below_the_noise_needs_no_cancellation() -> None:
    _, echo = judge(room(50, -40), canceller=NullCanceller())

    assert echo.state is State.OK


def missing(name: str, detail: str) -> CheckResult:
    return skipped(name, detail)


def check(
    library: FakePortAudio, wanted: str | None = None, *, side: Direction = "input"
) -> CheckResult:
    return judge_device(library, wanted, side, missing, seconds=0.05)


def test_a_device_works_if_audio_moves() -> None:
    library = FakePortAudio(*LAPTOP, hosts=("ALSA",))
    with Room(library).running():
        result = judge_device(library, "Headset", "output", missing)

    assert result == passed(
        "speaker", "'USB Headset' works (ALSA, 44,100 Hz, 2 channels)"
    )
    assert library.streams[0].is_closed


def test_a_device_without_audio_fails() -> None:
    result = check(FakePortAudio(*LAPTOP))

    assert result.state is State.FAILED
    assert result.detail == (
        "'Built-in Microphone': it opened, but delivered no audio for 0.05 s"
    )
    assert result.fix == "vagent devices"


def test_a_device_that_cannot_be_opened_has_the_reason() -> None:
    refusal = FakePortAudioError("Device unavailable", -9985)
    result = check(FakePortAudio(*LAPTOP, refuse={"input": refusal}))

    assert result.state is State.FAILED
    assert result.detail == "'Built-in Microphone': it is busy or was unplugged"


def test_a_named_device_must_exist() -> None:
    result = check(FakePortAudio(*LAPTOP), "Nobody")

    assert result.state is State.FAILED
    assert result.detail.startswith("no microphone matches 'Nobody' (")


def test_the_caller_gives_the_result_of_a_machine_without_a_device() -> None:
    result = check(FakePortAudio(device("Out", outputs=2)))

    assert result == skipped(
        "microphone", "PortAudio finds no microphone on this machine"
    )


def test_the_fix_of_an_unreachable_sound_server_is_the_plugin() -> None:
    assert connect_device(DEBIAN, True) == "sudo apt install libasound2-plugins"
    assert "vagent run AGENT --text" in connect_device(DEBIAN, False)
    assert "connect one" in connect_device(Platform("darwin"), True)


def test_without_audio_nothing_is_played(tmp_path: Path) -> None:
    loop, echo = check_loop(DoctorOptions({}, tmp_path, audio=False))

    assert (loop.state, echo.state) == (State.SKIPPED, State.SKIPPED)
    assert loop.detail == "no tones were played: --no-audio"
