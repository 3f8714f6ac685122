from __future__ import annotations

import os
from pathlib import Path

import pytest

from runner.errors import UsageError
from runner.speech import threads
from runner.speech.threads import MAX_THREADS, count_threads, parse_cores


@pytest.fixture
def machine(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """A machine whose cores a test sets; returns its list of performance cores."""
    monkeypatch.delenv("VAGENT_THREADS", raising=False)
    monkeypatch.setattr("sys.platform", "linux")
    listed = tmp_path / "cpus"
    monkeypatch.setattr(threads, "_PERFORMANCE_CORES", listed)
    return listed


def set_cores(monkeypatch: pytest.MonkeyPatch, count: int) -> None:
    cores = set(range(count))
    monkeypatch.setattr(os, "sched_getaffinity", lambda process: cores, raising=False)


@pytest.mark.parametrize(
    ("cores", "expected"), [(1, 1), (2, 1), (3, 2), (8, 7), (64, MAX_THREADS)]
)
def test_one_core_is_left_to_other_work(
    machine: Path, monkeypatch: pytest.MonkeyPatch, cores: int, expected: int
) -> None:
    set_cores(monkeypatch, cores)
    assert count_threads() == expected


def test_efficiency_cores_do_not_count(
    machine: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    set_cores(monkeypatch, 12)
    machine.write_text("0-3\n")
    assert count_threads() == 3


def test_performance_cores_that_are_not_usable_do_not_count(
    machine: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    set_cores(monkeypatch, 4)
    machine.write_text("2-9")
    assert count_threads() == 1
    machine.write_text("8-9")
    assert count_threads() == 3


def test_the_variable_sets_the_number(
    machine: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("VAGENT_THREADS", "12")
    assert count_threads() == 12


@pytest.mark.parametrize("wanted", ["0", "-1", "two", "1.5", "9999999999"])
def test_an_invalid_number_is_refused(
    monkeypatch: pytest.MonkeyPatch, wanted: str
) -> None:
    monkeypatch.setenv("VAGENT_THREADS", wanted)
    with pytest.raises(UsageError, match=f"VAGENT_THREADS is '{wanted}'"):
        count_threads()


@pytest.mark.parametrize(
    ("text", "cores"), [("0", {0}), ("0-2", {0, 1, 2}), ("0-1,4\n", {0, 1, 4})]
)
def test_lists_of_cores_are_read(text: str, cores: set[int]) -> None:
    assert parse_cores(text) == cores
