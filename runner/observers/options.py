"""What a person wants to see of the inside; loads nothing that it may do without."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal, TypeAlias, cast, get_args

from runner.errors import UsageError

if TYPE_CHECKING:
    from pathlib import Path

LogFormat: TypeAlias = Literal["text", "json"]
_HIGHEST_PORT = 65_535


@dataclass(frozen=True, slots=True)
class TelemetryOptions:
    """What the command line asks for; nothing of it by default.

    `metrics` is a port of this machine, 0 for a free one. Without a `log_file` lines in
    a `log_format` that was asked for go to whoever shows the call. `is_verbose` adds
    every message, with words, arguments and results, to the log.
    """

    metrics: int | None = None
    otel: bool = False
    log_file: Path | None = None
    log_format: LogFormat | None = None
    is_verbose: bool = False

    @property
    def has_log(self) -> bool:
        """Whether a log is written."""
        return self.log_file is not None or self.log_format is not None

    @property
    def is_off(self) -> bool:
        """Whether nothing is asked for."""
        return self.metrics is None and not self.otel and not self.has_log


def read_port(port: int | None) -> int | None:
    """Return a port as it was given; raises UsageError for what is none."""
    if port is not None and not 0 <= port <= _HIGHEST_PORT:
        raise UsageError(f"--metrics is a port from 0 to {_HIGHEST_PORT}, not '{port}'")
    return port


def read_log_format(text: str | None) -> LogFormat | None:
    """Return a format as it is written; raises UsageError."""
    formats = get_args(LogFormat)
    if text is not None and text not in formats:
        raise UsageError(f"--log-format is {' or '.join(formats)}, not '{text}'")
    return cast("LogFormat | None", text)
