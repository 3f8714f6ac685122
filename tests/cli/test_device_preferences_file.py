"""The file of remembered devices: stored, loaded, invalid, deleted."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from runner.audio.portaudio.library import Direction, KnownDevice
from runner.cli.device_preferences import (
    FOLDER_VARIABLE,
    clear_devices,
    load_devices,
    preferences_path,
    save_devices,
)
from runner.errors import FileUnreadable, UsageError

NAME = st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=20)
SIDES: list[Direction] = ["input", "output"]
DEVICE = st.builds(KnownDevice, NAME, NAME)


@given(st.dictionaries(st.sampled_from(SIDES), DEVICE))
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
def test_any_device_name_is_stored_and_loaded(
    tmp_path: Path, devices: dict[Direction, KnownDevice]
) -> None:
    path = tmp_path / "devices.toml"
    path.unlink(missing_ok=True)
    save_devices(path, devices)
    assert load_devices(path) == devices


def test_the_other_direction_stays_remembered(tmp_path: Path) -> None:
    path = tmp_path / "vagent" / "devices.toml"
    save_devices(path, {"input": KnownDevice("Mic", "ALSA")})
    save_devices(path, {"output": KnownDevice("Out", "ALSA")})
    assert load_devices(path) == {
        "input": KnownDevice("Mic", "ALSA"),
        "output": KnownDevice("Out", "ALSA"),
    }


def test_clearing_returns_false_without_a_file(tmp_path: Path) -> None:
    path = tmp_path / "devices.toml"
    save_devices(path, {"input": KnownDevice("Mic", "ALSA")})
    assert [clear_devices(path), clear_devices(path)] == [True, False]
    assert load_devices(path) == {}


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("[input", "is not valid TOML"),
        ("input = 3", "needs a name and a host"),
        ('[output]\nname = "Out"', "for `output`"),
    ],
)
def test_the_error_about_an_invalid_file_names_it(
    text: str, reason: str, tmp_path: Path
) -> None:
    path = tmp_path / "devices.toml"
    path.write_text(text, "utf-8")
    with pytest.raises(UsageError, match=reason) as raised:
        load_devices(path)
    assert str(path) in raised.value.message
    assert "--forget-devices" in str(raised.value.hint)


def test_an_unreadable_file_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(FileUnreadable, match="cannot be read"):
        load_devices(tmp_path)


def test_the_folder_can_be_chosen(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(FOLDER_VARIABLE, str(tmp_path))
    assert preferences_path() == tmp_path / "devices.toml"
    monkeypatch.delenv(FOLDER_VARIABLE)
    assert preferences_path().name == "devices.toml"
