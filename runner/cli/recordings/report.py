"""A recorded call as the one object of `--format json`; keys may come, none goes."""

from __future__ import annotations

import json
import re
from dataclasses import asdict
from typing import Any

from runner.recording.reader import Recording
from runner.recording.timeline import TimeLine

# What JSON leaves as it is and a terminal may obey, or take for the end of a line.
_UNSAFE = re.compile("[\x7f-\x9f\u2028\u2029\u202a-\u202e\u2066-\u2069]")


def write_report(value: Any) -> str:
    """Return JSON that is safe on a terminal, with the end of its last line."""
    text = json.dumps(value, indent=2, ensure_ascii=False)
    return _UNSAFE.sub(lambda found: f"\\u{ord(found[0]):04x}", text) + "\n"


def report(recording: Recording, line: TimeLine) -> dict[str, Any]:
    """Return a call for programs; times in seconds, to the millisecond."""
    header = recording.header
    latency = line.median_latency
    return {
        "type": "vagent.show.recording",
        "folder": recording.folder.as_posix(),
        "agent": asdict(header.agent),
        "service": header.service,
        "started": header.started,
        "vagent": header.vagent,
        "is_complete": recording.is_complete,
        "stopped": recording.stopped,
        "lines_skipped": recording.skipped,
        **_rounded(_line_fields(line)),
        "totals": _rounded(
            {
                "turns": len(line.turns),
                "caller_seconds": line.talked("caller"),
                "agent_seconds": line.talked("agent"),
                "median_latency": latency,
                "tool_calls": len(line.tools),
                "interruptions": len(line.interruptions),
                "drops": len(line.drops),
            }
        ),
    }


def _line_fields(line: TimeLine) -> dict[str, Any]:
    fields = asdict(line)
    fields["notices"] = fields.pop("remarks")
    losses = fields["losses"]
    losses["messages_malformed"] = losses.pop("messages_garbled")
    return fields


def _rounded(value: Any) -> Any:
    if isinstance(value, float):
        return round(value, 3)
    if isinstance(value, dict):
        return {key: _rounded(each) for key, each in value.items()}
    if isinstance(value, list | tuple):
        return [_rounded(each) for each in value]
    return value
