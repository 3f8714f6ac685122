"""What it costs to start: CPU time of whole processes, beside their floor and a peer.

    python benchmarks/cold_start.py [--runs 9]

The commands take turns, so that a machine that slows down slows all of them; medians
are shown, and their ratio to `python -c pass` and to check-jsonschema on the same file
and schema.
"""

from __future__ import annotations

import argparse
import os
import statistics
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[1]
AGENT = str(ROOT / "agents" / "support.yaml")
SCHEMA = str(ROOT / "runner" / "config" / "agent.schema.json")
BIN = Path(sys.executable).parent

COMMANDS = {
    "python -c pass": [sys.executable, "-c", "pass"],
    "check-jsonschema FILE": [
        str(BIN / "check-jsonschema"),
        "--schemafile",
        SCHEMA,
        AGENT,
    ],
    "vagent --help": [str(BIN / "vagent"), "--help"],
    "vagent validate FILE": [str(BIN / "vagent"), "validate", AGENT],
    "vagent validate FOLDER": [str(BIN / "vagent"), "validate", str(ROOT / "agents")],
}


def cpu_seconds(command: list[str]) -> float:
    """Return user and system time of one run of a command."""
    before = os.times()
    subprocess.run(
        command, check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )
    after = os.times()
    return (
        after.children_user
        + after.children_system
        - before.children_user
        - before.children_system
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--runs", type=int, default=9)
    runs: int = parser.parse_args().runs
    times: dict[str, list[float]] = {name: [] for name in COMMANDS}
    for number in range(runs + 1):
        for name, command in COMMANDS.items():
            seconds = cpu_seconds(command)
            if number:  # the first round fills the caches
                times[name].append(seconds)
    medians = {name: statistics.median(found) for name, found in times.items()}
    floor, peer = medians["python -c pass"], medians["check-jsonschema FILE"]
    print(f"{'command':26}{'CPU ms':>8}{'x floor':>9}{'x check-jsonschema':>20}")
    for name, seconds in medians.items():
        print(f"{name:26}{seconds * 1000:8.0f}", end="")
        print(f"{seconds / floor:9.1f}{seconds / peer:20.2f}")


if __name__ == "__main__":
    main()
