"""What the engine does now beside what it did then: equal, or the first difference.

Left out are times and how sound was cut into pieces, and nothing else: messages with
their content, their order against all that was received, tools, notices, the sound of
each reply that was played, and the end.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import zip_longest
from typing import Any

from runner.protocol.client.events import Tick
from runner.recording.lines import Entry, Sound, write_line

_BEFORE, _AFTER = 5, 3


@dataclass(frozen=True, slots=True)
class Step:
    """One line of a call as it is compared; `at` and `entry` are for whoever reads."""

    at: float
    entry: Entry
    content: dict[str, Any]


@dataclass(frozen=True, slots=True)
class Difference:
    """The first place where two calls part, with what surrounds it.

    `before` is what both have in common just before. A side that has ended is empty.
    """

    number: int  # of the step, from 1
    before: Sequence[Step]
    then: Sequence[Step]
    now: Sequence[Step]


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
        # The last line may be half of what followed from one event.
        new = new[: len(old)]
    for number, (one, other) in enumerate(zip_longest(old, new)):
        if one is None or other is None or one.content != other.content:
            return Difference(
                number + 1,
                old[max(0, number - _BEFORE) : number],
                old[number : number + _AFTER],
                new[number : number + _AFTER],
            )
    return None


def _steps(entries: Sequence[tuple[float, Entry]]) -> Iterator[Step]:
    sound: tuple[float, Sound] | None = None
    for at, entry in entries:
        if isinstance(entry, Tick):
            continue  # what follows from it is compared
        if isinstance(entry, Sound):
            if sound is not None and _is_one(sound[1], entry):
                sound = (sound[0], _sum(sound[1], entry))
                continue
            yield from _sound_step(sound)
            sound = (at, entry)
            continue
        yield from _sound_step(sound)
        sound = None
        content = write_line(0.0, entry)
        del content["at"]
        yield Step(at, entry, content)
    yield from _sound_step(sound)


def _is_one(first: Sound, second: Sound) -> bool:
    return first.reply_id == second.reply_id or not (first.received and second.received)


def _sum(first: Sound, second: Sound) -> Sound:
    return Sound(
        second.until,
        first.mic + second.mic,
        first.sent + second.sent,
        first.received + second.received,
        first.played + second.played,
        first.reply_id or second.reply_id,
    )


def _sound_step(sound: tuple[float, Sound] | None) -> Iterator[Step]:
    if sound is not None:
        at, total = sound
        content = write_line(0.0, total)
        yield Step(at, total, {"sound": content["sound"]})
