"""Architecture: packages import only packages below, and libraries have fixed users."""

from __future__ import annotations

import ast
import subprocess
import sys
from collections.abc import Iterator
from graphlib import TopologicalSorter
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PACKAGE = ROOT / "runner"

# From the bottom to the top. A package imports itself and the packages before it.
PACKAGES = (
    "errors",
    "redaction",
    "hosts",
    "patterns",
    "isolation",
    "safe_files",
    "event_loop",
    "protocol",
    "audio",
    "config",
    "speech",
    "tools",
    "recording",
    "service",
    "observers",
    "engine",
    "hosting",
    "testing",
    "cli",
)
# What `vagent new` writes, and the module that `python -m runner` runs.
OUTSIDE = {"templates", "__main__"}

# A library and the only modules that may import it.
USERS = {
    "yaml": {"runner.config.yaml.parser"},
    "pydantic": {"runner.tools.annotations"},
    "jsonschema": {
        "runner.config.json_schema",
        "runner.config.schema",
        "runner.tools.arguments",
    },
    "websockets": {"runner.engine.transports.websockets", "runner.service.app"},
    "h11": {"runner.service.http", "runner.hosting.server"},
    "picows": {"runner.engine.transports.picows"},
    "python_socks": {"runner.engine.transports.picows"},
    "uvloop": {"runner.cli.run", "runner.cli.serve"},
    "sounddevice": {"runner.audio.portaudio.library"},
    "soundfile": {"runner.audio.files"},
    "soxr": {"runner.audio.resampler"},
    "pywebrtc_audio": {"runner.audio.echo"},
    "prometheus_client": {"runner.observers.metrics", "runner.hosting.metrics"},
    "starlette": {"runner.hosting.asgi", "runner.hosting.access"},
    "uvicorn": {"runner.hosting.server"},
    "opentelemetry": {"runner.observers.tracing"},
    "ctranslate2": {"runner.speech.recognizer"},
    "tokenizers": {"runner.speech.recognizer"},
    "xllamacpp": {"runner.speech.llm.llama"},
    "piper": {"runner.speech.synthesizer"},
    "onnxruntime": {"runner.speech.vad"},
    "pebble": {"runner.testing.pool"},
    "re2": {"runner.patterns"},
    "regex": {"runner.patterns"},
    "psutil": {"runner.cli.doctor_checks.resources"},
}
PURE = {"asyncio", "numpy", "time", "logging", "socket", "os", "random", "threading"}


def modules() -> Iterator[tuple[str, ast.Module]]:
    for path in sorted(PACKAGE.rglob("*.py")):
        parts = path.relative_to(ROOT).with_suffix("").parts
        name = ".".join(parts[:-1] if parts[-1] == "__init__" else parts)
        yield name, ast.parse(path.read_text("utf-8"))


def imports(tree: ast.Module) -> Iterator[str]:
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, "imports are absolute"
            module = node.module or ""
            yield module
            yield from (f"{module}.{alias.name}" for alias in node.names)


MODULES = dict(modules())


def package(module: str) -> str:
    """Returns the part of a module name after `runner`; empty for `runner` itself."""
    return module.partition(".")[2].partition(".")[0]


def own_imports(module: str) -> set[str]:
    """Returns the modules of this project that a module imports."""
    found = set()
    for name in imports(MODULES[module]):
        while name not in MODULES and "." in name:
            name = name.rpartition(".")[0]
        if name in MODULES and name != module:
            found.add(name)
    return found


@pytest.mark.parametrize("module", MODULES)
def test_a_module_imports_only_packages_below_its_own(module: str) -> None:
    own = package(module)
    if not own or own in OUTSIDE:
        return
    assert own in PACKAGES, f"{own} is not in PACKAGES"
    for imported in own_imports(module):
        other = package(imported)
        if other:
            assert PACKAGES.index(other) <= PACKAGES.index(own), (
                f"{module} imports {imported}, which is above it"
            )


def test_no_modules_import_each_other_in_a_cycle() -> None:
    # A package is imported before its modules; that is not a dependency on its content.
    graph = {
        module: {
            each for each in own_imports(module) if not module.startswith(f"{each}.")
        }
        for module in MODULES
    }

    list(TopologicalSorter(graph).static_order())  # raises CycleError


@pytest.mark.parametrize("library", USERS)
def test_a_library_is_imported_only_by_its_users(library: str) -> None:
    users = {
        module
        for module, tree in MODULES.items()
        if any(name.partition(".")[0] == library for name in imports(tree))
    }

    assert users <= USERS[library]


def test_one_module_builds_engines() -> None:
    builders = {
        module
        for module, tree in MODULES.items()
        for node in ast.walk(tree)
        if isinstance(node, ast.Call)
        and isinstance(node.func, ast.Name)
        and node.func.id == "Engine"
    }

    assert builders == {"runner.engine.compose"}


@pytest.mark.parametrize("module", ["runner.testing.setup", "runner.testing.replay"])
def test_a_scripted_test_and_a_replay_load_no_sound_card(module: str) -> None:
    code = f"import sys, {module}; print(*sys.modules)"
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True
    )
    assert not [name for name in done.stdout.split() if "portaudio" in name]


def test_the_protocol_is_pure() -> None:
    for module, tree in MODULES.items():
        if module.startswith("runner.protocol"):
            used = {name.partition(".")[0] for name in imports(tree)}
            assert not used & PURE, f"{module} uses {used & PURE}"
            inside = {name for name in imports(tree) if name.startswith("runner.")}
            assert all(
                name.startswith(("runner.protocol", "runner.errors")) for name in inside
            )


def test_fault_plans_use_no_clock_and_no_sockets() -> None:
    for module, tree in MODULES.items():
        if module.startswith("runner.service.faults") and module not in {
            "runner.service.faults.injector"
        }:
            used = {name.partition(".")[0] for name in imports(tree)}
            # Random numbers come from a seed that the caller gives.
            assert not used & (PURE - {"random"}), f"{module} uses {used & PURE}"
