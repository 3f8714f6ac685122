"""Break the cores one rule at a time, and see whether the tests notice.

    python benchmarks/mutants.py [ROOM ...] [--jobs 2] [--every 1] [--least 0]

A mutant is one small change: a row of a table left out or sent elsewhere, a comparison
or a condition turned round, a statement or a case left out, a name of an enum replaced
by its neighbour, an item of a list dropped. It lives in a forked process in which the
changed module is imported in the place of the real one, so nothing is written. The
tests of its room run first, then the machines of random orders, all with a fixed seed.

Left alone: texts for people, and the numbers that a module's constants stand for
(tests import them). Needs fork, so not Windows.
"""

from __future__ import annotations

import argparse
import importlib.machinery
import importlib.util
import multiprocessing
import os
import random
import sys
import time
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from multiprocessing import connection
from multiprocessing.context import ForkProcess
from pathlib import Path
from types import ModuleType

# Heavy, and the same for all: imported before the processes part.
import hypothesis
import hypothesis.stateful
import pytest

sys.path.insert(0, str(Path(__file__).parents[1]))

from benchmarks.mutations import Mutant, find_mutants

ROOT = Path(__file__).parents[1]
ROOMS = ("runner/protocol/client", "runner/protocol/server")
LINKED = ("tests/protocol/test_protocol_lossy_link.py",)
ORDERS = "10"  # examples of each machine; enough when the rules are broken outright


@dataclass(frozen=True, slots=True)
class Trial:
    """A mutant that is being tested."""

    mutant: Mutant
    process: ForkProcess
    until: float


class Substitute(importlib.machinery.SourceFileLoader):
    """Gives one module another source."""

    def __init__(self, mutant: Mutant) -> None:
        super().__init__(mutant.module, str(ROOT / mutant.path))
        self._source = mutant.source

    def get_code(self, fullname: str) -> object:  # type: ignore[override]  # CodeType has no name here
        return compile(self._source, self.path, "exec", dont_inherit=True)


class Substitution:
    """Finds the mutant's module before anybody else does."""

    def __init__(self, mutant: Mutant) -> None:
        self._mutant = mutant

    def find_spec(
        self,
        name: str,
        path: Sequence[str] | None = None,
        target: ModuleType | None = None,
    ) -> importlib.machinery.ModuleSpec | None:
        del path, target
        if name != self._mutant.module:
            return None
        return importlib.util.spec_from_loader(name, Substitute(self._mutant))


def tests_of(room: str) -> list[str]:
    """Return the test files for a room, plain ones first."""
    folder = ROOT / room.replace("runner/", "tests/", 1)
    files = sorted(str(path.relative_to(ROOT)) for path in folder.glob("test_*.py"))
    files.sort(key=lambda name: "orders" in name)
    return [*files, *LINKED]


def live(mutant: Mutant | None, tests: list[str]) -> None:
    """Run the tests in this forked process and end it with their exit code."""
    null = os.open(os.devnull, os.O_RDWR)
    for stream in (0, 1, 2):
        os.dup2(null, stream)
    if mutant is not None:
        sys.meta_path.insert(0, Substitution(mutant))
    os.chdir(ROOT)
    os.environ["VAGENT_ORDERS"] = ORDERS
    hypothesis.settings.register_profile(
        "mutants",
        database=None,
        derandomize=True,
        deadline=None,
        max_examples=20,
        # A failure is enough; the smallest one is not needed.
        phases=(hypothesis.Phase.explicit, hypothesis.Phase.generate),
        suppress_health_check=list(hypothesis.HealthCheck),
    )
    hypothesis.settings.load_profile("mutants")
    # Rewriting assertions would complain about what is already imported.
    options = ["-x", "-q", "--assert=plain", "-p", "no:cacheprovider"]
    os._exit(pytest.main([*options, *tests]))


def start(mutant: Mutant | None, tests: list[str], seconds: float) -> Trial:
    process = multiprocessing.get_context("fork").Process(
        target=live, args=(mutant, tests)
    )
    process.start()
    nobody = mutant or Mutant("", "", 0, "none", "")
    return Trial(nobody, process, time.monotonic() + seconds)


def measure(tests: list[str]) -> float:
    """Return how long the tests take with nothing broken."""
    began = time.monotonic()
    trial = start(None, tests, 0)
    trial.process.join()
    if trial.process.exitcode != 0:
        raise SystemExit("the tests fail with nothing broken")
    return time.monotonic() - began


def judge_all(
    mutants: Sequence[Mutant], tests: list[str], jobs: int, seconds: float
) -> dict[Mutant, str]:
    """Return for each mutant whether it was killed, timed out or survived."""
    waiting, running = list(reversed(mutants)), list[Trial]()
    verdicts: dict[Mutant, str] = {}
    while waiting or running:
        while waiting and len(running) < jobs:
            running.append(start(waiting.pop(), tests, seconds))
        connection.wait([trial.process.sentinel for trial in running], timeout=1)
        for trial in list(running):
            verdict = look(trial)
            if verdict is not None:
                running.remove(trial)
                verdicts[trial.mutant] = verdict
                if verdict == "survived":
                    print(f"  {trial.mutant}", flush=True)
                if len(verdicts) % 100 == 0:
                    print(f"{len(verdicts)} of {len(mutants)}", file=sys.stderr)
    return verdicts


def look(trial: Trial) -> str | None:
    process = trial.process
    if process.is_alive():
        if time.monotonic() < trial.until:
            return None
        process.kill()
        process.join()
        return "timed out"
    process.join()
    return "survived" if process.exitcode == 0 else "killed"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("rooms", nargs="*", default=ROOMS, metavar="ROOM")
    parser.add_argument("--jobs", type=int, default=os.cpu_count() or 1)
    parser.add_argument("--every", type=int, default=1, help="try each n-th mutant")
    parser.add_argument("--file", help="only the modules whose path contains this")
    parser.add_argument("--least", type=float, default=0, help="per cent to be killed")
    arguments = parser.parse_args()
    worst = 100.0
    for room in arguments.rooms:
        tests = tests_of(room)
        mutants = [
            mutant
            for path in sorted((ROOT / room).glob("*.py"))
            if not arguments.file or arguments.file in path.name
            for mutant in find_mutants(ROOT, path)
        ]
        # In no order, so that a run that is cut short is a sample.
        random.Random(0).shuffle(mutants)
        del mutants[len(mutants) // arguments.every :]
        seconds = measure(tests)
        print(f"{room}: {len(mutants)} mutants, {seconds:.0f} s for all tests")
        print("survivors:")
        verdicts = judge_all(mutants, tests, arguments.jobs, 5 * seconds + 20)
        count = Counter(verdicts.values())
        share = 100 * (1 - count["survived"] / max(1, len(mutants)))
        worst = min(worst, share)
        print(f"{room}: {dict(count)}, {share:.1f} % noticed\n", flush=True)
    sys.exit(worst < arguments.least)


if __name__ == "__main__":
    main()
