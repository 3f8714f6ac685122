"""The tool calls of a recording: `calls.jsonl`, one line for each."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from runner.protocol.client.actions import CancelTool, RunTool
from runner.protocol.client.events import ToolFinished
from runner.protocol.messages import ToolCall
from runner.recording.format import Entry, InvalidRecording, check_types
from runner.recording.reader import bounded_lines
from runner.safe_files import open_regular

CALLS_FILE = "calls.jsonl"


@dataclass(frozen=True, slots=True)
class RecordedCall:
    """A tool call that has ended, with a `result` or `cancelled`.

    `at` is its start in seconds since the start of the recorded call, `seconds` its
    duration. `result` is a value of JSON's data model, or text that is not JSON; None
    if cancelled.
    """

    at: float
    call_id: str
    name: str
    arguments: Mapping[str, Any]
    result: Any
    is_error: bool
    seconds: float
    cancelled: bool


class CallLog:
    """Collects tool calls from events and actions.

    The interpreter of a call pairs them as well, for views and statistics. Recordings
    are below it, and calls.jsonl is a part of their format: it must not change when the
    interpreter does.
    """

    def __init__(self) -> None:
        self._running: dict[str, tuple[float, ToolCall]] = {}

    def note(self, at: float, what: Entry) -> RecordedCall | None:
        """Returns the tool call that ends with this entry, or None."""
        match what:
            case RunTool(call):
                self._running[call.call_id] = (at, call)
            case ToolFinished(call_id, text, is_error):
                return self._end(at, call_id, _value(text), is_error=is_error)
            case CancelTool(call_id):
                return self._end(at, call_id, None, cancelled=True)
        return None

    def _end(
        self,
        at: float,
        call_id: str,
        result: Any,
        *,
        is_error: bool = False,
        cancelled: bool = False,
    ) -> RecordedCall | None:
        if call_id not in self._running:
            return None
        began, call = self._running.pop(call_id)
        return RecordedCall(
            round(began, 6),
            call_id,
            call.name,
            call.arguments,
            result,
            is_error,
            round(at - began, 6),
            cancelled,
        )


def write_call(call: RecordedCall) -> dict[str, Any]:
    """Returns a line of calls.jsonl as JSON data."""
    return asdict(call)


def read_calls(folder: Path) -> list[RecordedCall]:
    """Reads the tool calls of a recording; an incomplete last line is dropped.

    Raises:
        InvalidRecording: the file cannot be read.
    """
    path = folder / CALLS_FILE
    try:
        with open_regular(path) as file:
            lines = [each for each in bounded_lines(file) if each.endswith(b"\n")]
    except FileNotFoundError:
        return []
    except OSError as error:
        raise InvalidRecording.from_os_error(f"'{path}'", "read", error) from error
    calls = []
    for line in lines:
        try:
            value = json.loads(line)
            call = RecordedCall(**{key: value[key] for key in _FIELDS})
            check_types(call)
            calls.append(call)
        except (ValueError, TypeError, KeyError, RecursionError):
            continue  # a damaged line
    return calls


_FIELDS = tuple(RecordedCall.__dataclass_fields__)


def _value(text: str) -> Any:
    try:
        return json.loads(text)
    except (ValueError, RecursionError):
        return text
