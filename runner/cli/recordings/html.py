"""A recorded call as one page for a browser: everything in it, nothing from a network.

What was said by anybody is escaped where it enters. The page forbids itself every
address and every script and style but its own, by their hashes.
"""

from __future__ import annotations

import base64
import hashlib
import json
import re
from functools import cache
from html import escape
from importlib.resources import files
from typing import Any

from runner.cli.lines import printable
from runner.cli.recordings.conversation import write_conversation
from runner.cli.recordings.embedding import Embedded, embed
from runner.cli.recordings.messages import write_messages
from runner.cli.recordings.terminal import describe_start
from runner.cli.recordings.text import (
    clock,
    describe_end,
    describe_latencies,
    describe_losses,
    describe_tools,
    duration,
)
from runner.cli.recordings.waveform import tick_steps, write_waveform
from runner.observers.timeline import TimeLine
from runner.recording.header import write_header
from runner.recording.reader import Recording
from runner.recording.voices import Voices

_MARK_PIXELS = 60
_PLACE = re.compile(r"\{\{(\w+)\}\}")


def write_page(recording: Recording, line: TimeLine, voices: Voices | None) -> str:
    """Return the page of a call."""
    header = recording.header
    sound = embed(recording.folder)
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
        "sound": _player(sound),
        "sound_words": _text(sound.words),
        "waveform": write_waveform(line, voices),
        "conversation": write_conversation(line),
        "waits": _waits(line),
        "dropped": _dropped(line),
        "messages": write_messages(recording.entries),
        "about": _about(recording),
        "island": _island(line, has_sound=sound.uri is not None),
    }
    # In one pass: what is put in is not looked into again.
    return _PLACE.sub(lambda found: parts[found[1]], _part("page.html"))


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


def _island(line: TimeLine, *, has_sound: bool) -> str:
    """Return what the script needs as JSON that no text can break out of."""
    value: dict[str, Any] = {
        "seconds": round(line.seconds, 3),
        "sound": has_sound,
        # How many pixels the drawing needs for its fine marks of the time.
        "fineWidth": round(_MARK_PIXELS * line.seconds / tick_steps(line.seconds)[1]),
        "turns": [[round(turn.start, 3), round(turn.end, 3)] for turn in line.turns],
    }
    text = json.dumps(value, separators=(",", ":"))
    return text.replace("<", "\\u003c").replace(">", "\\u003e").replace("&", "\\u0026")


def _figures(line: TimeLine) -> str:
    middle = line.median_latency
    figures = [
        ("Length", clock(line.seconds, 0), _talked(line)),
        ("First audio", "–" if middle is None else f"{middle:.2f} s", "median wait"),
        ("Turns", str(len(line.turns)), "of both voices"),
        ("Tool calls", str(len(line.tools)), _unwell(line)),
        ("Interruptions", str(len(line.interruptions)), _silenced(line)),
        ("Line drops", str(len(line.drops)), _resumed(line)),
    ]
    return "\n".join(
        f"<div><dt>{name}</dt><dd>{figure}<small>{_text(note)}</small></dd></div>"
        for name, figure, note in figures
    )


def _talked(line: TimeLine) -> str:
    whole = max(line.seconds, 1e-3)
    caller, agent = (line.talked(each) / whole for each in ("caller", "agent"))
    return f"caller {caller:.0%}, agent {agent:.0%}"


def _unwell(line: TimeLine) -> str:
    told = describe_tools(line).partition(", ")[2]
    return told or ("all fine" if line.tools else "none asked for")


def _silenced(line: TimeLine) -> str:
    if not line.interruptions:
        return "of the agent"
    longest = max(each.seconds for each in line.interruptions)
    return f"silent within {duration(longest)}"


def _resumed(line: TimeLine) -> str:
    if not line.drops:
        return "one line throughout"
    return f"{sum(drop.resumed for drop in line.drops)} resumed"


def _player(sound: Embedded) -> str:
    if sound.uri is None:
        return ""
    return f'<audio id="sound" controls preload="auto" src="{sound.uri}"></audio>'


def _waits(line: TimeLine) -> str:
    if not line.latencies:
        return "<p>No answer was waited for.</p>"
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
    how = (
        ""
        if line.is_heard
        else " The recording has no audio: times are those of the messages."
    )
    return (
        f"<p>{_text(describe_latencies(line))}.{how}</p>\n<table>\n<thead><tr>"
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
        ("SHA-256 of it", header.agent.sha256),
        ("Service", header.service),
        ("Began", header.started),
        ("vagent", header.vagent),
        ("Python", f"{header.python}, {header.platform}"),
        ("Redacted", "yes" if header.is_redacted else "no"),
    ]
    listed = "".join(f"<dt>{name}</dt><dd>{_text(fact)}</dd>" for name, fact in facts)
    told = json.dumps(write_header(header), indent=2, ensure_ascii=False)
    body = "\n".join(_text(each) for each in told.split("\n"))
    return (
        f"<dl>{listed}</dl>\n<details><summary>The whole header</summary>"
        f"<pre>{body}</pre></details>"
    )
