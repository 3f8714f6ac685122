"""What it costs to start: CPU time of whole processes, next to their floor and a peer.

    python benchmarks/cold_start.py [--runs 9]

The commands take turns, so that a machine that slows down slows all of them; medians
are shown, and their ratio to `python -c pass` and to check-jsonschema on the same file
and schema.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))

from benchmarks.processes import median_cpu, take_turns

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


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--runs", type=int, default=9)
    costs = take_turns(COMMANDS, parser.parse_args().runs)
    medians = {name: median_cpu(found) for name, found in costs.items()}
    floor, peer = medians["python -c pass"], medians["check-jsonschema FILE"]
    print(f"{'command':26}{'CPU ms':>8}{'x floor':>9}{'x check-jsonschema':>20}")
    for name, seconds in medians.items():
        print(f"{name:26}{seconds * 1000:8.0f}", end="")
        print(f"{seconds / floor:9.1f}{seconds / peer:20.2f}")


if __name__ == "__main__":
    main()
