"""Validation of the telemetry options."""

from __future__ import annotations

from pathlib import Path

import pytest

from runner.errors import UsageError
from runner.observers.options import TelemetryOptions, read_log_format, read_port


def test_everything_is_off_by_default() -> None:
    assert TelemetryOptions().is_off
    assert TelemetryOptions(is_verbose=True).is_off


@pytest.mark.parametrize(
    "options",
    [
        TelemetryOptions(metrics=0),
        TelemetryOptions(otel=True),
        TelemetryOptions(log_file=Path("log")),
        TelemetryOptions(log_format="json"),
    ],
)
def test_each_option_turns_telemetry_on(options: TelemetryOptions) -> None:
    assert not options.is_off


def test_a_port_is_in_range() -> None:
    assert read_port(None) is None
    assert (read_port(0), read_port(65_535)) == (0, 65_535)
    for wrong in (-1, 65_536):
        with pytest.raises(UsageError, match=f"not '{wrong}'"):
            read_port(wrong)


def test_a_format_is_text_or_json() -> None:
    assert [read_log_format(each) for each in (None, "text", "json")] == [
        None,
        "text",
        "json",
    ]
    with pytest.raises(UsageError, match="text or json, not 'xml'"):
        read_log_format("xml")
