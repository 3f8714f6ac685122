"""Standard streams that are closed, full or limited in their encoding."""

from __future__ import annotations

import contextlib
import errno
import io
import os
import sys

import typer

from runner.cli.output import escape_stream
from runner.errors import os_error_text

# The convention of shells for a program that a closed pipe ends: 128 + SIGPIPE.
BROKEN_PIPE = 141
FAILED = 3

_HINTS = {
    errno.ENOSPC: "free space, or write to another disk",
    errno.EMFILE: "raise the limit of open files, for example with `ulimit -n 1024`",
    errno.ENOMEM: "close other programs, or raise the limit of memory",
}


def prepare_streams() -> None:
    """Makes the standard streams usable for any text.

    A closed stream becomes the null device. Characters that the encoding lacks are
    written as escapes: an arrow or a name in the agent's answer must not end a call on
    a terminal or in a pipe that cannot show it. So are control characters: names and
    results come from files and services of others.
    """
    for name, mode in (("stdin", "r"), ("stdout", "w"), ("stderr", "w")):
        stream = getattr(sys, name)
        if stream is None:
            null = open(os.devnull, mode, encoding="utf-8")  # noqa: SIM115  # for the whole process
            setattr(sys, name, null)
        elif name != "stdin" and isinstance(stream, io.TextIOWrapper):
            safe = _SafeStream(stream)
            setattr(sys, name, safe)
            setattr(sys, f"__{name}__", safe)


class _SafeStream(io.TextIOWrapper):
    """A standard stream that escapes the control characters that no view writes."""

    def __init__(self, stream: io.TextIOWrapper) -> None:
        options = (stream.encoding, stream.line_buffering, stream.write_through)
        encoding, is_line_buffered, is_written_through = options
        super().__init__(
            stream.detach(),
            encoding,
            "backslashreplace",
            line_buffering=is_line_buffered,
            write_through=is_written_through,
        )

    def write(self, text: str) -> int:
        super().write(escape_stream(text))
        return len(text)


def finish_output(code: int) -> int:
    """Flushes stdout; returns `code`, or another one if the output is incomplete."""
    try:
        sys.stdout.flush()
    except BrokenPipeError:
        _discard_stdout()
        return BROKEN_PIPE
    except OSError as error:
        _discard_stdout()
        return code or report_os_error(error)
    except ValueError:  # it was closed by a library
        return code
    return code


def was_pipe_closed() -> bool:
    """True if typer has ended the command because the reader of stdout exited."""
    return type(sys.stdout).__name__ == "PacifyFlushWrapper"


def report_os_error(error: OSError) -> int:
    """Prints an error of the system, such as a full disk; returns the exit code."""
    with contextlib.suppress(OSError, ValueError):
        typer.echo(f"vagent: {os_error_text(error)}", err=True)
        hint = _HINTS.get(error.errno or 0)
        if hint:
            typer.echo(f"  hint: {hint}", err=True)
    return FAILED


def _discard_stdout() -> None:
    """Sends what is still buffered to the null device."""
    with contextlib.suppress(OSError, ValueError):
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
