from __future__ import annotations

from pathlib import Path

from runner.doctor.findings import State
from runner.doctor.memory import (
    existing_parent,
    free_memory,
    judge_disk,
    judge_memory,
    read_group,
    read_meminfo,
    read_vm_stat,
)
from runner.doctor.platforms import Platform

GB = 10**9
VM_STAT = """Mach Virtual Memory Statistics: (page size of 16384 bytes)
Pages free:                               10000.
Pages active:                            300000.
Pages inactive:                           20000.
Pages speculative:                         1000.
Pages wired down:                        100000.
Pages purgeable:                            500.
"""


def test_enough_memory_is_fine() -> None:
    finding = judge_memory(8 * GB, 2 * GB, is_needed=True)

    assert finding.state is State.OK
    assert finding.detail == "8.0 GB free, the local models need about 2.0 GB"


def test_too_little_memory_counts_only_where_models_are_loaded() -> None:
    needed = judge_memory(GB, 2 * GB, is_needed=True)
    spare = judge_memory(GB, 2 * GB, is_needed=False)

    assert needed.state is State.FAILED
    assert needed.fix is not None
    assert (spare.state, spare.detail) == (State.OK, "1.0 GB free")


def test_a_system_that_does_not_tell_is_no_fault() -> None:
    assert judge_memory(None, GB, is_needed=True).state is State.SKIPPED


def test_each_system_is_read_in_its_own_words() -> None:
    meminfo = "MemTotal:       32768000 kB\nMemAvailable:   16000000 kB\n"

    assert read_meminfo(meminfo) == 16_000_000 * 1024
    assert read_meminfo("MemTotal: 1 kB\n") is None
    assert read_vm_stat(VM_STAT) == 16_384 * 31_500
    assert read_vm_stat("") is None


def test_a_container_has_what_its_limit_leaves() -> None:
    assert read_group("2000000000\n", "500000000\n") == 1_500_000_000
    assert read_group("1000\n", "2000\n") == 0
    assert read_group("max\n", "500000000\n") is None


def test_this_machine_has_some_memory() -> None:
    free = free_memory()

    assert free is not None
    assert free > 0


def test_a_disk_must_hold_what_is_still_to_come() -> None:
    folder = Path("models")
    linux, windows = Platform("linux"), Platform("win32")

    assert judge_disk(folder, GB, 0, linux).detail == "1.0 GB free in models"
    assert judge_disk(folder, 3 * GB, 2 * GB, linux).state is State.OK
    short = judge_disk(folder, GB, 2 * GB, linux)
    assert short.state is State.FAILED
    assert short.fix == "export VAGENT_MODELS=FOLDER-ON-ANOTHER-DISK"
    fix = judge_disk(folder, GB, 2 * GB, windows).fix or ""
    assert fix.startswith("$env:VAGENT_MODELS")


def test_the_disk_is_that_of_the_nearest_folder_that_is_there(tmp_path: Path) -> None:
    assert existing_parent(tmp_path / "a" / "b") == tmp_path
    assert existing_parent(tmp_path) == tmp_path
