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


def test_an_order_is_looked_up_by_its_number() -> None:
    done = call("lookup_order", order_id="1234")

    assert json.loads(done.stdout)["status"] == "shipped"


def test_a_number_that_is_not_complete_is_asked_for_again() -> None:
    done = call("lookup_order", order_id="12")

    assert done.returncode == 1
    assert "order_id" in done.stdout
