"""What the AGENT_NAME agent must do. Run it with `pytest`."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

AGENT = Path(__file__).with_name("AGENT_NAME.yaml")


def vagent(*arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "runner", *arguments],
        capture_output=True,
        encoding="utf-8",
        timeout=60,
    )


def call(tool: str, **arguments: object) -> subprocess.CompletedProcess[str]:
    """Run a tool as a call would: its answer is on stdout."""
    return vagent("tools", str(AGENT), "call", tool, json.dumps(arguments))


def test_the_file_has_no_findings() -> None:
    done = vagent("validate", str(AGENT))

    assert done.returncode == 0, done.stdout + done.stderr


def test_a_table_in_the_evening_is_booked() -> None:
    done = call("book_table", day="2026-05-16", at="19:30", people=4)

    assert json.loads(done.stdout)["booked"] is True


def test_a_day_that_is_not_in_the_calendar_is_asked_for_again() -> None:
    done = call("book_table", day="2026-02-31", at="19:30", people=4)

    assert done.returncode == 1
    assert "day" in done.stdout
