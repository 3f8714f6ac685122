"""What the engine does now beside what it did then: equal, or the first difference.

Left out are times and how sound was cut into pieces, and nothing else: messages with
their content, their order against all that was received, tools, notices, the sound of
each reply that was played, and the end.
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
from runner.testing.mocks import MockedToolset
from runner.testing.replay import replay
from runner.tools.tool import ToolOutcome

_BEFORE, _AFTER = 5, 3
# Beyond this many steps it is not worth the time to say how many differ besides.
_COUNTED = 5_000


@dataclass(frozen=True, slots=True)
class Step:
    """One line of a call as it is compared; `at` and `entry` are for whoever reads.

    Of sound between two other lines there is one step: the microphone's, and the
    agent's reply by reply.
    """

    at: float
    entry: Entry
    content: dict[str, Any]


@dataclass(frozen=True, slots=True)
class Difference:
    """The first place where two calls part, with what surrounds it.

    `before` is what both have in common just before. A side that has ended is empty.
    `further` counts the places where they part after that; None where there are too
    many lines to count.
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
    """Return the first difference between two calls; None when they are equal.

    What was recorded of a call that is not complete may end anywhere.
    """
    old, new = list(_steps(then)), list(_steps(now))
    if not is_complete:
        # The last line may be half of what followed from one event, or of a sound.
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
    if len(old) + len(new) > _COUNTED:
        return None
    then = [dumps(step.content) for step in old]
    now = [dumps(step.content) for step in new]
    matcher = SequenceMatcher(None, then, now, autojunk=False)
    places = [tag for tag, *_ in matcher.get_opcodes() if tag != "equal"]
    return max(0, len(places) - 1)


def _steps(entries: Sequence[tuple[float, Entry]]) -> Iterator[Step]:
    """Yield what is compared, up to the end: after that nothing is done any more."""
    sound: list[tuple[float, AudioSummary]] = []
    for at, entry in entries:
        if isinstance(entry, Tick):
            continue  # what follows from it is compared
        if isinstance(entry, AudioSummary):
            sound.append((at, entry))
            continue
        if sound:
            yield _sound_step(sound)
            sound = []
        content = write_line(0.0, entry)
        del content["at"]
        yield Step(at, entry, content)
        if isinstance(entry, Close):
            return
    if sound:
        yield _sound_step(sound)


def _sound_step(sounds: Sequence[tuple[float, AudioSummary]]) -> Step:
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
        # A line may end between a sound that comes and its playing: that has no name.
        is_rest = replies and not sound.received
        if not is_rest and (not replies or replies[-1]["id"] != sound.reply_id):
            replies.append({"id": sound.reply_id, "received": 0, "played": 0})
        replies[-1]["received"] += sound.received
        replies[-1]["played"] += sound.played
    return Step(at, last, {"sound": content})


# One recording replayed: equal, different, accepted, or not to be replayed.


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
