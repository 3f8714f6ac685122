"""Comparison of a replay with its recording: equal, or the first difference.

Times and the division of audio into pieces are ignored. Compared are messages, their
order relative to what was received, tools, notices, the audio of each reply, and the
end.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from difflib import SequenceMatcher
from itertools import zip_longest
from pathlib import Path
from typing import Any

from runner.config.files import load_environment
from runner.engine.agent import load_agent_and_tools
from runner.engine.engine import RunToolCall
from runner.errors import FileUnreadable, VagentError, os_error_text
from runner.protocol.client.actions import Close
from runner.protocol.client.events import Tick
from runner.protocol.codec import dumps
from runner.protocol.messages import ToolCall
from runner.recording.format import AudioSummary, Entry, write_header, write_line
from runner.recording.reader import SESSION_FILE, Recording, read_recording
from runner.recording.redaction import redact
from runner.safe_files import replace_file
from runner.testing.mocks import MockedToolset
from runner.testing.replay import replay
from runner.tools.tool import ToolOutcome

_BEFORE, _AFTER = 5, 3
# Further differences are not counted above this number of steps: it takes too long.
_MAX_COUNTED_STEPS = 5_000


@dataclass(frozen=True, slots=True)
class Step:
    """One entry as it is compared; `at` and `entry` are for display only.

    All audio between two other entries is one step: the microphone's, and the agent's
    by reply.
    """

    at: float
    entry: Entry
    content: dict[str, Any]


@dataclass(frozen=True, slots=True)
class Difference:
    """The first difference of two calls, with its context.

    `before` is the common part just before it. A side that has ended is empty.
    `further` counts later differences; None if there are too many steps to count.
    """

    number: int  # of the step, from 1
    before: Sequence[Step]
    then: Sequence[Step]
    now: Sequence[Step]
    further: int | None = 0


def find_difference(
    then: Sequence[tuple[float, Entry]],
    now: Sequence[tuple[float, Entry]],
    *,
    is_complete: bool = True,
) -> Difference | None:
    """Returns the first difference between two calls; None when they are equal.

    An incomplete recording may end at any entry.
    """
    old, new = list(_steps(then)), list(_steps(now))
    if not is_complete:
        # The last entry may be part of what followed from one event, or of its audio.
        if old and isinstance(old[-1].entry, AudioSummary):
            old.pop()
        new = new[: len(old)]
    for number, (one, other) in enumerate(zip_longest(old, new)):
        if one is None or other is None or one.content != other.content:
            return Difference(
                number + 1,
                old[max(0, number - _BEFORE) : number],
                old[number : number + _AFTER],
                new[number : number + _AFTER],
                _count_further(old[number:], new[number:]),
            )
    return None


def _count_further(old: Sequence[Step], new: Sequence[Step]) -> int | None:
    if len(old) + len(new) > _MAX_COUNTED_STEPS:
        return None
    then = [dumps(step.content) for step in old]
    now = [dumps(step.content) for step in new]
    matcher = SequenceMatcher(None, then, now, autojunk=False)
    places = [tag for tag, *_ in matcher.get_opcodes() if tag != "equal"]
    return max(0, len(places) - 1)


def _steps(entries: Sequence[tuple[float, Entry]]) -> Iterator[Step]:
    """Yields the steps that are compared, up to the end of the call."""
    audio: list[tuple[float, AudioSummary]] = []
    for at, entry in entries:
        if isinstance(entry, Tick):
            continue  # its effects are compared
        if isinstance(entry, AudioSummary):
            audio.append((at, entry))
            continue
        if audio:
            yield _audio_step(audio)
            audio = []
        content = write_line(0.0, entry)
        del content["at"]
        yield Step(at, entry, content)
        if isinstance(entry, Close):
            return
    if audio:
        yield _audio_step(audio)


def _audio_step(sounds: Sequence[tuple[float, AudioSummary]]) -> Step:
    at, (_, last) = sounds[0][0], sounds[-1]
    each = [sound for _, sound in sounds]
    content: dict[str, Any] = {
        "mic": sum(sound.mic for sound in each),
        "sent": sum(sound.sent for sound in each),
        "replies": [],
    }
    for sound in each:
        if not sound.received and not sound.played:
            continue
        replies = content["replies"]
        # A summary may end between audio and its playback; the rest has no reply id.
        is_rest = replies and not sound.received
        if not is_rest and (not replies or replies[-1]["id"] != sound.reply_id):
            replies.append({"id": sound.reply_id, "received": 0, "played": 0})
        replies[-1]["received"] += sound.received
        replies[-1]["played"] += sound.played
    return Step(at, last, {"sound": content})


# The result of one replayed recording.


@dataclass(frozen=True, slots=True)
class ReplayResult:
    """The result of a replay; `problem` says why a recording could not be replayed.

    `seconds` is the length of the recorded call; `was_updated` is True if the recording
    was replaced by the new behavior.
    """

    folder: Path
    difference: Difference | None = None
    problem: str | None = None
    seconds: float = 0.0
    is_complete: bool = True
    was_updated: bool = False

    @property
    def is_equal(self) -> bool:
        """True if the engine behaves as recorded."""
        return self.difference is None and self.problem is None


def replay_and_compare(
    folder: Path, *, live_tools: bool = False, update: bool = False
) -> ReplayResult:
    """Replays a recording and compares; errors of a recording are in the result."""
    try:
        recording = read_recording(folder)
        run_tool = _live_tools(recording) if live_tools else None
        now = replay(recording, run_tool)
    except VagentError as error:
        return ReplayResult(folder, problem=error.message)
    except Exception as error:
        # The engine relies on what a session checks when it starts, and a recording can
        # contain anything. It must not end the replay of the others.
        problem = f"internal error: {type(error).__name__}: {error}"
        return ReplayResult(folder, problem=problem)
    if recording.header.is_redacted:
        now = [(at, redact(entry)) for at, entry in now]
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
        raise FileUnreadable(
            f"its tools need the agent file '{path}', which does not exist"
        )
    environment = load_environment(Path(), os.environ)
    _, registry = load_agent_and_tools(path, header.variables, environment)
    staged = MockedToolset(registry)

    async def run_tool(call: ToolCall) -> ToolOutcome:
        return await staged.run(call.name, call.raw_arguments)

    return run_tool


def _write(recording: Recording, now: list[tuple[float, Entry]]) -> None:
    """Puts the new entries in place of the recorded ones, atomically."""
    lines = [write_header(recording.header)]
    lines += [write_line(at, entry) for at, entry in now]
    end = round(now[-1][0], 6) if now else 0.0
    if recording.is_complete:
        lines.append({"at": end, "end": True})
    elif recording.stopped is not None:
        lines.append({"at": end, "stopped": recording.stopped})
    path = recording.folder / SESSION_FILE
    replace_file(path, "".join(f"{dumps(line)}\n" for line in lines).encode())
