"""What it costs to start: CPU time of whole processes, beside their floor and a peer.

    python benchmarks/cold_start.py [--runs 9] [--files 200]

The commands take turns, so that a machine that slows down slows all of them; medians
are shown, and their ratio to `python -c pass` and to check-jsonschema on the same files
and schema. Then the same for many files at once: copies of the project's agents.
"""

from __future__ import annotations

import argparse
import os
import shutil
import statistics
import subprocess
import sys
from pathlib import Path
from tempfile import TemporaryDirectory

ROOT = Path(__file__).parents[1]
AGENTS = ROOT / "agents"
AGENT = str(AGENTS / "support.yaml")
SCHEMA = str(ROOT / "runner" / "config" / "agent.schema.json")
BIN = Path(sys.executable).parent
PEER = [str(BIN / "check-jsonschema"), "--schemafile", SCHEMA]
VAGENT = [sys.executable, "-m", "runner"]

ONE = {
    "python -c pass": [sys.executable, "-c", "pass"],
    "check-jsonschema FILE": [*PEER, AGENT],
    "vagent --help": [*VAGENT, "--help"],
    "vagent validate FILE": [*VAGENT, "validate", AGENT],
    "vagent validate FOLDER": [*VAGENT, "validate", str(AGENTS)],
}
# Installed packages have their bytecode; this lets the project have its own, too.
ENVIRONMENT = {
    **{k: v for k, v in os.environ.items() if k != "PYTHONDONTWRITEBYTECODE"},
    "PYTHONPATH": str(ROOT),
}


def cpu_seconds(command: list[str]) -> float:
    """Return user and system time of one run of a command."""
    before = os.times()
    subprocess.run(
        command,
        check=True,
        env=ENVIRONMENT,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    after = os.times()
    return (
        after.children_user
        + after.children_system
        - before.children_user
        - before.children_system
    )


def measure(commands: dict[str, list[str]], runs: int) -> dict[str, float]:
    """Return the median of each command's CPU time, in seconds."""
    times: dict[str, list[float]] = {name: [] for name in commands}
    for number in range(runs + 1):
        for name, command in commands.items():
            seconds = cpu_seconds(command)
            if number:  # the first round fills the caches
                times[name].append(seconds)
    return {name: statistics.median(found) for name, found in times.items()}


def show(medians: dict[str, float], floor: float, peer: float) -> None:
    for name, seconds in medians.items():
        print(f"{name:26}{seconds * 1000:8.0f}", end="")
        print(f"{seconds / floor:9.1f}{seconds / peer:20.2f}")


def copy_agents(folder: Path, count: int) -> list[str]:
    """Fill a folder with so many agents, and with what they draw on."""
    shutil.copytree(AGENTS, folder, dirs_exist_ok=True)
    originals = sorted(folder.glob("*.yaml"))
    copies: list[str] = []
    while len(copies) < count:
        original = originals[len(copies) % len(originals)]
        copy = folder / f"{original.stem}-{len(copies)}.yaml"
        shutil.copyfile(original, copy)
        copies.append(str(copy))
    for original in originals:
        original.unlink()
    return copies


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--runs", type=int, default=9)
    parser.add_argument("--files", type=int, default=200)
    options = parser.parse_args()
    print(f"{'command':26}{'CPU ms':>8}{'x floor':>9}{'x check-jsonschema':>20}")
    medians = measure(ONE, options.runs)
    floor = medians["python -c pass"]
    show(medians, floor, medians["check-jsonschema FILE"])
    with TemporaryDirectory() as folder:
        files = copy_agents(Path(folder), options.files)
        peer, own = (f"{each} {len(files)}" for each in ("check-jsonschema", "vagent"))
        commands = {peer: [*PEER, *files], own: [*VAGENT, "validate", folder]}
        medians = measure(commands, max(1, options.runs // 3))
    show(medians, floor, medians[peer])


if __name__ == "__main__":
    main()
