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


def test_calls_are_not_recorded_by_default() -> None:
    assert choose() is None


@pytest.mark.parametrize(
    ("options", "keeping"),
    [
        ({}, RecordingOptions(Path("kept"))),
        ({"redact": True}, RecordingOptions(Path("kept"), audio=False, redact=True)),
        ({"redact": True, "audio": "on"}, RecordingOptions(Path("kept"), redact=True)),
        ({"audio": "off"}, RecordingOptions(Path("kept"), audio=False)),
    ],
)
def test_a_redacted_recording_has_audio_only_on_request(
    options: dict[str, Any], keeping: RecordingOptions
) -> None:
    assert choose("kept", **options) == keeping


def test_the_command_line_overrides_the_settings(
    tmp_path: Path,
) -> None:
    text = 'record = "calls"\nredact = true\nrecord-audio = true\n'
    (tmp_path / "vagent.toml").write_text(text)

    assert choose() == RecordingOptions(tmp_path / "calls", redact=True)
    assert choose("kept") == RecordingOptions(Path("kept"), redact=True)
    assert choose(audio="off") == RecordingOptions(tmp_path / "calls", False, True)
    assert choose(no_record=True) is None


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"audio": "on"}, "--record-audio needs a recording"),
        ({"redact": True}, "--redact needs a recording"),
        ({"record": "kept", "audio": "yes"}, "invalid --record-audio 'yes'"),
        ({"record": "kept", "no_record": True}, "--no-record contradicts"),
        ({"redact": True, "no_record": True}, "--no-record contradicts"),
    ],
)
def test_contradictory_options_are_refused(options: dict[str, Any], words: str) -> None:
    with pytest.raises(UsageError) as caught:
        choose(**options)

    assert words in caught.value.message
