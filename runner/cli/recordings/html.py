"""The report of a recorded call as one self-contained HTML page.

All recorded text is escaped where it is inserted. A content security policy allows only
the page's own script and style, by their hashes, and no network access.
"""

from __future__ import annotations

import base64
import hashlib
import json
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cache
from html import escape
from importlib.resources import files
from itertools import groupby
from pathlib import Path
from typing import Any

from runner.audio.devices import BYTES_PER_MS
from runner.audio.files import compress
from runner.cli.output import printable
from runner.cli.recordings.terminal import TICK_SECONDS, describe_start
from runner.cli.recordings.text import (
    clock,
    describe_call,
    describe_drop,
    describe_end,
    describe_interruption,
    describe_latencies,
    describe_losses,
    describe_outcome,
    describe_tools,
    duration,
)
from runner.cli.views.wire import describe_received, describe_sent, shorten
from runner.errors import AudioFileError, os_error_text
from runner.observers.timeline import TimeLine, ToolRun, Turn
from runner.protocol.client.actions import Send
from runner.protocol.client.events import Received
from runner.protocol.messages import (
    TranscriptAgent,
    TranscriptUser,
    TranscriptUserDelta,
)
from runner.recording.audio_tracks import Envelope, Voices
from runner.recording.format import AudioSummary, Entry, write_header, write_line
from runner.recording.reader import Recording

_MIN_TICK_PIXELS = 60
_PLACEHOLDER = re.compile(r"\{\{(\w+)\}\}")


def write_page(recording: Recording, line: TimeLine, voices: Voices | None) -> str:
    """Returns the HTML page of a call."""
    header = recording.header
    audio = embed(recording.folder)
    style, script = _part("page.css"), _part("page.js")
    parts = {
        "policy": _policy(style, script),
        "style": style,
        "script": script,
        "agent": _text(header.agent.name),
        "when": _text(describe_start(recording)),
        "service": _text(header.service),
        "ending": _text(describe_end(recording, line)),
        "figures": _figures(line),
        "length": clock(line.seconds),
        "audio": _player(audio),
        "audio_note": _text(audio.note),
        "waveform": write_waveform(line, voices),
        "conversation": write_conversation(line),
        "waits": _waits(line),
        "dropped": _dropped(line),
        "messages": write_messages(recording.entries),
        "about": _about(recording),
        "island": _island(line, has_audio=audio.uri is not None),
    }
    # In one pass: inserted text is not searched for placeholders.
    return _PLACEHOLDER.sub(lambda found: parts[found[1]], _part("page.html"))


@cache
def _part(name: str) -> str:
    return files("runner.cli.recordings").joinpath(name).read_text("utf-8")


def _text(text: str) -> str:
    return escape(printable(text))


def _policy(style: str, script: str) -> str:
    hashes = [
        base64.b64encode(hashlib.sha256(part.encode()).digest()).decode()
        for part in (style, script)
    ]
    return (
        f"default-src 'none'; style-src 'sha256-{hashes[0]}'; "
        f"script-src 'sha256-{hashes[1]}'; media-src data:; base-uri 'none'; "
        "form-action 'none'"
    )


def _island(line: TimeLine, *, has_audio: bool) -> str:
    """Returns the data of the script as JSON, escaped for a script element."""
    value: dict[str, Any] = {
        "seconds": round(line.seconds, 3),
        "audio": has_audio,
        # The width in pixels from which the fine ticks are shown.
        "fineWidth": round(
            _MIN_TICK_PIXELS * line.seconds / tick_steps(line.seconds)[1]
        ),
        "turns": [[round(turn.start, 3), round(turn.end, 3)] for turn in line.turns],
    }
    text = json.dumps(value, separators=(",", ":"))
    return text.replace("<", "\\u003c").replace(">", "\\u003e").replace("&", "\\u0026")


def _figures(line: TimeLine) -> str:
    middle = line.median_latency
    figures = [
        ("Length", clock(line.seconds, 0), _talked(line)),
        ("First audio", "–" if middle is None else f"{middle:.2f} s", "median wait"),
        ("Turns", str(len(line.turns)), "of both sides"),
        ("Tool calls", str(len(line.tools)), _tool_failures(line)),
        ("Interruptions", str(len(line.interruptions)), _silence_delay(line)),
        ("Connection losses", str(len(line.drops)), _resumed(line)),
    ]
    return "\n".join(
        f"<div><dt>{name}</dt><dd>{figure}<small>{_text(note)}</small></dd></div>"
        for name, figure, note in figures
    )


def _talked(line: TimeLine) -> str:
    whole = max(line.seconds, 1e-3)
    caller, agent = (line.talked(each) / whole for each in ("caller", "agent"))
    return f"caller {caller:.0%}, agent {agent:.0%}"


def _tool_failures(line: TimeLine) -> str:
    failures = describe_tools(line).partition(", ")[2]
    return failures or ("all succeeded" if line.tools else "none requested")


def _silence_delay(line: TimeLine) -> str:
    if not line.interruptions:
        return "of the agent"
    longest = max(each.seconds for each in line.interruptions)
    return f"silent within {duration(longest)}"


def _resumed(line: TimeLine) -> str:
    if not line.drops:
        return "one connection"
    return f"{sum(drop.resumed for drop in line.drops)} resumed"


def _player(audio: Embedded) -> str:
    if audio.uri is None:
        return ""
    return f'<audio id="audio" controls preload="auto" src="{audio.uri}"></audio>'


def _waits(line: TimeLine) -> str:
    if not line.latencies:
        return "<p>There were no answers.</p>"
    longest = max(max(each.seconds for each in line.latencies), 0.001)
    rows = []
    for each in line.latencies:
        deciding = min(max(0.0, each.decided - each.at), each.seconds)
        first, second = (100 * part / longest for part in (deciding, each.seconds))
        rows.append(
            f'<tr><td><a class="at" href="#turn-{each.turn}" data-at="{each.at:.3f}">'
            f"{clock(each.at)}</a></td><td>{deciding:.2f} s</td>"
            f"<td>{each.seconds - deciding:.2f} s</td><td>{each.seconds:.2f} s</td>"
            '<td class="bar"><svg width="100%" height="10" aria-hidden="true">'
            f'<rect class="decide" width="{first:.1f}%" height="10"/>'
            f'<rect class="answer" x="{first:.1f}%" width="{second - first:.1f}%" '
            'height="10"/></svg></td></tr>'
        )
    source = (
        "" if line.is_heard else " Times are from messages: the recording has no audio."
    )
    return (
        f"<p>{_text(describe_latencies(line))}.{source}</p>\n<table>\n<thead><tr>"
        '<th scope="col">Caller ends</th><th scope="col">To decision</th>'
        '<th scope="col">To audio</th><th scope="col">Waited</th>'
        '<th scope="col"><span class="unseen">Share</span></th></tr></thead>\n'
        "<tbody>\n" + "\n".join(rows) + "\n</tbody>\n</table>"
    )


def _dropped(line: TimeLine) -> str:
    losses = describe_losses(line.losses)
    if not losses:
        return "<p>Nothing was dropped or ignored.</p>"
    return "<ul>" + "".join(f"<li>{_text(each)}</li>" for each in losses) + "</ul>"


def _about(recording: Recording) -> str:
    header = recording.header
    facts = [
        ("Agent file", header.agent.path),
        ("SHA-256", header.agent.sha256),
        ("Service", header.service),
        ("Began", header.started),
        ("vagent", header.vagent),
        ("Python", f"{header.python}, {header.platform}"),
        ("Redacted", "yes" if header.is_redacted else "no"),
    ]
    listed = "".join(f"<dt>{name}</dt><dd>{_text(fact)}</dd>" for name, fact in facts)
    return (
        f"<dl>{listed}</dl>\n<details><summary>The whole header</summary>"
        f"{pretty(write_header(header))}</details>"
    )


def write_conversation(line: TimeLine) -> str:
    """Returns turns, tool calls and events as list items, in order of time."""
    items = sorted(_items(line), key=lambda item: item[:2])
    return "\n".join(item for _, _, item in items)


def _items(line: TimeLine) -> Iterator[tuple[float, int, str]]:
    waits = {each.turn: each.seconds for each in line.latencies}
    for index, turn in enumerate(line.turns):
        yield turn.start, 0, _turn(index, turn, waits.get(index))
    for run in line.tools:
        yield run.at, 1, _tool(run)
    for cut in line.interruptions:
        yield cut.at, 2, _event(cut.at, "cut", describe_interruption(cut))
    for drop in line.drops:
        yield drop.at, 3, _event(drop.at, "drop", describe_drop(drop))
    for remark in line.remarks:
        yield remark.at, 4, _event(remark.at, remark.kind, remark.text)


def _turn(index: int, turn: Turn, wait: float | None) -> str:
    notes = []
    if wait is not None:
        notes.append(f"waited {duration(wait)}")
    if turn.interrupted:
        notes.append("interrupted")
    if turn.typed:
        notes.append("typed")
    note = f"<small>{', '.join(notes)}</small>" if notes else ""
    who = "Caller" if turn.speaker == "caller" else "Agent"
    return (
        f'<li class="turn {turn.speaker}" id="turn-{index}">'
        f"{_at(turn.start, f'turn-{index}')}<b>{who}</b>"
        f"<p>{_turn_text(turn)} {note}</p></li>"
    )


def _turn_text(turn: Turn) -> str:
    """Returns the text of a turn; each word with known times is in a span.

    Times are assigned from the start of the text, as long as the words are equal.
    """
    texts = turn.text.split()
    if not texts:
        return "<i>no text</i>"
    parts: list[str] = []
    for index, text in enumerate(texts):
        if index == len(turn.words) or turn.words[index].text != text:
            parts += [escape(printable(each)) for each in texts[index:]]
            break
        word = turn.words[index]
        parts.append(
            f'<span data-from="{word.start:.3f}" data-to="{word.end:.3f}">'
            f"{escape(printable(text))}</span>"
        )
    return " ".join(parts)


def _tool(run: ToolRun) -> str:
    call, took = shorten(describe_call(run)), escape(describe_outcome(run))
    answer = (
        f"<h3>Result</h3>{pretty(run.result)}"
        if run.state in ("done", "failed")
        else "<p>No result.</p>"
    )
    answered = (
        f"<p>Sent to the service at {clock(run.answered)}.</p>"
        if run.answered is not None
        else "<p>No result was sent to the service.</p>"
    )
    return (
        f'<li class="tool {run.state}">{_at(run.at)}<b>Tool</b>'
        f"<details><summary><code>{escape(printable(call))}</code> "
        f"<small>{took}</small></summary>"
        f"<h3>Arguments</h3>{pretty(dict(run.arguments))}{answer}{answered}"
        "</details></li>"
    )


def _event(at: float, kind: str, text: str) -> str:
    labels = {"cut": "Interruption", "drop": "Connection", "error": "Error"}
    label = labels.get(kind, "Note")
    return f'<li class="event {kind}">{_at(at)}<b>{label}</b><p>{_text(text)}</p></li>'


def _at(at: float, target: str = "conversation") -> str:
    return f'<a class="at" href="#{target}" data-at="{at:.3f}">{clock(at)}</a>'


def pretty(value: Any) -> str:
    """Returns a JSON value as an escaped `pre` element."""
    text = json.dumps(value, indent=2, ensure_ascii=False)
    return (
        "<pre>" + "\n".join(escape(printable(e)) for e in text.split("\n")) + "</pre>"
    )


_TRANSCRIPTS = (TranscriptUser, TranscriptUserDelta, TranscriptAgent)


@dataclass(frozen=True, slots=True)
class Item:
    """One item of the message list; the page filters by its `kind`.

    `kind` is `wire`, `audio` or `core`. `detail` is the whole entry if `text`
    does not contain all of it.
    """

    at: float
    arrow: str
    kind: str
    text: str
    detail: Any = None


def list_messages(entries: Sequence[tuple[float, Entry]]) -> Iterator[Item]:
    """Yields the items of a recording; consecutive audio entries are one item."""
    for is_audio, group in groupby(
        entries, lambda each: isinstance(each[1], AudioSummary)
    ):
        if is_audio:
            summaries = [
                (at, what) for at, what in group if isinstance(what, AudioSummary)
            ]
            yield from _audio(summaries)
        else:
            yield from (_item(at, what) for at, what in group)


def write_messages(entries: Sequence[tuple[float, Entry]]) -> str:
    """Returns all entries of a recording as list items."""
    return "\n".join(_write(item) for item in list_messages(entries))


def _audio(summaries: list[tuple[float, AudioSummary]]) -> Iterator[Item]:
    at = summaries[0][0]
    for arrow, name, field in (
        ("→", "input.audio", "sent"),
        ("←", "reply.audio", "received"),
    ):
        size = sum(getattr(each, field) for _, each in summaries)
        if size:
            text = f"{name} {size / BYTES_PER_MS:.0f} ms"
            if field == "received":
                played = sum(each.played for _, each in summaries)
                if played < size:
                    ignored = (size - played) / BYTES_PER_MS
                    text += f", {ignored:.0f} ms of it not played"
            yield Item(at, arrow, "audio", text)
    lost = sum(each.mic - each.sent for _, each in summaries)
    if lost > 0:
        text = f"microphone {lost / BYTES_PER_MS:.0f} ms, not sent"
        yield Item(at, "·", "audio", text)


def _item(at: float, what: Entry) -> Item:
    line = write_line(at, what)
    del line["at"]
    match what:
        case Send(message):
            text = describe_sent(message)
            return Item(at, "→", "wire", text, _detail(line["message"]))
        case Received(message):
            text = describe_received(message)
            if isinstance(message, _TRANSCRIPTS):
                text += f" {shorten(message.text)!r}"
            return Item(at, "←", "wire", text, _detail(line["message"]))
        case _:
            verb = "on" if "on" in line else "do"
            name = str(line.pop(verb)).replace("_", " ")
            values = ", ".join(
                shorten(str(value), 60)
                for value in line.values()
                if value not in (None, "", [], {}, False)
                and not isinstance(value, dict | list)
            )
            text = f"{name}: {values}" if values else name
            return Item(at, "·", "core", text, line or None)


def _detail(message: Any) -> Any:
    """Returns the message if it has more fields than its type and time."""
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


_LANE = 84  # pixels per side
_GAP = 12  # pixels between both, for the tools
_HEIGHT = 2 * _LANE + _GAP
_POINTS_PER_SECOND = 25  # of the outline
_MIN_POINTS, _MAX_POINTS = 600, 12_000


def write_waveform(line: TimeLine, voices: Voices | None) -> str:
    """Returns the waveform as SVG: peaks of the audio, or the turns without audio.

    Positions are percentages of the length of the call.
    """
    seconds = max(line.seconds, 1e-3)
    lanes = []
    for index, speaker in enumerate(("caller", "agent")):
        top = index * (_LANE + _GAP)
        if voices is None:
            lanes.append(_blocks(line, speaker, top, seconds))
        else:
            voice = voices.caller if speaker == "caller" else voices.agent
            lanes.append(_outline(voice, speaker, top, seconds))
        lanes += _silent(line, speaker, top, seconds)
    return (
        f'<svg id="wave" width="100%" height="{_HEIGHT + 20}" role="img" '
        'aria-label="Audio over time: the caller above, the agent below">\n'
        + "\n".join([*_ticks(seconds), *_drops(line, seconds), *lanes])
        + "\n".join(["", *_tools(line, seconds), *_cuts(line, seconds)])
        + f'\n<rect id="played" height="{_HEIGHT}" width="0"/>'
        f'<line id="head" x1="0" x2="0" y1="0" y2="{_HEIGHT}"/>\n</svg>'
    )


def tick_steps(seconds: float) -> tuple[int, int]:
    """Returns the seconds between two ticks, and between two fine ticks."""
    coarse, fine = (
        next(
            (each for each in TICK_SECONDS if seconds / each <= count), TICK_SECONDS[-1]
        )
        for count in (12, 400)
    )
    return coarse, fine


def _outline(voice: Envelope, speaker: str, top: int, seconds: float) -> str:
    points = round(seconds * _POINTS_PER_SECOND)
    points = min(max(points, _MIN_POINTS), _MAX_POINTS)
    # The square root makes a quiet voice visible next to a loud one.
    heights = [
        round(100 * float(peak) ** 0.5) for peak in voice.envelope(points, seconds)
    ]
    above = "".join(f"L{x} {100 - height}" for x, height in enumerate(heights))
    below = "".join(
        f"L{x} {100 + height}" for x, height in reversed(list(enumerate(heights)))
    )
    return (
        f'<svg y="{top}" width="100%" height="{_LANE}" viewBox="0 0 {points} 200" '
        f'preserveAspectRatio="none"><path class="{speaker}" '
        f'd="M0 100{above}{below}Z"/></svg>'
    )


def _blocks(line: TimeLine, speaker: str, top: int, seconds: float) -> str:
    return "".join(
        f'<rect class="{speaker}" x="{_share(turn.start, seconds)}" '
        f'y="{top + _LANE // 4}" width="{_share(turn.end - turn.start, seconds)}" '
        f'height="{_LANE // 2}" rx="2"/>'
        for turn in line.turns
        if turn.speaker == speaker and not turn.silent
    )


def _silent(line: TimeLine, speaker: str, top: int, seconds: float) -> list[str]:
    return [
        f'<rect class="{speaker} silent" x="{_share(turn.start, seconds)}" '
        f'y="{top + _LANE // 2 - 4}" height="8" rx="4" '
        f'width="{_share(max(turn.end - turn.start, seconds / 200), seconds)}">'
        "<title>text without audio</title></rect>"
        for turn in line.turns
        if turn.speaker == speaker and turn.silent
    ]


def _ticks(seconds: float) -> list[str]:
    """Returns about twelve ticks, and fine ticks for a zoomed view."""
    coarse, fine = tick_steps(seconds)
    marks = []
    for at in range(0, int(seconds) + 1, fine):
        kind = "tick" if at % coarse == 0 else "tick fine"
        place = _share(at, seconds)
        marks.append(
            f'<line class="{kind}" x1="{place}" x2="{place}" y1="0" y2="{_HEIGHT}"/>'
        )
        if at < seconds * 0.96:
            marks.append(
                f'<text class="{kind}" x="{place}" y="{_HEIGHT + 15}" dx="3">'
                f"{clock(at, 0)}</text>"
            )
    return marks


def _drops(line: TimeLine, seconds: float) -> list[str]:
    return [
        f'<rect class="drop" x="{_share(drop.at, seconds)}" height="{_HEIGHT}" '
        f'width="{_share((drop.until or seconds) - drop.at, seconds)}">'
        "<title>the connection was lost</title></rect>"
        for drop in line.drops
    ]


def _tools(line: TimeLine, seconds: float) -> list[str]:
    return [
        f'<rect class="tool {run.state}" x="{_share(run.at, seconds)}" '
        f'y="{_LANE + _GAP // 2 - 2}" height="4" rx="2" '
        f'width="{_share(max(run.seconds or 0, seconds / 300), seconds)}"/>'
        for run in line.tools
    ]


def _cuts(line: TimeLine, seconds: float) -> list[str]:
    return [
        f'<line class="cut" x1="{_share(each.at, seconds)}" '
        f'x2="{_share(each.at, seconds)}" y1="0" y2="{_HEIGHT}">'
        "<title>the agent was interrupted</title></line>"
        for each in line.interruptions
    ]


def _share(at: float, seconds: float) -> str:
    return f"{100 * min(max(at / seconds, 0.0), 1.0):.3f}%"


_MEGABYTE = 1024 * 1024


@dataclass(frozen=True, slots=True)
class AudioSizeLimits:
    """Maximum sizes of embedded audio in bytes.

    One hour is about 80 MB as FLAC, which every browser plays, and 20 MB as Ogg Vorbis,
    which Safari plays since 18.4. `wave` is the size of a WAVE file of two hours.
    """

    wave: int = 700 * _MEGABYTE
    flac: int = 32 * _MEGABYTE
    ogg: int = 64 * _MEGABYTE


@dataclass(frozen=True, slots=True)
class Embedded:
    """Audio as a data URI, None if it is left out, and a note about it."""

    uri: str | None
    note: str


def embed(folder: Path, sizes: AudioSizeLimits | None = None) -> Embedded:
    """Returns the audio of a recording for its page, compressed."""
    path = folder / "both.wav"
    sizes = sizes or AudioSizeLimits()
    try:
        if path.stat().st_size <= sizes.wave:
            if len(audio := compress(path, "FLAC")) <= sizes.flac:
                return _embedded("audio/flac", "FLAC, lossless", audio)
            if len(audio := compress(path, "OGG")) <= sizes.ogg:
                return _embedded("audio/ogg", "Ogg Vorbis, lossy", audio)
    except FileNotFoundError:
        return Embedded(None, "This call was recorded without audio.")
    except OSError as error:
        return Embedded(None, f"The audio is left out: {os_error_text(error)}.")
    except AudioFileError as error:
        return Embedded(None, f"The audio is left out: {error.message}.")
    return Embedded(None, "The audio is too long for a page; it is in both.wav.")


def _embedded(kind: str, name: str, audio: bytes) -> Embedded:
    return Embedded(
        f"data:{kind};base64,{base64.b64encode(audio).decode()}",
        f"Audio: {name}, {len(audio) / _MEGABYTE:.1f} MB, caller left and agent right.",
    )
