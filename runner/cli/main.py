"""The `vagent` command line: loads the requested command and prints errors.

Command modules import heavy packages inside their functions, so that `--help` and
`validate` stay fast.
"""

from __future__ import annotations

import errno
import itertools
import os
import sys
from collections.abc import Sequence
from importlib import import_module
from typing import TYPE_CHECKING, Annotated, cast

import typer

from runner import __version__
from runner.cli.output import escape_controls
from runner.cli.streams import (
    BROKEN_PIPE,
    FAILED,
    finish_output,
    prepare_streams,
    report_os_error,
    was_pipe_closed,
)
from runner.errors import ConfigError, UsageError, VagentError

if TYPE_CHECKING:
    from runner.config.diagnostics import Diagnostic

# Options that had another name in earlier versions, by command.
RENAMED_OPTIONS: dict[tuple[str, str], str] = {
    ("doctor", "--no-sound"): "--no-audio",
    ("service", "--brain"): "--llm",
    ("service", "--brain-model"): "--llm-model",
    ("service", "--recognizer"): "--stt",
    ("service", "--stand-ins"): "--no-models",
    ("service", "--voice"): "--tts",
    ("test", "--keep"): "--recordings",
    ("test", "--keep-passed"): "--record-passed",
}

# Options that `vagent serve` had when it ran the local service.
_SERVICE_OPTIONS = (
    *("--brain", "--fault", "--key", "--llm", "--max-sessions", "--no-models"),
    *("--recognizer", "--stand-ins", "--stt", "--tts", "--voice"),
)

# The commands in the order of `--help`, each with the name of its function or Typer app
# in the module of the same name.
COMMANDS = {
    "run": "run",
    "doctor": "doctor",
    "new": "new",
    "validate": "validate",
    "test": "test",
    "replay": "replay",
    "diff": "diff",
    "show": "show",
    "schema": "schema",
    "tools": "tools",
    "serve": "serve",
    "token": "token",
    "service": "service",
    "models": "models_app",
    "devices": "devices",
}


def build_app(command_name: str = "") -> typer.Typer:
    """Returns the command line with one command, or with all if it is unknown."""
    # Typer parses the options of every command that is added, which takes longer than
    # checking a file.
    app = typer.Typer(
        name="vagent",
        help="Write, call, test and run voice agents as YAML files.",
        no_args_is_help=True,
        # Shells complete through the app with all commands.
        add_completion=command_name not in COMMANDS,
        pretty_exceptions_enable=False,
        rich_markup_mode=None,
        context_settings={"help_option_names": ["-h", "--help"]},
    )
    app.callback()(_options)
    for name in [command_name] if command_name in COMMANDS else COMMANDS:
        command = getattr(import_module(f"runner.cli.{name}"), COMMANDS[name])
        if isinstance(command, typer.Typer):
            app.add_typer(command)
        else:
            app.command()(command)
    return app


def _refuse_renamed(arguments: Sequence[str]) -> None:
    """Raises UsageError with the new name if a renamed option is given."""
    command, *rest = arguments or ("",)
    for each in itertools.takewhile(lambda text: text != "--", rest):
        old = each.partition("=")[0]
        if new := RENAMED_OPTIONS.get((command, old)):
            raise UsageError(f"unknown option '{old}'", hint=f"use {new}")
        if command == "serve" and old in _SERVICE_OPTIONS:
            new = RENAMED_OPTIONS.get(("service", old), old)
            raise UsageError(
                f"unknown option '{old}'", hint=f"use `vagent service {new}`"
            )


def _print_version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"vagent {__version__}")
        raise typer.Exit


def _options(
    version: Annotated[
        bool,
        typer.Option(
            "--version",
            callback=_print_version,
            is_eager=True,
            help="Show the version and exit.",
        ),
    ] = False,
) -> None:
    del version


def run_command_line() -> None:
    """Runs the command line; the entry point of the `vagent` script.

    Prints an expected error as one sentence on stderr and exits with its code. Any
    other exception is a bug: one sentence, with the traceback if VAGENT_DEBUG=1.
    """
    prepare_streams()
    code = run_command(sys.argv[1:])
    if "asyncio" in sys.modules:  # only then a tool can have run
        from runner.event_loop import exit_soon

        exit_soon(code)
    sys.exit(code)


def run_command(arguments: list[str]) -> int:
    """Runs a command with these arguments and returns its exit code."""
    return finish_output(_run_command(arguments))


def _run_command(arguments: list[str]) -> int:
    try:
        _refuse_renamed(arguments)
        build_app(*arguments[:1])(arguments)
    except SystemExit as end:
        if was_pipe_closed():
            return BROKEN_PIPE
        return end.code if isinstance(end.code, int) else int(end.code is not None)
    except VagentError as error:
        print_error(error)
        return error.exit_code
    except BrokenPipeError:
        return BROKEN_PIPE  # the reader of stdout has exited (`| head -1`)
    except KeyboardInterrupt:
        return 130
    except Exception as error:  # the outermost handler: users see no traceback
        if os.environ.get("VAGENT_DEBUG"):
            raise
        return _report_unexpected(error)
    return 0


def _report_unexpected(error: Exception) -> int:
    """Prints an error that no command handles, and returns the exit code.

    One of the system, such as a full disk, is not a bug of vagent.
    """
    if isinstance(error, MemoryError):
        error = OSError(errno.ENOMEM, os.strerror(errno.ENOMEM))
    if isinstance(error, OSError):
        return report_os_error(error)
    typer.echo(
        f"vagent: internal error: {type(error).__name__}: {error}\n"
        "  this is a bug; VAGENT_DEBUG=1 shows the traceback",
        err=True,
    )
    return FAILED


def print_error(error: VagentError) -> None:
    """Prints an error and its hint on stderr; for an agent file, all findings."""
    if isinstance(error, ConfigError):
        from runner.config.diagnostics import render

        # errors.py cannot import the type of the findings, which is in a higher layer.
        findings = cast("tuple[Diagnostic, ...]", error.diagnostics)
        typer.echo(render(findings), err=True, nl=False)
    typer.echo(escape_controls(f"vagent: {error.message}"), err=True)
    if error.hint:
        typer.echo(escape_controls(f"  hint: {error.hint}"), err=True)
