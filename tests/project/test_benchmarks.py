"""A short round of each benchmark, as a process: it ends well and prints real rows.

The figures are those of a busy machine and of a second, so only their presence counts.
"""

from __future__ import annotations

import math
import os
import re
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
pytestmark = pytest.mark.slow
SECOND = ("--seconds", "0.5", "--warm-up", "0.2")
FAST = ("vagent+uvloop", "vagent+picows", "vagent+fast")


@dataclass(frozen=True, slots=True)
class Round:
    """A command and the rows that it prints: how each begins, how many figures follow.

    `ratio` is the place of a ratio (or share) among the figures of each row; a ratio
    is a finite number above 0.
    """

    command: tuple[str, ...]
    rows: tuple[str, ...]
    figures: int
    ratio: int | None = None

    def __str__(self) -> str:
        return " ".join(self.command)


ROUNDS = (
    Round(
        ("cold_start.py", "--runs", "1"),
        ("python -c pass", "check-jsonschema FILE", "vagent --help")
        + ("vagent validate FILE", "vagent validate FOLDER"),
        figures=3,
        ratio=2,
    ),
    Round(
        ("validating.py", "--runs", "1", "--files", "40"),
        ("python -c pass", "check-jsonschema", "vagent validate"),
        figures=4,
        ratio=1,
    ),
    Round(("placement.py", "--count", "100"), ("all yaml", "all"), figures=5, ratio=1),
    Round(
        ("scenarios.py", "--count", "3", "--runs", "2"),
        ("3 scenarios, --jobs 1:", "3 scenarios, --jobs auto:"),
        figures=9,
        ratio=3,
    ),
    Round(("interruption.py", "--count", "20"), ("  p50",), figures=3),
    Round(
        ("sessions.py", "--count", "2", "--rounds", "1", *SECOND),
        ("bare", "vagent", *FAST),
        figures=5,
        ratio=1,
    ),
    Round(
        ("sessions.py", "--memory", "60"),
        ("bare", "vagent", "vagent+picows", "vagent+fast"),
        figures=3,
    ),
    Round(("recording.py", "--rounds", "2", *SECOND), ("  ratio",), figures=4, ratio=0),
    Round(
        ("recording.py", "--sessions", "1", "--rounds", "1", *SECOND),
        ("vagent", "vagent+fast"),
        figures=6,
        ratio=3,
    ),
    # A tenth of a second holds on a quiet machine only.
    Round(
        ("kills.py", "--count", "1", "--may-be-lost", "1"),
        ("  lines", "  caller", "  agent"),
        figures=2,
    ),
    Round(("speaker.py", "--seconds", "2", "--cuts", "5"), ("  p50",), figures=3),
    Round(
        ("telemetry.py", "--rounds", "1", *SECOND),
        ("nothing", "nothing, -v", "metrics", "log", "log, -v", "otel"),
        figures=5,
        ratio=2,
    ),
    Round(
        ("replaying.py", "--minutes", "1"), ("read", "replay and compare"), figures=2
    ),
    Round(
        ("mutants.py", "runner/protocol/server", "--every", "400", "--jobs", "1"),
        ("runner/protocol/server: {",),
        figures=2,
        ratio=1,
    ),
    Round(
        ("trips.py",),
        ("| microphone", "| tool call", "| finding", "| scenario"),
        figures=1,
    ),
    Round(
        ("soak.py", "--short"),
        ("  tasks", "  threads", "  files", "  blocks"),
        figures=3,
    ),
    Round(
        ("tool_decisions.py", "--brain", "rules", "--count", "3"), ("rules",), figures=8
    ),
)
SPOKEN = (
    Round(
        ("tool_decisions.py", "--brain", "qwen-0.5b", "--count", "1"),
        ("qwen-0.5b",),
        figures=8,
    ),
    Round(("recognition.py", "--count", "2"), ("local voice",), figures=6),
    Round(
        ("local_call.py", "--llm", "qwen-0.5b", "--count", "1", "--load", "1"),
        ("  median",),
        figures=6,
    ),
)
# What the others import or start.
PARTS = {"bare", "clients", "farend", "mutations", "processes", "streamer"}
NUMBER = re.compile(r"(?<![\w.])[-+]?\d+(?:\.\d+)?")


@pytest.mark.parametrize("short", ROUNDS, ids=str)
def test_a_short_round_prints_its_rows(short: Round) -> None:
    look(short, run(short))


@pytest.mark.speech
@pytest.mark.parametrize("short", SPOKEN, ids=str)
def test_a_short_round_with_real_speech_prints_its_rows(short: Round) -> None:
    look(short, run(short))


def test_each_benchmark_has_a_short_round() -> None:
    scripts = {path.stem for path in (ROOT / "benchmarks").glob("*.py")}
    rounds = {Path(short.command[0]).stem for short in (*ROUNDS, *SPOKEN)}

    assert scripts - PARTS == rounds


def run(short: Round) -> str:
    """Return the output of a benchmark; it must exit with 0."""
    script, *options = short.command
    # Some run pytest themselves: they are not workers of this run.
    own = {key: at for key, at in os.environ.items() if not key.startswith("PYTEST_")}
    done = subprocess.run(
        [sys.executable, str(ROOT / "benchmarks" / script), *options],
        cwd=ROOT,
        env=own,
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, f"{done.stdout}\n{done.stderr}"
    return done.stdout


def look(short: Round, output: str) -> None:
    """Check that each row is there, with all its figures and a ratio."""
    lines = output.splitlines()
    for name in short.rows:
        # "vagent" is the beginning of "vagent+fast", whose row has another name.
        own = [
            line[len(name) :]
            for line in lines
            if line.startswith(name) and line[len(name) :][:1] not in {"+", ","}
        ]
        rows = [each for each in map(figures, own) if len(each) >= short.figures]
        assert rows, f"no row {name!r} with {short.figures} figures:\n{output}"
        for row in rows:
            assert all(map(math.isfinite, row))
            if short.ratio is not None:
                assert row[short.ratio] > 0, f"{name}: {row}\n{output}"


def figures(text: str) -> list[float]:
    """Return the numbers of a text."""
    return [float(each) for each in NUMBER.findall(text)]
