"""What whole processes cost: CPU time and memory, of commands that take turns."""

from __future__ import annotations

import os
import statistics
import subprocess
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

# Linux counts the largest resident set in kilobytes, macOS in bytes.
_RSS_UNIT = 1 if sys.platform == "darwin" else 1024


@dataclass(frozen=True, slots=True)
class Cost:
    """Of one process: user and system time in seconds, largest memory in bytes."""

    cpu: float
    memory: int
    exit_code: int


def run_process(
    command: Sequence[str], environment: Mapping[str, str] | None = None
) -> Cost:
    """Run a command to its end, its output discarded."""
    own = {**os.environ, **(environment or {})}
    # Installed packages have their bytecode; this lets the project have its own, too.
    own.pop("PYTHONDONTWRITEBYTECODE", None)
    process = subprocess.Popen(
        command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, env=own
    )
    _, status, usage = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)  # it has been waited for
    cpu = usage.ru_utime + usage.ru_stime
    return Cost(cpu, usage.ru_maxrss * _RSS_UNIT, process.returncode)


def take_turns(
    commands: Mapping[str, Sequence[str]],
    runs: int,
    environment: Mapping[str, str] | None = None,
) -> dict[str, list[Cost]]:
    """Run each command so many times, one after the other in turn.

    So a machine that slows down slows all of them. A round before fills the caches.
    """
    costs: dict[str, list[Cost]] = {name: [] for name in commands}
    for number in range(runs + 1):
        for name, command in commands.items():
            cost = run_process(command, environment)
            if number:
                costs[name].append(cost)
    return costs


def median_cpu(costs: Sequence[Cost]) -> float:
    """Return the median CPU time in seconds."""
    return statistics.median(each.cpu for each in costs)


def median_ratio(costs: Sequence[Cost], others: Sequence[Cost]) -> float:
    """Return the median of the ratios of CPU time, turn by turn."""
    pairs = zip(costs, others, strict=True)
    return statistics.median(one.cpu / other.cpu for one, other in pairs)
