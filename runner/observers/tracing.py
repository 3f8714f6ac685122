"""OpenTelemetry traces of a call: spans for the session, its turns and tool calls.

Names and attributes follow the semantic conventions for generative AI; others start
with `vagent.`. Transcripts, arguments and results are included only if
OTEL_INSTRUMENTATION_GENAI_CAPTURE_MESSAGE_CONTENT is true.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import logging
import threading
from collections.abc import AsyncIterator, Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias
from urllib.parse import unquote, urlsplit

from opentelemetry import trace
from opentelemetry.context import Context
from opentelemetry.trace import Span, SpanKind, Status, StatusCode
from opentelemetry.util.types import AttributeValue

from runner import __version__
from runner.errors import UsageError, VagentError
from runner.observers.events import (
    AgentReplyEnded,
    AnswerHeard,
    CallEnded,
    CallEvent,
    CallStarted,
    ConnectionLost,
    FinalTranscript,
    SessionOpened,
    ToolEnded,
    ToolStarted,
    TurnEnded,
    TurnStarted,
)
from runner.redaction import Redactor

_CONTENT = "OTEL_INSTRUMENTATION_GENAI_CAPTURE_MESSAGE_CONTENT"
Provider: TypeAlias = trace.TracerProvider
Facts: TypeAlias = Mapping[str, AttributeValue]


@dataclass(frozen=True, slots=True)
class TraceAttributes:
    """The agent and the service of a traced call.

    `provider` is the kind of the service, `url` its address if that is fixed.
    """

    agent: str
    provider: str
    url: str | None = None


def wants_content(environment: Mapping[str, str]) -> bool:
    """True if spans may contain transcripts, arguments and results."""
    return environment.get(_CONTENT, "").strip().lower() == "true"


class CallTrace:
    """The spans of one call; a handler of its events.

    Engine time plus `epoch` is epoch seconds.
    """

    def __init__(
        self,
        provider: Provider,
        subject: TraceAttributes,
        epoch: float,
        redactor: Redactor,
        *,
        has_content: bool = False,
    ) -> None:
        self._tracer = provider.get_tracer("vagent", __version__)
        self._subject = subject
        self._epoch = epoch
        self._redactor = redactor
        self._messages: dict[str, list[Any]] | None = {} if has_content else None
        self._session: Span | None = None
        self._turn: Span | None = None
        self._tools: dict[str, Span] = {}

    def note(self, event: CallEvent) -> None:
        """Starts, marks or ends the span of an event."""
        at = event.at
        match event:
            case CallStarted():
                self._session = self._begin_session(at)
            case TurnStarted(_, number, by):
                facts = {"vagent.turn.number": number, "vagent.turn.by": by}
                self._turn = self._start(at, "turn", SpanKind.INTERNAL, facts)
            case TurnEnded():
                self._end_turn(at)
            case ToolStarted(_, call):
                self._tools[call.call_id] = self._begin_tool(event)
            case ToolEnded(_, call):
                self._end_tool(self._tools.pop(call.call_id), event)
            case CallEnded(_, close) if self._session is not None:
                outcome = close.outcome.value
                self._session.set_attribute("vagent.outcome", outcome)
                if outcome != "clean":
                    _fail(self._session, outcome, self._redactor.text(close.reason))
                self._session.end(self._ns(at))
            case FinalTranscript():
                self._note_transcript(event)
            case _:
                self._mark(event)

    def _mark(self, event: CallEvent) -> None:
        """Adds an event that has no duration to the open span."""
        text = self._redactor.text
        at, session, turn = event.at, self._session, self._turn or self._session
        match event:
            case SessionOpened(_, session_id, is_resumed, gone) if session is not None:
                session.set_attribute("gen_ai.conversation.id", text(session_id))
                if gone is not None:
                    how = "resumed" if is_resumed else "fresh"
                    back: Facts = {"vagent.session": how, "vagent.gone_seconds": gone}
                    self._event(session, at, "vagent.reconnected", back)
            case ConnectionLost(_, reason):
                lost = {"vagent.reason": text(reason)}
                self._event(session, at, "vagent.connection_lost", lost)
            case AnswerHeard(_, since_decision, since_voice):
                waits = {"vagent.since_decision_seconds": since_decision}
                if since_voice is not None:
                    waits["vagent.since_voice_seconds"] = since_voice
                self._event(turn, at, "vagent.first_audio", waits)
            case AgentReplyEnded(_, reply_id, is_interrupted=True):
                cut = {"vagent.reply_id": text(reply_id)}
                self._event(turn, at, "vagent.interrupted", cut)
            case _:
                pass

    # -------------------------------------------------------------------- sessions

    def _begin_session(self, at: float) -> Span:
        subject, address = self._subject, urlsplit(self._subject.url or "")
        agent = self._redactor.text(subject.agent)
        facts: dict[str, AttributeValue] = {
            "gen_ai.operation.name": "invoke_agent",
            "gen_ai.provider.name": subject.provider,
            "gen_ai.agent.name": agent,
            "gen_ai.output.type": "speech",
        }
        if address.hostname:
            facts["server.address"] = address.hostname
        if address.port:
            facts["server.port"] = address.port
        return self._start(at, f"invoke_agent {agent}", SpanKind.CLIENT, facts)

    # ----------------------------------------------------------------------- turns

    def _note_transcript(self, final: FinalTranscript) -> None:
        if self._messages is None:
            return
        is_caller = final.speaker == "caller"
        direction = "input" if is_caller else "output"
        parts = [{"type": "text", "content": final.text}]
        message = {"role": "user" if is_caller else "assistant", "parts": parts}
        self._messages.setdefault(f"gen_ai.{direction}.messages", []).append(message)

    def _end_turn(self, at: float) -> None:
        turn, self._turn = self._turn, None
        if turn is None:
            return
        for name, messages in (self._messages or {}).items():
            turn.set_attribute(name, self._content(messages))
        if self._messages is not None:
            self._messages = {}
        turn.end(self._ns(at))

    # ----------------------------------------------------------------------- tools

    def _begin_tool(self, began: ToolStarted) -> Span:
        name = self._redactor.text(began.call.name)
        facts: dict[str, AttributeValue] = {
            "gen_ai.operation.name": "execute_tool",
            "gen_ai.tool.name": name,
            "gen_ai.tool.call.id": self._redactor.text(began.call.call_id),
            "gen_ai.tool.type": "function",
        }
        if self._messages is not None:
            given = self._content(dict(began.call.arguments))
            facts["gen_ai.tool.call.arguments"] = given
        return self._start(began.at, f"execute_tool {name}", SpanKind.INTERNAL, facts)

    def _end_tool(self, span: Span, ended: ToolEnded) -> None:
        span.set_attribute("vagent.tool.outcome", ended.outcome)
        has_content = self._messages is not None and ended.text != ""
        if has_content:
            result = self._redactor.text(ended.text)
            span.set_attribute("gen_ai.tool.call.result", result)
        if ended.outcome == "error":
            # The error text of a tool may quote the caller.
            reason = self._redactor.text(ended.text) if has_content else None
            _fail(span, "tool_error", reason)
        span.end(self._ns(ended.at))

    # ------------------------------------------------------------------------ spans

    def _start(
        self,
        at: float,
        name: str,
        kind: SpanKind,
        facts: Facts,
    ) -> Span:
        parent = self._turn or self._session
        # An empty context: spans of other libraries are not parents of this call.
        context = Context()
        if parent is not None:
            context = trace.set_span_in_context(parent, context)
        return self._tracer.start_span(
            name, context, kind, facts, start_time=self._ns(at)
        )

    def _event(
        self,
        span: Span | None,
        at: float,
        name: str,
        facts: Facts,
    ) -> None:
        if span is not None:
            span.add_event(name, facts, self._ns(at))

    def _content(self, value: Any) -> str:
        tree = self._redactor.tree(value)
        return json.dumps(tree, ensure_ascii=False, separators=(",", ":"))

    def _ns(self, at: float) -> int:
        return round((self._epoch + at) * 1e9)


def _fail(span: Span, kind: str, reason: str | None) -> None:
    span.set_attribute("error.type", kind)
    span.set_status(Status(StatusCode.ERROR, reason))


# The OTEL_... variables of the library configure the collector. Spans are exported on a
# thread of the library, so a slow or missing collector does not delay the call.
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

# The end of a call waits this long for the collector.
CLOSING_SECONDS = 2.0
_HEADERS = ("OTEL_EXPORTER_OTLP_HEADERS", "OTEL_EXPORTER_OTLP_TRACES_HEADERS")
_ENDPOINTS = ("OTEL_EXPORTER_OTLP_ENDPOINT", "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT")
_PROTOCOLS = ("OTEL_EXPORTER_OTLP_TRACES_PROTOCOL", "OTEL_EXPORTER_OTLP_PROTOCOL")
_OUR_PROTOCOL = "http/protobuf"


def find_collector_keys(environment: Mapping[str, str]) -> frozenset[str]:
    """Returns the credentials for the collector."""
    return frozenset(_keys(environment))


def _keys(environment: Mapping[str, str]) -> Iterator[str]:
    for name in _HEADERS:
        for header in environment.get(name, "").split(","):
            value = header.partition("=")[2].strip()
            for spelling in (value, unquote(value)):
                yield from (spelling, spelling.rpartition(" ")[2])
    for name in _ENDPOINTS:
        with contextlib.suppress(ValueError):  # an invalid URL; the library reports it
            yield urlsplit(environment.get(name, "")).password or ""


class ReportingExporter(SpanExporter):
    """Passes spans to an exporter and calls `on_failure` if that fails."""

    def __init__(self, inner: SpanExporter, on_failure: Callable[[], object]) -> None:
        self._inner = inner
        self._on_failure = on_failure

    def export(self, spans: Sequence[ReadableSpan]) -> SpanExportResult:
        """Export, on the processor's thread."""
        result = self._inner.export(spans)
        if result is not SpanExportResult.SUCCESS:
            self._on_failure()
        return result

    def shutdown(self) -> None:
        """Closes the exporter."""
        self._inner.shutdown()


def new_provider(
    processor: SpanProcessor, environment: Mapping[str, str]
) -> TracerProvider:
    """Returns a new provider; its service is `vagent` unless the environment names it.

    It is not installed globally and does not register an exit handler.
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
    max_seconds: float = CLOSING_SECONDS,
) -> AsyncIterator[TracerProvider]:
    """Yields a provider that exports to the collector named by the environment.

    On exit, pending spans are sent for at most `max_seconds`. A collector that
    rejects spans is reported once, on the event loop, and the call continues.

    Raises:
        UsageError: the environment is invalid or asks for another protocol.
    """
    loop = asyncio.get_running_loop()
    was_reported = threading.Event()

    def report_failure() -> None:
        if not was_reported.is_set():
            was_reported.set()
            with contextlib.suppress(RuntimeError):  # the loop is closed
                loop.call_soon_threadsafe(
                    notice,
                    "traces: the collector does not accept spans "
                    f"(its address is {_ENDPOINTS[0]}); the call continues",
                )

    # Keeps late log records of the library off the terminal.
    logging.getLogger("opentelemetry").addHandler(logging.NullHandler())
    exporter = ReportingExporter(_exporter(environment), report_failure)
    provider = new_provider(BatchSpanProcessor(exporter), environment)
    try:
        yield provider
    finally:
        if not await _shut_down(provider, max_seconds):
            report_failure()
        # Lets the loop deliver the last notice.
        await asyncio.sleep(0)


def _exporter(environment: Mapping[str, str]) -> SpanExporter:
    for name in _PROTOCOLS:
        protocol = environment.get(name, _OUR_PROTOCOL)
        if protocol != _OUR_PROTOCOL:
            raise UsageError(
                f"{name} is '{protocol}', and vagent supports only {_OUR_PROTOCOL}",
                hint=f"unset {name}; collectors accept {_OUR_PROTOCOL} on port 4318",
            )
    try:
        return OTLPSpanExporter()
    except (ValueError, OSError) as error:
        raise UsageError(f"cannot set up OpenTelemetry: {error}") from error


async def _shut_down(provider: TracerProvider, max_seconds: float) -> bool:
    """Sends pending spans; returns True if that was done in time."""
    done = asyncio.Event()
    loop = asyncio.get_running_loop()

    def work() -> None:
        provider.shutdown()  # waits up to half a minute
        with contextlib.suppress(RuntimeError):  # the loop is closed
            loop.call_soon_threadsafe(done.set)

    # A daemon thread: it must not block the exit of the program.
    threading.Thread(target=work, name="traces", daemon=True).start()
    try:
        await asyncio.wait_for(done.wait(), max_seconds)
    except TimeoutError:
        return False
    return True
