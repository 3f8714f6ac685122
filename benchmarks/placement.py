"""Where findings stand: valid agent files, each spoiled in one known place.

    python benchmarks/placement.py [--count 1000] [--seed 1] [--misses] [--kind NAME]

Prints, for each kind of mutation and in total, the share with a finding on the spoiled
line and at the exact column, how many findings a mutation has, and how many ended in an
exception. `--misses` lists what was missed, with the file's line.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterable
from itertools import islice
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))

from tests.mutations.table import KINDS, mutations
from tests.mutations.trial import Trial, try_out


def show(trials: list[Trial]) -> None:
    """Print the table."""
    print(
        f"{'kind':26}{'family':12}{'n':>5}{'line':>8}{'column':>8}{'findings':>10}"
        f"{'failed':>8}"
    )
    for kind in KINDS:
        own = [each for each in trials if each.mutation.kind == kind]
        if own:
            _show_row(kind.name, kind.family, own)
    for family in dict.fromkeys(kind.family for kind in KINDS):
        own = [each for each in trials if each.mutation.kind.family == family]
        if own:
            _show_row(f"all {family}", "", own)
    _show_row("all", "", trials)


def _show_row(name: str, family: str, trials: list[Trial]) -> None:
    count = len(trials)
    line = sum(each.on_line for each in trials) / count
    column = sum(each.at_column for each in trials) / count
    findings = sum(len(each.found) for each in trials) / count
    failed = sum(each.failure is not None for each in trials)
    print(
        f"{name:26}{family:12}{count:5}{line:8.1%}{column:8.1%}{findings:10.2f}"
        f"{failed:8}"
    )


def show_misses(trials: Iterable[Trial]) -> None:
    """Print each mutation that has no finding at its place, or too many."""
    for each in trials:
        if each.at_column and len(each.found) == 1:
            continue
        mutation = each.mutation
        lines = mutation.text.splitlines()
        print(f"\n{mutation.kind.name} of {mutation.path.name}")
        for line, column in mutation.places:
            shown = lines[line - 1] if line <= len(lines) else ""
            print(f"  expected {line}:{column}  {shown[:110]}")
        if each.failure:
            print(f"  failed   {each.failure}")
        for found in each.found:
            print(
                f"  got      {found.line}:{found.column}  [{found.rule}] "
                f"{found.message}  | {found.excerpt[:90]}"
            )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--count", type=int, default=1000)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--misses", action="store_true")
    parser.add_argument("--kind", action="append", help="only these; repeatable")
    options = parser.parse_args()
    chosen = [each for each in KINDS if each.name in (options.kind or (each.name,))]
    drawn = islice(mutations(options.seed, tuple(chosen)), options.count)
    trials = list(try_out(drawn))
    if options.misses:
        show_misses(trials)
        print()
    show(trials)


if __name__ == "__main__":
    main()
