"""The spans of a call as an exporter receives them."""

from __future__ import annotations

import json
from collections.abc import Mapping

import pytest
from opentelemetry.sdk.trace import ReadableSpan
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.trace import SpanKind, StatusCode

from runner.observers.tracing import (
    CallTrace,
    TraceAttributes,
    new_provider,
    wants_content,
)
from runner.protocol.client.actions import Close, Outcome, RunTool
from runner.protocol.client.events import Received, ToolFinished
from runner.protocol.messages import ToolCall, TranscriptUser
from runner.redaction import Redactor
from tests.observers.calls import END, GREETING, OUTAGE, QUESTION, watch

EPOCH = 1_700_000_000.0
SECRET = "sk/live key+42"
SUBJECT = TraceAttributes("support", "other", "wss://voice.example.com:8443/v1?token=x")


def traced(
    happened: object, *, has_content: bool = False, secret: str = SECRET
) -> dict[str, list[ReadableSpan]]:
    """Return the spans of a call by their names."""
    exporter = InMemorySpanExporter()
    provider = new_provider(SimpleSpanProcessor(exporter), {})
    secrets = Redactor()
    secrets.add(frozenset({secret}))
    trace = CallTrace(provider, SUBJECT, EPOCH, secrets, has_content=has_content)
    watch(happened, trace.note)  # type: ignore[arg-type]  # lists of each test's own kind
    provider.shutdown()
    spans: dict[str, list[ReadableSpan]] = {}
    for span in exporter.get_finished_spans():
        spans.setdefault(span.name, []).append(span)
    return spans


def facts(span: ReadableSpan) -> Mapping[str, object]:
    return span.attributes or {}


def events(span: ReadableSpan) -> list[tuple[str, float]]:
    return [(each.name, each.timestamp / 1e9 - EPOCH) for each in span.events]


def seconds(span: ReadableSpan) -> tuple[float, float]:
    assert span.start_time is not None
    assert span.end_time is not None
    return span.start_time / 1e9 - EPOCH, span.end_time / 1e9 - EPOCH


def test_a_session_a_turn_and_a_tool_call_have_a_span_each() -> None:
    spans = traced([*GREETING, *QUESTION, *OUTAGE, *END])

    assert {name: len(each) for name, each in spans.items()} == {
        "invoke_agent support": 1,
        "turn": 2,
        "execute_tool lookup": 1,
    }
    [session], [greeting, turn] = spans["invoke_agent support"], spans["turn"]
    [tool] = spans["execute_tool lookup"]
    assert session.context is not None
    assert turn.context is not None
    assert session.parent is None
    assert turn.parent is not None and turn.parent.span_id == session.context.span_id
    assert tool.parent is not None and tool.parent.span_id == turn.context.span_id
    assert [seconds(each) for each in (session, greeting, turn, tool)] == [
        (0.0, 9.0),
        (1.0, 1.5),
        (2.0, 5.0),
        (3.5, 4.0),
    ]


def test_attributes_are_those_of_the_conventions() -> None:
    spans = traced([*GREETING, *QUESTION, *END])
    [session], [tool] = spans["invoke_agent support"], spans["execute_tool lookup"]

    assert session.kind is SpanKind.CLIENT
    assert facts(session) == {
        "gen_ai.operation.name": "invoke_agent",
        "gen_ai.provider.name": "other",
        "gen_ai.agent.name": "support",
        "gen_ai.conversation.id": "sess_1",
        "gen_ai.output.type": "speech",
        "server.address": "voice.example.com",
        "server.port": 8443,
        "vagent.outcome": "clean",
    }
    assert tool.kind is SpanKind.INTERNAL
    assert facts(tool) == {
        "gen_ai.operation.name": "execute_tool",
        "gen_ai.tool.name": "lookup",
        "gen_ai.tool.call.id": "call_1",
        "gen_ai.tool.type": "function",
        "vagent.tool.outcome": "ok",
    }


def test_first_audio_interruptions_and_outages_are_events() -> None:
    spans = traced([*GREETING, *QUESTION, *OUTAGE, *END])

    assert events(spans["turn"][1]) == [
        ("vagent.first_audio", 4.5),
        ("vagent.interrupted", 5.0),
    ]
    assert events(spans["invoke_agent support"][0]) == [
        ("vagent.connection_lost", 6.0),
        ("vagent.reconnected", 8.0),
    ]
    assert spans["turn"][1].events[0].attributes == {
        "vagent.since_decision_seconds": 1.25,
        "vagent.since_voice_seconds": 2.0,
    }


def test_failed_tools_and_failed_calls_have_an_error_status() -> None:
    spans = traced(
        [
            *GREETING,
            (2.0, RunTool(ToolCall("c", "lookup"))),
            (3.0, ToolFinished("c", '{"error":"the caller said 4711"}', True)),
            (9.0, Close(Outcome.FAILED, f"no way to wss://x/?key={SECRET}")),
        ]
    )
    [session], [tool] = spans["invoke_agent support"], spans["execute_tool lookup"]

    assert tool.status.status_code is StatusCode.ERROR
    assert facts(tool)["error.type"] == "tool_error"
    assert tool.status.description is None
    assert session.status.status_code is StatusCode.ERROR
    assert session.status.description == "no way to wss://x/?key=***"
    assert facts(session)["error.type"] == "failed"


def test_spans_have_no_content_by_default() -> None:
    spans = traced([*GREETING, *QUESTION, *END])
    said = "".join(span.to_json() for each in spans.values() for span in each)

    assert "order" not in said
    assert "home" not in said


def test_spans_have_content_if_asked_for() -> None:
    spans = traced([*GREETING, *QUESTION, *END], has_content=True)
    turn, tool = facts(spans["turn"][1]), facts(spans["execute_tool lookup"][0])

    assert json.loads(str(turn["gen_ai.input.messages"])) == [
        {
            "role": "user",
            "parts": [{"type": "text", "content": "Where is my order?"}],
        }
    ]
    [answer] = json.loads(str(turn["gen_ai.output.messages"]))
    assert answer["parts"] == [{"type": "text", "content": "It is at"}]
    assert json.loads(str(tool["gen_ai.tool.call.arguments"])) == {"order": "4711"}
    assert json.loads(str(tool["gen_ai.tool.call.result"])) == {"at": "home"}


def test_secrets_are_redacted_in_content() -> None:
    call = ToolCall("c", "lookup", {"url": "http://x/?k=sk%2flive%20key%2B42"})
    spans = traced(
        [
            *GREETING,
            (2.0, Received(TranscriptUser(f"It is {SECRET}."))),
            (2.0, RunTool(call)),
            (3.0, ToolFinished("c", json.dumps({"error": SECRET}), True)),
            *END,
        ],
        has_content=True,
    )
    said = "".join(span.to_json() for each in spans.values() for span in each)

    assert "***" in said
    assert SECRET not in said
    assert "live" not in said


@pytest.mark.parametrize(
    ("value", "is_wanted"),
    [(None, False), ("", False), ("false", False), ("true", True), (" True ", True)],
)
def test_content_is_captured_only_if_the_variable_is_true(
    value: str | None, is_wanted: bool
) -> None:
    name = "OTEL_INSTRUMENTATION_GENAI_CAPTURE_MESSAGE_CONTENT"

    assert wants_content({} if value is None else {name: value}) is is_wanted
