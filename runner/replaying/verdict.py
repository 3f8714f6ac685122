"""One recording replayed: equal, different, accepted, or not to be replayed."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

from runner.config.environment import load_environment
from runner.engine.agent import load_agent_and_tools
from runner.errors import FileUnreadable, VagentError, os_error_text
from runner.protocol.messages import ToolCall
from runner.protocol.notation import dumps
from runner.recording.format import Entry, write_line
from runner.recording.header import write_header
from runner.recording.reader import SESSION_FILE, Recording, read_recording
from runner.recording.redaction import redact
from runner.tasks import RunToolCall
from runner.testing.mocks import MockedToolset
from runner.testing.replay import replay
from runner.testing.replay_result import Difference, find_difference
from runner.tools.tool import ToolOutcome


@dataclass(frozen=True, slots=True)
class ReplayResult:
    """What came of one recording; `problem` says why it could not be replayed.

    `seconds` is how long the recorded call was, `was_updated` whether what the engine
    does now was written in place of what it did.
    """

    folder: Path
    difference: Difference | None = None
    problem: str | None = None
    seconds: float = 0.0
    is_complete: bool = True
    was_updated: bool = False

    @property
    def is_equal(self) -> bool:
        """Whether the engine does now what it did then."""
        return self.difference is None and self.problem is None


def replay_and_compare(
    folder: Path, *, live_tools: bool = False, update: bool = False
) -> ReplayResult:
    """Replay a recording and compare; never raises for what a recording can hold."""
    try:
        recording = read_recording(folder)
        run_tool = _live_tools(recording) if live_tools else None
        now = replay(recording, run_tool)
        if recording.header.is_redacted:
            now = [(at, redact(entry)) for at, entry in now]
    except VagentError as error:
        return ReplayResult(folder, problem=error.message)
    difference = find_difference(
        recording.entries, now, is_complete=recording.is_complete
    )
    length = recording.entries[-1][0] if recording.entries else 0.0
    verdict = ReplayResult(
        folder, difference, None, length, is_complete=recording.is_complete
    )
    if difference is None or not update:
        return verdict
    try:
        _write(recording, now)
    except OSError as error:
        return ReplayResult(
            folder, problem=f"'{folder}' cannot be written: {os_error_text(error)}"
        )
    return ReplayResult(folder, None, None, length, was_updated=True)


def _live_tools(recording: Recording) -> RunToolCall:
    header = recording.header
    path = Path(header.agent.path)
    if not path.is_file():
        raise FileUnreadable(f"its agent file '{path}' is not there for its tools")
    environment = load_environment(Path(), os.environ)
    _, registry = load_agent_and_tools(path, header.variables, environment)
    staged = MockedToolset(registry)

    async def run_tool(call: ToolCall) -> ToolOutcome:
        return await staged.run(call.name, call.arguments)

    return run_tool


def _write(recording: Recording, now: list[tuple[float, Entry]]) -> None:
    """Put what the engine does now in place of the recorded lines, all at once."""
    lines = [write_header(recording.header)]
    lines += [write_line(at, entry) for at, entry in now]
    end = round(now[-1][0], 6) if now else 0.0
    if recording.is_complete:
        lines.append({"at": end, "end": True})
    elif recording.stopped is not None:
        lines.append({"at": end, "stopped": recording.stopped})
    path = recording.folder / SESSION_FILE
    beside = path.with_suffix(".new")
    beside.write_text("".join(f"{dumps(line)}\n" for line in lines), "utf-8")
    os.replace(beside, path)
