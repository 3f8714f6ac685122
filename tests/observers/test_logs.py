"""The log of a call: its entries, its levels of detail, and redaction."""

from __future__ import annotations

import json
import logging
import re
from typing import Any
from urllib.parse import quote, quote_plus

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from runner.observers.logs import Log, MessageLog
from runner.observers.options import LogFormat
from runner.protocol.client.actions import Close, Outcome, Play, RunTool, Send
from runner.protocol.client.events import (
    Disconnected,
    MalformedMessage,
    MicFrame,
    Received,
    ToolFinished,
)
from runner.protocol.messages import (
    InputAudio,
    ReplyAudio,
    SessionError,
    SessionReady,
    SessionUpdate,
    ToolCall,
    ToolResult,
    TranscriptAgent,
    TranscriptUser,
    Unknown,
)
from runner.recording.redaction import add_resume_token
from runner.redaction import Redactor
from tests.observers.calls import END, GREETING, OUTAGE, QUESTION, QUIET, watch

EPOCH = 1_763_887_310.0


class Written:
    """A log and its lines."""

    def __init__(
        self,
        *,
        secret: str = "",
        is_detailed: bool = False,
        form: LogFormat = "json",
    ) -> None:
        self.lines: list[str] = []
        secrets = Redactor()
        secrets.add(frozenset({secret}))
        self.conceal = secrets
        self.log = Log(
            self.lines.append,
            form,
            self.conceal,
            lambda: EPOCH,
            is_detailed=is_detailed,
        )
        self.log.agent, self.log.epoch = "support", EPOCH
        self.messages = MessageLog(self.log)

    def observe(self, *happened: tuple[float, Any]) -> None:
        """Let things happen, as the instruments pass them on."""
        for at, what in happened:
            add_resume_token(self.conceal, what)
            self.messages.observe(at, what)
            watch([(at, what)], self.log.note)

    @property
    def entries(self) -> list[dict[str, Any]]:
        return [json.loads(line) for line in self.lines]

    def of(self, event: str) -> list[dict[str, Any]]:
        return [each for each in self.entries if each["event"] == event]


def test_a_call_is_logged_from_start_to_end() -> None:
    written = Written()
    watch([*GREETING, *QUESTION, *OUTAGE, *END], written.log.note)

    assert [each["event"] for each in written.entries] == [
        "call.started",
        "session.ready",
        "turn.started",
        "transcript",
        "turn.started",
        "transcript",
        "tool.started",
        "tool.ended",
        "reply.first_audio",
        "transcript",
        "reply.interrupted",
        "connection.lost",
        "session.restored",
        "call.ended",
    ]
    assert {each["agent"] for each in written.entries} == {"support"}
    assert {each.get("session") for each in written.entries[1:]} == {"sess_1"}


def test_an_entry_has_its_time_its_call_and_its_numbers() -> None:
    written = Written()
    watch([*GREETING, *QUESTION], written.log.note)

    assert written.of("tool.ended") == [
        {
            "ts": "2025-11-23T08:41:54.000Z",
            "level": "info",
            "event": "tool.ended",
            "session": "sess_1",
            "call": "call_1",
            "agent": "support",
            "tool": "lookup",
            "outcome": "ok",
            "seconds": 0.5,
        }
    ]
    [answer] = written.of("reply.first_audio")
    assert (answer["latency_s"], answer["since_decision_s"]) == (2.0, 1.25)


def test_text_is_not_in_a_log_without_detail() -> None:
    written = Written()
    watch([*GREETING, *QUESTION, *END], written.log.note)

    assert "order" not in "".join(written.lines)
    assert "home" not in "".join(written.lines)
    assert written.of("transcript")[1]["characters"] == len("Where is my order?")


def test_text_is_in_a_log_with_detail() -> None:
    written = Written(is_detailed=True)
    watch([*GREETING, *QUESTION, *END], written.log.note)

    assert written.of("transcript")[1]["text"] == "Where is my order?"
    assert written.of("tool.started")[0]["arguments"] == {"order": "4711"}
    assert written.of("tool.ended")[0]["result"] == {"at": "home"}


@pytest.mark.parametrize(
    ("what", "level"),
    [
        (Close(Outcome.FAILED, "gone"), "error"),
        (Close(Outcome.REJECTED, "no"), "error"),
        (Close(Outcome.CLEAN, "over"), "info"),
    ],
)
def test_a_call_that_failed_is_an_error(what: Close, level: str) -> None:
    written = Written()
    watch([*GREETING, (9.0, what)], written.log.note)

    assert written.of("call.ended")[0]["level"] == level


def test_every_message_is_in_a_log_with_detail_and_audio_is_summed_up() -> None:
    written = Written(is_detailed=True)
    written.observe((0.0, Send(SessionUpdate({"system_prompt": "Be brief."}))))
    for step in range(30):
        at = 1.0 + step / 20
        written.observe((at, MicFrame(QUIET)), (at, Send(InputAudio(QUIET))))
        written.observe((at, Received(ReplyAudio(QUIET, "r"))), (at, Play(QUIET)))
    written.observe(
        (3.0, Send(ToolResult("call_1", "{}"))), (3.0, MalformedMessage("no JSON"))
    )

    sums = [
        (each["seconds"], each["sent_ms"], each["received_ms"], each["played_ms"])
        for each in written.of("audio")
    ]
    assert sums == [(1.0, 1000, 1000, 1000), (1.0, 500, 500, 500)]
    update, result = written.of("message.sent")
    assert update["message"]["session"] == {"system_prompt": "Be brief."}
    assert (result["call"], result["level"]) == ("call_1", "debug")
    assert written.of("message.malformed")[0]["reason"] == "no JSON"
    assert len(written.lines) == 5


def test_library_records_are_in_the_log() -> None:
    written = Written(secret="abc-secret-1")
    written.log.write_library_record("GET /?key=abc-secret-1", logging.ERROR, "httpx")

    [entry] = written.entries
    assert (entry["event"], entry["level"]) == ("log", "error")
    assert (entry["library"], entry["text"]) == ("httpx", "GET /?key=***")


def test_the_session_token_is_redacted_everywhere() -> None:
    written = Written(is_detailed=True)
    written.observe(
        (0.0, Received(SessionReady("s", resume_token="tok/en 12"))),
        (1.0, Received(Unknown("later", {"token": "tok/en 12"}))),
        (2.0, Disconnected("wss://x/?token=tok%2Fen+12 refused")),
    )

    assert "12" not in "".join(written.lines).replace("2025-11", "")


# ------------------------------------------------------------------------- secrets

# Nothing else in these lines looks like one of them.
_SECRETS = st.builds(
    lambda text: f"Zq{text}qZ", st.text(min_size=4, max_size=24).filter(str.strip)
)


def _spellings(secret: str) -> set[str]:
    spelt = {secret, json.dumps(secret)[1:-1], json.dumps(json.dumps(secret))[3:-3]}
    spelt |= {json.dumps(secret, ensure_ascii=False)[1:-1]}
    with_pairs = secret.encode("utf-8", "replace").decode()
    if with_pairs == secret:
        urls = {quote(secret), quote(secret, safe=""), quote_plus(secret)}
        urls |= {quote(secret, safe="!$'()*+,;:@/?"), quote(secret, safe="/:&=")}
        lower = {re.sub("%..", lambda hit: hit[0].lower(), each) for each in urls}
        spelt |= urls | lower
    return spelt


@settings(max_examples=40)
@given(_SECRETS, st.sampled_from(["json", "text"]))
def test_secrets_are_redacted_in_every_form(secret: str, form: LogFormat) -> None:
    written = Written(secret=secret, is_detailed=True, form=form)
    at = 0.0
    for spelt in _spellings(secret):
        at += 1.0
        url = f"https://user:{spelt}@api.example.com/v1/{spelt}?key={spelt}&x=1"
        result = json.dumps({"error": f"GET {url} failed", spelt: [spelt]})
        call = ToolCall(f"c{at}", spelt, {"url": url, spelt: {"deep": [spelt]}})
        written.observe(
            (at, Received(TranscriptUser(f"my key is {spelt}."))),
            (at, Received(TranscriptAgent(spelt))),
            (at, Received(SessionError("bad", f"no such key: {spelt!r} {spelt}"))),
            (at, Received(Unknown(spelt, {spelt: spelt}))),
            (at, Received(call)),
            (at, Send(ToolResult("c", result, True))),
            (at, Disconnected(f"{url} is gone")),
            (at, Close(Outcome.FAILED, url)),
        )
        watch(
            [(at, RunTool(call)), (at, ToolFinished(f"c{at}", result, True))],
            written.log.note,
        )
        written.log.say("info", "notice", text=url)
        written.log.write_library_record(f"{url} {result}", logging.WARNING, spelt)

    text = "\n".join(written.lines)
    assert text
    for spelt in _spellings(secret):
        assert spelt not in text
        assert json.dumps(spelt)[1:-1] not in text
    assert "***" in text
