"""Export to a collector that accepts spans, rejects them or does not respond."""

from __future__ import annotations

import contextlib
import gzip
import socket
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import (
    ExportTraceServiceRequest,
)
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

from runner.errors import UsageError
from runner.observers.tracing import find_collector_keys, new_provider, open_collector

ENDPOINT = "OTEL_EXPORTER_OTLP_ENDPOINT"


class Collector(ThreadingHTTPServer):
    """A collector on this machine that notes what it is sent."""

    daemon_threads = True

    def __init__(self, status: int) -> None:
        super().__init__(("127.0.0.1", 0), _Export)
        self.status = status
        self.names: list[str] = []
        self.resources: list[dict[str, str]] = []
        self.headers: list[str | None] = []

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_address[1]}"


class _Export(BaseHTTPRequestHandler):
    server: Collector

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"]))
        if self.headers.get("Content-Encoding") == "gzip":
            body = gzip.decompress(body)
        request = ExportTraceServiceRequest.FromString(body)
        for resource in request.resource_spans:
            pairs = resource.resource.attributes
            found = {pair.key: pair.value.string_value for pair in pairs}
            self.server.resources.append(found)
            for scope in resource.scope_spans:
                self.server.names += [span.name for span in scope.spans]
        self.server.headers.append(self.headers.get("api-key"))
        self.send_response(self.server.status)
        self.send_header("Content-Length", "0")
        self.end_headers()

    def log_message(self, format: str, *args: object) -> None:
        """Say nothing."""


@contextlib.contextmanager
def collector(status: int = 200) -> Iterator[Collector]:
    with Collector(status) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.02,))
        thread.start()
        try:
            yield server
        finally:
            server.shutdown()
            thread.join()


async def test_spans_reach_the_collector_that_the_environment_names(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    notices: list[str] = []
    with collector() as server:
        monkeypatch.setenv(ENDPOINT, server.url)
        monkeypatch.setenv("OTEL_EXPORTER_OTLP_HEADERS", "api-key=abcdef")
        async with open_collector({}, notices.append) as provider:
            provider.get_tracer("test").start_span("turn").end()

    assert server.names == ["turn"]
    assert server.headers == ["abcdef"]
    assert server.resources[0]["service.name"] == "vagent"
    assert notices == []


async def test_a_collector_that_rejects_spans_is_reported_once(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    notices: list[str] = []
    with collector(status=400) as server:
        monkeypatch.setenv(ENDPOINT, server.url)
        async with open_collector({}, notices.append) as provider:
            for _ in range(3):
                provider.get_tracer("test").start_span("turn").end()
                provider.force_flush()

    assert len(notices) == 1
    assert "the call continues" in notices[0]


async def test_the_end_does_not_wait_for_a_collector_that_does_not_answer(
    monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    notices: list[str] = []
    with socket.create_server(("127.0.0.1", 0)) as silent:
        monkeypatch.setenv(ENDPOINT, f"http://127.0.0.1:{silent.getsockname()[1]}")
        monkeypatch.setenv("OTEL_EXPORTER_OTLP_TIMEOUT", "60")
        # Waiting for the answer would take a minute.
        async with open_collector({}, notices.append, max_seconds=0.05) as provider:
            provider.get_tracer("test").start_span("turn").end()

    assert len(notices) == 1
    assert capfd.readouterr() == ("", "")


async def test_another_protocol_is_refused_with_the_variable_that_asks_for_it() -> None:
    environment = {"OTEL_EXPORTER_OTLP_PROTOCOL": "grpc"}
    with pytest.raises(UsageError, match="OTEL_EXPORTER_OTLP_PROTOCOL is 'grpc'"):
        async with open_collector(environment, print):
            pass


def test_the_environment_may_name_the_service(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OTEL_SERVICE_NAME", "front-desk")
    processor = SimpleSpanProcessor(InMemorySpanExporter())

    provider = new_provider(processor, {"OTEL_SERVICE_NAME": "front-desk"})

    assert provider.resource.attributes["service.name"] == "front-desk"
    provider.shutdown()


def test_keys_to_the_collector_are_found_as_they_are_written_and_as_they_are() -> None:
    headers = "api-key=abcdef,authorization=Bearer%20ghi%3D"
    keys = find_collector_keys(
        {
            "OTEL_EXPORTER_OTLP_HEADERS": headers,
            "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT": "http://user:passw0rd@localhost:1/",
        }
    )

    assert {"abcdef", "Bearer%20ghi%3D", "Bearer ghi=", "ghi=", "passw0rd"} <= keys
