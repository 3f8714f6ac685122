"""Recordings of later versions, incomplete recordings, and other files."""

from __future__ import annotations

import json
import os
import socket
import sys
import tracemalloc
from pathlib import Path
from typing import Any

import pytest

from runner.protocol.client.config import ClientConfig
from runner.protocol.client.events import Connected, Received, Tick
from runner.protocol.messages import ReplyStarted
from runner.recording.format import (
    MAX_AUDIO_BYTES,
    Entry,
    Header,
    InvalidRecording,
    RecordedAgent,
    write_header,
    write_line,
)
from runner.recording.reader import find_recordings, read_recording

HEADER = Header(
    agent=RecordedAgent("tester", "agents/tester.yaml", "0" * 64),
    service="a stand-in",
    config=ClientConfig({"system_prompt": "You test."}),
    seed=7,
    started="2026-01-02T03:04:05+00:00",
    vagent="1.2.3",
    python="3.11.9",
    platform="Linux",
)
ENTRIES: list[tuple[float, Entry]] = [
    (0.5, Connected()),
    (1.0, Received(ReplyStarted("reply_1"))),
    (1.25, Tick()),
]


def save(folder: Path, *lines: Any, header: Any = None) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    first = write_header(HEADER) if header is None else header
    text = "".join(json.dumps(each) + "\n" for each in (first, *lines))
    (folder / "session.jsonl").write_text(text, "utf-8", newline="\n")
    return folder


def test_a_recording_comes_back_with_its_header_and_its_lines(tmp_path: Path) -> None:
    lines = [write_line(*each) for each in ENTRIES]
    save(tmp_path, *lines, {"at": 2.0, "end": True})

    recording = read_recording(tmp_path)

    assert recording.header == HEADER
    assert recording.entries == ENTRIES
    assert (recording.is_complete, recording.skipped) == (True, 0)


def test_it_is_readable_wherever_it_was_cut_after_its_header(tmp_path: Path) -> None:
    lines = [write_line(*each) for each in ENTRIES]
    path = save(tmp_path, *lines, {"at": 2.0, "end": True}) / "session.jsonl"
    whole = path.read_bytes()
    header = whole.index(b"\n") + 1
    for length in range(header, len(whole)):
        path.write_bytes(whole[:length])

        recording = read_recording(tmp_path)

        complete = whole[:length].count(b"\n") - 1
        assert recording.entries == ENTRIES[:complete]
        assert not recording.is_complete
        assert recording.skipped == 0


@pytest.mark.parametrize("length", [0, 1, 40])
def test_cut_within_its_header_it_is_none(tmp_path: Path, length: int) -> None:
    path = save(tmp_path) / "session.jsonl"
    path.write_bytes(path.read_bytes()[:length])

    with pytest.raises(InvalidRecording, match="the first line of"):
        read_recording(tmp_path)


def test_what_a_later_version_adds_is_skipped(tmp_path: Path) -> None:
    connected, _, tick = (write_line(*each) for each in ENTRIES)
    save(
        tmp_path,
        {**connected, "mood": "good"},
        {"at": 0.7, "on": "gesture", "kind": "nod"},
        {"at": 0.8, "weather": "fine"},
        {"at": 0.9, "on": "say"},  # without its words
        {"at": 0.9, "on": "received", "message": {"no": "type"}},
        {"at": 0.9, "sound": 5},
        ["no", "object"],
        tick,
        header={**write_header(HEADER), "mood": "good"},
    )

    recording = read_recording(tmp_path)

    assert recording.entries == [ENTRIES[0], ENTRIES[2]]
    assert recording.skipped == 6


def test_a_later_format_is_refused_with_what_to_do(tmp_path: Path) -> None:
    save(tmp_path, header={**write_header(HEADER), "version": 2})

    with pytest.raises(InvalidRecording, match="has format 2") as caught:
        read_recording(tmp_path)

    assert (
        caught.value.hint
        == "install the version of vagent that made it, or a newer one"
    )


@pytest.mark.parametrize(
    "header",
    [[], {"type": "vagent.recording", "version": 1}, {"type": "other"}, "words", 5],
)
def test_a_foreign_first_line_is_refused(tmp_path: Path, header: Any) -> None:
    save(tmp_path, header=header)

    with pytest.raises(InvalidRecording):
        read_recording(tmp_path)


def test_a_folder_without_one_is_refused_with_a_hint(tmp_path: Path) -> None:
    for folder in (tmp_path, tmp_path / "nowhere"):
        with pytest.raises(InvalidRecording, match="no recording in") as caught:
            read_recording(folder)
        assert "--record" in str(caught.value.hint)


def test_the_reason_of_a_stop_is_read(tmp_path: Path) -> None:
    save(tmp_path, {"at": 2.0, "stopped": "the disk is full"})

    recording = read_recording(tmp_path)

    assert recording.stopped == "the disk is full"
    assert (recording.is_complete, recording.skipped) == (False, 0)


def test_recordings_are_found_by_themselves_and_in_folders(tmp_path: Path) -> None:
    second = save(tmp_path / "b")
    first = save(tmp_path / "a" / "deeper")
    save(tmp_path / ".hidden")

    assert find_recordings([tmp_path]) == [first, second]
    assert find_recordings([second, tmp_path]) == [second, first]
    assert find_recordings([second / "session.jsonl"]) == [second]


def test_paths_without_recordings_are_refused(tmp_path: Path) -> None:
    with pytest.raises(InvalidRecording, match="no recording in"):
        find_recordings([tmp_path])
    with pytest.raises(InvalidRecording, match="'.*nowhere' does not exist"):
        find_recordings([tmp_path / "nowhere"])


@pytest.mark.skipif(sys.platform == "win32", reason="no pipes and devices there")
def test_what_is_not_a_regular_file_is_refused_and_never_waited_for(
    tmp_path: Path,
) -> None:
    for name in ("pipe", "device", "socket", "folder"):
        (tmp_path / name).mkdir()
    os.mkfifo(tmp_path / "pipe" / "session.jsonl")
    (tmp_path / "device" / "session.jsonl").symlink_to("/dev/zero")
    (tmp_path / "folder" / "session.jsonl").mkdir()
    # The paths of sockets are short.
    handle = os.open(tmp_path / "socket", os.O_RDONLY)
    try:
        with socket.socket(socket.AF_UNIX) as server:
            server.bind(f"/proc/self/fd/{handle}/session.jsonl")
    finally:
        os.close(handle)

    for name in ("pipe", "device", "socket", "folder"):
        with pytest.raises(InvalidRecording, match="cannot be read: ") as caught:
            read_recording(tmp_path / name)
        assert "\n" not in caught.value.message


HOSTILE_LINES = {
    "a negative length": {"sound": {"mic": -5}},
    "a length of text": {"sound": {"played": "x"}},
    "a length of a fraction": {"sound": {"received": 1e300}},
    "a length of an hour": {"sound": {"mic": 10**9}},
    "more audible than received": {"sound": {"received": 2, "audible": 4}},
    "an id of a list": {"sound": {"reply_id": [1]}},
    "audio of a list": {"sound": [1, 2]},
    "speech of a terabyte": {"on": "voiced", "call_id": "c", "bytes": 10**12},
    "speech of text": {"on": "voiced", "call_id": "c", "bytes": "9"},
    "text of a mapping": {"on": "say", "text": {"a": 1}},
    "a reason of a list": {"on": "hang_up", "reason": [1], "after_playback": False},
    "a flag of text": {
        "on": "tool_finished",
        "call_id": "c",
        "text": "",
        "is_error": "no",
    },
    "a number that is not one": {
        "on": "playback_cut",
        "reply_id": "",
        "played_ms": "nan",
        "dropped_ms": 0,
    },
    "a code of text": {
        "on": "disconnected",
        "reason": "",
        "code": "x",
        "status": None,
        "unsent": [],
    },
    "an outcome of nothing": {
        "do": "close",
        "outcome": "x",
        "reason": "",
        "hint": None,
        "drain": False,
    },
    "a deep line": None,
}


@pytest.mark.parametrize("line", HOSTILE_LINES.values(), ids=HOSTILE_LINES)
def test_a_line_with_values_of_other_types_is_skipped(
    line: dict[str, Any] | None, tmp_path: Path
) -> None:
    save(tmp_path, {"at": 1, "on": "tick"})
    with (tmp_path / "session.jsonl").open("a") as file:
        deep = '{"at": 1, "on": "say", "text": ' + "[" * 10**5 + "]" * 10**5 + "}"
        hostile = json.dumps({"at": 1, "until": 2, **line}) if line else deep
        file.write(f"{hostile}\n")

    recording = read_recording(tmp_path)

    assert recording.entries == [(1.0, Tick())]
    assert recording.skipped == 1


@pytest.mark.parametrize(
    ("field", "value"),
    [
        *[("agent", 5), ("agent", {"name": {}, "path": [], "sha256": 1})],
        *[("config", {}), ("config", {"tools": {"x": 5}})],
        *[("started", 1), ("variables", [1]), ("variables", {"a": 1})],
        *[("has_sound", "yes"), ("service", {"x": 1}), ("seed", "x"), ("vagent", None)],
    ],
)
def test_a_header_with_values_of_other_types_is_refused(
    field: str, value: Any, tmp_path: Path
) -> None:
    save(tmp_path, header={**write_header(HEADER), field: value})

    with pytest.raises(InvalidRecording, match="header of the recording is invalid"):
        read_recording(tmp_path)


@pytest.mark.parametrize(
    "change",
    [
        {"max_duration": "x"},
        {"idle": {"nudge_after": float("nan")}},
        {"patience": {"ready": None}},
        {"announce_by": "shouting"},
    ],
)
def test_a_configuration_with_values_of_other_types_is_refused(
    change: dict[str, Any], tmp_path: Path
) -> None:
    first = json.loads(json.dumps(write_header(HEADER)))
    first["config"].update(change)
    save(tmp_path, header=first)

    with pytest.raises(InvalidRecording, match="is not"):
        read_recording(tmp_path)


def test_a_line_that_is_too_long_is_skipped(tmp_path: Path) -> None:
    say = {"at": 1, "on": "say", "text": "x" * 20_000_000}
    save(tmp_path, say, {"at": 2, "on": "tick"}, {"at": 2, "end": True})

    recording = read_recording(tmp_path)

    assert recording.entries == [(2.0, Tick())]
    assert (recording.skipped, recording.is_complete) == (1, True)


def test_the_memory_for_declared_speech_is_bounded(tmp_path: Path) -> None:
    voiced = {"at": 1, "on": "voiced", "call_id": "c", "bytes": MAX_AUDIO_BYTES}
    save(tmp_path, *[voiced] * 50)

    tracemalloc.start()
    recording = read_recording(tmp_path)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()

    assert len(recording.entries) + recording.skipped == 50
    assert peak < 4 * MAX_AUDIO_BYTES
