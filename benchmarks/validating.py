"""What `vagent validate` costs next to check-jsonschema: CPU time and memory.

    python benchmarks/validating.py [--runs 9] [--files 200]

Both check the same files against the same schema, in processes of their own that take
turns; vagent's rules, Python tools and places come on top of the schema. Shown are
medians, the median ratio turn by turn, and the largest memory. The files are the good
ones of `agents/` and `tests/config/corpus/`, with copies of what they name.
"""

from __future__ import annotations

import argparse
import re
import shutil
import sys
import tempfile
from collections.abc import Iterator
from itertools import islice
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))

from benchmarks.processes import median_cpu, median_ratio, take_turns

ROOT = Path(__file__).parents[1]
FOLDERS = (ROOT / "tests" / "config" / "corpus", ROOT / "agents")
SCHEMA = str(ROOT / "runner" / "config" / "agent.schema.json")
BIN = Path(sys.executable).parent


def copies(folder: Path) -> Iterator[Path]:
    """Copy the good files again and again; yield each agent file."""
    number = 0
    while True:
        number += 1
        for source in FOLDERS:
            home = folder / f"{source.name}-{number}"
            shutil.copytree(source, home)
            scenarios = set(home.glob("*.test.yaml"))
            yield from sorted(set(home.glob("*.yaml")) - scenarios)


def environment_of(paths: list[Path]) -> dict[str, str]:
    """Set what the files take from the environment."""
    names = {
        name
        for path in paths
        for name in re.findall(r"\$\{env:(\w+)\}", path.read_text("utf-8"))
    }
    return {**dict.fromkeys(names, "set"), "PYTHONPATH": str(ROOT)}


def measure(title: str, paths: list[Path], runs: int) -> None:
    """Print what checking these files costs."""
    files = [str(each) for each in paths]
    commands = {
        "python -c pass": [sys.executable, "-c", "pass"],
        "check-jsonschema": [
            str(BIN / "check-jsonschema"),
            "--schemafile",
            SCHEMA,
            *files,
        ],
        "vagent validate": [sys.executable, "-m", "runner", "validate", *files],
    }
    costs = take_turns(commands, runs, environment_of(paths))
    print(f"{title:20}{'CPU ms':>9}{'x check-jsonschema':>20}{'MB':>7}{'exit':>6}")
    for name, own in costs.items():
        ratio = median_ratio(own, costs["check-jsonschema"])
        memory = max(each.memory for each in own) / 1e6
        codes = {each.exit_code for each in own}
        print(f"{name:20}{median_cpu(own) * 1000:9.0f}{ratio:20.2f}", end="")
        print(f"{memory:7.0f}{'/'.join(map(str, sorted(codes))):>6}")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--runs", type=int, default=9)
    parser.add_argument("--files", type=int, default=200)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        paths = list(islice(copies(Path(folder)), options.files))
        one = next(each for each in paths if each.name == "support.yaml")
        measure("one file", [one], options.runs)
        print()
        measure(f"{len(paths)} files", paths, options.runs)


if __name__ == "__main__":
    main()
