"""Options that several commands share, the parser of `--var`, and Ctrl-C."""

from __future__ import annotations

import contextlib
import os
import signal
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from types import FrameType
from typing import Annotated, TypeAlias

import typer

from runner.errors import UsageError

_AUDIO = "Microphone and speaker"
_TERMINAL = "Terminal"
_OBSERVABILITY = "Observability"

InputDevice: TypeAlias = Annotated[
    str | None,
    typer.Option(
        metavar="DEVICE",
        help="Microphone: its number in `vagent devices`, or its name or a "
        "unique part of the name. Default: the remembered device, else "
        "the system's.",
        rich_help_panel=_AUDIO,
    ),
]
OutputDevice: TypeAlias = Annotated[
    str | None,
    typer.Option(
        metavar="DEVICE",
        help="Speaker, given like the microphone.",
        rich_help_panel=_AUDIO,
    ),
]
RememberDevices: TypeAlias = Annotated[
    bool,
    typer.Option(
        "--remember-devices",
        help="Use the given devices in later runs, too.",
        rich_help_panel=_AUDIO,
    ),
]
ForgetDevices: TypeAlias = Annotated[
    bool,
    typer.Option(
        "--forget-devices",
        help="Forget the remembered devices and use the system's.",
        rich_help_panel=_AUDIO,
    ),
]
Echo: TypeAlias = Annotated[
    str,
    typer.Option(
        metavar="auto|on|off|half-duplex",
        help="Echo cancellation. `half-duplex` mutes the microphone while "
        "the agent speaks. `auto` is `on` for a speaker if the `echo` "
        "extra is installed, else `half-duplex`.",
        rich_help_panel=_AUDIO,
    ),
]
Headphones: TypeAlias = Annotated[
    bool,
    typer.Option(
        "--headphones",
        help="Turn echo cancellation off; for headphones.",
        rich_help_panel=_AUDIO,
    ),
]
NoiseSuppression: TypeAlias = Annotated[
    bool,
    typer.Option(
        "--noise-suppression",
        help="Suppress noise in the microphone audio before it is sent.",
        rich_help_panel=_AUDIO,
    ),
]
ViewOption: TypeAlias = Annotated[
    str | None,
    typer.Option(
        metavar="chat|wire|plain",
        help="Display of the call: `chat` with a status line, `wire` message "
        "by message, `plain` sentences for screen readers. Default: "
        "chat if the terminal supports it, else wire.",
        rich_help_panel=_TERMINAL,
    ),
]
PushToTalk: TypeAlias = Annotated[
    bool,
    typer.Option(
        "--push-to-talk",
        help="Send microphone audio only between two presses of the space "
        "bar (or /talk).",
        rich_help_panel=_AUDIO,
    ),
]
Metrics: TypeAlias = Annotated[
    int | None,
    typer.Option(
        metavar="PORT",
        help="Serve Prometheus metrics at http://127.0.0.1:PORT/metrics; 0 "
        "for any free port.",
        rich_help_panel=_OBSERVABILITY,
    ),
]
Otel: TypeAlias = Annotated[
    bool,
    typer.Option(
        "--otel",
        help="Send a trace of the call to an OpenTelemetry collector, "
        "configured by the OTEL_… variables. Needs the `otel` extra.",
        rich_help_panel=_OBSERVABILITY,
    ),
]
LogFile: TypeAlias = Annotated[
    Path | None,
    typer.Option(
        metavar="FILE",
        help="Append a log of the call to this file. Secrets are redacted; "
        "transcripts only with -v.",
        rich_help_panel=_OBSERVABILITY,
    ),
]
LogFormat: TypeAlias = Annotated[
    str | None,
    typer.Option(
        metavar="text|json",
        help="Log format; json writes one object per line. Without "
        "--log-file the log goes to stderr. Default: text.",
        rich_help_panel=_OBSERVABILITY,
    ),
]


def parse_variables(pairs: list[str]) -> dict[str, str]:
    """Returns the variables of `--var`; raises `UsageError` without NAME or `=`."""
    variables: dict[str, str] = {}
    for pair in pairs:
        name, equals, value = pair.partition("=")
        if not equals or not name:
            raise UsageError(f"invalid --var '{pair}'", hint="write --var NAME=VALUE")
        variables[name] = value
    return variables


INTERRUPTED = 130  # 128 + SIGINT, the convention of shells


@dataclass(slots=True)
class Interrupts:
    """Signals that end a call: Ctrl-C, SIGTERM, and SIGHUP of a closed terminal.

    `on_first` is called on the event loop at the first one; before it is set, the task
    that prepares the call is cancelled. `on_second` restores the terminal. `received`
    is the number of the first signal.
    """

    on_first: Callable[[], None] | None = None
    on_second: Callable[[], None] = lambda: None
    received: int | None = None

    @property
    def exit_code(self) -> int:
        """The code for a call that the signal ended before it began."""
        return 128 + (self.received or signal.SIGINT)


@contextlib.contextmanager
def handle_interrupts() -> Iterator[Interrupts]:
    """Handles the signals that end a call; enter in the task that prepares it.

    A signal after the first Ctrl-C exits at once with code 130: no other cleanup, which
    a hung tool or device could block.
    """
    import asyncio  # not for --help

    # `signal.signal`, because event loops on Windows have no signal handlers.
    loop, preparing = asyncio.get_running_loop(), asyncio.current_task()
    interrupts = Interrupts()
    was_interrupted = False

    def end() -> None:
        if interrupts.on_first is not None:
            interrupts.on_first()
        elif preparing is not None:
            preparing.cancel()

    def interrupt(number: int, frame: FrameType | None) -> None:
        nonlocal was_interrupted
        del frame
        if was_interrupted:
            interrupts.on_second()
            os._exit(INTERRUPTED)
        was_interrupted = number == signal.SIGINT
        interrupts.received = interrupts.received or number
        loop.call_soon_threadsafe(end)

    numbers = [signal.SIGINT, signal.SIGTERM]
    if sys.platform != "win32":
        numbers.append(signal.SIGHUP)
    previous = {number: signal.signal(number, interrupt) for number in numbers}
    try:
        yield interrupts
    finally:
        for number, handler in previous.items():
            signal.signal(number, handler)
