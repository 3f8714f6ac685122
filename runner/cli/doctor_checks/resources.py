"""Checks memory, disk space, model files and ports."""

from __future__ import annotations

import shutil
import socket
from collections.abc import Iterator
from pathlib import Path

from runner.cli.doctor_checks.context import local_of, uses_local_service
from runner.cli.doctor_checks.model import (
    CheckResult,
    DoctorOptions,
    Platform,
    failed,
    passed,
    skipped,
    this_platform,
)
from runner.errors import os_error_text
from runner.speech.llm.servers import find_servers
from runner.speech.models import (
    FOLDER_VARIABLE,
    ModelStore,
    memory_for,
    needed_models,
    open_model_store,
)

HOST = "127.0.0.1"
SERVE_PORT = 8765  # the default of `vagent service`
# Limit and usage of the memory of a container: control groups version 2, then 1.
_GROUPS = (
    ("/sys/fs/cgroup/memory.max", "/sys/fs/cgroup/memory.current"),
    (
        "/sys/fs/cgroup/memory/memory.limit_in_bytes",
        "/sys/fs/cgroup/memory/memory.usage_in_bytes",
    ),
)

# -------------------------------------------------------------------- memory and disk


def check_memory(options: DoctorOptions) -> Iterator[CheckResult]:
    """Compares the free memory with what the local models need."""
    weights = open_model_store()
    names = needed_models(weights, local_of(options))
    need = memory_for([weights.manifest[name] for name in names])
    yield judge_memory(free_memory(), need, is_needed=uses_local_service(options))


def check_disk(options: DoctorOptions) -> Iterator[CheckResult]:
    """Compares the free disk space with the size of the models to download."""
    weights = open_model_store()
    needed = needed_models(weights, local_of(options))
    absent = [name for name in needed if not weights.status(name).present]
    is_needed = uses_local_service(options)
    need = sum(weights.manifest[name].size for name in absent) if is_needed else 0
    free = shutil.disk_usage(existing_parent(weights.folder)).free
    yield judge_disk(weights.folder, free, need, this_platform())


def judge_memory(free: int, need: int, *, is_needed: bool) -> CheckResult:
    """Returns the result for `free` bytes of memory; `need` counts if `is_needed`."""
    detail = f"{_gigabytes(free)} free"
    if is_needed:
        detail += f", the local models need about {_gigabytes(need)}"
        if free < need:
            fix = "close other programs, or use another service: --service assemblyai"
            return failed("memory", detail, fix)
    return passed("memory", detail)


def judge_disk(folder: Path, free: int, need: int, platform: Platform) -> CheckResult:
    """Returns the result for `free` bytes with `need` bytes to download."""
    detail = f"{_gigabytes(free)} free in {folder}"
    if need:
        detail += f", the models to download take {_gigabytes(need)}"
    if free >= need:
        return passed("disk", detail)
    fix = platform.set_variable(FOLDER_VARIABLE, "FOLDER-ON-ANOTHER-DISK")
    return failed("disk", detail, fix)


def free_memory() -> int:
    """Returns the number of bytes that programs can allocate, also in a container."""
    import psutil  # only here: the other checks work without it

    left = (_group_left(Path(limit), Path(used)) for limit, used in _GROUPS)
    known = (each for each in left if each is not None)
    return min([psutil.virtual_memory().available, *known])


def read_group(limit: str, used: str) -> int | None:
    """Returns the bytes that a control group leaves, None if it has no limit."""
    if not (limit.strip().isdecimal() and used.strip().isdecimal()):  # "max"
        return None
    return max(0, int(limit) - int(used))


def existing_parent(folder: Path) -> Path:
    """Returns the folder, or its nearest parent that exists."""
    absolute = folder.absolute()
    return next(each for each in (absolute, *absolute.parents) if each.exists())


def _group_left(limit: Path, used: Path) -> int | None:
    try:
        return read_group(limit.read_text("ascii"), used.read_text("ascii"))
    except OSError:
        return None


def _gigabytes(size: float) -> str:
    return f"{size / 1e9:.1f} GB"


# ------------------------------------------------------------------------ model files


def check_models(options: DoctorOptions) -> Iterator[CheckResult]:
    """Verifies the hashes of the model files and names those that are missing."""
    weights = open_model_store()
    is_needed = uses_local_service(options)
    local = local_of(options)
    yield from judge_models(weights, needed_models(weights, local) if is_needed else [])
    names = (local.tts, local.stt, local.llm.name) if is_needed else ()
    for name in names:
        if name and name not in ("auto", "rules") and name not in weights.manifest:
            yield _judge_path(name)


def judge_models(weights: ModelStore, needed: list[str]) -> Iterator[CheckResult]:
    """Yields a result for each model; a missing one fails if it is in `needed`."""
    for model in weights.manifest.models.values():
        name = f"model-{model.name}"
        status = weights.status(model.name, rehash=True)
        problem = status.problem or ""
        fix = f"vagent models fetch {model.name}"
        if status.present:
            size = f"{model.size / 1e6:,.0f} MB"
            yield passed(name, f"{model.purpose}, {size}, hash verified")
        elif model.name in needed or "damaged" in problem:
            yield failed(name, f"{model.purpose}: {problem}", fix)
        else:
            yield skipped(name, f"{model.purpose}: {problem}, and not needed", fix)


def _judge_path(name: str) -> CheckResult:
    """Returns the result for a model that the agent file names by its path."""
    path = Path(name).expanduser()
    if path.exists():
        return passed(f"model-{path.name}", f"{path}")
    return failed(
        f"model-{path.name}",
        f"'{name}' is neither the name of a model nor the path of one",
        "vagent models list",
    )


def check_llm_servers(options: DoctorOptions) -> Iterator[CheckResult]:
    """Lists servers of language models on this machine that an agent could use."""
    local = local_of(options)
    for server in find_servers():
        name = f"llm-{server.name.lower().replace(' ', '-')}"
        detail = f"{server.name} answers at {server.url} (model {server.model})"
        if local.llm.url is None:
            detail += f"; an agent uses it with: {server.yaml}"
        yield passed(name, detail)


# ------------------------------------------------------------------------------ ports


def check_ports(options: DoctorOptions) -> Iterator[CheckResult]:
    """Listens for a moment on any port and on the ports that must be free."""
    yield judge_loopback(HOST)
    for port in dict.fromkeys((SERVE_PORT, *options.ports)):
        yield judge_port(port, is_required=port in options.ports)


def judge_loopback(host: str) -> CheckResult:
    """Returns a failure if no server can listen on `host`, as local calls need."""
    try:
        with socket.create_server((host, 0)) as server:
            port = server.getsockname()[1]
    except OSError as error:
        return failed(
            "loopback",
            f"cannot listen on {host}: {os_error_text(error)}",
            "let the firewall, or the sandbox, allow connections to 127.0.0.1",
        )
    return passed("loopback", f"can listen on {host} (was given port {port})")


def judge_port(port: int, *, is_required: bool) -> CheckResult:
    """Returns the result for a port; one in use fails only if `is_required`.

    The default port of `vagent service` is often used by a server that is running.
    """
    name = f"port-{port}"
    about = " (the default of vagent service)" if port == SERVE_PORT else ""
    try:
        with socket.create_server((HOST, port)):
            return passed(name, f"free{about}")
    except OSError as error:
        detail = f"not available{about}: {os_error_text(error)}"
    if is_required:
        return failed(name, detail, "choose another port, or end what uses this one")
    return skipped(name, detail, "vagent service --port 0")
