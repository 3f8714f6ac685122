"""Results of one recording: equal, different, accepted, not replayable."""

from __future__ import annotations

import shutil
from dataclasses import replace
from pathlib import Path

import pytest

from runner.protocol.client.actions import RunTool, Send
from runner.protocol.codec import dumps
from runner.protocol.messages import ToolResult
from runner.recording.format import write_header, write_line
from runner.recording.reader import SESSION_FILE, Recording, read_recording
from runner.testing.replay_result import replay_and_compare
from tests.testing.recorded_calls import RECORDINGS


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return Path(shutil.copytree(RECORDINGS / "results-held", tmp_path / "one"))


def spoil(folder: Path, *, keep_end: bool = True) -> None:
    """Let the recording lack the results that were sent."""
    recording = read_recording(folder)
    entries = [
        (at, each)
        for at, each in recording.entries
        if not (isinstance(each, Send) and isinstance(each.message, ToolResult))
    ]
    rewrite(replace(recording, entries=entries), keep_end=keep_end)


def rewrite(recording: Recording, *, keep_end: bool) -> None:
    lines = [write_header(recording.header)]
    lines += [write_line(at, each) for at, each in recording.entries]
    lines += [{"at": 30.0, "end": True}] if keep_end else []
    text = "".join(f"{dumps(line)}\n" for line in lines)
    (recording.folder / SESSION_FILE).write_text(text, "utf-8")


def test_a_recording_is_equal(folder: Path) -> None:
    verdict = replay_and_compare(folder)

    assert verdict.is_equal
    assert verdict.is_complete
    assert 20 < verdict.seconds < 30


def test_a_recording_differs(folder: Path) -> None:
    spoil(folder)

    assert replay_and_compare(folder).difference is not None


def test_an_accepted_recording_is_equal_afterwards(folder: Path) -> None:
    spoil(folder)
    header = read_recording(folder).header

    assert replay_and_compare(folder, update=True).was_updated
    assert replay_and_compare(folder).is_equal
    assert read_recording(folder).header == header
    assert [each.name for each in folder.iterdir()] == [SESSION_FILE]


@pytest.mark.parametrize("update", [False, True])
def test_an_equal_recording_is_not_changed(folder: Path, update: bool) -> None:
    before = (folder / SESSION_FILE).read_bytes()

    assert not replay_and_compare(folder, update=update).was_updated
    assert (folder / SESSION_FILE).read_bytes() == before


def test_an_incomplete_recording_stays_incomplete_when_accepted(folder: Path) -> None:
    recording = read_recording(folder)
    cut = len(recording.entries) * 3 // 4
    rewrite(replace(recording, entries=recording.entries[:cut]), keep_end=False)
    spoil(folder, keep_end=False)

    assert replay_and_compare(folder, update=True).was_updated
    assert not read_recording(folder).is_complete
    assert replay_and_compare(folder).is_equal


def test_a_folder_without_a_recording_is_a_problem(tmp_path: Path) -> None:
    assert "no recording" in str(replay_and_compare(tmp_path).problem)


def test_live_tools_need_the_agent_file(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(folder)

    assert "'orders.yaml', which does not exist" in str(
        replay_and_compare(folder, live_tools=True).problem
    )


LIVE = """\
version: 1
name: orders
prompt: You tell callers where their orders are.
tools: [{python: "tools.py:lookup_order"}, {python: "tools.py:change_order"}]
"""
TOOLS = '''\
def lookup_order(order_id: str) -> dict[str, str]:
    """Look it up."""
    return {"status": "shipped"}


async def change_order(day: str) -> dict[str, str]:
    """Change it."""
    return {"day": "DAY"}
'''


@pytest.mark.parametrize(("day", "is_equal"), [("Friday", True), ("Monday", False)])
def test_live_tools_are_run_again(
    folder: Path, monkeypatch: pytest.MonkeyPatch, day: str, is_equal: bool
) -> None:
    monkeypatch.chdir(folder.parent)
    Path("orders.yaml").write_text(LIVE, "utf-8")
    Path("tools.py").write_text(TOOLS.replace("DAY", day), "utf-8")
    recording = read_recording(folder)
    # The call's end is a tool, too, which this agent has not got.
    end = next(n for n, (_, each) in enumerate(recording.entries) if is_goodbye(each))
    rewrite(replace(recording, entries=recording.entries[:end]), keep_end=False)

    verdict = replay_and_compare(folder, live_tools=True)

    assert verdict.is_equal is is_equal
    if verdict.difference is not None:
        assert verdict.difference.then[0].content["text"] == '{"day":"Friday"}'
        assert verdict.difference.now[0].content["text"] == '{"day":"Monday"}'


def is_goodbye(entry: object) -> bool:
    return isinstance(entry, RunTool) and entry.call.name == "end_call"
