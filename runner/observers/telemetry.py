"""What a person wants to see of a call, put together; closed when the call is over."""

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

# Seconds that a scraper waits for a loop that is busy; then it gets the last numbers.
_READ_SECONDS = 1.0


@dataclass(frozen=True, slots=True)
class CallInfo:
    """The call that is watched, as it was put together.

    `service` is the kind of who answers, at `url` if that is fixed. `tools` returns the
    names of the agent's tools; `read` what the call has counted, on the event loop.
    """

    agent: str
    service: str
    url: str | None
    tools: Callable[[], Collection[str]]
    read: Callable[[], MetricsSnapshot]


# Makes a handler for a call; added to its engine's time the number is epoch seconds.
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
        conceal: Redactor,
        log: Log | None,
        handlers: Sequence[MakeHandler],
    ) -> None:
        self.log = log
        self._events = events
        self._conceal = conceal
        self._handlers = handlers
        self._observers: list[Observer] = []

    def observe(self, at: float, what: Event | Action) -> None:
        """Learn secrets from an engine event or action, and log messages."""
        for observe in self._observers:
            observe(at, what)

    def watch(self, call: CallInfo) -> None:
        """Begin to watch a call that is about to begin; on its event loop."""
        epoch = time.time() - asyncio.get_running_loop().time()
        handlers = [make(call, epoch) for make in self._handlers]
        observers: list[Observer] = [
            lambda at, what: add_resume_token(self._conceal, what)
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
    wishes: TelemetryOptions,
    events: CallInterpreter,
    secrets: Redactor,
    environment: Mapping[str, str],
    notice: Callable[[str], None],
    sink: Callable[[str], None],
) -> AsyncIterator[Telemetry]:
    """Open what is asked for; `sink` takes the lines of a log without a file.

    On leaving, what is left to write and to send has about two seconds. Why a call
    failed is logged.

    Raises:
        UsageError, FileUnreadable, TransportError: something cannot be had.
        VagentError: a package for it is missing.
    """
    async with contextlib.AsyncExitStack() as stack:
        log = _open_log(wishes, secrets, stack, notice, sink)
        makers: list[MakeHandler] = []
        if wishes.metrics is not None:
            makers.append(_open_metrics(wishes.metrics, stack, notice))
        if wishes.otel:
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
    await asyncio.sleep(0)  # what a thread told at last is still to be shown


def _open_log(
    wishes: TelemetryOptions,
    conceal: Redactor,
    stack: contextlib.AsyncExitStack,
    notice: Callable[[str], None],
    sink: Callable[[str], None],
) -> Log | None:
    if not wishes.has_log:
        return None
    if wishes.log_file is not None:
        from runner.observers.logs import LogFile

        loop = asyncio.get_running_loop()

        def tell(text: str) -> None:
            """Give a notice from the thread of the file."""
            with contextlib.suppress(RuntimeError):  # the loop is closed: all is over
                loop.call_soon_threadsafe(notice, text)

        sink = stack.enter_context(LogFile(wishes.log_file, tell)).write
    form = wishes.log_format or "text"
    return Log(sink, form, conceal, time.time, is_detailed=wishes.is_verbose)


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
    door = serve_metrics(port, lambda accept: render(registry, accept))
    notice(f"metrics: {stack.enter_context(door)}")
    loop = asyncio.get_running_loop()

    def count(call: CallInfo, epoch: float) -> Handler:
        def read() -> MetricsSnapshot | None:
            return _read_on(loop, call)

        return CallMetrics(registry, call.agent, call.service, call.tools, read).note

    return count


def _read_on(loop: asyncio.AbstractEventLoop, call: CallInfo) -> MetricsSnapshot | None:
    """Read on the call's loop, asked from a scraper's thread."""

    async def read() -> MetricsSnapshot:
        return call.read()

    reading = read()
    try:
        future = asyncio.run_coroutine_threadsafe(reading, loop)
    except RuntimeError:  # the loop is closed
        reading.close()
        return None
    try:
        return future.result(_READ_SECONDS)
    except (TimeoutError, CancelledError):  # it is busy, or about to close
        future.cancel()
        return None


def _trace(
    provider: Provider, environment: Mapping[str, str], conceal: Redactor
) -> MakeHandler:
    from runner.observers.tracing import CallTrace, TraceAttributes, wants_content

    def trace(call: CallInfo, epoch: float) -> Handler:
        subject = TraceAttributes(call.agent, call.service, call.url)
        content = wants_content(environment)
        return CallTrace(provider, subject, epoch, conceal, has_content=content).note

    return trace
