"""Which devices a run uses: named, remembered, or the system's."""

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


def test_without_wishes_the_devices_are_the_systems(file: Path) -> None:
    assert resolve_devices(None, None, remember=False, forget=False) == (None, None)
    assert not file.exists()


def test_what_is_named_goes_before_what_is_remembered(file: Path) -> None:
    save_devices(file, {"input": MIC, "output": OUT})
    assert resolve_devices("3", None, remember=False, forget=False) == ("3", OUT)
    assert load_devices(file) == {"input": MIC, "output": OUT}


def test_forgetting_is_for_now_and_later(
    file: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    save_devices(file, {"input": MIC})
    assert resolve_devices(None, None, remember=False, forget=True) == (None, None)
    assert not file.exists()
    assert capsys.readouterr().err == "devices: forgotten\n"
    resolve_devices(None, None, remember=False, forget=True)
    assert capsys.readouterr().err == "devices: none were remembered\n"


@pytest.mark.parametrize(
    ("wishes", "reason"),
    [
        ({"remember": True, "forget": True}, "exclude each other"),
        ({"remember": True, "forget": False}, "none is"),
    ],
)
def test_wishes_that_make_no_sense_are_refused(
    wishes: dict[str, bool], reason: str, file: Path
) -> None:
    with pytest.raises(UsageError, match=reason):
        resolve_devices(None, None, **wishes)
    assert not file.exists()
