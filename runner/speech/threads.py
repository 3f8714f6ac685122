"""The number of threads that a speech or language model uses."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

from runner.errors import UsageError

# The variable that sets the number for every model.
THREADS = "VAGENT_THREADS"
# Models of this size gain nothing from more threads.
MAX_THREADS = 8
# Intel's hybrid processors: the cores that are not efficiency cores.
_PERFORMANCE_CORES = Path("/sys/devices/cpu_core/cpus")


def count_threads() -> int:
    """Returns the number of threads for a model, at least 1.

    Raises UsageError for an invalid VAGENT_THREADS.
    """
    wanted = os.environ.get(THREADS, "")
    if wanted:
        if not wanted.isdecimal() or not 1 <= int(wanted[:6]) <= 1024:
            raise UsageError(
                f"{THREADS} is '{wanted}'",
                hint="set it to a whole number from 1 to 1024, or unset it",
            )
        return int(wanted)
    # One core is left to other work. The threads of a step wait for each other in busy
    # loops: with two threads on two cores and one busy process next to them, a model of
    # 0.5 billion parameters writes 0.6 to 2 tokens/s, with one thread 34 (alone: 47 and
    # 37).
    return max(1, min(MAX_THREADS, _count_cores() - 1))


def _count_cores() -> int:
    """Returns the number of cores, of performance cores where the system lists them."""
    # A container may have fewer cores than the machine; only Linux reports that.
    affinity = getattr(os, "sched_getaffinity", None)
    usable = set(affinity(0)) if affinity else set(range(os.cpu_count() or 1))
    fast = _read_performance_cores()
    if isinstance(fast, int):
        return min(fast, len(usable)) or len(usable)
    return len(usable & fast) or len(usable)


def _read_performance_cores() -> set[int] | int:
    """Returns the numbers or the count of performance cores; empty if unknown."""
    if sys.platform == "darwin":
        command = ["sysctl", "-n", "hw.perflevel0.logicalcpu"]
        try:
            done = subprocess.run(command, capture_output=True, text=True, timeout=2)
            return int(done.stdout)
        except (OSError, ValueError, subprocess.SubprocessError):
            return set()
    try:
        return parse_cores(_PERFORMANCE_CORES.read_text("ascii"))
    except (OSError, ValueError):
        return set()


def parse_cores(text: str) -> set[int]:
    """Returns the cores of a list of Linux, such as `0-3,8`; raises ValueError."""
    cores: set[int] = set()
    for part in text.strip().split(","):
        first, _, last = part.partition("-")
        cores |= set(range(int(first), int(last or first) + 1))
    return cores
