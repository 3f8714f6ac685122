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


def test_a_currency_that_is_no_code_never_reaches_the_service() -> None:
    arguments = json.dumps({"base": "euros", "quote": "USD"})
    done = vagent("tools", str(AGENT), "call", "get_exchange_rate", arguments)

    assert done.returncode == 1
    assert "base" in done.stdout
