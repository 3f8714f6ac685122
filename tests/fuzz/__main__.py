"""Fuzzing with mutated input: no crash, no hang, no unbounded memory.

    python -m tests.fuzz [codec loader door] [--codec N] [--loader N] [--door N]
                         [--seed S]

An input may take `INPUT_SECONDS`, a hang ends the process with a trace, and the address
space is limited if the system supports it. The first input that fails is shown and ends
the run with exit code 1.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import faulthandler
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping
from itertools import islice
from pathlib import Path
from typing import Any

from tests.fuzz import codec, door, loader
from tests.fuzz.mutilation import Mutilator

INPUT_SECONDS = 5.0  # on a busy machine; most inputs take less than a millisecond
HANG_SECONDS = 60.0
MEMORY_BYTES = 4 * 2**30


class Rejected(Exception):
    """An input failed."""


@contextlib.contextmanager
def cut_off_after(seconds: float) -> Iterator[None]:
    """Ends the process with a trace if the block takes longer."""
    faulthandler.dump_traceback_later(seconds, exit=True)
    try:
        yield
    finally:
        # If it stayed armed, it would end the process during a later test.
        faulthandler.cancel_dump_traceback_later()


def run(
    check: Callable[[Any], None], inputs: Iterator[str | bytes], count: int
) -> float:
    """Feeds `count` inputs; returns the longest time of an input in seconds."""
    longest = 0.0
    for data in islice(inputs, count):
        began = time.perf_counter()
        try:
            with cut_off_after(HANG_SECONDS):
                check(data)
        # Any exception is a finding.
        except (Exception, RecursionError) as error:
            raise Rejected(
                f"{type(error).__name__}: {error}: {data!r:.2000}"
            ) from error
        took = time.perf_counter() - began
        if took > INPUT_SECONDS:
            raise Rejected(f"{took:.1f} s for {_shown(data)}")
        longest = max(longest, took)
    return longest


def _shown(data: str | bytes) -> str:
    """Returns the input as a literal for a test, cut if it is huge."""
    return repr(data)[:20_000]


def fuzz_codec(count: int, seed: int) -> str:
    longest = run(codec.CodecCheck(), codec.inputs(Mutilator(seed)), count)
    return f"slowest {1000 * longest:.1f} ms"


def fuzz_loader(count: int, seed: int) -> str:
    with tempfile.TemporaryDirectory() as folder:
        check = loader.LoaderCheck(Path(folder))
        mutilator = Mutilator(seed, loader.YAML_TOKENS)
        longest = run(check, loader.inputs(mutilator), count)
    return f"slowest {1000 * longest:.1f} ms"


def fuzz_door(count: int, seed: int) -> str:
    reports: list[tuple[str, Mapping[str, Any]]] = []
    with cut_off_after(HANG_SECONDS * 60):
        sent = asyncio.run(door.attack(count, seed, reports))
    bugs = [facts for kind, facts in reports if kind == "vagent.bug"]
    if bugs:
        raise Rejected(f"{len(bugs)} sessions ended by a bug: {bugs[:3]}")
    opened = sum(kind == "vagent.session.opened" for kind, _ in reports)
    return f"{sent} messages, {opened} sessions"


def limit_memory() -> None:
    with contextlib.suppress(ImportError, ValueError, OSError):  # Windows, macOS
        import resource

        resource.setrlimit(resource.RLIMIT_AS, (MEMORY_BYTES, MEMORY_BYTES))


def peak_megabytes() -> float:
    try:
        import resource
    except ImportError:  # Windows
        return float("nan")
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak / (2**20 if sys.platform == "darwin" else 2**10)


TARGETS = {"codec": fuzz_codec, "loader": fuzz_loader, "door": fuzz_door}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("targets", nargs="*", default=list(TARGETS), metavar="TARGET")
    parser.add_argument("--codec", type=int, default=1_000_000)
    parser.add_argument("--loader", type=int, default=100_000)
    parser.add_argument("--door", type=int, default=100_000)
    parser.add_argument("--seed", type=int, default=1)
    arguments = parser.parse_args()
    limit_memory()
    for name in arguments.targets:
        count: int = getattr(arguments, name)
        began = time.monotonic()
        try:
            result = TARGETS[name](count, arguments.seed)
        except Rejected as error:
            sys.exit(f"{name}: {error}")
        seconds = time.monotonic() - began
        print(
            f"{name}: {count} inputs in {seconds:.0f} s, {result}, "
            f"peak {peak_megabytes():.0f} MB",
            flush=True,
        )


if __name__ == "__main__":
    main()
