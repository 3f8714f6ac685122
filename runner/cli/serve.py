"""`vagent serve`: hosts agents for browsers, on a page and over a socket."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any
from urllib.parse import urlsplit

import typer

from runner.cli.options import parse_variables
from runner.cli.output import escape_controls
from runner.errors import UsageError, VagentError, counted

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from runner.hosting.build import HostingOptions
    from runner.hosting.call import HostedCall
    from runner.hosting.host import CallHost

_INSTALL = "install it with: pip install 'vagent[serve]'"


def serve(
    agents: Annotated[
        list[Path] | None,
        typer.Argument(
            metavar="AGENT...", help="Agent files, or folders with agent files."
        ),
    ] = None,
    port: Annotated[
        int,
        typer.Option(
            min=0, max=65_535, metavar="PORT", help="Port; 0 for any free port."
        ),
    ] = 8080,
    host: Annotated[
        str,
        typer.Option(
            metavar="HOST", help="Address to listen on: this machine by default."
        ),
    ] = "127.0.0.1",
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
            metavar="NAME=VALUE", help="Set a variable of the agent files. Repeatable."
        ),
    ] = None,
    calls: Annotated[
        int | None,
        typer.Option(
            min=1, metavar="N", help="Limit of calls at once. Default: no limit."
        ),
    ] = None,
    per_caller: Annotated[
        int | None,
        typer.Option(
            min=1,
            metavar="N",
            help="Limit of calls at once of one caller: of its token, or its network.",
        ),
    ] = None,
    per_hour: Annotated[
        int | None,
        typer.Option(
            min=1, metavar="N", help="Limit of calls of one caller in an hour."
        ),
    ] = None,
    minutes_per_day: Annotated[
        int | None,
        typer.Option(
            min=1, metavar="N", help="Limit of the minutes of all calls in a day."
        ),
    ] = None,
    max_duration: Annotated[
        str | None,
        typer.Option(
            metavar="DURATION",
            help="End each call after this time: 90s, 15m, ... Default: no limit.",
        ),
    ] = None,
    max_idle: Annotated[
        str | None,
        typer.Option(
            metavar="DURATION",
            help="End a call whose caller says nothing for this time.",
        ),
    ] = None,
    record: Annotated[
        Path | None,
        typer.Option(
            metavar="FOLDER",
            help="Record each call in a new folder inside this one, without audio, "
            "numbers and e-mail addresses.",
        ),
    ] = None,
    show_tools: Annotated[
        bool,
        typer.Option("--show-tools", help="Show the names of tools on the page."),
    ] = False,
    origin: Annotated[
        list[str] | None,
        typer.Option(
            metavar="URL",
            help="Allow web pages of this origin to call. Repeatable. "
            "Default: pages of this machine.",
        ),
    ] = None,
    is_open: Annotated[
        bool,
        typer.Option(
            "--open",
            help="Let callers call without a token although other machines reach the "
            "server; needs --calls.",
        ),
    ] = False,
    leave_after: Annotated[
        str,
        typer.Option(
            metavar="DURATION",
            help="After SIGTERM or Ctrl-C, end calls that last longer than this.",
        ),
    ] = "30m",
    reload: Annotated[
        bool,
        typer.Option("--reload", help="Use edited agent files for new calls."),
    ] = False,
    transport: Annotated[
        str,
        typer.Option(
            metavar="auto|picows|websockets",
            help="WebSocket library for the connections to the service.",
        ),
    ] = "auto",
    log_json: Annotated[
        bool,
        typer.Option("--log-json", help="Log one JSON object per line."),
    ] = False,
) -> None:
    """Host agents on a web page and for other clients.

    Each agent has a page at http://127.0.0.1:8080/NAME, where a visitor calls it with
    the browser's microphone. Tools run here; the page never sees them. Other clients
    connect to /v1/ws with the protocol of AssemblyAI and name the agent by its
    `agent_id`.

    If VAGENT_TOKEN_KEY is set, each call needs a token that was made with this key, by
    `vagent token` or by the backend of a site. Without it, the server is for this
    machine only: --host and --origin of other machines are refused without --open.

    The first SIGTERM or Ctrl-C refuses new calls and waits for the live ones; a second
    one ends them. Exits with 0 after that, 1 when an agent file has errors, 2 for wrong
    usage, 3 when the server could not start.
    """
    if not agents:
        raise UsageError(
            "`vagent serve` takes agent files",
            hint="for example `vagent serve agents/support.yaml`; run the local "
            "service with `vagent service`",
        )
    _check_installed()
    from runner.hosting.build import HostingOptions, build_app
    from runner.hosting.limits import Limits
    from runner.hosting.server import ServerOptions, listen
    from runner.hosting.tokens import read_token_key

    options = HostingOptions(
        _find_agents(agents),
        service,
        parse_variables(var or []),
        transport,
        host,
        tuple(origin or ()),
        Limits(
            calls,
            per_caller,
            per_hour,
            _seconds("--max-duration", max_duration),
            _seconds("--max-idle", max_idle),
            minutes_per_day,
        ),
        _recording(record),
        show_tools,
        read_token_key(os.environ),
    )
    _check_exposure(options, is_open=is_open)
    server = ServerOptions(
        host, port, _seconds("--leave-after", leave_after) or 0.0, reload
    )
    log = _log_json if log_json else _log_text
    app = build_app(options, os.environ, log)
    listener = listen(host, port)
    from runner.event_loop import run_async
    from runner.hosting.server import serve as serve_app

    def notice(text: str) -> None:
        log(text, None)

    def ready(calls: CallHost, address: str) -> None:
        _announce(calls, address, log_json=log_json)

    with listener:
        run_async(serve_app(app, listener, server, notice, ready), _loop_factory())


def _check_installed() -> None:
    """Raises VagentError without the packages of the server."""
    from importlib.util import find_spec

    missing = [name for name in ("starlette", "uvicorn") if find_spec(name) is None]
    if missing:
        raise VagentError(
            f"`vagent serve` needs {' and '.join(missing)}, not installed",
            hint=_INSTALL,
        )


def _loop_factory() -> Any:
    try:
        import uvloop
    except ImportError:  # not installed, or Windows
        return None
    return uvloop.new_event_loop


def _find_agents(paths: Sequence[Path]) -> list[Path]:
    """Returns the agent files that are named, and those in the folders."""
    from runner.config.files import find_agents, resolve_agent

    found: list[Path] = []
    for path in paths:
        inside = find_agents(path) if path.is_dir() else []
        found += inside or [resolve_agent(path)]
    return found


def _check_exposure(options: HostingOptions, *, is_open: bool) -> None:
    """Raises UsageError if other machines reach the server without protection."""
    from runner.hosts import is_this_machine

    reached = "" if is_this_machine(options.host) else f"--host {options.host}"
    for each in options.origins:
        name = urlsplit(each).hostname  # None: not an origin, which is reported later
        if name is not None and not is_this_machine(name):
            reached = reached or f"--origin {each}"
    if not reached:
        return
    if options.token_key is None and not is_open:
        raise UsageError(
            f"with {reached} strangers reach the agents, and every call costs",
            hint="set VAGENT_TOKEN_KEY, so that calls need a token, or allow everyone "
            "with --open and --calls",
        )
    if is_open and options.limits.calls is None:
        raise UsageError(
            "--open needs a limit of calls at once", hint="add --calls, such as 10"
        )


def _recording(folder: Path | None) -> Any:
    from runner.engine.compose import RecordingOptions

    if folder is None:
        return None
    return RecordingOptions(folder, audio=False, redact=True)


def _seconds(option: str, text: str | None) -> float | None:
    from runner.config.durations import parse_duration, suggest_duration

    if text is None:
        return None
    try:
        return parse_duration(text)
    except ValueError as error:
        raise UsageError(
            f"{option} '{text}' is not a duration",
            hint=suggest_duration(option, text),
        ) from error


def _announce(calls: CallHost, address: str, *, log_json: bool) -> None:
    names = [each.name for each in calls.agents]
    if log_json:
        _write({"type": "vagent.listening", "url": address, "agents": names})
        return
    for name in names:
        typer.echo(f"{address}/{name}")
    text = f"hosting {counted(len(names), 'agent')}; Ctrl-C to stop"
    typer.echo(escape_controls(text), err=True)


def _log_text(text: str, call: HostedCall | None) -> None:
    about = "" if call is None else f" [{call.info.call_id[-8:]}]"
    typer.echo(escape_controls(f"*{about} {text}"), err=True)


def _log_json(text: str, call: HostedCall | None) -> None:
    fields: dict[str, Any] = {"type": "vagent.log", "text": text}
    if call is not None:
        fields["call_id"] = call.info.call_id
        fields["agent"] = call.info.agent
    _write(fields)


def _write(fields: Mapping[str, Any]) -> None:
    import json
    import time

    typer.echo(json.dumps({"ts": round(time.time(), 3), **fields}))
