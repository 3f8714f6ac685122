from __future__ import annotations

from pathlib import Path

from runner.cli.doctor_checks.model import Platform, State
from runner.cli.doctor_checks.resources import (
    existing_parent,
    free_memory,
    judge_disk,
    judge_memory,
    read_group,
)

GB = 10**9


def test_enough_memory_passes() -> None:
    result = judge_memory(8 * GB, 2 * GB, is_needed=True)

    assert result.state is State.OK
    assert result.detail == "8.0 GB free, the local models need about 2.0 GB"


def test_too_little_memory_fails_only_if_models_are_loaded() -> None:
    needed = judge_memory(GB, 2 * GB, is_needed=True)
    spare = judge_memory(GB, 2 * GB, is_needed=False)

    assert needed.state is State.FAILED
    assert needed.fix is not None
    assert (spare.state, spare.detail) == (State.OK, "1.0 GB free")


def test_a_container_has_the_memory_that_its_limit_leaves() -> None:
    assert read_group("2000000000\n", "500000000\n") == 1_500_000_000
    assert read_group("1000\n", "2000\n") == 0
    assert read_group("max\n", "500000000\n") is None


def test_this_machine_has_some_memory() -> None:
    assert free_memory() > 0


def test_a_disk_needs_space_for_the_models_to_download() -> None:
    folder = Path("models")
    linux, windows = Platform("linux"), Platform("win32")

    assert judge_disk(folder, GB, 0, linux).detail == "1.0 GB free in models"
    assert judge_disk(folder, 3 * GB, 2 * GB, linux).state is State.OK
    short = judge_disk(folder, GB, 2 * GB, linux)
    assert short.state is State.FAILED
    assert short.fix == "export VAGENT_MODELS=FOLDER-ON-ANOTHER-DISK"
    fix = judge_disk(folder, GB, 2 * GB, windows).fix or ""
    assert fix.startswith("$env:VAGENT_MODELS")


def test_the_disk_is_that_of_the_nearest_existing_folder(tmp_path: Path) -> None:
    assert existing_parent(tmp_path / "a" / "b") == tmp_path
    assert existing_parent(tmp_path) == tmp_path
