from typing import Any

import pytest

from runner.audio.portaudio.library import find_device, install_command, load_portaudio
from runner.errors import AudioUnavailable, DeviceNotFound
from tests.audio.fakes import LAPTOP, FakePortAudio, device


def test_a_missing_library_names_the_package_and_the_way_without() -> None:
    def no_library(name: str) -> Any:
        raise OSError("PortAudio library not found")

    with pytest.raises(AudioUnavailable, match="PortAudio library") as caught:
        load_portaudio(no_library)
    assert caught.value.hint is not None
    assert install_command() in caught.value.hint
    for flag in ("--input FILE.wav|text|none", "--output FILE.wav|null", "--say"):
        assert flag in caught.value.hint
    assert caught.value.exit_code == 3


def test_a_missing_python_package_is_distinguished() -> None:
    def no_package(name: str) -> Any:
        raise ModuleNotFoundError(f"No module named {name!r}")

    with pytest.raises(AudioUnavailable, match="package sounddevice") as caught:
        load_portaudio(no_package)
    assert "pip install sounddevice" in (caught.value.hint or "")


@pytest.mark.parametrize(
    ("system", "linux", "command"),
    [
        ("linux", ["debian"], "sudo apt install libportaudio2"),
        ("linux", ["linuxmint", "ubuntu", "debian"], "sudo apt install libportaudio2"),
        ("linux", ["fedora"], "sudo dnf install portaudio"),
        ("darwin", [], "brew install portaudio"),
        ("win32", [], "pip install --force-reinstall sounddevice"),
    ],
)
def test_each_platform_gets_its_command(
    system: str, linux: list[str], command: str
) -> None:
    assert install_command(system, linux) == command


def test_an_unknown_linux_gets_the_names_of_packages() -> None:
    advice = install_command("linux", ["slackware"])
    assert "libportaudio2" in advice
    assert "portaudio" in advice


def test_without_an_option_it_is_the_default() -> None:
    found = find_device(FakePortAudio(*LAPTOP), None, "output")
    assert (found.index, found.name, found.rate) == (1, "Built-in Output", 48_000)
    assert str(found) == "speaker 'Built-in Output'"


@pytest.mark.parametrize("wanted", [2, "2", "USB Headset", "usb headset", "head"])
def test_a_device_goes_by_number_name_or_part(wanted: int | str | None) -> None:
    found = find_device(FakePortAudio(*LAPTOP), wanted, "input")
    assert (found.index, found.rate, found.channels) == (2, 44_100, 1)


def test_a_whole_name_wins_over_a_part_of_another() -> None:
    library = FakePortAudio(device("USB 2", inputs=1), device("USB", inputs=1))
    assert find_device(library, "usb", "input").index == 1


def test_one_device_under_several_host_apis_is_one_device() -> None:
    headset = device("Headset", inputs=1)
    library = FakePortAudio(headset, {**headset, "hostapi": 1}, hosts=("MME", "WASAPI"))
    assert find_device(library, "headset", "input").index == 0


@pytest.mark.parametrize(
    ("wanted", "message"),
    [
        ("webcam", "no microphone matches 'webcam'"),
        ("i", "more than one microphone matches 'i'"),
        (1, "no microphone matches '1'"),
        ("99", "no microphone matches '99'"),
    ],
)
def test_a_wrong_name_is_answered_with_the_right_ones(
    wanted: int | str | None, message: str
) -> None:
    library = FakePortAudio(
        device("Built-in", inputs=1),
        device("Out", outputs=2),
        device("Mixer", inputs=2),
    )
    with pytest.raises(DeviceNotFound) as caught:
        find_device(library, wanted, "input")
    assert caught.value.message == message
    assert "0 'Built-in', 2 'Mixer'" in (caught.value.hint or "")


@pytest.mark.parametrize("wanted", [None, "anything", 0])
def test_a_machine_without_a_card_says_so(wanted: int | str | None) -> None:
    with pytest.raises(AudioUnavailable, match="finds no microphone") as caught:
        find_device(FakePortAudio(device("Out", outputs=2)), wanted, "input")
    assert "--input FILE.wav" in (caught.value.hint or "")
