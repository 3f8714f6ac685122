"""Records a real call in a terminal as docs/terminal.svg; `make terminal` runs it.

The chat of `vagent run` is drawn in a pseudo-terminal, its screen is followed by a
terminal emulator, and each picture that stood for a moment becomes one of the SVG's.
Real speech: the local service hears what the local voice says (`--say`).
"""

from __future__ import annotations

import os
import pty
import select
import struct
import subprocess
import sys
import termios
import time
from collections.abc import Iterator
from dataclasses import dataclass
from fcntl import ioctl
from html import escape
from pathlib import Path

import pyte

DOCS = Path(__file__).resolve().parents[1]
COLUMNS, ROWS = 80, 22
# Pictures that stood for less than this are passed over.
_LEAST_SECONDS = 0.25
_WIDTH, _HEIGHT = 8.4, 18.0  # of a cell, in pixels
_LINES = (
    "What's the weather in London?",
    "Where is my order one two three four?",
    "No, that's all. Goodbye!",
)


@dataclass(frozen=True, slots=True)
class Picture:
    """The content of the screen as lines of SVG, shown from `at` (seconds)."""

    at: float
    lines: tuple[str, ...]


def main() -> None:
    pictures = list(_follow(_command()))
    target = DOCS / "terminal.svg"
    target.write_text(_draw(pictures), "utf-8")
    size = target.stat().st_size // 1024
    sys.stdout.write(f"{target}: {len(pictures)} pictures, {size} kB\n")


def _command() -> list[str]:
    tool = str(DOCS.parent / "agents" / "tools" / "orders.py")
    said = [word for line in _LINES for word in ("--say", line)]
    run = [sys.executable, "-m", "runner", "run", "agents/support.yaml"]
    run += ["--output", "null", "--var", "orders_url={url}", *said]
    return [sys.executable, tool, "--port", "0", "--while", *run]


def _follow(command: list[str]) -> Iterator[Picture]:
    """Runs a command in a terminal; yields what stood on its screen."""
    screen = pyte.Screen(COLUMNS, ROWS)
    stream = pyte.ByteStream(screen)
    ours, theirs = pty.openpty()
    ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", ROWS, COLUMNS, 0, 0))
    environment = {
        **os.environ,
        "TERM": "xterm-256color",
        "PYTHONPATH": str(DOCS.parent),
    }
    process = subprocess.Popen(
        command, stdin=theirs, stdout=theirs, stderr=theirs, cwd=DOCS.parent,
        env=environment, start_new_session=True,
    )  # fmt: skip
    os.close(theirs)
    began, lines, since = time.monotonic(), _lines(screen), 0.0
    while True:
        if not select.select([ours], [], [], 0.05)[0] and process.poll() is not None:
            break
        try:
            data = os.read(ours, 65_536)
        except OSError:  # the terminal's other end is closed
            break
        now = time.monotonic() - began
        if now - since >= _LEAST_SECONDS and any(lines):
            yield Picture(since, lines)
        stream.feed(data)
        lines, since = _lines(screen), now
    yield Picture(since, lines)
    process.wait()


def _lines(screen: pyte.Screen) -> tuple[str, ...]:
    return tuple(_line(screen, row) for row in range(ROWS))


def _line(screen: pyte.Screen, row: int) -> str:
    """Returns a row as spans of SVG, each of one style."""
    spans: list[tuple[str, str]] = []
    for column in range(COLUMNS):
        cell = screen.buffer[row][column]
        style = " ".join(
            name
            for name, is_set in (
                (f"c-{cell.fg}", cell.fg != "default"),
                ("bold", cell.bold),
                ("struck", cell.strikethrough),
            )
            if is_set
        )
        if spans and spans[-1][0] == style:
            spans[-1] = (style, spans[-1][1] + cell.data)
        else:
            spans.append((style, cell.data))
    if spans and not spans[-1][0]:
        spans[-1] = ("", spans[-1][1].rstrip())
    return "".join(
        f'<tspan class="{style}">{escape(text)}</tspan>' if style else escape(text)
        for style, text in spans
    )


def _draw(pictures: list[Picture]) -> str:
    began, ended = pictures[0].at, pictures[-1].at + 4.0
    whole = ended - began
    rules, groups = [], []
    for number, picture in enumerate(pictures):
        until = pictures[number + 1].at if number + 1 < len(pictures) else ended
        start, end = (100 * (at - began) / whole for at in (picture.at, until))
        rules.append(
            f"@keyframes p{number}{{0%,{max(0.0, start - 0.001):.3f}%{{opacity:0}}"
            f"{start:.3f}%,{end:.3f}%{{opacity:1}}{min(100.0, end + 0.001):.3f}%,100%"
            f"{{opacity:{int(until == ended)}}}}}"
            f"#p{number}{{animation:p{number} {whole:.2f}s step-end infinite}}"
        )
        rows = "".join(
            f'<text x="12" y="{(row + 1) * _HEIGHT + 8:.0f}">{text}</text>'
            for row, text in enumerate(picture.lines)
            if text
        )
        groups.append(f'<g class="p" id="p{number}">{rows}</g>')
    width, height = COLUMNS * _WIDTH + 24, ROWS * _HEIGHT + 24
    box = f"0 0 {width:.0f} {height:.0f}"
    style = f"<style>{_STYLE}{''.join(rules)}</style>"
    back = '<rect class="back" width="100%" height="100%" rx="8"/>'
    label = 'role="img" aria-label="A call with an agent in a terminal"'
    opening = f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="{box}" {label}>'
    return f"{opening}{style}{back}{''.join(groups)}</svg>\n"


_STYLE = (
    "text{font:14px ui-monospace,Menlo,Consolas,monospace;white-space:pre;fill:#1f2328}"
    ".back{fill:#f6f8fa}.p{opacity:0}.bold{font-weight:bold}"
    ".struck{text-decoration:line-through;opacity:.6}"
    ".c-cyan{fill:#0b7285}.c-magenta{fill:#862e9c}.c-green{fill:#2b8a3e}"
    ".c-brown{fill:#a05a00}.c-red{fill:#c92a2a}"
    "@media(prefers-color-scheme:dark){text{fill:#e6edf3}.back{fill:#161b22}"
    ".c-cyan{fill:#66d9e8}.c-magenta{fill:#e599f7}.c-green{fill:#8ce99a}"
    ".c-brown{fill:#ffc078}.c-red{fill:#ff8787}}"
)


if __name__ == "__main__":
    main()
