"""The terminal of the chat view: drawing, size, keys, signals and captured stderr.

Every terminal setting is restored on exit, by `restore` before an immediate exit, and
while the process is suspended (Ctrl-Z).
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
_MIN_SIZE = (8, 2)  # columns, rows
_DEFAULT_SIZE = os.terminal_size((80, 24))


@dataclass(frozen=True, slots=True)
class TerminalWriter:
    """Writes to a terminal through a printer, which handles a closed output."""

    printer: Printer

    def write(self, text: str) -> None:
        """Writes text with its control sequences."""
        self.printer.raw(text)

    def size(self) -> tuple[int, int]:
        """Returns the current columns and rows."""
        try:
            size = os.get_terminal_size(self.printer.out.fileno())
        except (OSError, ValueError):  # not a terminal, or closed
            size = _DEFAULT_SIZE
        columns, rows = (
            size.columns or _DEFAULT_SIZE.columns,
            size.lines or _DEFAULT_SIZE.lines,
        )
        return max(columns, _MIN_SIZE[0]), max(rows, _MIN_SIZE[1])

    def is_ready(self) -> bool:
        """Returns True if writing does not block the event loop."""
        if sys.platform == "win32":
            return True
        try:
            return bool(select.select([], [self.printer.out.fileno()], [], 0)[1])
        except (OSError, ValueError):
            return True  # writing reports the error


class Keyboard:
    """Reads single keys of a terminal on its own thread; a context manager.

    Enter it on the event loop's thread. `receive` gets bytes on the reading thread, and
    empty bytes at the end of input.
    """

    def __init__(self, stdin: TextIO, receive: Callable[[bytes], None]) -> None:
        self._file = stdin.fileno()
        self._receive = receive
        self._before: Any = None
        self._wake = os.pipe()
        self._is_open = False

    def __enter__(self) -> Keyboard:
        self._is_open = True
        self.take()
        read = self._read
        if sys.platform == "win32":
            read = partial(_read_windows, self._receive)
        threading.Thread(target=read, name="keys", daemon=True).start()
        return self

    def __exit__(self, *exc: object) -> None:
        self._is_open = False
        self.release()
        os.close(self._wake[1])  # ends the thread, which closes the other end

    def take(self) -> None:
        """Reads single keys without echo; Ctrl-C, Ctrl-Z and Ctrl-\\ remain signals."""
        if sys.platform == "win32" or not is_in_foreground():
            return
        import termios

        with contextlib.suppress(termios.error):  # the terminal was closed
            if self._before is None:
                self._before = termios.tcgetattr(self._file)
            mode = [*self._before[:6], list(self._before[6])]
            # IXON is cleared: with it, Ctrl-S would block drawing and so the call.
            mode[0] = (mode[0] | termios.ICRNL) & ~termios.IXON
            mode[3] &= ~(termios.ECHO | termios.ICANON)
            mode[6][termios.VMIN], mode[6][termios.VTIME] = 1, 0
            termios.tcsetattr(self._file, termios.TCSADRAIN, mode)

    def release(self) -> None:
        """Restores the mode of the terminal."""
        if sys.platform == "win32" or self._before is None or not is_in_foreground():
            return
        import termios

        with contextlib.suppress(termios.error):
            termios.tcsetattr(self._file, termios.TCSADRAIN, self._before)

    def _read(self) -> None:
        wake = self._wake[0]
        data = b" "
        while self._is_open and data:
            # In the background, reading would stop the process.
            watched = [self._file, wake] if is_in_foreground() else [wake]
            try:
                ready = select.select(watched, [], [], 0.5)[0]
                if self._file not in ready:
                    continue
                data = os.read(self._file, 1024)
            except (OSError, ValueError):  # the terminal was closed
                data = b""
            self._receive(data)
        os.close(wake)


def _read_windows(receive: Callable[[bytes], None]) -> None:
    """Reads keys until the process ends; waiting for a key cannot be interrupted."""
    if sys.platform == "win32":  # for the type checker
        import msvcrt

        arrows = {"H": b"\x1b[A", "P": b"\x1b[B"}
        while True:
            key = msvcrt.getwch()
            if key in "\x00\xe0":
                receive(arrows.get(msvcrt.getwch(), b""))
            elif key == "\x1a":
                receive(b"\x04")
            else:
                receive(key.encode("utf-8", "replace"))


@contextlib.contextmanager
def capture_stderr(on_line: Callable[[str], None]) -> Iterator[Callable[[], None]]:
    """Passes every line written to stderr to `on_line`, also lines of C libraries.

    Yields a function that restores stderr early. Does nothing if stderr is not a
    terminal. `on_line` is called on a thread.
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
                on_line(line.rstrip("\r\n"))

    thread = threading.Thread(target=read, name="stderr", daemon=True)
    thread.start()

    def restore() -> None:
        sys.stderr.flush()
        os.dup2(before, number)

    try:
        yield restore
    finally:
        restore()
        os.close(before)
        # A timeout, because a child process may hold the other end open.
        thread.join(1.0)


@contextlib.contextmanager
def handle_signals(
    suspend: Callable[[], None], resume: Callable[[], None], resize: Callable[[], None]
) -> Iterator[None]:
    """Calls `suspend` before and `resume` after a stop by Ctrl-Z; `resize` on resizing.

    All three are called on the running event loop.
    """
    if sys.platform == "win32":
        yield
        return
    loop = asyncio.get_running_loop()

    def stop_process() -> None:
        suspend()
        signal.signal(signal.SIGTSTP, signal.SIG_DFL)
        os.kill(os.getpid(), signal.SIGTSTP)  # stops here until it is continued
        signal.signal(signal.SIGTSTP, suspended)
        resume()

    def suspended(number: int, frame: FrameType | None) -> None:
        del number, frame
        loop.call_soon_threadsafe(stop_process)

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
    """Returns the sequence that turns bracketed paste (xterm, 2004) on or off."""
    return _PASTE_ON if is_on else _PASTE_OFF


# Delay before drawing is retried on a terminal that is not ready.
_RETRY_SECONDS = 0.2


@dataclass(slots=True)
class ChatApp:
    """Draws the chat when its state has changed, at most 20 times a second.

    `draft` is the input line, None if typing is not possible. All methods except
    `print_above` run on the event loop's thread.
    """

    model: ChatState
    picture: ChatRenderer
    region: LiveRegion
    canvas: TerminalWriter
    draft: LineEditor | None = None
    _loop: asyncio.AbstractEventLoop | None = None  # while it is shown
    _due: tuple[float, asyncio.Handle] | None = None  # handles of uvloop have no `when`
    _last: float = -1e9

    @contextlib.contextmanager
    def shown(self) -> Iterator[None]:
        """Draws while the context is open; the region is erased at the end."""
        self.resume()
        try:
            yield
        finally:
            self.end()

    def resume(self) -> None:
        """Starts or continues to draw, on the running loop."""
        self._loop = asyncio.get_running_loop()
        self.draw()

    def hide(self) -> None:
        """Erases the region and stops drawing until `resume`."""
        if self._loop is None:
            return
        self._loop = None
        if self._due is not None:
            self._due[1].cancel()
            self._due = None
        self.canvas.write(self.region.erase(self.canvas.size()[0]))

    def end(self) -> None:
        """Erases the region and prints the entries that are not final."""
        now = asyncio.get_running_loop().time()
        self.hide()
        left = self.model.transcript.take_all()
        lines = self._lines(left, now, self.canvas.size()[0])
        text = "".join(f"{self.region.paint.line(line)}\r\n" for line in lines)
        self.canvas.write(text)

    def touch(self) -> None:
        """Schedules a redraw after a change."""
        if self._loop is not None:
            # Not immediately: the caller must not wait for a terminal.
            self._wake_at(max(self._loop.time(), self._last + FRAME_SECONDS))

    def draw(self) -> None:
        """Draws now if the terminal is ready, and schedules the next redraw."""
        if self._loop is None:
            return
        now = self._last = self._loop.time()
        if not self.canvas.is_ready():
            self._wake_at(now + _RETRY_SECONDS)
            return
        width, height = self.canvas.size()
        final = self._lines(self.model.transcript.take_finished(now), now, width)
        below = self.picture.region(self.model, now, width, height - 1, self.draft)
        drawn = self.region.print(final, below) if final else self.region.draw(below)
        if drawn:
            self.canvas.write(drawn)
        self._wake_at(self.model.next_change(now))

    def print_above(self, text: str) -> None:
        """Prints a line of a log or a library above the region; from any thread."""
        loop = self._loop
        if loop is None:
            return
        with contextlib.suppress(RuntimeError):  # the loop is closed
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
        assert self._loop is not None, "drawing needs a running loop"
        if self._due is not None:
            if self._due[0] <= when:
                return
            self._due[1].cancel()
        self._due = when, self._loop.call_at(when, self._wake)

    def _wake(self) -> None:
        self._due = None
        self.draw()
