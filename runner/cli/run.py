"""`vagent run`: holds a call with an agent, with its view, telemetry and recording."""

from __future__ import annotations

import contextlib
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

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
from runner.cli.output import escape_controls
from runner.cli.streams import BROKEN_PIPE, FAILED
from runner.errors import UsageError

if TYPE_CHECKING:
    from asyncio import AbstractEventLoop
    from collections.abc import Callable, Mapping

    from runner.cli.options import Interrupts
    from runner.cli.views.select import CallView, ViewOptions
    from runner.engine.compose import CallOptions, RecordingOptions
    from runner.engine.services import Service
    from runner.observers.call_stats import CallStats, Counters
    from runner.observers.events import CallEvent
    from runner.observers.options import TelemetryOptions
    from runner.protocol.client.actions import Close


def run(
    agent: Annotated[
        Path, typer.Argument(help="Agent file, or a folder with one agent file.")
    ],
    input: Annotated[
        str | None,
        typer.Option(
            metavar="mic|text|none|FILE|-",
            help="Source of the caller's speech; FILE is an audio file of any "
            "sample rate, - is an audio file from stdin. Default: mic.",
        ),
    ] = None,
    output: Annotated[
        str | None,
        typer.Option(
            metavar="speaker|null|FILE",
            help="Output of the agent's audio; the extension of FILE is its format: "
            ".wav, .flac, .ogg, .mp3. Default: speaker.",
        ),
    ] = None,
    force: Annotated[
        bool,
        typer.Option("--force", help="Overwrite the file of --output without asking."),
    ] = False,
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
    from runner.config.files import resolve_agent
    from runner.engine.audio_setup import AudioOptions, read_echo_mode
    from runner.engine.compose import CallOptions
    from runner.observers.options import TelemetryOptions, read_log_format, read_port

    if text and input not in (None, "text"):
        raise UsageError(f"--text and --input {input} contradict each other")
    if push_to_talk and (text or say or input not in (None, "mic")):
        raise UsageError(
            "--push-to-talk needs the microphone",
            hint="leave out --input, --text and --say",
        )
    view_options = ViewOptions(view, quiet, verbose, json)
    view_options.check()
    written = output_file(output)
    if written is not None and not force:
        _confirm_overwriting(written)
    options = CallOptions(
        resolve_agent(agent),
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
    telemetry_options = TelemetryOptions(
        read_port(metrics), otel, log_file, read_log_format(log_format), verbose
    )
    raise typer.Exit(_run_call(options, view_options, telemetry_options))


def output_file(output: str | None) -> Path | None:
    """Returns the file of `--output`, None if it names none."""
    if output in (None, "speaker", "null"):
        return None
    return Path(output).expanduser()


def _confirm_overwriting(path: Path) -> None:
    """Asks before a file is overwritten; raises UsageError without a terminal."""
    if not path.is_file():
        return
    if not (sys.stdin is not None and sys.stdin.isatty()):
        raise UsageError(
            f"'{path}' exists already",
            hint="choose another file for --output, or overwrite it with --force",
        )
    try:
        is_agreed = typer.confirm(f"overwrite '{path}'?", err=True)
    except typer.Abort:  # Ctrl-C or Ctrl-D at the question
        typer.echo(err=True)
        is_agreed = False
    if not is_agreed:
        raise typer.Exit(130)


def _run_call(
    options: CallOptions, view_options: ViewOptions, telemetry_options: TelemetryOptions
) -> int:
    import os

    from runner.cli.missing_models import is_interactive, prepare_speech
    from runner.cli.views.select import choose_view
    from runner.config.files import load_environment
    from runner.event_loop import run_async
    from runner.observers.call_stats import CallStats

    environment = load_environment(options.agent.parent, os.environ)
    can_ask = is_interactive() and not view_options.json
    if prepare_speech(options, environment, can_ask=can_ask):
        options = replace(options, reports_missing=False)
    stats = CallStats()
    view = choose_view(view_options, options, stats)
    held = run_async(
        _hold_call(options, telemetry_options, environment, view, stats),
        _loop_factory(options.transport),
    )
    if isinstance(held, int):
        raise typer.Exit(held)
    if held.recording is not None:
        view.recording(held.recording)
    written = output_file(options.output)
    if written is not None and written.exists():
        view.notice(f"the agent's audio is in '{written}'")
    view.summary(held.close, held.counters)
    return _exit_code(held, view.printer.failure)


def _loop_factory(transport: str) -> Callable[[], AbstractEventLoop] | None:
    """Returns the factory of uvloop's event loop if picows is used; None otherwise."""
    from runner.engine.transports import choose_library

    if choose_library(transport) == "websockets":
        return None
    try:
        import uvloop
    except ImportError:  # uvloop does not exist for Windows
        return None
    factory: Callable[[], AbstractEventLoop] = uvloop.new_event_loop
    return factory


@dataclass(frozen=True, slots=True)
class _HeldCall:
    """A call that was held; `recording` is its folder, if it was recorded."""

    close: Close
    counters: Counters
    recording: Path | None
    has_begun: bool  # the service had opened a session
    service: Service
    interrupts: Interrupts


async def _hold_call(
    options: CallOptions,
    telemetry_options: TelemetryOptions,
    environment: Mapping[str, str],
    view: CallView,
    stats: CallStats,
) -> _HeldCall | int:
    """Holds the call; returns the exit code if a signal came before it was set up."""
    import asyncio

    from runner.cli.monitored_call import open_monitored_call
    from runner.cli.options import handle_interrupts
    from runner.cli.views.select import attach, display, log_sink
    from runner.observers.events import SessionOpened

    has_begun = False

    def note(event: CallEvent) -> None:
        nonlocal has_begun
        has_begun = has_begun or isinstance(event, SessionOpened)

    stats.events.subscribe(note)
    with handle_interrupts() as interrupts:
        try:
            async with contextlib.AsyncExitStack() as stack:
                typing = stack.enter_context(display(view))
                opening = open_monitored_call(
                    options,
                    telemetry_options,
                    environment,
                    view,
                    stats,
                    typing,
                    log_sink(view),
                )
                call = await stack.enter_async_context(opening)
                interrupts.on_second = attach(view, call)
                interrupts.on_first = partial(
                    call.hang_up, "interrupted from the keyboard"
                )
                close = await call.run()
                recording = call.recorder.folder if call.recorder else None
                counters = call.counters()
            return _HeldCall(
                close, counters, recording, has_begun, call.service, interrupts
            )
        except asyncio.CancelledError:
            if interrupts.received is None:
                raise
            return interrupts.exit_code


def _exit_code(call: _HeldCall, failure: OSError | None) -> int:
    """Prints why a call failed, and returns the exit code."""
    from runner.protocol.client.actions import Outcome

    close = call.close
    if close.outcome is not Outcome.CLEAN:
        if hint := _hint(call):
            typer.echo(escape_controls(f"  hint: {hint}"), err=True)
        return 4 if close.outcome is Outcome.REJECTED else FAILED
    if call.interrupts.received is not None and not call.has_begun:
        return call.interrupts.exit_code
    if isinstance(failure, BrokenPipeError):
        return BROKEN_PIPE
    return 0 if failure is None else FAILED


# The address of AssemblyAI is not the user's to check.
_OFFLINE = (
    "check the network and the proxy (HTTPS_PROXY), or use --service local, which "
    "needs neither"
)


def _hint(call: _HeldCall) -> str | None:
    """Returns what to do about a call that failed."""
    from runner.engine.services import ASSEMBLYAI_URL
    from runner.protocol.client.state import UNREACHABLE

    hint = call.close.hint
    is_known = call.service.url == ASSEMBLYAI_URL and not call.has_begun
    return _OFFLINE if is_known and hint in (None, UNREACHABLE.advice) else hint


def _seconds(text: str | None) -> float | None:
    if text is None:
        return None
    from runner.config.durations import parse_duration, suggest_duration

    try:
        return parse_duration(text)
    except ValueError as error:
        raise UsageError(
            f"--max-duration '{text}' is not a duration",
            hint=suggest_duration("max_duration", text),
        ) from error


def recording_options(
    record: Path | None, no_record: bool, record_audio: str | None, redact: bool
) -> RecordingOptions | None:
    """Returns the options of the recording, None if the call is not recorded.

    Options of the command line override the settings file. A redacted recording has
    audio only on request. Raises `UsageError`.
    """
    from runner.config.settings import load_call_settings
    from runner.engine.compose import RecordingOptions

    if record_audio not in (None, "on", "off"):
        raise UsageError(
            f"invalid --record-audio '{record_audio}'", hint="use on or off"
        )
    if no_record:
        if record is not None or record_audio is not None or redact:
            raise UsageError("--no-record contradicts the other recording options")
        return None
    settings = load_call_settings(Path.cwd())
    folder = record or settings.record
    if folder is None:
        if record_audio is not None or redact:
            option = "--redact" if redact else "--record-audio"
            raise UsageError(
                f"{option} needs a recording",
                hint="add --record FOLDER",
            )
        return None
    redacts = redact or settings.redact
    audio = settings.record_audio
    if record_audio is not None:
        audio = record_audio == "on"
    return RecordingOptions(
        folder, audio=not redacts if audio is None else audio, redact=redacts
    )
