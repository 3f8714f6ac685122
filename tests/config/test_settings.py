from __future__ import annotations

from pathlib import Path

import pytest

from runner.config.settings import CallSettings, load_call_settings
from runner.errors import UsageError


@pytest.fixture(autouse=True)
def _end_of_the_search(tmp_path: Path) -> None:
    (tmp_path / ".git").mkdir()


@pytest.mark.parametrize(
    ("text", "record"),
    [
        ("", None),
        ("record = false", None),
        ("record = true", "recordings"),
        ('record = "kept/calls"', "kept/calls"),
    ],
)
def test_calls_are_recorded_in_the_folder_of_the_settings(
    tmp_path: Path, text: str, record: str | None
) -> None:
    (tmp_path / "vagent.toml").write_text(text)
    inner = tmp_path / "inner"
    inner.mkdir()

    found = load_call_settings(inner)

    assert found.record == (None if record is None else tmp_path / record)


def test_audio_and_redaction_are_settings_as_well(tmp_path: Path) -> None:
    text = "[tool.vagent]\nrecord = true\nrecord-audio = false\nredact = true\n"
    (tmp_path / "pyproject.toml").write_text(text)

    assert load_call_settings(tmp_path) == CallSettings(
        tmp_path / "recordings", record_audio=False, redact=True
    )


def test_without_settings_nothing_is_recorded(tmp_path: Path) -> None:
    assert load_call_settings(tmp_path) == CallSettings()


def test_settings_of_checks_are_no_matter_of_calls(tmp_path: Path) -> None:
    (tmp_path / "vagent.toml").write_text('select = ["no such rule"]')

    assert load_call_settings(tmp_path) == CallSettings()


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("record = 5", "`record` must be true, false or a folder, not 5"),
        ('record = " "', "`record` must be true, false or a folder"),
        ('record-audio = "on"', "`record-audio` must be true or false, not 'on'"),
        ("redact = 1", "`redact` must be true or false, not 1"),
        ("recrd = true", "unknown setting `recrd`"),
    ],
)
def test_a_wrong_setting_is_said(tmp_path: Path, text: str, words: str) -> None:
    (tmp_path / "vagent.toml").write_text(text)

    with pytest.raises(UsageError) as caught:
        load_call_settings(tmp_path)

    assert words in caught.value.message
