"""Devices of a run: from the command line, remembered, or the system's."""

from __future__ import annotations

from pathlib import Path

import pytest

from runner.audio.portaudio.library import KnownDevice
from runner.cli.device_preferences import (
    FOLDER_VARIABLE,
    load_devices,
    resolve_devices,
    save_devices,
)
from runner.errors import UsageError

MIC, OUT = KnownDevice("Mic", "ALSA"), KnownDevice("Out", "ALSA")


@pytest.fixture
def file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv(FOLDER_VARIABLE, str(tmp_path))
    return tmp_path / "devices.toml"


def test_the_default_devices_are_those_of_the_system(file: Path) -> None:
    assert resolve_devices(None, None, remember=False, forget=False) == (None, None)
    assert not file.exists()


def test_options_override_remembered_devices(file: Path) -> None:
    save_devices(file, {"input": MIC, "output": OUT})
    assert resolve_devices("3", None, remember=False, forget=False) == ("3", OUT)
    assert load_devices(file) == {"input": MIC, "output": OUT}


def test_forget_devices_affects_this_run_and_later_ones(
    file: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    save_devices(file, {"input": MIC})
    assert resolve_devices(None, None, remember=False, forget=True) == (None, None)
    assert not file.exists()
    assert capsys.readouterr().err == "devices: forgotten\n"
    resolve_devices(None, None, remember=False, forget=True)
    assert capsys.readouterr().err == "devices: none are remembered\n"


@pytest.mark.parametrize(
    ("options", "reason"),
    [
        ({"remember": True, "forget": True}, "exclude each other"),
        ({"remember": True, "forget": False}, "needs a device"),
    ],
)
def test_contradictory_options_are_refused(
    options: dict[str, bool], reason: str, file: Path
) -> None:
    with pytest.raises(UsageError, match=reason):
        resolve_devices(None, None, **options)
    assert not file.exists()
