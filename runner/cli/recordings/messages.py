"""Every message, event and action of a call as the long list at the page's end.

Sound that follows on sound is one item: how many milliseconds of it, each way.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from html import escape
from itertools import groupby
from typing import Any

from runner.audio.devices import BYTES_PER_MS
from runner.cli.lines import describe_received, describe_sent, printable, shorten
from runner.cli.recordings.conversation import pretty
from runner.cli.recordings.text import clock
from runner.protocol.client.actions import Send
from runner.protocol.client.events import Received
from runner.protocol.messages import (
    TranscriptAgent,
    TranscriptUser,
    TranscriptUserDelta,
)
from runner.recording.format import AudioSummary, Entry, write_line

_SPOKEN = (TranscriptUser, TranscriptUserDelta, TranscriptAgent)


@dataclass(frozen=True, slots=True)
class Item:
    """One line of the list; `kind` is wire, sound or core, which the page filters by.

    `detail` is the whole of it, where the line does not say it all.
    """

    at: float
    arrow: str
    kind: str
    text: str
    detail: Any = None


def list_messages(entries: Sequence[tuple[float, Entry]]) -> Iterator[Item]:
    """Return the lines of a recording's entries."""
    for is_sound, group in groupby(
        entries, lambda each: isinstance(each[1], AudioSummary)
    ):
        if is_sound:
            sounds = [
                (at, what) for at, what in group if isinstance(what, AudioSummary)
            ]
            yield from _sound(sounds)
        else:
            yield from (_item(at, what) for at, what in group)


def write_messages(entries: Sequence[tuple[float, Entry]]) -> str:
    """Return the items of the list."""
    return "\n".join(_write(item) for item in list_messages(entries))


def _sound(sounds: list[tuple[float, AudioSummary]]) -> Iterator[Item]:
    at = sounds[0][0]
    for arrow, name, field in (
        ("→", "input.audio", "sent"),
        ("←", "reply.audio", "received"),
    ):
        size = sum(getattr(sound, field) for _, sound in sounds)
        if size:
            text = f"{name} {size / BYTES_PER_MS:.0f} ms"
            if field == "received":
                played = sum(sound.played for _, sound in sounds)
                if played < size:
                    ignored = (size - played) / BYTES_PER_MS
                    text += f", {ignored:.0f} ms of it not played"
            yield Item(at, arrow, "sound", text)
    lost = sum(sound.mic - sound.sent for _, sound in sounds)
    if lost > 0:
        text = f"microphone {lost / BYTES_PER_MS:.0f} ms, not sent"
        yield Item(at, "·", "sound", text)


def _item(at: float, what: Entry) -> Item:
    line = write_line(at, what)
    del line["at"]
    match what:
        case Send(message):
            text = describe_sent(message)
            return Item(at, "→", "wire", text, _detail(line["message"]))
        case Received(message):
            text = describe_received(message)
            if isinstance(message, _SPOKEN):
                text += f" {shorten(message.text)!r}"
            return Item(at, "←", "wire", text, _detail(line["message"]))
        case _:
            verb = "on" if "on" in line else "do"
            name = str(line.pop(verb)).replace("_", " ")
            told = ", ".join(
                shorten(str(value), 60)
                for value in line.values()
                if value not in (None, "", [], {}, False)
                and not isinstance(value, dict | list)
            )
            text = f"{name}: {told}" if told else name
            return Item(at, "·", "core", text, line or None)


def _detail(message: Any) -> Any:
    """Return the message where it has more than its type and its time."""
    return message if set(message) - {"type", "timestamp"} else None


def _write(item: Item) -> str:
    text = escape(printable(item.text))
    body = f"<code>{text}</code>"
    if item.detail:
        body = (
            f"<details><summary><code>{text}</code></summary>"
            f"{pretty(item.detail)}</details>"
        )
    return (
        f'<li data-kind="{item.kind}"><a class="at" href="#messages" '
        f'data-at="{item.at:.3f}">{clock(item.at, 3)}</a>'
        f"<i>{item.arrow}</i>{body}</li>"
    )
