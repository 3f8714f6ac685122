"""Where spans go: to an OpenTelemetry collector, which may be slow or not there.

The library's own variables say where it is and what it wants to see (OTEL_…). It runs
beside the call, on a thread of the library's.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import threading
from collections.abc import AsyncIterator, Callable, Iterator, Mapping, Sequence
from urllib.parse import unquote, urlsplit

from runner import __version__
from runner.errors import UsageError, VagentError

try:
    from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
    from opentelemetry.sdk.resources import Resource
    from opentelemetry.sdk.trace import ReadableSpan, SpanProcessor, TracerProvider
    from opentelemetry.sdk.trace.export import (
        BatchSpanProcessor,
        SpanExporter,
        SpanExportResult,
    )
except ImportError as error:
    raise VagentError(
        f"--otel needs OpenTelemetry, which is not installed ({error.name})",
        hint="pip install 'vagent[otel]'",
    ) from error

# How long the end of a call waits for a collector, in seconds.
CLOSING_SECONDS = 2.0
_HEADERS = ("OTEL_EXPORTER_OTLP_HEADERS", "OTEL_EXPORTER_OTLP_TRACES_HEADERS")
_ENDPOINTS = ("OTEL_EXPORTER_OTLP_ENDPOINT", "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT")
_PROTOCOLS = ("OTEL_EXPORTER_OTLP_TRACES_PROTOCOL", "OTEL_EXPORTER_OTLP_PROTOCOL")
_OUR_PROTOCOL = "http/protobuf"


def find_collector_keys(environment: Mapping[str, str]) -> frozenset[str]:
    """Return what the collector knows this program by."""
    return frozenset(_keys(environment))


def _keys(environment: Mapping[str, str]) -> Iterator[str]:
    for name in _HEADERS:
        for header in environment.get(name, "").split(","):
            value = header.partition("=")[2].strip()
            for spelling in (value, unquote(value)):
                yield from (spelling, spelling.rpartition(" ")[2])
    for name in _ENDPOINTS:
        with contextlib.suppress(ValueError):  # which the library finds out by itself
            yield urlsplit(environment.get(name, "")).password or ""


class ReportingExporter(SpanExporter):
    """Hands spans on to an exporter, and tells when that does not work."""

    def __init__(self, inner: SpanExporter, tell: Callable[[], object]) -> None:
        self._inner = inner
        self._tell = tell

    def export(self, spans: Sequence[ReadableSpan]) -> SpanExportResult:
        """Export, on the processor's thread."""
        result = self._inner.export(spans)
        if result is not SpanExportResult.SUCCESS:
            self._tell()
        return result

    def shutdown(self) -> None:
        """Close the exporter."""
        self._inner.shutdown()


def new_provider(
    processor: SpanProcessor, environment: Mapping[str, str]
) -> TracerProvider:
    """Return a provider of one's own, named vagent unless the environment names it.

    The library's global one is let be, and nothing is left to the end of the program.
    """
    named = environment.get("OTEL_SERVICE_NAME") or "service.name=" in environment.get(
        "OTEL_RESOURCE_ATTRIBUTES", ""
    )
    own = {} if named else {"service.name": "vagent"}
    resource = Resource.create({**own, "service.version": __version__})
    provider = TracerProvider(resource=resource, shutdown_on_exit=False)
    provider.add_span_processor(processor)
    return provider


@contextlib.asynccontextmanager
async def open_collector(
    environment: Mapping[str, str],
    notice: Callable[[str], object],
    patience: float = CLOSING_SECONDS,
) -> AsyncIterator[TracerProvider]:
    """Yield a provider whose spans go to the collector that the environment names.

    On leaving, what waits is sent, for `patience` seconds at most. That a collector
    does not take spans is told once, on the event loop, and is no error.

    Raises:
        UsageError: the environment asks for what is not there.
    """
    loop = asyncio.get_running_loop()
    was_told = threading.Event()

    def tell() -> None:
        if not was_told.is_set():
            was_told.set()
            with contextlib.suppress(RuntimeError):  # the loop is closed: all is over
                loop.call_soon_threadsafe(
                    notice,
                    "traces: the collector does not take them "
                    f"({_ENDPOINTS[0]} says where it is); the call goes on",
                )

    # What the library says late, when nobody catches it any more, is not printed.
    logging.getLogger("opentelemetry").addHandler(logging.NullHandler())
    exporter = ReportingExporter(_exporter(environment), tell)
    provider = new_provider(BatchSpanProcessor(exporter), environment)
    try:
        yield provider
    finally:
        if not await _shut_down(provider, patience):
            tell()
        # What was told just now is still to be shown.
        await asyncio.sleep(0)


def _exporter(environment: Mapping[str, str]) -> SpanExporter:
    for name in _PROTOCOLS:
        protocol = environment.get(name, _OUR_PROTOCOL)
        if protocol != _OUR_PROTOCOL:
            raise UsageError(
                f"{name} is '{protocol}', and vagent speaks only {_OUR_PROTOCOL}",
                hint=f"unset {name}; collectors take {_OUR_PROTOCOL} on port 4318",
            )
    try:
        return OTLPSpanExporter()
    except (ValueError, OSError) as error:
        raise UsageError(f"OpenTelemetry cannot be set up: {error}") from error


async def _shut_down(provider: TracerProvider, patience: float) -> bool:
    """Send what waits; return whether that was done in time."""
    done = asyncio.Event()
    loop = asyncio.get_running_loop()

    def work() -> None:
        provider.shutdown()  # waits up to half a minute
        with contextlib.suppress(RuntimeError):  # nobody waits any more
            loop.call_soon_threadsafe(done.set)

    # A daemon: it must not keep the program from ending.
    threading.Thread(target=work, name="traces", daemon=True).start()
    try:
        await asyncio.wait_for(done.wait(), patience)
    except TimeoutError:
        return False
    return True
