"""Options for logs, metrics and traces of a call."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal, TypeAlias, cast, get_args

from runner.errors import UsageError

if TYPE_CHECKING:
    from pathlib import Path

LogFormat: TypeAlias = Literal["text", "json"]
_MAX_PORT = 65_535


@dataclass(frozen=True, slots=True)
class TelemetryOptions:
    """Telemetry that the command line asks for; everything is off by default.

    `metrics` is a local port, 0 for a free one. With a `log_format` and no `log_file`,
    log lines go to the view of the call. `is_verbose` adds every message, with text,
    arguments and results, to the log.
    """

    metrics: int | None = None
    otel: bool = False
    log_file: Path | None = None
    log_format: LogFormat | None = None
    is_verbose: bool = False

    @property
    def has_log(self) -> bool:
        """True if a log is written."""
        return self.log_file is not None or self.log_format is not None

    @property
    def is_off(self) -> bool:
        """True if no telemetry is asked for."""
        return self.metrics is None and not self.otel and not self.has_log


def read_port(port: int | None) -> int | None:
    """Returns a port unchanged; raises UsageError if it is out of range."""
    if port is not None and not 0 <= port <= _MAX_PORT:
        raise UsageError(
            f"--metrics must be a port from 0 to {_MAX_PORT}, not '{port}'"
        )
    return port


def read_log_format(text: str | None) -> LogFormat | None:
    """Returns a log format unchanged; raises UsageError if it is unknown."""
    formats = get_args(LogFormat)
    if text is not None and text not in formats:
        raise UsageError(f"--log-format must be {' or '.join(formats)}, not '{text}'")
    return cast("LogFormat | None", text)
