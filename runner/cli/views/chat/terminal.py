"""The terminal itself: its size and its writing, single keys, whoever else writes.

Everything that is changed here is put back: on leaving, by `restore` when the process
is about to leave at once, and while it is stopped (Ctrl-Z).
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import select
import signal
import sys
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from types import FrameType
from typing import Any, TextIO

from runner.cli.views.chat.input import LineEditor
from runner.cli.views.chat.render import ChatRenderer, Line, LiveRegion
from runner.cli.views.chat.state import FRAME_SECONDS, ChatState
from runner.cli.views.chat.transcript import Entry
from runner.cli.views.wire import Printer
from runner.engine.audio_setup import is_in_foreground

_PASTE_ON, _PASTE_OFF = "\x1b[?2004h", "\x1b[?2004l"
_SMALLEST = (8, 2)  # columns, rows: of a terminal that does not say, or says nonsense
_USUAL = os.terminal_size((80, 24))


@dataclass(frozen=True, slots=True)
class TerminalWriter:
    """What is drawn on: a terminal, through the printer that minds its readers."""

    printer: Printer

    def write(self, text: str) -> None:
        """Write what was drawn."""
        self.printer.raw(text)

    def size(self) -> tuple[int, int]:
        """Return columns and rows as they are now."""
        try:
            size = os.get_terminal_size(self.printer.out.fileno())
        except (OSError, ValueError):  # no terminal, or one that is gone
            size = _USUAL
        columns, rows = size.columns or _USUAL.columns, size.lines or _USUAL.lines
        return max(columns, _SMALLEST[0]), max(rows, _SMALLEST[1])

    def is_ready(self) -> bool:
        """Whether a picture would be taken at once; a slow line must not hold us up."""
        if sys.platform == "win32":
            return True
        try:
            return bool(select.select([], [self.printer.out.fileno()], [], 0)[1])
        except (OSError, ValueError):
            return True  # the writing will tell


class Keyboard:
    """Single keys of a terminal, read by a thread of its own while it is open.

    Use as a context manager on the event loop's thread; `heard` gets bytes, on the
    thread that reads, and an empty one at the end.
    """

    def __init__(self, stdin: TextIO, heard: Callable[[bytes], None]) -> None:
        self._file = stdin.fileno()
        self._heard = heard
        self._before: Any = None
        self._wake = os.pipe()
        self._is_open = False

    def __enter__(self) -> Keyboard:
        self._is_open = True
        self.take()
        read = self._read
        if sys.platform == "win32":
            read = partial(_read_windows, self._heard)
        threading.Thread(target=read, name="keys", daemon=True).start()
        return self

    def __exit__(self, *exc: object) -> None:
        self._is_open = False
        self.release()
        os.close(self._wake[1])  # ends the thread, which closes the other end

    def take(self) -> None:
        """Let single keys come, unseen; Ctrl-C, Ctrl-Z and Ctrl-\\ stay signals."""
        if sys.platform == "win32" or not is_in_foreground():
            return
        import termios

        with contextlib.suppress(termios.error):  # the terminal is gone
            if self._before is None:
                self._before = termios.tcgetattr(self._file)
            mode = [*self._before[:6], list(self._before[6])]
            # Without IXON a Ctrl-S would hold up the drawing, and with it the call.
            mode[0] = (mode[0] | termios.ICRNL) & ~termios.IXON
            mode[3] &= ~(termios.ECHO | termios.ICANON)
            mode[6][termios.VMIN], mode[6][termios.VTIME] = 1, 0
            termios.tcsetattr(self._file, termios.TCSADRAIN, mode)

    def release(self) -> None:
        """Put the terminal back as it was found."""
        if sys.platform == "win32" or self._before is None or not is_in_foreground():
            return
        import termios

        with contextlib.suppress(termios.error):
            termios.tcsetattr(self._file, termios.TCSADRAIN, self._before)

    def _read(self) -> None:
        wake = self._wake[0]
        data = b" "
        while self._is_open and data:
            # In the background, reading would stop the whole process.
            watched = [self._file, wake] if is_in_foreground() else [wake]
            try:
                ready = select.select(watched, [], [], 0.5)[0]
                if self._file not in ready:
                    continue
                data = os.read(self._file, 1024)
            except (OSError, ValueError):  # hung up: nobody types any more
                data = b""
            self._heard(data)
        os.close(wake)


def _read_windows(heard: Callable[[bytes], None]) -> None:
    """Read keys until the process ends: a wait for a key cannot be broken off."""
    if sys.platform == "win32":  # for the type checker
        import msvcrt

        arrows = {"H": b"\x1b[A", "P": b"\x1b[B"}
        while True:
            key = msvcrt.getwch()
            if key in "\x00\xe0":
                heard(arrows.get(msvcrt.getwch(), b""))
            elif key == "\x1a":
                heard(b"\x04")
            else:
                heard(key.encode("utf-8", "replace"))


@contextlib.contextmanager
def capture_stderr(tell: Callable[[str], None]) -> Iterator[Callable[[], None]]:
    """Hand over, line by line, what anybody writes to stderr, also libraries of C.

    Yields what gives stderr back before that. Does nothing where stderr is no terminal.
    `tell` is called on a thread.
    """
    if not (sys.stderr and sys.stderr.isatty()):
        yield lambda: None
        return
    sys.stderr.flush()
    number = sys.stderr.fileno()
    before, (reader, writer) = os.dup(number), os.pipe()
    os.dup2(writer, number)
    os.close(writer)

    def read() -> None:
        with os.fdopen(reader, encoding="utf-8", errors="replace") as lines:
            for line in lines:
                tell(line.rstrip("\r\n"))

    thread = threading.Thread(target=read, name="stderr", daemon=True)
    thread.start()

    def give_back() -> None:
        sys.stderr.flush()
        os.dup2(before, number)

    try:
        yield give_back
    finally:
        give_back()
        os.close(before)
        # Unless a process that we started holds the other end open.
        thread.join(1.0)


@contextlib.contextmanager
def handle_signals(
    stop: Callable[[], None], go_on: Callable[[], None], resize: Callable[[], None]
) -> Iterator[None]:
    """Call `stop` before a Ctrl-Z stops the process, `go_on` after; and on resizing.

    All of it happens on the running event loop, never amidst something else.
    """
    if sys.platform == "win32":
        yield
        return
    loop = asyncio.get_running_loop()

    def suspend() -> None:
        stop()
        signal.signal(signal.SIGTSTP, signal.SIG_DFL)
        os.kill(os.getpid(), signal.SIGTSTP)  # stops here until it is continued
        signal.signal(signal.SIGTSTP, suspended)
        go_on()

    def suspended(number: int, frame: FrameType | None) -> None:
        del number, frame
        loop.call_soon_threadsafe(suspend)

    def resized(number: int, frame: FrameType | None) -> None:
        del number, frame
        loop.call_soon_threadsafe(resize)

    before = {
        signal.SIGTSTP: signal.signal(signal.SIGTSTP, suspended),
        signal.SIGWINCH: signal.signal(signal.SIGWINCH, resized),
    }
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def bracketed_paste(is_on: bool) -> str:
    """Return what lets a terminal mark what is pasted (xterm, 2004), or end that."""
    return _PASTE_ON if is_on else _PASTE_OFF


# Draws a model in a terminal when it has changed, at most twenty times a second.
#
# All methods but `print_above` belong to the event loop's thread.


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
