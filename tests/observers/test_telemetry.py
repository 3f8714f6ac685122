"""Telemetry of a call, opened and closed."""

from __future__ import annotations

import json
from pathlib import Path

import httpx
import pytest

from runner.errors import FileUnreadable, VagentError
from runner.observers.call_stats import Counters
from runner.observers.events import CallInterpreter
from runner.observers.metrics import MetricsSnapshot
from runner.observers.options import TelemetryOptions
from runner.observers.telemetry import CallInfo, open_instruments
from runner.redaction import Redactor
from tests.observers.calls import END, GREETING, OUTAGE, QUESTION

CALL = CallInfo(
    "support",
    "local",
    None,
    lambda: ("lookup",),
    lambda: MetricsSnapshot(Counters(messages_sent=7)),
)


def refuse(text: str) -> None:
    raise AssertionError(text)


async def test_a_log_goes_to_its_file(tmp_path: Path) -> None:
    path, events, secrets = tmp_path / "log", CallInterpreter(), Redactor()
    wishes = TelemetryOptions(log_file=path, log_format="json")
    async with open_instruments(wishes, events, secrets, {}, refuse, refuse) as all_of:
        secrets.add(frozenset({"sess_1"}))
        all_of.watch(CALL)
        for at, what in (*GREETING, *QUESTION, *OUTAGE, *END):
            all_of.observe(at, what)
            events.observe(at, what)

    entries = [json.loads(line) for line in path.read_text("utf-8").splitlines()]
    assert entries[0]["event"] == "call.started"
    assert entries[-1]["event"] == "call.ended"
    assert entries[1]["session"] == "***"


async def test_a_log_without_a_file_goes_to_the_view() -> None:
    lines: list[str] = []
    wishes = TelemetryOptions(log_format="text")
    events = CallInterpreter()
    opening = open_instruments(wishes, events, Redactor(), {}, refuse, lines.append)
    async with opening as all_of:
        all_of.watch(CALL)
        events.observe(*GREETING[0])

    assert len(lines) == 1
    assert lines[0].endswith("call.started agent=support")


async def test_the_reason_of_a_failed_call_is_logged_and_raised() -> None:
    lines: list[str] = []
    wishes = TelemetryOptions(log_format="json")
    opening = open_instruments(
        wishes, CallInterpreter(), Redactor(), {}, refuse, lines.append
    )
    with pytest.raises(VagentError, match="no sound card"):
        async with opening:
            raise VagentError("no sound card")

    assert json.loads(lines[0])["reason"] == "no sound card"


async def test_metrics_are_read_on_the_loop_of_the_call() -> None:
    notices: list[str] = []
    wishes, events = TelemetryOptions(metrics=0), CallInterpreter()
    opening = open_instruments(wishes, events, Redactor(), {}, notices.append, refuse)
    async with opening as all_of, httpx.AsyncClient() as scraper:
        all_of.watch(CALL)
        events.observe(*GREETING[0])
        answer = await scraper.get(notices[0].removeprefix("metrics: "))

    assert (
        'vagent_messages_total{agent="support",direction="sent",service="local"} 7.0'
        in answer.text
    )
    assert 'vagent_sessions_active{agent="support",service="local"} 1.0' in answer.text


async def test_a_part_that_cannot_open_is_reported_before_the_call(
    tmp_path: Path,
) -> None:
    options, events = TelemetryOptions(log_file=tmp_path), CallInterpreter()
    with pytest.raises(FileUnreadable):
        async with open_instruments(options, events, Redactor(), {}, refuse, refuse):
            raise AssertionError("the call began")
