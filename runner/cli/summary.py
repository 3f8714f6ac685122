"""How a call went, in sentences: the last lines of every view for people."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from statistics import median

from runner.counters import Counters
from runner.errors import counted
from runner.losses import describe_all, format_losses
from runner.observers.call_stats import CallStats


@dataclass(frozen=True, slots=True)
class Summary:
    """The facts of a call that is over; `seconds` is how long it lasted."""

    seconds: float
    turns: int
    waits: tuple[float, ...]
    interruptions: int
    calls: int
    calls_failed: int
    losses: tuple[str, ...]

    def lines(self) -> list[str]:
        """Return the facts as lines without symbols; nothing of what was not."""
        minutes, seconds = divmod(round(self.seconds), 60)
        length = f"{minutes} min {seconds} s" if minutes else f"{seconds} s"
        lines = [f"{length}, {counted(self.turns, 'turn')} of yours"]
        if self.waits:
            lines.append(
                f"first audio after {median(self.waits):.2f} s (median), "
                f"{max(self.waits):.2f} s (longest)"
            )
        if self.interruptions:
            lines.append(counted(self.interruptions, "interruption"))
        if self.calls:
            calls = counted(self.calls, "tool call")
            lines.append(f"{calls}, {self.calls_failed} failed")
        if self.losses:
            lines.append("; ".join(self.losses))
        return lines


def summarise(
    record: CallStats, turns: int, counters: Counters, seconds: float
) -> Summary:
    """Gather the facts of a call."""
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
    """Return the last lines of a call; every counter too, where they are given."""
    lines = summary.lines()
    if counters is not None:
        lines.append(describe_all(counters))
    if folder is not None:
        lines.append(f"recorded in {folder}")
    return lines
