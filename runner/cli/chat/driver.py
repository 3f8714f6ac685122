"""Draws a model in a terminal when it has changed, at most twenty times a second.

All methods but `print_above` belong to the event loop's thread.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Iterator
from dataclasses import dataclass

from runner.cli.chat.entries import Entry
from runner.cli.chat.region import LiveRegion
from runner.cli.chat.spans import Line
from runner.cli.views.chat.input import LineEditor
from runner.cli.views.chat.render import ChatRenderer
from runner.cli.views.chat.state import FRAME_SECONDS, ChatState
from runner.cli.views.chat.terminal import TerminalWriter

# A terminal that takes nothing is asked again after this long.
_PATIENCE_SECONDS = 0.2


@dataclass(slots=True)
class ChatApp:
    """Owns the terminal's screen while it is shown.

    `draft` is the line being typed, None where nothing can be.
    """

    model: ChatState
    picture: ChatRenderer
    region: LiveRegion
    canvas: TerminalWriter
    draft: LineEditor | None = None
    _loop: asyncio.AbstractEventLoop | None = None  # while it is shown
    _due: tuple[float, asyncio.Handle] | None = None  # uvloop's handles tell no time
    _last: float = -1e9

    @contextlib.contextmanager
    def shown(self) -> Iterator[None]:
        """Draw from here on; at the end everything stays but the region."""
        self.resume()
        try:
            yield
        finally:
            self.end()

    def resume(self) -> None:
        """Begin to draw on the running loop's time."""
        self._loop = asyncio.get_running_loop()
        self.draw()

    def hide(self) -> None:
        """Take the region away, and draw no more before `resume`."""
        if self._loop is None:
            return
        self._loop = None
        if self._due is not None:
            self._due[1].cancel()
            self._due = None
        self.canvas.write(self.region.erase(self.canvas.size()[0]))

    def end(self) -> None:
        """Take the region away and print what is not final yet."""
        now = asyncio.get_running_loop().time()
        self.hide()
        left = self.model.transcript.take_all()
        lines = self._lines(left, now, self.canvas.size()[0])
        text = "".join(f"{self.region.paint.line(line)}\r\n" for line in lines)
        self.canvas.write(text)

    def touch(self) -> None:
        """Take note that something has changed; it is drawn when its time has come."""
        if self._loop is not None:
            # Never at once: whoever tells of a change must not wait for a terminal.
            self._wake_at(max(self._loop.time(), self._last + FRAME_SECONDS))

    def draw(self) -> None:
        """Draw now, if the terminal takes it, and see to it that it is done again."""
        if self._loop is None:
            return
        now = self._last = self._loop.time()
        if not self.canvas.is_ready():
            self._wake_at(now + _PATIENCE_SECONDS)
            return
        width, height = self.canvas.size()
        final = self._lines(self.model.transcript.take_finished(now), now, width)
        below = self.picture.region(self.model, now, width, height - 1, self.draft)
        drawn = self.region.print(final, below) if final else self.region.draw(below)
        if drawn:
            self.canvas.write(drawn)
        self._wake_at(self.model.next_change(now))

    def print_above(self, text: str) -> None:
        """Put a line, of a log or of a library, above the region; from any thread."""
        loop = self._loop
        if loop is None:
            return
        with contextlib.suppress(RuntimeError):  # the loop is closed: it is all over
            loop.call_soon_threadsafe(self._note, text)

    def _note(self, text: str) -> None:
        self.model.transcript.note(text)
        self.touch()

    def _lines(self, entries: list[Entry], now: float, width: int) -> list[Line]:
        lines: list[Line] = []
        for entry in entries:
            lines += self.picture.entry(entry, now, width)
        return lines

    def _wake_at(self, when: float) -> None:
        assert self._loop is not None, "nothing is drawn that is not shown"
        if self._due is not None:
            if self._due[0] <= when:
                return
            self._due[1].cancel()
        self._due = when, self._loop.call_at(when, self._wake)

    def _wake(self) -> None:
        self._due = None
        self.draw()
