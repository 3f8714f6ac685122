"""Opens the logs, metrics and traces of a call, and closes them after it."""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import AsyncIterator, Callable, Collection, Mapping, Sequence
from concurrent.futures import CancelledError
from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeAlias

from runner.errors import VagentError
from runner.observers.events import CallInterpreter, Handler, Observer
from runner.observers.logs import Log, MessageLog
from runner.observers.options import TelemetryOptions
from runner.protocol.client.actions import Action
from runner.protocol.client.events import Event
from runner.recording.redaction import add_resume_token
from runner.redaction import Redactor

if TYPE_CHECKING:
    from runner.observers.metrics import MetricsSnapshot
    from runner.observers.tracing import Provider

# A scraper waits this long for a busy event loop, then gets the last known numbers.
_MAX_READ_SECONDS = 1.0


@dataclass(frozen=True, slots=True)
class CallInfo:
    """Describes the call that telemetry is about.

    `service` is the kind of service, at `url` if that is fixed. `tools` returns the
    names of the agent's tools; `read` returns the call's counters, on the event loop.
    """

    agent: str
    service: str
    url: str | None
    tools: Callable[[], Collection[str]]
    read: Callable[[], MetricsSnapshot]


# Makes a handler for a call; the number plus engine time is epoch seconds.
MakeHandler: TypeAlias = Callable[[CallInfo, float], Handler]


class Telemetry:
    """Telemetry of one call, an observer of its engine; made by `open_instruments`.

    It is opened before the call, so that missing parts are reported before anything
    else happens; `watch` is called once the call is put together. The engine must call
    `observe` before `events`: secrets are learned before an event is written.
    """

    def __init__(
        self,
        events: CallInterpreter,
        redactor: Redactor,
        log: Log | None,
        handlers: Sequence[MakeHandler],
    ) -> None:
        self.log = log
        self._events = events
        self._redactor = redactor
        self._handlers = handlers
        self._observers: list[Observer] = []

    def observe(self, at: float, what: Event | Action) -> None:
        """Learn secrets from an engine event or action, and log messages."""
        for observe in self._observers:
            observe(at, what)

    def watch(self, call: CallInfo) -> None:
        """Observes a call that is about to start. Call it on its event loop."""
        epoch = time.time() - asyncio.get_running_loop().time()
        handlers = [make(call, epoch) for make in self._handlers]
        observers: list[Observer] = [
            lambda at, what: add_resume_token(self._redactor, what)
        ]
        if self.log is not None:
            self.log.agent, self.log.epoch = call.agent, epoch
            handlers.append(self.log.note)
            if self.log.is_detailed:
                observers.append(MessageLog(self.log).observe)
        self._observers = observers
        for handler in handlers:
            self._events.subscribe(handler)


@contextlib.asynccontextmanager
async def open_instruments(
    options: TelemetryOptions,
    events: CallInterpreter,
    secrets: Redactor,
    environment: Mapping[str, str],
    notice: Callable[[str], None],
    sink: Callable[[str], None],
) -> AsyncIterator[Telemetry]:
    """Opens the telemetry asked for; `sink` gets the lines of a log without a file.

    On exit, pending log lines and spans have about two seconds to be written. The
    reason of a failed call is logged.

    Raises:
        UsageError, FileUnreadable, TransportError: a part cannot be opened.
        VagentError: a required package is missing.
    """
    async with contextlib.AsyncExitStack() as stack:
        log = _open_log(options, secrets, stack, notice, sink)
        makers: list[MakeHandler] = []
        if options.metrics is not None:
            makers.append(_open_metrics(options.metrics, stack, notice))
        if options.otel:
            from runner.observers import tracing

            secrets.add(tracing.find_collector_keys(environment))
            opening = tracing.open_collector(environment, notice)
            makers.append(
                _trace(await stack.enter_async_context(opening), environment, secrets)
            )
        try:
            yield Telemetry(events, secrets, log, makers)
        except VagentError as error:
            if log is not None:
                log.say("error", "call.failed", reason=error.message)
            raise
    await asyncio.sleep(0)  # lets the loop deliver the last notices of threads


def _open_log(
    options: TelemetryOptions,
    redactor: Redactor,
    stack: contextlib.AsyncExitStack,
    notice: Callable[[str], None],
    sink: Callable[[str], None],
) -> Log | None:
    if not options.has_log:
        return None
    if options.log_file is not None:
        from runner.observers.logs import LogFile

        loop = asyncio.get_running_loop()

        def notify(text: str) -> None:
            """Passes a notice from the log file's thread to the loop."""
            with contextlib.suppress(RuntimeError):  # the loop is closed
                loop.call_soon_threadsafe(notice, text)

        sink = stack.enter_context(LogFile(options.log_file, notify)).write
    form = options.log_format or "text"
    return Log(sink, form, redactor, time.time, is_detailed=options.is_verbose)


def _open_metrics(
    port: int, stack: contextlib.AsyncExitStack, notice: Callable[[str], None]
) -> MakeHandler:
    from runner.observers.metrics import (
        CallMetrics,
        new_registry,
        render,
        serve_metrics,
    )

    registry = new_registry()
    server = serve_metrics(port, lambda accept: render(registry, accept))
    notice(f"metrics: {stack.enter_context(server)}")
    loop = asyncio.get_running_loop()

    def count(call: CallInfo, epoch: float) -> Handler:
        def read() -> MetricsSnapshot | None:
            return _read_on(loop, call)

        return CallMetrics(registry, call.agent, call.service, call.tools, read).note

    return count


def _read_on(loop: asyncio.AbstractEventLoop, call: CallInfo) -> MetricsSnapshot | None:
    """Reads counters on the call's loop. Call it on a scraper's thread."""

    async def read() -> MetricsSnapshot:
        return call.read()

    reading = read()
    try:
        future = asyncio.run_coroutine_threadsafe(reading, loop)
    except RuntimeError:  # the loop is closed
        reading.close()
        return None
    try:
        return future.result(_MAX_READ_SECONDS)
    except (TimeoutError, CancelledError):  # it is busy, or about to close
        future.cancel()
        return None


def _trace(
    provider: Provider, environment: Mapping[str, str], redactor: Redactor
) -> MakeHandler:
    from runner.observers.tracing import CallTrace, TraceAttributes, wants_content

    def trace(call: CallInfo, epoch: float) -> Handler:
        subject = TraceAttributes(call.agent, call.service, call.url)
        content = wants_content(environment)
        return CallTrace(provider, subject, epoch, redactor, has_content=content).note

    return trace
