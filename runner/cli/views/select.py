"""Selects the view of a call by the options and the terminal."""

from __future__ import annotations

import contextlib
import os
import shutil
import sys
from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeAlias

from runner.cli.views.json import JsonView
from runner.cli.views.plain import PlainView
from runner.cli.views.wire import Detail, Printer, WireView
from runner.engine.audio_setup import Typing
from runner.errors import UsageError
from runner.observers.call_stats import CallStats

if TYPE_CHECKING:
    from runner.cli.views.chat.view import ChatView
    from runner.engine.compose import CallOptions, CallSession

VIEWS = ("chat", "wire", "plain")
# On narrower terminals, chat is not the default.
_MIN_CHAT_COLUMNS = 40

CallView: TypeAlias = "JsonView | WireView | PlainView | ChatView"


@dataclass(frozen=True, slots=True)
class ViewOptions:
    """The view options of the command line; `view` is None if not given."""

    view: str | None = None
    quiet: bool = False
    verbose: bool = False
    json: bool = False

    def check(self) -> None:
        """Raises UsageError for options that contradict each other."""
        if self.quiet and self.verbose:
            raise UsageError("--quiet and --verbose contradict each other")
        if self.view is not None and self.view not in VIEWS:
            raise UsageError(
                f"--view must be one of {', '.join(VIEWS)}, not '{self.view}'"
            )
        if self.view is not None and self.json:
            raise UsageError(f"--json and --view {self.view} contradict each other")
        if self.view == "chat" and not can_draw():
            raise UsageError(
                "--view chat needs a terminal that can move its cursor",
                hint="use --view plain or --view wire",
            )

    @property
    def detail(self) -> Detail:
        """The level of detail."""
        if self.quiet:
            return Detail.QUIET
        return Detail.VERBOSE if self.verbose else Detail.NORMAL


def can_draw() -> bool:
    """Returns True if stdout is a terminal that can move its cursor."""
    if sys.stdout is None or not sys.stdout.isatty():
        return False
    return os.environ.get("TERM", "") not in ("dumb", "unknown")


def choose_view(options: ViewOptions, call: CallOptions, record: CallStats) -> CallView:
    """Returns the view of a call; `record` must observe the call before the view."""
    printer = Printer(sys.stdout, sys.stderr)
    if options.json:
        return JsonView(printer, record)
    name = options.view
    if name is None:
        is_wide = shutil.get_terminal_size().columns >= _MIN_CHAT_COLUMNS
        name = "chat" if can_draw() and is_wide else "wire"
    if name == "wire":
        return WireView(printer, record, options.detail, sys.stdout.isatty())
    if name == "plain":
        from runner.cli.views.chat.state import new_chat_state

        return PlainView(printer, new_chat_state(record, printer.clean), options.detail)
    can_type = not call.lines and call.input in (None, "mic", "text")
    return _chat(printer, record, options.detail, can_type, call.push_to_talk)


def display(view: CallView) -> AbstractContextManager[Typing | None]:
    """Lets a view use the terminal; yields typed input if the view reads it."""
    from runner.cli.views.chat.view import ChatView

    return view.shown() if isinstance(view, ChatView) else contextlib.nullcontext()


def log_sink(view: CallView) -> Callable[[str], None]:
    """Returns the function that shows log lines."""
    from runner.cli.views.chat.view import ChatView

    return (
        view.driver.print_above if isinstance(view, ChatView) else view.printer.notice
    )


def attach(view: CallView, call: CallSession) -> Callable[[], None]:
    """Connects a view to its call; returns the function that restores the terminal."""
    from runner.audio.files import FileMicrophone
    from runner.audio.virtual import (
        ClockedSpeaker,
        InjectedMicrophone,
        SilentMicrophone,
    )
    from runner.cli.views.chat.view import ChatView

    view.printer.mask = call.secrets.text
    view.printer.on_reader_gone = lambda: call.hang_up("the output was closed")
    if not isinstance(view, ChatView):
        return lambda: None
    state = view.driver.model
    endpoint = call.endpoint
    state.has_microphone = not isinstance(
        endpoint.microphone, InjectedMicrophone | SilentMicrophone | FileMicrophone
    )
    state.has_speaker = not isinstance(endpoint.speaker, ClockedSpeaker)
    call.controls.report = view.standing
    view.standing(call.controls.state)
    return view.restore


def _chat(
    printer: Printer,
    record: CallStats,
    detail: Detail,
    can_type: bool,
    is_push_to_talk: bool,
) -> ChatView:
    from rich.console import Console

    from runner.cli.views.chat.input import LineEditor
    from runner.cli.views.chat.render import (
        ASCII,
        AnsiWriter,
        ChatRenderer,
        Glyphs,
        LiveRegion,
    )
    from runner.cli.views.chat.state import new_chat_state
    from runner.cli.views.chat.terminal import ChatApp, TerminalWriter
    from runner.cli.views.chat.view import ChatView

    # Console handles NO_COLOR, FORCE_COLOR and TERM, and enables escape sequences on
    # Windows.
    console = Console(file=printer.out)
    paint = AnsiWriter(colors=console.color_system is not None and not console.no_color)
    glyphs = Glyphs() if _can_write("".join(_texts(Glyphs())), printer) else ASCII
    driver = ChatApp(
        new_chat_state(record, printer.clean),
        ChatRenderer(glyphs, detail),
        LiveRegion(paint),
        TerminalWriter(printer),
        LineEditor(is_push_to_talk) if can_type else None,
    )
    return ChatView(driver, printer, can_type)


def _texts(glyphs: object) -> list[str]:
    names = getattr(type(glyphs), "__dataclass_fields__", {})
    return [str(getattr(glyphs, name)) for name in names]


def _can_write(text: str, printer: Printer) -> bool:
    try:
        text.encode(printer.out.encoding or "ascii")
    except (LookupError, UnicodeEncodeError):
        return False
    return True
