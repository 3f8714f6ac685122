"""The documentation of recordings is complete, and its example runs."""

from __future__ import annotations

import contextlib
import dataclasses
import io
import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings

from runner.protocol.client.tool_calls import ToolPolicy
from runner.recording.call_log import RecordedCall
from runner.recording.format import (
    FORMAT_VERSION,
    AudioSummary,
    Entry,
    write_header,
    write_line,
)
from runner.recording.recorder import Limits
from runner.recording.redaction import redact_text
from tests.recording.calls import header, record
from tests.recording.strategies import ENTRY
from tests.recording.test_recorder import BEGAN, DONE

PAGE = (Path(__file__).parents[3] / "docs" / "reference" / "recordings.md").read_text(
    "utf-8"
)
CODE = set(re.findall(r"`([^`\n]+)`", PAGE))
# The contents of these belong to the wire or to tools.
FOREIGN = {"tools", "message", "call", "session", "arguments", "unsent", "variables"}


def keys(value: Any) -> Iterator[str]:
    if isinstance(value, dict):
        for key, each in value.items():
            yield key
            if key not in FOREIGN:
                yield from keys(each)


def test_every_key_of_a_header_is_documented() -> None:
    rules = {field.name for field in dataclasses.fields(ToolPolicy)}

    assert {*keys(write_header(header())), *rules} <= CODE


@given(ENTRY)
@settings(max_examples=200)
def test_every_key_and_name_of_a_line_is_documented(entry: Entry) -> None:
    line = write_line(0.0, entry)

    assert {*keys(line), line.get("on", "at"), line.get("do", "at")} <= CODE


def test_every_audio_count_is_documented() -> None:
    assert {field.name for field in dataclasses.fields(AudioSummary)} <= CODE


def test_every_key_of_a_call_is_documented() -> None:
    assert {field.name for field in dataclasses.fields(RecordedCall)} <= CODE


def test_files_version_and_bounds_are_those_of_the_code(tmp_path: Path) -> None:
    record(tmp_path, [(BEGAN, DONE)])
    block = PAGE.split("```")[1]

    names = {each.name for each in tmp_path.iterdir()}
    assert set(re.findall(r"^  (\S+)", block, re.MULTILINE)) >= names - {
        *("caller.wav", "agent.wav", "both.wav")
    }
    assert f"| `version` | of this format: {FORMAT_VERSION} |" in PAGE
    assert Limits().seconds == 2 * 3600
    assert f"{Limits().text_bytes // 1024 // 1024} MB of lines" in PAGE


def test_redaction_does_what_the_page_says() -> None:
    assert redact_text("a@b.org") in CODE
    assert redact_text("a at b dot org") in CODE
    assert redact_text("one two") in CODE


def test_its_example_runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    record(tmp_path / "calls" / "one", [(BEGAN, DONE)])
    monkeypatch.chdir(tmp_path)
    (example,) = re.findall(r"```python\n(.*?)```", PAGE, re.DOTALL)

    out = io.StringIO()
    with contextlib.redirect_stdout(out):
        exec(example, {})

    assert out.getvalue() == "tester 1 True\n"
    assert json.loads(
        (tmp_path / "calls/one/session.jsonl").read_bytes().split(b"\n")[0]
    )
