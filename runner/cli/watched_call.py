"""A call with its view and, if requested, telemetry: loaded when a call begins."""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol

from runner.engine.compose import CallOptions, CallSession, View, open_call
from runner.observers.logs import capture_library_logs
from runner.redaction import Redactor

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from runner.cli.views.wire import Printer
    from runner.config.diagnostics import Diagnostic
    from runner.engine.audio_setup import Typing
    from runner.engine.compose import CallOptions
    from runner.engine.services import Service
    from runner.observers.call_stats import CallStats
    from runner.observers.logs import Log
    from runner.observers.metrics import MetricsSnapshot
    from runner.observers.options import TelemetryOptions
    from runner.observers.telemetry import CallInfo, Telemetry


# What these have to say is about telemetry itself, and is told in one sentence.
_QUIET_LIBRARIES = ("opentelemetry", "urllib3")


class PrintingView(View, Protocol):
    """A view that writes with a printer."""

    printer: Printer


@dataclass(frozen=True, slots=True)
class LoggedView:
    """A view, of whose notices a log is kept."""

    view: View
    log: Log

    def observe(self, at: float, what: Any) -> None:
        """Show an event or an action."""
        self.view.observe(at, what)

    def notice(self, text: str) -> None:
        """Tell the person something, and log it."""
        self.log.say("info", "notice", text=text)
        self.view.notice(text)

    def findings(self, found: Sequence[Diagnostic]) -> None:
        """Show what is wrong with an agent file that was edited, and log it."""
        for each in found:
            self.log.say("warning", "finding", text=each.message)
        self.view.findings(found)


def _strays(
    view: View, log: Log | None, seeing: TelemetryOptions
) -> contextlib.AbstractContextManager[None]:
    """Catch what libraries log: for the log, or else warnings for the person."""
    loop = asyncio.get_running_loop()

    def deliver(text: str, level: int, library: str) -> None:
        if log is not None:
            log.stray(text, level, library)
        elif library.partition(".")[0] not in _QUIET_LIBRARIES:
            view.notice(f"{library}: {text}")

    def tell(text: str, level: int, library: str) -> None:
        # Libraries log on threads of their own, and views belong to the loop's.
        with contextlib.suppress(RuntimeError):  # the loop is closed: all is over
            loop.call_soon_threadsafe(deliver, text, level, library)

    is_detailed = log is not None and seeing.is_verbose
    return capture_library_logs(tell, logging.INFO if is_detailed else logging.WARNING)


def _watched(call: CallSession) -> CallInfo:
    from runner.observers.telemetry import CallInfo

    changes = call.engine.session.conversation.changes

    def read() -> MetricsSnapshot:
        from runner.observers.metrics import MetricsSnapshot

        has_failed = call.recorder is not None and call.recorder.has_stopped
        return MetricsSnapshot(call.counters(), int(has_failed))

    return CallInfo(
        call.agent,
        _kind(call.service),
        call.service.url,
        lambda: changes.current.tools,
        read,
    )


def _kind(service: Service) -> str:
    """Return what kind of service it is; an address may be anything."""
    if service.url is None:
        return "embedded"
    if service.name.startswith("AssemblyAI"):
        return "assemblyai"
    return "local" if service.is_local else "other"


@contextlib.asynccontextmanager
async def open_watched_call(
    wishes: CallOptions,
    seeing: TelemetryOptions,
    environment: Mapping[str, str],
    view: PrintingView,
    record: CallStats,
    typing: Typing | None = None,
    sink: Callable[[str], None] | None = None,
) -> AsyncIterator[CallSession]:
    """Build a call that is watched; raises like `open_call` and `open_instruments`.

    A log without a file goes to `sink`, by default to the view's stderr.
    """
    secrets = Redactor()
    view.printer.mask = secrets.text
    async with contextlib.AsyncExitStack() as stack:
        enter = stack.enter_async_context
        instruments: Telemetry | None = None
        if not seeing.is_off:
            from runner.observers.telemetry import open_instruments

            sink = sink or view.printer.notice
            opening = open_instruments(
                seeing, record.events, secrets, environment, view.notice, sink
            )
            instruments = await enter(opening)
        log = instruments.log if instruments else None
        told: View = LoggedView(view, log) if log is not None else view
        stack.enter_context(_strays(told, log, seeing))
        observers = [] if instruments is None else [instruments.observe]
        opened = open_call(
            wishes, environment, told, observers, record.events, typing, secrets
        )
        call = await enter(opened)
        if instruments is not None:
            instruments.watch(_watched(call))
        yield call
