"""The chat view of a call, which draws in a terminal and reads keys."""

from __future__ import annotations

import asyncio
import contextlib
import os
import sys
from collections.abc import AsyncIterator, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from runner.cli.views.chat.input import EndOfInput, KeyDecoder
from runner.cli.views.chat.terminal import (
    ChatApp,
    Keyboard,
    bracketed_paste,
    capture_stderr,
    handle_signals,
)
from runner.cli.views.plain import closing_lines, summarize
from runner.cli.views.wire import Detail, Printer
from runner.config.diagnostics import Diagnostic, render
from runner.engine.audio_setup import Typing, is_in_foreground, is_terminal
from runner.engine.controls import ControlState, Typed
from runner.observers.call_stats import Counters
from runner.protocol.client.actions import Action, Close
from runner.protocol.client.events import Event


@dataclass(slots=True)
class ChatView:
    """Shows a call in a terminal; reads keys if `can_type` is set."""

    driver: ChatApp
    printer: Printer
    can_type: bool = True
    _typed: asyncio.Queue[Typed | EndOfInput] = field(default_factory=asyncio.Queue)
    _decoder: KeyDecoder = field(default_factory=KeyDecoder)
    _keyboard: Keyboard | None = None
    _latest: float = 0.0
    _folder: Path | None = None

    def observe(self, at: float, what: Event | Action) -> None:
        """Processes an event or an action."""
        self._latest = at
        self.driver.model.observe(at, what)
        self.driver.touch()

    def notice(self, text: str) -> None:
        """Shows a notice."""
        self.driver.model.transcript.note(text)
        self.driver.touch()

    def findings(self, found: Sequence[Diagnostic]) -> None:
        """Shows the findings in an edited agent file, in the format of validate."""
        for line in render(found).splitlines():
            self.notice(line)

    def standing(self, standing: ControlState) -> None:
        """Shows the settings of the controls."""
        self.driver.model.standing = standing
        self.driver.touch()

    def recording(self, folder: Path) -> None:
        """Stores the folder of the recording for the summary."""
        self._folder = folder

    def summary(self, close: Close, counters: Counters) -> None:
        """Prints the summary, the last lines of a call."""
        del close
        model = self.driver.model
        seconds, turns = model.elapsed(self._latest), model.transcript.turns
        summary = summarize(model.record, turns, counters, seconds)
        is_all = self.driver.picture.detail is Detail.VERBOSE
        every = counters if is_all else None
        for line in closing_lines(summary, self._folder, every):
            self.printer.line(line)

    @contextlib.contextmanager
    def shown(self) -> Iterator[Typing | None]:
        """Draws the call while the context is open; yields the source of typed input.

        It is None if typing is not possible. The terminal is restored on exit.
        """
        with contextlib.ExitStack() as stack:
            stack.enter_context(capture_stderr(self.driver.print_above))
            typing = self._open_keyboard(stack)
            stack.enter_context(self.driver.shown())
            stack.enter_context(
                handle_signals(self._suspend, self._resume, self.driver.draw)
            )
            yield typing

    def restore(self) -> None:
        """Restores the terminal before an immediate exit; callable from any thread."""
        if self._keyboard is not None:
            self._keyboard.release()
            with contextlib.suppress(OSError, ValueError):
                text = bracketed_paste(False) + "\r\n"
                os.write(self.printer.out.fileno(), text.encode())

    def _open_keyboard(self, stack: contextlib.ExitStack) -> Typing | None:
        if not (is_terminal() and is_in_foreground()):
            self.driver.draft = None
            return None
        loop = asyncio.get_running_loop()

        def receive(data: bytes) -> None:
            with contextlib.suppress(RuntimeError):  # the loop is closed
                loop.call_soon_threadsafe(self._press, data)

        self._keyboard = stack.enter_context(Keyboard(sys.stdin, receive))
        self.printer.raw(bracketed_paste(True))
        stack.callback(self.printer.raw, bracketed_paste(False))
        return self._typing if self.can_type else None

    def _press(self, data: bytes) -> None:
        draft = self.driver.draft
        if draft is None:
            return  # typing is off: keys are read only to keep them off the screen
        if not data:
            self._typed.put_nowait(EndOfInput())
        for key in self._decoder.feed(data):
            typed = draft.press(key)
            if typed is not None:
                self._typed.put_nowait(typed)
        self.driver.touch()

    async def _typing(self) -> AsyncIterator[Typed]:
        while not isinstance(typed := await self._typed.get(), EndOfInput):
            yield typed

    def _suspend(self) -> None:
        self.driver.hide()
        self.printer.raw(bracketed_paste(False))
        if self._keyboard is not None:
            self._keyboard.release()

    def _resume(self) -> None:
        if self._keyboard is not None:
            self._keyboard.take()
            self.printer.raw(bracketed_paste(True))
        self.driver.resume()
