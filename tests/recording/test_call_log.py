from __future__ import annotations

from pathlib import Path

from runner.protocol.client.actions import RunTool
from runner.protocol.client.events import ToolFinished
from runner.protocol.messages import ToolCall
from runner.recording.call_log import RecordedCall, read_calls
from tests.recording.calls import record

CALL = RecordedCall(1.0, "call_1", "look", {"id": 5}, [1], False, 0.5, False)


def test_calls_are_read_again(tmp_path: Path) -> None:
    look = RunTool(ToolCall("call_1", "look", {"id": 5}))
    record(tmp_path, [(0.0, look), (1.0, look), (1.5, ToolFinished("call_1", "[1]"))])

    assert read_calls(tmp_path) == [CALL]


def test_incomplete_and_invalid_lines_are_skipped(tmp_path: Path) -> None:
    look = RunTool(ToolCall("call_1", "look", {"id": 5}))
    record(tmp_path, [(0.0, look), (1.0, look), (1.5, ToolFinished("call_1", "[1]"))])
    path = tmp_path / "calls.jsonl"
    line = path.read_bytes()
    later = line.replace(b'"at"', b'"added":"later","at"')
    path.write_bytes(b"\xff\n[]\n{}\n" + line + later + line[:-5])

    assert read_calls(tmp_path) == [CALL, CALL]


def test_a_recording_without_calls_has_none(tmp_path: Path) -> None:
    assert read_calls(tmp_path) == []
