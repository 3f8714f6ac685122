"""What was said and done, as the list in the middle of the page."""

from __future__ import annotations

import json
from collections.abc import Iterator
from html import escape
from typing import Any

from runner.cli.lines import printable, shorten
from runner.cli.recordings.text import (
    clock,
    describe_call,
    describe_drop,
    describe_interruption,
    describe_outcome,
    duration,
)
from runner.observers.timeline import TimeLine, ToolRun, Turn


def write_conversation(line: TimeLine) -> str:
    """Return the items of the list, in the order in which they happened."""
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
        f"<p>{_words(turn)} {note}</p></li>"
    )


def _words(turn: Turn) -> str:
    """Return the text, each word that has a time in a span with it.

    The words' times belong to the text from its beginning, as far as both agree.
    """
    said = turn.text.split()
    if not said:
        return "<i>no words</i>"
    parts: list[str] = []
    for index, text in enumerate(said):
        if index == len(turn.words) or turn.words[index].text != text:
            parts += [escape(printable(each)) for each in said[index:]]
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
        else "<p>There is no result.</p>"
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
    word = {"cut": "Cut off", "drop": "Line", "error": "Error", "notice": "Note"}[kind]
    said = escape(printable(text))
    return f'<li class="event {kind}">{_at(at)}<b>{word}</b><p>{said}</p></li>'


def _at(at: float, target: str = "") -> str:
    if not target:
        return f'<a class="at" href="#conversation" data-at="{at:.3f}">{clock(at)}</a>'
    return f'<a class="at" href="#{target}" data-at="{at:.3f}">{clock(at)}</a>'


def pretty(value: Any) -> str:
    """Return a value of JSON's data model on lines of its own, escaped."""
    text = json.dumps(value, indent=2, ensure_ascii=False)
    return (
        "<pre>" + "\n".join(escape(printable(e)) for e in text.split("\n")) + "</pre>"
    )
