"""How much memory is free for a server with its models, and on which disk they lie."""

from __future__ import annotations

import ctypes
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

from runner.doctor.findings import Finding, failed, passed, skipped
from runner.doctor.platforms import Platform, this_platform
from runner.doctor.surroundings import local_of, service_of
from runner.doctor.wishes import Wishes
from runner.speech.models import (
    FOLDER_VARIABLE,
    ModelStore,
    memory_for,
    needed_models,
    open_model_store,
)

_VM_STAT_SECONDS = 5.0
# What a container may use, and uses: version 2 of Linux's control groups, then 1.
_GROUPS = (
    ("/sys/fs/cgroup/memory.max", "/sys/fs/cgroup/memory.current"),
    (
        "/sys/fs/cgroup/memory/memory.limit_in_bytes",
        "/sys/fs/cgroup/memory/memory.usage_in_bytes",
    ),
)


def check_memory(wishes: Wishes) -> Iterator[Finding]:
    """Look at the free memory, for the models that this machine would load."""
    weights = open_model_store()
    names = needed_models(weights, local_of(wishes))
    need = memory_for([weights.manifest[name] for name in names])
    service = service_of(wishes)
    is_needed = service is None or service.url is None
    yield judge_memory(free_memory(), need, is_needed=is_needed)


def check_disk(wishes: Wishes) -> Iterator[Finding]:
    """Look at the room where the models lie, for those that are still to come."""
    weights = open_model_store()
    service = service_of(wishes)
    is_needed = service is None or service.url is None
    names = needed_models(weights, local_of(wishes)) if is_needed else []
    need = _still_to_come(weights, names)
    place = existing_parent(weights.folder)
    free = shutil.disk_usage(place).free
    yield judge_disk(weights.folder, free, need, this_platform())


def judge_memory(free: int | None, need: int, *, is_needed: bool) -> Finding:
    """Judge so many free bytes, None when the system does not tell."""
    if free is None:
        return skipped("memory", "this system does not say how much is free")
    detail = f"{_gigabytes(free)} free"
    if not is_needed:
        return passed("memory", detail)
    detail += f", the local models need about {_gigabytes(need)}"
    if free >= need:
        return passed("memory", detail)
    return failed(
        "memory",
        detail,
        "close other programs, or let another service answer: --service assemblyai",
    )


def judge_disk(folder: Path, free: int, need: int, platform: Platform) -> Finding:
    """Judge so many free bytes, where `need` are still to be fetched."""
    detail = f"{_gigabytes(free)} free in {folder}"
    if not need:
        return passed("disk", detail)
    detail += f", the models to fetch take {_gigabytes(need)}"
    if free >= need:
        return passed("disk", detail)
    fix = platform.set_variable(FOLDER_VARIABLE, "FOLDER-ON-ANOTHER-DISK")
    return failed("disk", detail, fix)


def free_memory() -> int | None:
    """Return how many bytes programs can have, None when the system does not tell."""
    if sys.platform == "win32":
        return _windows_memory()
    if sys.platform == "darwin":
        told = subprocess.run(
            ["vm_stat"], capture_output=True, text=True, timeout=_VM_STAT_SECONDS
        )
        return read_vm_stat(told.stdout)
    try:
        free = read_meminfo(Path("/proc/meminfo").read_text("ascii"))
    except OSError:
        return None
    left = [_group_left(Path(most), Path(used)) for most, used in _GROUPS]
    known = [each for each in (free, *left) if each is not None]
    return min(known, default=None)


def read_meminfo(text: str) -> int | None:
    """Return the bytes that Linux's meminfo says are available."""
    found = re.search(r"^MemAvailable:\s+(\d+) kB$", text, re.MULTILINE)
    return int(found[1]) * 1024 if found else None


def read_vm_stat(text: str) -> int | None:
    """Return the bytes that macOS's vm_stat says are free or can be freed at once."""
    size = re.search(r"page size of (\d+) bytes", text)
    kinds = "free|inactive|speculative|purgeable"
    pages = re.findall(rf"^Pages (?:{kinds}):\s+(\d+)\.$", text, re.MULTILINE)
    return int(size[1]) * sum(map(int, pages)) if size and pages else None


def read_group(most: str, used: str) -> int | None:
    """Return the bytes that a control group leaves, None when it has no limit."""
    if not (most.strip().isdecimal() and used.strip().isdecimal()):  # "max"
        return None
    return max(0, int(most) - int(used))


def existing_parent(folder: Path) -> Path:
    """Return the folder, or the nearest one above it that is there."""
    absolute = folder.absolute()
    return next(each for each in (absolute, *absolute.parents) if each.exists())


def _group_left(most: Path, used: Path) -> int | None:
    try:
        return read_group(most.read_text("ascii"), used.read_text("ascii"))
    except OSError:
        return None


def _windows_memory() -> int | None:
    class Status(ctypes.Structure):
        """MEMORYSTATUSEX of the Windows API."""

        _fields_ = (  # by ctypes' own name
            ("length", ctypes.c_ulong),
            ("load", ctypes.c_ulong),
            *((name, ctypes.c_ulonglong) for name in ("total", "available")),
            *((name, ctypes.c_ulonglong) for name in ("pages", "pages_available")),
            *((name, ctypes.c_ulonglong) for name in ("space", "space_available")),
            ("extended", ctypes.c_ulonglong),
        )

    status = Status(length=ctypes.sizeof(Status))
    # By a variable: only on Windows does the module have it.
    library = vars(ctypes)["windll"].kernel32
    told = library.GlobalMemoryStatusEx(ctypes.byref(status))
    return int(status.available) if told else None


def _still_to_come(weights: ModelStore, names: list[str]) -> int:
    absent = [name for name in names if not weights.status(name).present]
    return sum(weights.manifest[name].size for name in absent)


def _gigabytes(size: float) -> str:
    return f"{size / 1e9:.1f} GB"
