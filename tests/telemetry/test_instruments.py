"""What is asked for, put together and closed again."""

from __future__ import annotations

import json
from pathlib import Path

import httpx
import pytest

from runner.counters import Counters
from runner.errors import FileUnreadable, VagentError
from runner.hiding import Secrets
from runner.records import Record
from runner.telemetry.instruments import Watched, open_instruments
from runner.telemetry.metrics import Reading
from runner.telemetry.wishes import TelemetryWishes
from tests.telemetry.calls import END, GREETING, OUTAGE, QUESTION

CALL = Watched(
    "support",
    "local",
    None,
    lambda: ("lookup",),
    lambda: Reading(Counters(messages_sent=7)),
)


def refuse(text: str) -> None:
    raise AssertionError(text)


async def test_a_log_goes_to_its_file(tmp_path: Path) -> None:
    path, record, secrets = tmp_path / "log", Record(), Secrets()
    wishes = TelemetryWishes(log_file=path, log_format="json")
    async with open_instruments(wishes, record, secrets, {}, refuse, refuse) as all_of:
        secrets.hide(frozenset({"sess_1"}))
        all_of.watch(CALL)
        for at, what in (*GREETING, *QUESTION, *OUTAGE, *END):
            record.observe(at, what)
            all_of.observe(at, what)

    entries = [json.loads(line) for line in path.read_text("utf-8").splitlines()]
    assert entries[0]["event"] == "call.started"
    assert entries[-1]["event"] == "call.ended"
    assert entries[1]["session"] == "***"


async def test_a_log_without_a_file_goes_to_who_shows_the_call() -> None:
    lines: list[str] = []
    wishes = TelemetryWishes(log_format="text")
    opening = open_instruments(wishes, Record(), Secrets(), {}, refuse, lines.append)
    async with opening as all_of:
        all_of.watch(CALL)
        all_of.observe(*GREETING[0])

    assert len(lines) == 1
    assert lines[0].endswith("call.started agent=support")


async def test_why_a_call_could_not_be_made_is_logged_and_raised() -> None:
    lines: list[str] = []
    wishes = TelemetryWishes(log_format="json")
    opening = open_instruments(wishes, Record(), Secrets(), {}, refuse, lines.append)
    with pytest.raises(VagentError, match="no sound card"):
        async with opening:
            raise VagentError("no sound card")

    assert json.loads(lines[0])["reason"] == "no sound card"


async def test_metrics_are_read_on_the_loop_of_the_call() -> None:
    notices: list[str] = []
    wishes, record = TelemetryWishes(metrics=0), Record()
    opening = open_instruments(wishes, record, Secrets(), {}, notices.append, refuse)
    async with opening as all_of, httpx.AsyncClient() as scraper:
        all_of.watch(CALL)
        all_of.observe(*GREETING[0])
        answer = await scraper.get(notices[0].removeprefix("metrics: "))

    assert (
        'vagent_messages_total{agent="support",direction="sent",service="local"} 7.0'
        in answer.text
    )
    assert 'vagent_sessions_active{agent="support",service="local"} 1.0' in answer.text


async def test_what_cannot_be_had_is_told_before_the_call(tmp_path: Path) -> None:
    wish = TelemetryWishes(log_file=tmp_path)
    with pytest.raises(FileUnreadable):
        async with open_instruments(wish, Record(), Secrets(), {}, refuse, refuse):
            raise AssertionError("the call began")
