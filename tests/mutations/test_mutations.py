"""Each kind of mutation once: where the findings stand, and how many there are.

`python benchmarks/placement.py` measures the same with as many as you like.
"""

from __future__ import annotations

from itertools import islice

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.mutations.table import KINDS, Kind, mutations, subjects
from tests.mutations.trial import Range, Trial, try_out

FAMILIES = ("yaml", "schema", "references", "tools", "craft", "security")


@pytest.fixture(scope="module")
def trials() -> list[Trial]:
    chosen = tuple(kind for kind in KINDS if kind.family in FAMILIES)
    return list(try_out(islice(mutations(5, chosen), 2 * len(chosen))))


def test_there_are_many_kinds_and_each_can_be_applied() -> None:
    drawn = islice(mutations(1), len(KINDS))
    assert {each.kind for each in drawn} == set(KINDS)
    assert len(KINDS) >= 80
    assert len(subjects()) >= 30


def test_the_same_seed_gives_the_same_mutations() -> None:
    first, second = (list(islice(mutations(3), 20)) for _ in range(2))
    assert first == second
    assert first != list(islice(mutations(4), 20))


def test_a_mutation_changes_the_file_only_where_it_says() -> None:
    for each in islice(mutations(2), len(KINDS)):
        valid = each.path.read_bytes().decode("utf-8-sig")
        assert each.text != valid
        lines = each.text.splitlines()
        assert all(1 <= line <= len(lines) + 1 for line, _ in each.places)


def test_a_finding_is_at_the_changed_place(trials: list[Trial]) -> None:
    off_line = [name_of(each) for each in trials if not each.on_line]
    off_column = [name_of(each) for each in trials if not each.at_column]
    assert len(off_line) <= len(trials) // 100, off_line
    assert len(off_column) <= len(trials) // 20, off_column


def test_one_fault_gives_little_more_than_one_finding(trials: list[Trial]) -> None:
    assert sum(len(each.found) for each in trials) <= 1.2 * len(trials)


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Range:
    return Range(tmp_path_factory.mktemp("mutations"))


@settings(max_examples=150, deadline=None)
@given(kind=st.sampled_from(KINDS), seed=st.integers(0, 2**32))
def test_no_mutation_ends_in_an_exception(home: Range, kind: Kind, seed: int) -> None:
    assert home.try_out(next(mutations(seed, (kind,)))).failure is None


def name_of(trial: Trial) -> str:
    mutation = trial.mutation
    found = [f"{each.line}:{each.column} {each.rule}" for each in trial.found]
    return f"{mutation.kind.name} of {mutation.path.name}: {mutation.places} {found}"
