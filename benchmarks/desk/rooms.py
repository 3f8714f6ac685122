"""Captures in several rooms at once, each by a process of its own."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict
from typing import Any

from benchmarks.desk.capture import Wanted
from benchmarks.desk.judging import Branch, Result, Span
from benchmarks.desk.sounds import requests, story


def capture_all(
    wanted: Sequence[Wanted], at_once: int, *, words: bool = False
) -> Iterator[tuple[Wanted, Result]]:
    """Yield the result of each, in order; so many run at the same time."""
    story(), requests()  # spoken once, before anybody waits for them

    def run(each: Wanted) -> Result:
        text = json.dumps({**asdict(each), "words": words})
        command = [sys.executable, "-m", "benchmarks.desk", "capture", text]
        done = subprocess.run(command, stdout=subprocess.PIPE, check=False, text=True)
        if done.returncode:
            raise SystemExit(f"a capture ended with exit code {done.returncode}")
        return _read(json.loads(done.stdout))

    with ThreadPoolExecutor(at_once) as pool:
        yield from zip(wanted, pool.map(run, wanted), strict=True)


def _read(found: dict[str, Any]) -> Result:
    return Result(
        **{
            **found,
            "clean": Branch(**found["clean"]),
            "raw": Branch(**found["raw"]),
            "spans": [Span(**each) for each in found["spans"]],
        }
    )
