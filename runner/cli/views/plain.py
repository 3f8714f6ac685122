"""The plain view of a call, for screen readers and simple terminals.

Prints one sentence for each finished item, without symbols, colors, cursor movement or
later corrections. Transcripts go to stdout, everything else to stderr.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import median

from runner.cli.views.chat.state import ChatState, ConnectionStatus
from runner.cli.views.chat.transcript import (
    AgentMessageEntry,
    Entry,
    NoticeEntry,
    ToolCallEntry,
    UserMessageEntry,
)
from runner.cli.views.wire import Detail, Printer, shorten
from runner.config.diagnostics import Diagnostic, render
from runner.engine.controls import ControlState
from runner.errors import counted
from runner.observers.call_stats import CallStats, Counters, describe_all, format_losses
from runner.protocol.client.actions import Action, Close
from runner.protocol.client.events import Event


@dataclass(slots=True)
class PlainView:
    """An observer of the engine that prints whole sentences."""

    printer: Printer
    model: ChatState
    detail: Detail = Detail.NORMAL
    _link: ConnectionStatus = ConnectionStatus.CONNECTING
    _latest: float = 0.0
    _folder: Path | None = None

    def observe(self, at: float, what: Event | Action) -> None:
        """Processes an event or an action and prints the items it completes."""
        self._latest = at
        self.model.observe(at, what)
        if self.model.link is not self._link:
            self._link = self.model.link
            self._print_link()
        self._print(self.model.transcript.take_finished(at))

    def notice(self, text: str) -> None:
        """Prints a notice."""
        self.printer.notice(f"Note: {text}")

    def findings(self, found: Sequence[Diagnostic]) -> None:
        """Prints the findings in an edited agent file, in the format of validate."""
        for line in render(found).splitlines():
            self.printer.notice(line)

    def standing(self, standing: ControlState) -> None:
        """Stores the settings of the controls; a notice has already reported them."""
        self.model.standing = standing

    def recording(self, folder: Path) -> None:
        """Stores the folder of the recording for the summary."""
        self._folder = folder

    def summary(self, close: Close, counters: Counters) -> None:
        """Prints the summary, the last lines of a call."""
        del close
        self._print(self.model.transcript.take_all())
        model, seconds = self.model, self.model.elapsed(self._latest)
        turns = model.transcript.turns
        summary = summarize(model.record, turns, counters, seconds)
        every = counters if self.detail is Detail.VERBOSE else None
        for line in closing_lines(summary, self._folder, every):
            self.printer.notice(f"Call: {line}")

    def _print_link(self) -> None:
        if self.detail is Detail.QUIET:
            return
        if self._link is ConnectionStatus.LIVE:
            self.printer.notice("Connected.")
        elif self._link is ConnectionStatus.BROKEN:
            self.printer.notice("Connection lost, reconnecting.")

    def _print(self, entries: Sequence[Entry]) -> None:
        for entry in entries:
            match entry:
                case UserMessageEntry(text) if text:
                    self.printer.line(f"You said: {text}")
                case AgentMessageEntry():
                    self._agent(entry)
                case ToolCallEntry() if self.detail is not Detail.QUIET:
                    self.printer.notice(self._tool(entry))
                case NoticeEntry(text):
                    self.printer.notice(f"Note: {text}")
                case _:
                    pass

    def _agent(self, reply: AgentMessageEntry) -> None:
        heard, unheard = reply.shown(reply.ends)
        if not (heard or unheard):
            return
        if not reply.is_interrupted:
            self.printer.line(f"Agent said: {heard}")
            return
        rest = f" before: {unheard}" if unheard else ""
        said = heard.rstrip()
        stop = "" if said.endswith((".", "!", "?", "…")) else "."
        self.printer.line(f"Agent said: {said or 'nothing'}{stop} Interrupted{rest}")

    def _tool(self, run: ToolCallEntry) -> str:
        is_whole = self.detail is Detail.VERBOSE
        if run.ended is None:
            return f"Tool {run.name} is running"
        took = f"{run.ended - run.began:.1f} s"
        if run.is_cancelled:
            return f"Tool {run.name} was stopped, {took}"
        ending = "failed" if run.is_error else "ran"
        text = f"Tool {run.name} {ending}, {took}"
        if is_whole:
            return f"{text}, with {run.arguments}, result {run.result}"
        return f"{text}, {shorten(run.result)}" if run.is_error else text


@dataclass(frozen=True, slots=True)
class Summary:
    """The figures of a call that ended; `seconds` is its length."""

    seconds: float
    turns: int
    latencies: tuple[float, ...]
    interruptions: int
    calls: int
    calls_failed: int
    losses: tuple[str, ...]

    def lines(self) -> list[str]:
        """Returns the figures as lines without symbols; zero counts are left out."""
        minutes, seconds = divmod(round(self.seconds), 60)
        length = f"{minutes} min {seconds} s" if minutes else f"{seconds} s"
        lines = [f"{length}, {counted(self.turns, 'turn')} of yours"]
        if self.latencies:
            lines.append(
                f"first audio after {median(self.latencies):.2f} s (median), "
                f"{max(self.latencies):.2f} s (longest)"
            )
        if self.interruptions:
            lines.append(counted(self.interruptions, "interruption"))
        if self.calls:
            calls = counted(self.calls, "tool call")
            lines.append(f"{calls}, {self.calls_failed} failed")
        if self.losses:
            lines.append("; ".join(self.losses))
        return lines


def summarize(
    record: CallStats, turns: int, counters: Counters, seconds: float
) -> Summary:
    """Returns the summary of a call."""
    return Summary(
        seconds,
        turns,
        tuple(record.waits),
        record.interruptions,
        len(record.calls),
        sum(call.is_error for call in record.calls.values()),
        tuple(format_losses(counters)),
    )


def closing_lines(
    summary: Summary, folder: Path | None, counters: Counters | None
) -> list[str]:
    """Returns the last lines of a call; with every counter if `counters` is given."""
    lines = summary.lines()
    if counters is not None:
        lines.append(describe_all(counters))
    if folder is not None:
        lines.append(f"recorded in {folder}")
    return lines
