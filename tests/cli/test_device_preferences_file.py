"""What is remembered comes back, and what is broken is said."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from runner.audio.portaudio.library import Direction, KnownDevice
from runner.cli.device_preferences import (
    FOLDER_VARIABLE,
    clear_devices,
    default_file,
    load_devices,
    save_devices,
)
from runner.errors import FileUnreadable, UsageError

NAME = st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=20)
SIDES: list[Direction] = ["input", "output"]
DEVICE = st.builds(KnownDevice, NAME, NAME)


@given(st.dictionaries(st.sampled_from(SIDES), DEVICE))
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
def test_what_is_remembered_comes_back_whatever_drivers_call_it(
    tmp_path: Path, devices: dict[Direction, KnownDevice]
) -> None:
    path = tmp_path / "devices.toml"
    path.unlink(missing_ok=True)
    save_devices(path, devices)
    assert load_devices(path) == devices


def test_the_other_side_stays_remembered(tmp_path: Path) -> None:
    path = tmp_path / "vagent" / "devices.toml"
    save_devices(path, {"input": KnownDevice("Mic", "ALSA")})
    save_devices(path, {"output": KnownDevice("Out", "ALSA")})
    assert load_devices(path) == {
        "input": KnownDevice("Mic", "ALSA"),
        "output": KnownDevice("Out", "ALSA"),
    }


def test_forgetting_tells_whether_there_was_anything(tmp_path: Path) -> None:
    path = tmp_path / "devices.toml"
    save_devices(path, {"input": KnownDevice("Mic", "ALSA")})
    assert [clear_devices(path), clear_devices(path)] == [True, False]
    assert load_devices(path) == {}


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("[input", "is no TOML"),
        ("input = 3", "has no name and host"),
        ('[output]\nname = "Out"', "for `output`"),
    ],
)
def test_a_file_that_was_spoiled_is_said_with_its_name(
    text: str, reason: str, tmp_path: Path
) -> None:
    path = tmp_path / "devices.toml"
    path.write_text(text, "utf-8")
    with pytest.raises(UsageError, match=reason) as raised:
        load_devices(path)
    assert str(path) in raised.value.message
    assert "--forget-devices" in str(raised.value.hint)


def test_a_file_that_cannot_be_read_is_said(tmp_path: Path) -> None:
    with pytest.raises(FileUnreadable, match="cannot be read"):
        load_devices(tmp_path)


def test_the_folder_can_be_chosen(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(FOLDER_VARIABLE, str(tmp_path))
    assert default_file() == tmp_path / "devices.toml"
    monkeypatch.delenv(FOLDER_VARIABLE)
    assert default_file().name == "devices.toml"
