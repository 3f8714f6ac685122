"""Metrics as a scraper reads them."""

from __future__ import annotations

from prometheus_client import CollectorRegistry
from prometheus_client.parser import text_string_to_metric_families

from runner.observers.call_stats import Counters
from runner.observers.metrics import (
    CallMetrics,
    MetricsSnapshot,
    ServerMetrics,
    new_registry,
    render,
)
from runner.protocol.client.actions import Close, Outcome, RunTool
from runner.protocol.client.events import ToolFinished
from runner.protocol.messages import ToolCall
from tests.observers.calls import END, GREETING, OUTAGE, QUESTION, watch

WHO = {"agent": "support", "service": "local"}
UNITS = ("_seconds", "_bytes", "_info")
# Gauges and counts of things have no unit.
COUNTED = {
    "sessions_active",
    "sessions_started",
    "sessions_ended",
    "turns",
    "interruptions",
    "reconnects",
    "messages",
    "messages_malformed",
    "messages_unknown",
    "connection_drops",
    "playback_underruns",
    "tool_results_late",
    "replies_retried",
    "recording_failures",
    "tool_threads_hung",
}


class Scraped:
    """One exposition, read back."""

    def __init__(self, registry: CollectorRegistry) -> None:
        content_type, body = render(registry, "")
        assert content_type.startswith("text/plain")
        families = text_string_to_metric_families(body.decode())
        # When a counter began, which this format has no word for, looks like a gauge.
        self.families = [
            each for each in families if not each.name.endswith("_created")
        ]

    def value(self, name: str, **labels: str) -> float | None:
        for family in self.families:
            for sample in family.samples:
                if sample.name == name and labels.items() <= sample.labels.items():
                    return float(sample.value)
        return None


def counted(
    reading: MetricsSnapshot | None = None, tools: tuple[str, ...] = ("lookup",)
) -> tuple[CollectorRegistry, CallMetrics]:
    registry = new_registry()
    metrics = CallMetrics(registry, "support", "local", lambda: tools, lambda: reading)
    return registry, metrics


def test_a_call_is_counted_and_timed() -> None:
    registry, metrics = counted()
    watch([*GREETING, *QUESTION, *OUTAGE], metrics.note)

    scraped = Scraped(registry)

    assert scraped.value("vagent_sessions_started_total", **WHO) == 1
    assert scraped.value("vagent_sessions_active", **WHO) == 1
    assert scraped.value("vagent_turns_total", by="agent") == 1
    assert scraped.value("vagent_turns_total", by="caller") == 1
    assert scraped.value("vagent_interruptions_total", **WHO) == 1
    assert scraped.value("vagent_reconnects_total", session="resumed") == 1
    assert scraped.value("vagent_reply_latency_seconds_sum") == 2.0
    assert scraped.value("vagent_reply_latency_seconds_bucket", le="1.5") == 0
    assert scraped.value("vagent_reply_latency_seconds_bucket", le="2.0") == 1
    assert scraped.value("vagent_reply_decision_latency_seconds_sum") == 1.25
    tool = {"tool": "lookup", "outcome": "ok"}
    assert scraped.value("vagent_tool_call_duration_seconds_sum", **tool) == 0.5


def test_a_call_that_ended_is_not_active() -> None:
    registry, metrics = counted()
    failed = (9.0, Close(Outcome.FAILED, "gone"))
    watch([*GREETING, failed], metrics.note)

    scraped = Scraped(registry)

    assert scraped.value("vagent_sessions_active", **WHO) == 0
    assert scraped.value("vagent_sessions_ended_total", outcome="failed") == 1


def test_an_invented_tool_has_the_label_unknown() -> None:
    registry, metrics = counted()
    invented = ToolCall("c", "drop_tables_7431")
    watch(
        [*GREETING, (2.0, RunTool(invented)), (3.0, ToolFinished("c", "{}", True))],
        metrics.note,
    )

    scraped = Scraped(registry)

    tool = {"tool": "unknown", "outcome": "error"}
    assert scraped.value("vagent_tool_call_duration_seconds_count", **tool) == 1
    assert "7431" not in render(registry, "")[1].decode()


def test_counters_of_the_call_are_read_on_each_scrape() -> None:
    counters = Counters(
        messages_sent=7,
        audio_sent_seconds=2.0,
        outbox_dropped_seconds=0.25,
        playback_underruns=3,
    )
    registry, _ = counted(MetricsSnapshot(counters, recording_failures=1))

    scraped = Scraped(registry)

    assert scraped.value("vagent_messages_total", direction="sent") == 7
    assert scraped.value("vagent_audio_seconds_total", direction="sent") == 2.0
    assert scraped.value("vagent_audio_bytes_total", direction="sent") == 96_000
    dropped = scraped.value("vagent_audio_dropped_seconds_total", place="outbox")
    assert dropped == 0.25
    assert scraped.value("vagent_playback_underruns_total") == 3
    assert scraped.value("vagent_recording_failures_total") == 1


def test_a_call_that_cannot_be_read_keeps_its_last_values() -> None:
    readings: list[MetricsSnapshot | None] = [
        None,
        MetricsSnapshot(Counters(messages_sent=7)),
    ]
    registry = new_registry()
    CallMetrics(registry, "support", "local", tuple, readings.pop)

    assert Scraped(registry).value("vagent_messages_total", direction="sent") == 7
    assert Scraped(registry).value("vagent_messages_total", direction="sent") == 7
    assert not readings


def test_names_follow_the_conventions() -> None:
    registry, metrics = counted(MetricsSnapshot(Counters()))
    watch([*GREETING, *QUESTION, *OUTAGE, *END], metrics.note)

    for family in Scraped(registry).families:
        name = family.name
        assert name.startswith("vagent_"), name
        assert family.documentation.endswith("."), name
        assert name.removeprefix("vagent_") in COUNTED or name.endswith(UNITS), name
        for sample in family.samples:
            is_total = sample.name.endswith("_total")
            assert is_total == (family.type == "counter"), sample.name


def test_no_label_holds_the_id_of_a_session_a_reply_or_a_call() -> None:
    registry, metrics = counted()
    watch([*GREETING, *QUESTION, *OUTAGE, *END], metrics.note)

    for family in Scraped(registry).families:
        for sample in family.samples:
            assert not {"sess_1", "r2", "call_1"} & set(sample.labels.values())


def test_a_scraper_that_accepts_openmetrics_gets_it() -> None:
    registry, _ = counted()

    content_type, body = render(registry, "application/openmetrics-text; version=1.0.0")

    assert content_type.startswith("application/openmetrics-text")
    assert body.endswith(b"# EOF\n")


def test_a_server_counts_sessions_and_latencies() -> None:
    registry = new_registry()
    metrics = ServerMetrics(registry)
    turn = {"endpointing_ms": 600, "first_audio_ms": 1800, "speculative": True}
    metrics.report("vagent.session.opened", {"session_id": "sess_1"})
    metrics.report("vagent.turn", {"session_id": "sess_1", **turn})
    metrics.report("vagent.session.opened", {"session_id": "sess_2"})
    metrics.report("vagent.session.closed", {"session_id": "sess_1"})
    metrics.report("vagent.listening", {"url": "ws://127.0.0.1:1"})

    scraped = Scraped(registry)

    assert scraped.value("vagent_service_sessions_started_total") == 2
    assert scraped.value("vagent_service_sessions_ended_total") == 1
    assert scraped.value("vagent_service_sessions_active") == 1
    assert scraped.value("vagent_service_turns_total", speculative="true") == 1
    assert scraped.value("vagent_service_reply_latency_seconds_sum") == 1.8
    assert scraped.value("vagent_service_endpointing_seconds_sum") == 0.6
