"""`vagent run`: hold a call with an agent."""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, NoReturn, Protocol

import typer

from runner.cli.options import (
    Echo,
    ForgetDevices,
    Headphones,
    InputDevice,
    LogFile,
    LogFormat,
    Metrics,
    NoiseSuppression,
    Otel,
    OutputDevice,
    PushToTalk,
    RememberDevices,
    ViewOption,
    parse_variables,
)
from runner.engine.compose import CallOptions, CallSession, View, open_call
from runner.errors import UsageError
from runner.observers.logs import capture_library_logs
from runner.redaction import Redactor

if TYPE_CHECKING:
    from asyncio import AbstractEventLoop
    from collections.abc import Callable, Mapping

    from runner.cli.views.select import CallView, ViewOptions
    from runner.cli.views.wire import Printer
    from runner.config.diagnostics import Diagnostic
    from runner.engine.audio_setup import Typing
    from runner.engine.compose import CallOptions, RecordingOptions
    from runner.engine.services import Service
    from runner.observers.call_stats import CallStats, Counters
    from runner.observers.logs import Log
    from runner.observers.metrics import MetricsSnapshot
    from runner.observers.options import TelemetryOptions
    from runner.observers.telemetry import CallInfo, Telemetry
    from runner.protocol.client.actions import Close


def run(
    agent: Annotated[Path, typer.Argument(help="Agent file.")],
    input: Annotated[
        str | None,
        typer.Option(
            metavar="mic|text|none|FILE",
            help="Source of the caller's speech; FILE is an audio file of any "
            "sample rate. Default: mic.",
        ),
    ] = None,
    output: Annotated[
        str | None,
        typer.Option(
            metavar="speaker|null|FILE.wav",
            help="Output of the agent's audio. Default: speaker.",
        ),
    ] = None,
    say: Annotated[
        list[str] | None,
        typer.Option(
            metavar="TEXT",
            help="Say this text with the local voice when the agent has "
            "finished; hang up after the last reply. Repeatable.",
        ),
    ] = None,
    text: Annotated[
        bool,
        typer.Option(
            "--text", help="Type instead of speaking; the same as --input text."
        ),
    ] = False,
    service: Annotated[
        str | None,
        typer.Option(
            metavar="assemblyai|local|URL",
            help="Voice-agent service. Default: assemblyai if ASSEMBLYAI_API_KEY "
            "is set, else local, which needs no key.",
        ),
    ] = None,
    var: Annotated[
        list[str] | None,
        typer.Option(
            metavar="NAME=VALUE", help="Set a variable of the agent file. Repeatable."
        ),
    ] = None,
    max_duration: Annotated[
        str | None,
        typer.Option(
            metavar="DURATION",
            help="End the call after this time: 90s, 5m, ... Default: no limit.",
        ),
    ] = None,
    watch: Annotated[
        bool,
        typer.Option(
            "--watch",
            help="Apply changes of the agent file, its prompt file and its "
            "Python tools to the running call.",
        ),
    ] = False,
    transport: Annotated[
        str,
        typer.Option(
            metavar="auto|picows|websockets",
            help="WebSocket library. `auto` uses picows with uvloop (less CPU) "
            "if the `fast` extra is installed.",
        ),
    ] = "auto",
    record: Annotated[
        Path | None,
        typer.Option(
            metavar="FOLDER",
            help="Record the call in a new folder inside this one: messages, "
            "tool calls and the audio of both sides. Secrets are redacted.",
        ),
    ] = None,
    record_audio: Annotated[
        str | None,
        typer.Option(
            metavar="on|off",
            help="Record audio. Default: on; off with --redact.",
        ),
    ] = None,
    redact: Annotated[
        bool,
        typer.Option(
            "--redact",
            help="Remove digits and e-mail addresses from the recording.",
        ),
    ] = False,
    no_record: Annotated[
        bool,
        typer.Option(
            "--no-record", help="Do not record, even if the settings file says so."
        ),
    ] = False,
    input_device: InputDevice = None,
    output_device: OutputDevice = None,
    remember_devices: RememberDevices = False,
    forget_devices: ForgetDevices = False,
    echo: Echo = "auto",
    headphones: Headphones = False,
    noise_suppression: NoiseSuppression = False,
    push_to_talk: PushToTalk = False,
    view: ViewOption = None,
    metrics: Metrics = None,
    otel: Otel = False,
    log_file: LogFile = None,
    log_format: LogFormat = None,
    quiet: Annotated[
        bool, typer.Option("--quiet", "-q", help="Show only the transcript.")
    ] = False,
    verbose: Annotated[
        bool,
        typer.Option("--verbose", "-v", help="Show every message, including audio."),
    ] = False,
    json: Annotated[
        bool,
        typer.Option(
            "--json",
            help="Write one JSON object per line to stdout. Messages of the "
            "service keep their type; the types of vagent begin with "
            "`vagent.`. Ignore unknown types.",
        ),
    ] = False,
) -> None:
    """Call an agent by microphone, audio file or text.

    Text typed at the terminal is sent to the agent, also while the microphone is on.
    Lines that start with a slash are commands: /mute, /unmute, /talk, /volume 0-100,
    /say TEXT, /end, /help. Piped text works the same way.

    Exits with 0 when the call ended cleanly, 1 when the agent file has errors, 2 for
    wrong usage, 3 when the call could not start or was cut off, 4 when the service
    rejects the key, 130 after a second Ctrl-C.
    """
    from runner.cli.device_preferences import resolve_devices
    from runner.cli.views.select import ViewOptions
    from runner.engine.audio_setup import AudioOptions, read_echo_mode
    from runner.engine.compose import CallOptions
    from runner.observers.options import TelemetryOptions, read_log_format, read_port

    if text and input not in (None, "text"):
        raise UsageError(f"--text and --input {input} contradict each other")
    if push_to_talk and (text or say or input not in (None, "mic")):
        raise UsageError(
            "--push-to-talk is for the microphone",
            hint="leave out --input, --text and --say",
        )
    seen = ViewOptions(view, quiet, verbose, json)
    seen.check()
    wishes = CallOptions(
        agent,
        "text" if text else input,
        output,
        tuple(say or ()),
        service,
        parse_variables(var or []),
        _seconds(max_duration),
        watch,
        transport,
        recording=recording_options(record, no_record, record_audio, redact),
        audio=AudioOptions(
            *resolve_devices(
                input_device, output_device, remember_devices, forget_devices
            ),
            read_echo_mode(echo),
            headphones,
            noise_suppression,
        ),
        push_to_talk=push_to_talk,
    )
    seeing = TelemetryOptions(
        read_port(metrics), otel, log_file, read_log_format(log_format), verbose
    )
    _exit(_hold(wishes, seen, seeing))


def _hold(wishes: CallOptions, seen: ViewOptions, seeing: TelemetryOptions) -> Close:
    import asyncio
    import os

    from runner.cli.views.select import choose_view
    from runner.config.files import load_environment
    from runner.observers.call_stats import CallStats

    environment = load_environment(Path.cwd(), os.environ)
    record = CallStats()
    view = choose_view(seen, wishes, record)
    with asyncio.Runner(loop_factory=_loop_factory(wishes.transport)) as loop:
        close, counters, kept = loop.run(
            _call(wishes, seeing, environment, view, record)
        )
    if kept is not None:
        view.recording(kept)
    view.summary(close, counters)
    return close


def _loop_factory(transport: str) -> Callable[[], AbstractEventLoop] | None:
    """Return how to make a fast event loop, if it is wished and there is one."""
    from runner.engine.transports import choose_library

    if choose_library(transport) == "websockets":
        return None
    try:
        import uvloop
    except ImportError:  # it does not exist for Windows
        return None
    factory: Callable[[], AbstractEventLoop] = uvloop.new_event_loop
    return factory


async def _call(
    wishes: CallOptions,
    seeing: TelemetryOptions,
    environment: Mapping[str, str],
    view: CallView,
    record: CallStats,
) -> tuple[Close, Counters, Path | None]:
    """Hold the call; return how it ended, what was counted, and where it is kept."""
    from runner.cli.options import graceful_sigint
    from runner.cli.views.select import attach, display, log_sink

    async with contextlib.AsyncExitStack() as stack:
        typing = stack.enter_context(display(view))
        opening = open_watched_call(
            wishes, seeing, environment, view, record, typing, log_sink(view)
        )
        call = await stack.enter_async_context(opening)
        give_back = attach(view, call)
        hang_up = partial(call.hang_up, "interrupted from the keyboard")
        with graceful_sigint(hang_up, give_back):
            close = await call.run()
            kept = call.recorder.folder if call.recorder else None
            return close, call.counters(), kept


def _exit(close: Close) -> NoReturn:
    from runner.protocol.client.actions import Outcome

    codes = {Outcome.CLEAN: 0, Outcome.FAILED: 3, Outcome.REJECTED: 4}
    if close.outcome is not Outcome.CLEAN and close.hint:
        typer.echo(f"  {close.hint}", err=True)
    raise typer.Exit(codes[close.outcome])


def _seconds(text: str | None) -> float | None:
    if text is None:
        return None
    from runner.config.durations import parse_duration

    try:
        return parse_duration(text)
    except ValueError as error:
        raise UsageError(f"--max-duration '{text}': {error}") from error


# A call of `vagent run` with what watches it: its view, and telemetry if asked for.


# What these have to say is about telemetry itself, and is told in one sentence.
_QUIET_LIBRARIES = ("opentelemetry", "urllib3")


class PrintingView(View, Protocol):
    """A view that writes with a printer."""

    printer: Printer


@dataclass(frozen=True, slots=True)
class LoggedView:
    """A view, of whose notices a log is kept."""

    view: View
    log: Log

    def observe(self, at: float, what: Any) -> None:
        """Show an event or an action."""
        self.view.observe(at, what)

    def notice(self, text: str) -> None:
        """Tell the person something, and log it."""
        self.log.say("info", "notice", text=text)
        self.view.notice(text)

    def findings(self, found: Sequence[Diagnostic]) -> None:
        """Show what is wrong with an agent file that was edited, and log it."""
        for each in found:
            self.log.say("warning", "finding", text=each.message)
        self.view.findings(found)


def _strays(
    view: View, log: Log | None, seeing: TelemetryOptions
) -> contextlib.AbstractContextManager[None]:
    """Catch what libraries log: for the log, or else warnings for the person."""
    loop = asyncio.get_running_loop()

    def deliver(text: str, level: int, library: str) -> None:
        if log is not None:
            log.stray(text, level, library)
        elif library.partition(".")[0] not in _QUIET_LIBRARIES:
            view.notice(f"{library}: {text}")

    def tell(text: str, level: int, library: str) -> None:
        # Libraries log on threads of their own, and views belong to the loop's.
        with contextlib.suppress(RuntimeError):  # the loop is closed: all is over
            loop.call_soon_threadsafe(deliver, text, level, library)

    is_detailed = log is not None and seeing.is_verbose
    return capture_library_logs(tell, logging.INFO if is_detailed else logging.WARNING)


def _watched(call: CallSession) -> CallInfo:
    from runner.observers.telemetry import CallInfo

    changes = call.engine.session.conversation.changes

    def read() -> MetricsSnapshot:
        from runner.observers.metrics import MetricsSnapshot

        has_failed = call.recorder is not None and call.recorder.has_stopped
        return MetricsSnapshot(call.counters(), int(has_failed))

    return CallInfo(
        call.agent,
        _kind(call.service),
        call.service.url,
        lambda: changes.current.tools,
        read,
    )


def _kind(service: Service) -> str:
    """Return what kind of service it is; an address may be anything."""
    if service.url is None:
        return "embedded"
    if service.name.startswith("AssemblyAI"):
        return "assemblyai"
    return "local" if service.is_local else "other"


@contextlib.asynccontextmanager
async def open_watched_call(
    wishes: CallOptions,
    seeing: TelemetryOptions,
    environment: Mapping[str, str],
    view: PrintingView,
    record: CallStats,
    typing: Typing | None = None,
    sink: Callable[[str], None] | None = None,
) -> AsyncIterator[CallSession]:
    """Build a call that is watched; raises like `open_call` and `open_instruments`.

    A log without a file goes to `sink`, by default to the view's stderr.
    """
    secrets = Redactor()
    view.printer.mask = secrets.text
    async with contextlib.AsyncExitStack() as stack:
        enter = stack.enter_async_context
        instruments: Telemetry | None = None
        if not seeing.is_off:
            from runner.observers.telemetry import open_instruments

            sink = sink or view.printer.notice
            opening = open_instruments(
                seeing, record.events, secrets, environment, view.notice, sink
            )
            instruments = await enter(opening)
        log = instruments.log if instruments else None
        told: View = LoggedView(view, log) if log is not None else view
        stack.enter_context(_strays(told, log, seeing))
        observers = [] if instruments is None else [instruments.observe]
        opened = open_call(
            wishes, environment, told, observers, record.events, typing, secrets
        )
        call = await enter(opened)
        if instruments is not None:
            instruments.watch(_watched(call))
        yield call


# Whether and how a call is recorded: the command line before the settings.


def recording_options(
    record: Path | None, no_record: bool, record_audio: str | None, redact: bool
) -> RecordingOptions | None:
    """Return the wish for a recording; None for none.

    What was redacted has no sound unless it is asked for. Raises `UsageError`.
    """
    from runner.config.settings import load_call_settings
    from runner.engine.compose import RecordingOptions

    if record_audio not in (None, "on", "off"):
        raise UsageError(f"--record-audio takes on or off, not '{record_audio}'")
    if no_record:
        if record is not None or record_audio is not None or redact:
            raise UsageError("--no-record contradicts the other options of a recording")
        return None
    settings = load_call_settings(Path.cwd())
    into = record or settings.record
    if into is None:
        if record_audio is not None or redact:
            option = "--redact" if redact else "--record-audio"
            raise UsageError(
                f"{option} is about a recording, and there is none",
                hint="add --record FOLDER",
            )
        return None
    redacts = redact or settings.redact
    sound = settings.record_audio
    if record_audio is not None:
        sound = record_audio == "on"
    return RecordingOptions(
        into, audio=not redacts if sound is None else sound, redact=redacts
    )
