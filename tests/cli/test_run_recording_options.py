from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from runner.cli.run import recording_options
from runner.engine.compose import RecordingOptions
from runner.errors import UsageError


@pytest.fixture(autouse=True)
def _here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / ".git").mkdir()
    monkeypatch.chdir(tmp_path)


def choose(
    record: str | None = None,
    no_record: bool = False,
    audio: str | None = None,
    redact: bool = False,
) -> RecordingOptions | None:
    into = None if record is None else Path(record)
    return recording_options(into, no_record, audio, redact)


def test_nothing_is_recorded_unless_it_is_wished() -> None:
    assert choose() is None


@pytest.mark.parametrize(
    ("wish", "keeping"),
    [
        ({}, RecordingOptions(Path("kept"))),
        ({"redact": True}, RecordingOptions(Path("kept"), audio=False, redact=True)),
        ({"redact": True, "audio": "on"}, RecordingOptions(Path("kept"), redact=True)),
        ({"audio": "off"}, RecordingOptions(Path("kept"), audio=False)),
    ],
)
def test_what_is_redacted_has_no_sound_unless_asked_for(
    wish: dict[str, Any], keeping: RecordingOptions
) -> None:
    assert choose("kept", **wish) == keeping


def test_the_settings_count_and_the_command_line_goes_before_them(
    tmp_path: Path,
) -> None:
    text = 'record = "calls"\nredact = true\nrecord-audio = true\n'
    (tmp_path / "vagent.toml").write_text(text)

    assert choose() == RecordingOptions(tmp_path / "calls", redact=True)
    assert choose("kept") == RecordingOptions(Path("kept"), redact=True)
    assert choose(audio="off") == RecordingOptions(tmp_path / "calls", False, True)
    assert choose(no_record=True) is None


@pytest.mark.parametrize(
    ("wish", "words"),
    [
        ({"audio": "on"}, "--record-audio is about a recording, and there is none"),
        ({"redact": True}, "--redact is about a recording, and there is none"),
        ({"record": "kept", "audio": "yes"}, "takes on or off, not 'yes'"),
        ({"record": "kept", "no_record": True}, "--no-record contradicts"),
        ({"redact": True, "no_record": True}, "--no-record contradicts"),
    ],
)
def test_wishes_that_make_no_sense_are_refused(
    wish: dict[str, Any], words: str
) -> None:
    with pytest.raises(UsageError) as caught:
        choose(**wish)

    assert words in caught.value.message
