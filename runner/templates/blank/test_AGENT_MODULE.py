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


def test_the_file_has_no_findings() -> None:
    done = vagent("validate", str(AGENT))

    assert done.returncode == 0, done.stdout + done.stderr


def test_the_agent_can_hang_up() -> None:
    done = vagent("tools", str(AGENT), "--json")

    tools = [json.loads(line) for line in done.stdout.splitlines()]
    assert [(each["name"], each["effect"]) for each in tools] == [
        ("end_call", "terminal")
    ]
