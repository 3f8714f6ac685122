"""Prometheus metrics of calls and of the embedded server, and their HTTP endpoint.

Rare events are counted here. Messages and audio are counted by the call itself and read
when a scraper asks, so they cost the call nothing. The values of every label are
bounded: never a session id.
"""

from __future__ import annotations

import contextlib
import json
import os
import socketserver
import threading
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler
from typing import Any, TypeAlias
from urllib.parse import urlsplit

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.exposition import choose_encoder

from runner import __version__
from runner.audio.devices import BYTES_PER_SECOND
from runner.errors import TransportError, os_error_text
from runner.hosts import host_in_header, is_this_machine
from runner.observers.call_stats import Counters
from runner.observers.events import (
    AgentReplyEnded,
    AnswerHeard,
    CallEnded,
    CallEvent,
    CallStarted,
    SessionOpened,
    ToolEnded,
    TurnStarted,
)

# In seconds. An answer within 0.5 s is good, after 2 s bad; tools may take minutes.
_LATENCIES = (0.1, 0.2, 0.3, 0.5, 0.7, 1.0, 1.5, 2.0, 3.0, 5.0, 8.0, 13.0)
_DURATIONS = (0.01, 0.03, 0.1, 0.3, 1.0, 3.0, 10.0, 30.0, 100.0)
_CALL_LABELS = ("agent", "service")
# For tools that the agent file does not have: a model may invent any name.
_UNKNOWN_TOOL = "unknown"


@dataclass(frozen=True, slots=True)
class MetricsSnapshot:
    """Counters that the call keeps itself; `recording_failures` is 0 or 1."""

    counters: Counters
    recording_failures: int = 0


def render(registry: CollectorRegistry, accept: str) -> tuple[str, bytes]:
    """Returns the content type and the exposition that a scraper accepts."""
    encode, content_type = choose_encoder(accept)
    return content_type, encode(registry)


def new_registry() -> CollectorRegistry:
    """Returns a new registry that contains the version of vagent."""
    registry = CollectorRegistry(auto_describe=True)
    build = Gauge(
        "vagent_build_info",
        "The version of vagent, as a label.",
        ["version"],
        registry=registry,
    )
    build.labels(__version__).set(1)
    return registry


class CallInstruments:
    """The metrics of call events, by name; several calls share them."""

    def __init__(self, registry: CollectorRegistry) -> None:
        def counter(name: str, text: str, *labels: str) -> Counter:
            return Counter(name, text, [*_CALL_LABELS, *labels], registry=registry)

        def timing(name: str, text: str, *labels: str) -> Histogram:
            buckets = _DURATIONS if labels else _LATENCIES
            every = [*_CALL_LABELS, *labels]
            return Histogram(name, text, every, buckets=buckets, registry=registry)

        self.started = counter("vagent_sessions_started", "Calls that started.")
        self.ended = counter(
            "vagent_sessions_ended", "Calls that ended, by outcome.", "outcome"
        )
        self.active = Gauge(
            "vagent_sessions_active",
            "Calls in progress.",
            _CALL_LABELS,
            registry=registry,
        )
        self.turns = counter(
            "vagent_turns", "Turns, by the side that started them.", "by"
        )
        self.latency = timing(
            "vagent_reply_latency_seconds",
            "From the end of the caller's speech to the first audible reply audio.",
        )
        self.decision_latency = timing(
            "vagent_reply_decision_latency_seconds",
            "From the detected end of the caller's turn, or the typed text, to the "
            "first audible reply audio.",
        )
        self.tools = timing(
            "vagent_tool_call_duration_seconds",
            "Duration of tool calls, by tool and outcome.",
            "tool",
            "outcome",
        )
        self.interruptions = counter(
            "vagent_interruptions", "Replies of the agent that were interrupted."
        )
        self.reconnects = counter(
            "vagent_reconnects",
            "Connections that were lost and restored, by the session that followed.",
            "session",
        )


class CallEventMetrics:
    """Counts the events of one call; a handler of them.

    `tools` returns the names of the agent's tools.
    """

    def __init__(
        self,
        instruments: CallInstruments,
        agent: str,
        service: str,
        tools: Callable[[], Collection[str]],
    ) -> None:
        self._instruments = instruments
        self._who = (agent, service)
        self._tools = tools
        # Creates the time series with value 0; without an event they would be missing.
        instruments.active.labels(*self._who)
        instruments.interruptions.labels(*self._who)

    def note(self, event: CallEvent) -> None:
        """Counts an event."""
        on, who = self._instruments, self._who
        match event:
            case CallStarted():
                on.started.labels(*who).inc()
                on.active.labels(*who).inc()
            case CallEnded(_, close):
                on.ended.labels(*who, close.outcome.value).inc()
                on.active.labels(*who).dec()
            case SessionOpened(is_resumed=is_resumed, lost_seconds=float()):
                session = "resumed" if is_resumed else "fresh"
                on.reconnects.labels(*who, session).inc()
            case TurnStarted(by=by):
                on.turns.labels(*who, by).inc()
            case AnswerHeard(_, since_decision, since_voice):
                on.decision_latency.labels(*who).observe(since_decision)
                if since_voice is not None:
                    on.latency.labels(*who).observe(since_voice)
            case AgentReplyEnded(is_interrupted=True):
                on.interruptions.labels(*who).inc()
            case ToolEnded(_, call, outcome, seconds):
                tool = call.name if call.name in self._tools() else _UNKNOWN_TOOL
                on.tools.labels(*who, tool, outcome).observe(seconds)
            case _:
                pass


class CallMetrics(CallEventMetrics):
    """The metrics of one call and its counters, in a registry of its own.

    `read` returns the call's counters, or None if they are not available; it is called
    on the scraper's thread.
    """

    def __init__(
        self,
        registry: CollectorRegistry,
        agent: str,
        service: str,
        tools: Callable[[], Collection[str]],
        read: Callable[[], MetricsSnapshot | None],
    ) -> None:
        super().__init__(CallInstruments(registry), agent, service, tools)
        self._read = read
        self._latest = MetricsSnapshot(Counters())
        registry.register(self)

    def describe(self) -> Iterable[Metric]:
        """Returns the metric families without current values, for the registry."""
        return self._families(MetricsSnapshot(Counters()))

    def collect(self) -> Iterable[Metric]:
        """Returns the current counters of the call, for the registry."""
        self._latest = self._read() or self._latest
        return self._families(self._latest)

    def _families(self, reading: MetricsSnapshot) -> Iterable[Metric]:
        counters = reading.counters
        for name, text, label, values in _counted(counters):
            labels = [*_CALL_LABELS, label] if label else _CALL_LABELS
            family = CounterMetricFamily(name, text, labels=labels)
            for key, value in values.items():
                family.add_metric([*self._who, key] if label else self._who, value)
            yield family
        failures = CounterMetricFamily(
            "vagent_recording_failures",
            "Recordings that ended before their call did.",
            labels=_CALL_LABELS,
        )
        failures.add_metric(self._who, reading.recording_failures)
        yield failures
        hung = GaugeMetricFamily(
            "vagent_tool_threads_hung",
            "Tool functions that timed out and still run.",
            labels=_CALL_LABELS,
        )
        hung.add_metric(self._who, counters.threads_hung)
        yield hung


def _counted(c: Counters) -> Iterable[tuple[str, str, str, Mapping[str, float]]]:
    """Yields name, help, label and the values by label of a call's own counters."""
    seconds = {"sent": c.audio_sent_seconds, "received": c.audio_received_seconds}
    audio_bytes = {
        way: float(round(each * BYTES_PER_SECOND)) for way, each in seconds.items()
    }
    dropped = {
        "microphone": c.microphone_dropped_seconds,
        "no_connection": c.microphone_unsent_seconds,
        "outbox": c.outbox_dropped_seconds,
        "late_reply": c.audio_ignored_seconds,
        "interruption": c.playback_cleared_seconds,
        "playback": c.playback_dropped_seconds,
    }
    yield (
        "vagent_messages",
        "Messages sent and received, audio included.",
        "direction",
        {"sent": c.messages_sent, "received": c.messages_received},
    )
    yield "vagent_audio_seconds", "Audio sent and received.", "direction", seconds
    yield (
        "vagent_audio_bytes",
        "Audio sent and received, as PCM.",
        "direction",
        audio_bytes,
    )
    yield (
        "vagent_audio_dropped_seconds",
        "Audio that was discarded, by place.",
        "place",
        dropped,
    )
    for name, text, value in (
        ("connection_drops", "Times that the connection was lost.", c.connection_drops),
        (
            "connection_lost_seconds",
            "Seconds without a connection.",
            c.connection_lost_seconds,
        ),
        (
            "messages_malformed",
            "Messages that could not be parsed.",
            c.messages_malformed,
        ),
        ("messages_unknown", "Messages of unknown types.", c.messages_unknown),
        ("playback_underruns", "Gaps in the agent's voice.", c.playback_underruns),
        (
            "tool_results_late",
            "Results that came after their tool call was cancelled.",
            c.tool_calls_late,
        ),
        ("replies_retried", "Replies requested again.", c.replies_retried),
    ):
        yield f"vagent_{name}", text, "", {"": value}


class ServerMetrics:
    """The metrics of a local service, fed with what it reports."""

    def __init__(self, registry: CollectorRegistry) -> None:
        def counter(name: str, text: str, *labels: str) -> Counter:
            return Counter(f"vagent_service_{name}", text, labels, registry=registry)

        def timing(name: str, text: str) -> Histogram:
            name = f"vagent_service_{name}"
            return Histogram(name, text, buckets=_LATENCIES, registry=registry)

        self._started = counter("sessions_started", "Sessions that were opened.")
        self._ended = counter("sessions_ended", "Sessions that are over.")
        self._active = Gauge(
            "vagent_service_sessions_active",
            "Sessions that are open, including those without a connection.",
            registry=registry,
        )
        self._turns = counter("turns", "Turns that were answered.", "speculative")
        self._decision = timing(
            "endpointing_seconds",
            "From the end of the caller's speech to the detected end of the turn.",
        )
        self._latency = timing(
            "reply_latency_seconds",
            "From the end of the caller's speech to the first audio of the reply.",
        )
        self._faults = counter("faults", "Faults that were injected.")

    def report(self, kind: str, facts: Mapping[str, Any]) -> None:
        """Counts what the server reports of a session."""
        match kind:
            case "vagent.session.opened":
                self._started.inc()
                self._active.inc()
            case "vagent.session.closed":
                self._ended.inc()
                self._active.dec()
            case "vagent.turn":
                self._turns.labels(str(bool(facts["speculative"])).lower()).inc()
                self._decision.observe(facts["endpointing_ms"] / 1000)
                self._latency.observe(facts["first_audio_ms"] / 1000)
            case "vagent.fault":
                self._faults.inc()
            case _:
                pass


_HOST = "127.0.0.1"
_PATH = "/metrics"
# Seconds until a connection without a request is closed.
_REQUEST_TIMEOUT = 5.0
# Returns the content type and body for an Accept header; called on server threads.
Render: TypeAlias = Callable[[str], tuple[str, bytes]]


class _MetricsServer(socketserver.ThreadingTCPServer):
    """Serves metrics. The HTTP server of the library looks up its own name first."""

    daemon_threads = True
    # On Windows this would take over a port that another program listens on.
    allow_reuse_address = os.name != "nt"

    def __init__(self, port: int, render: Render) -> None:
        self.render = render
        super().__init__((_HOST, port), _ScrapeHandler)

    def handle_error(self, request: object, client_address: object) -> None:
        """Ignores a scraper that disconnected; the base class prints a traceback."""


class _ScrapeHandler(BaseHTTPRequestHandler):
    server: _MetricsServer
    timeout = _REQUEST_TIMEOUT

    def do_GET(self) -> None:
        """Answers with the metrics; 404 for any other path, 403 for a web page."""
        host = self.headers.get("Host", "")
        # A page whose name was made to resolve to this machine sends its own name.
        if not is_this_machine(host_in_header(host)):
            self._answer(403, "application/json", _host_refusal(host))
            return
        if urlsplit(self.path).path != _PATH:
            self._answer(404, "text/plain", f"the metrics are at {_PATH}\n".encode())
            return
        content_type, body = self.server.render(self.headers.get("Accept", ""))
        self._answer(200, content_type, body)

    def log_message(self, format: str, *args: object) -> None:
        """Do not log requests to the terminal, as the base class does."""

    def _answer(self, status: int, content_type: str, body: bytes) -> None:
        self.send_response(status)
        self.send_header("Content-Type", content_type)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)


def _host_refusal(host: str) -> bytes:
    detail = f"Host '{host}' is not allowed; connect to {_HOST} or localhost"
    return json.dumps({"detail": detail}).encode()


@contextlib.contextmanager
def serve_metrics(port: int, render: Render) -> Iterator[str]:
    """Serve metrics on a thread while the context is open; yields the URL.

    Port 0 selects a free port. Raises TransportError if the port is not available.
    """
    try:
        server = _MetricsServer(port, render)
    except OSError as error:
        raise TransportError(
            f"cannot serve metrics on {_HOST}:{port}: {os_error_text(error)}",
            hint="choose another port with --metrics; --metrics 0 selects a free port",
        ) from error
    with server:
        # The poll interval for shutdown: adds up to 0.05 s to the end of a call.
        serving = threading.Thread(
            target=server.serve_forever, args=(0.05,), name="metrics", daemon=True
        )
        serving.start()
        try:
            yield f"http://{_HOST}:{server.server_address[1]}{_PATH}"
        finally:
            server.shutdown()
