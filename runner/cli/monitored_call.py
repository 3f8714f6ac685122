"""Opens a call with its view and, if requested, telemetry."""

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


# Their messages are about telemetry itself, which reports its failures in one notice.
_QUIET_LIBRARIES = ("opentelemetry", "urllib3")


class PrintingView(View, Protocol):
    """A view that writes through a printer."""

    printer: Printer


@dataclass(frozen=True, slots=True)
class LoggedView:
    """A view whose notices and findings are also logged."""

    view: View
    log: Log

    def observe(self, at: float, what: Any) -> None:
        """Shows an event or an action."""
        self.view.observe(at, what)

    def notice(self, text: str) -> None:
        """Shows a notice and logs it."""
        self.log.say("info", "notice", text=text)
        self.view.notice(text)

    def findings(self, found: Sequence[Diagnostic]) -> None:
        """Shows and logs the findings about an agent file that was edited."""
        for each in found:
            self.log.say("warning", "finding", text=each.message)
        self.view.findings(found)


def _capture_logs(
    view: View, log: Log | None, telemetry_options: TelemetryOptions
) -> contextlib.AbstractContextManager[None]:
    """Redirects log records of libraries to the log, or warnings to the view."""
    loop = asyncio.get_running_loop()

    def deliver(text: str, level: int, library: str) -> None:
        if log is not None:
            log.write_library_record(text, level, library)
        elif library.partition(".")[0] not in _QUIET_LIBRARIES:
            view.notice(f"{library}: {text}")

    def forward(text: str, level: int, library: str) -> None:
        # Libraries log on their own threads; views belong to the thread of the loop.
        with contextlib.suppress(RuntimeError):  # the loop is closed
            loop.call_soon_threadsafe(deliver, text, level, library)

    is_detailed = log is not None and telemetry_options.is_verbose
    return capture_library_logs(
        forward, logging.INFO if is_detailed else logging.WARNING
    )


def _call_info(call: CallSession) -> CallInfo:
    from runner.observers.telemetry import CallInfo

    changes = call.engine.session.conversation.changes

    def read() -> MetricsSnapshot:
        from runner.observers.metrics import MetricsSnapshot

        has_failed = call.recorder is not None and call.recorder.has_stopped
        return MetricsSnapshot(call.counters(), int(has_failed))

    return CallInfo(
        call.agent,
        _service_kind(call.service),
        call.service.url,
        lambda: changes.current.tools,
        read,
    )


def _service_kind(service: Service) -> str:
    """Returns the kind of a service as a label: never its URL, which can be private."""
    if service.url is None:
        return "embedded"
    if service.name.startswith("AssemblyAI"):
        return "assemblyai"
    return "local" if service.is_local else "other"


@contextlib.asynccontextmanager
async def open_monitored_call(
    options: CallOptions,
    telemetry_options: TelemetryOptions,
    environment: Mapping[str, str],
    view: PrintingView,
    stats: CallStats,
    typing: Typing | None = None,
    sink: Callable[[str], None] | None = None,
) -> AsyncIterator[CallSession]:
    """Opens a call with its telemetry; raises like `open_call` and `open_instruments`.

    A log without a file is written to `sink`, by default as notices of the view.
    """
    secrets = Redactor()
    view.printer.mask = secrets.text
    async with contextlib.AsyncExitStack() as stack:
        enter = stack.enter_async_context
        instruments: Telemetry | None = None
        if not telemetry_options.is_off:
            from runner.observers.telemetry import open_instruments

            sink = sink or view.printer.notice
            opening = open_instruments(
                telemetry_options, stats.events, secrets, environment, view.notice, sink
            )
            instruments = await enter(opening)
        log = instruments.log if instruments else None
        shown: View = LoggedView(view, log) if log is not None else view
        stack.enter_context(_capture_logs(shown, log, telemetry_options))
        observers = [] if instruments is None else [instruments.observe]
        opened = open_call(
            options, environment, shown, observers, stats.events, typing, secrets
        )
        call = await enter(opened)
        if instruments is not None:
            instruments.watch(_call_info(call))
        yield call
