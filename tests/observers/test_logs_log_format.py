"""Log entries as text and as JSON."""

from __future__ import annotations

import json

from hypothesis import given
from hypothesis import strategies as st

from runner.observers.logs import LogEntry, write_entry

AT = 1_763_887_310.1239
ENTRY = LogEntry(
    AT, "info", "tool.ended", "sess_1", "call_1", "support", {"tool": "look up", "n": 1}
)


def test_an_entry_as_json_has_time_level_event_ids_and_fields() -> None:
    assert json.loads(write_entry(ENTRY, "json")) == {
        "ts": "2025-11-23T08:41:50.123Z",
        "level": "info",
        "event": "tool.ended",
        "session": "sess_1",
        "call": "call_1",
        "agent": "support",
        "tool": "look up",
        "n": 1,
    }


def test_an_entry_as_text_reads_from_left_to_right() -> None:
    assert write_entry(ENTRY, "text") == (
        "2025-11-23T08:41:50.123Z INFO    tool.ended session=sess_1 call=call_1 "
        'agent=support tool="look up" n=1'
    )


def test_empty_ids_are_left_out() -> None:
    entry = LogEntry(AT, "warning", "log")

    assert write_entry(entry, "text") == "2025-11-23T08:41:50.123Z WARNING log"
    assert json.loads(write_entry(entry, "json")).keys() == {"ts", "level", "event"}


@given(st.text(), st.sampled_from(["text", "json"]))
def test_line_breaks_and_control_characters_are_escaped(text: str, form: str) -> None:
    fields = {"text": text, "tree": {"of": [text]}}

    line = write_entry(LogEntry(AT, "info", "x", fields=fields), form)  # type: ignore[arg-type]  # hypothesis knows no literals

    assert line.isprintable()
    line.encode()
    if form == "json":
        assert json.loads(line)["text"] == text
