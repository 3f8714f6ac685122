"""The house: imports go down only, and each outside library has its rooms."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
PACKAGE = ROOT / "runner"

# Higher floors may import lower ones and themselves; the first match counts.
FLOORS: list[tuple[str, int]] = [
    ("runner", 0),
    ("runner.errors", 0),
    ("runner.hosts", 0),
    ("runner.redaction", 0),
    ("runner.protocol", 1),
    ("runner.config.model", 1),
    ("runner.audio.pcm", 1),
    ("runner.audio.devices", 1),
    ("runner.speech.interfaces", 1),
    ("runner.config", 2),
    ("runner.audio", 2),
    ("runner.speech", 2),
    ("runner.cli.schema", 2),
    ("runner.config.settings", 2),
    ("runner.cli.device_preferences", 2),
    ("runner.checking", 3),
    ("runner.recording", 3),
    ("runner.observers", 3),
    ("runner.observers.call_stats", 3),
    ("runner.scenarios", 3),
    ("runner.service", 3),
    ("runner.service.faults.injector", 4),
    ("runner.cli.new", 3),
    ("runner.tools", 3),
    ("runner.checking", 3),
    ("runner.engine.agent", 4),
    ("runner.engine.connection", 4),
    ("runner.engine.engine", 4),
    ("runner.engine.engine", 4),
    ("runner.engine.engine", 4),
    ("runner.engine.transports", 4),
    ("runner.engine.services", 4),
    ("runner.server", 4),
    ("runner.engine.agent", 5),
    ("runner.engine.controls", 5),
    ("runner.engine.hot_reload", 5),
    ("runner.engine.toolset", 5),
    ("runner.observers.call_stats", 5),
    ("runner.engine.caller", 5),
    ("runner.engine.audio_setup", 5),
    ("runner.engine.caller", 5),
    ("runner.engine.audio_setup", 5),
    ("runner.telemetry", 5),
    ("runner.observers.call_stats", 6),
    ("runner.engine.controls", 6),
    ("runner.engine.toolset", 6),
    ("runner.engine.hot_reload", 6),
    ("runner.engine.audio_setup", 6),
    ("runner.engine.compose", 6),
    ("runner.engine.compose", 7),
    ("runner.testing", 8),
    ("runner.replaying", 8),
    ("runner.comparing", 8),
    ("runner.cli", 9),
    ("runner.templates", 10),  # what `vagent new` writes; nothing here imports it
    ("runner.__main__", 10),
]

# An outside library and the only modules that may import it.
ROOMS = {
    "yaml": {"runner.config.yaml.parser"},
    "pydantic": {"runner.tools.annotations"},
    "jsonschema": {"runner.config.schema", "runner.tools.arguments"},
    "websockets": {"runner.engine.transports.websockets", "runner.service.app"},
    "picows": {"runner.engine.transports.picows"},
    "python_socks": {"runner.engine.transports.picows"},
    "uvloop": {"runner.cli.run"},
    "sounddevice": {"runner.audio.portaudio.library"},
    "soundfile": {"runner.audio.files"},
    "soxr": {"runner.audio.resampler"},
    "pywebrtc_audio": {"runner.audio.echo"},
    "prometheus_client": {"runner.observers.metrics"},
    "opentelemetry": {"runner.observers.tracing"},
    "ctranslate2": {"runner.speech.recognizer"},
    "tokenizers": {"runner.speech.recognizer"},
    "xllamacpp": {"runner.speech.llm.llama"},
    "piper": {"runner.speech.synthesizer"},
    "onnxruntime": {"runner.speech.vad"},
    "pebble": {"runner.testing.pool"},
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


def floor(module: str) -> int | None:
    names = dict(FLOORS)
    while module:
        if module in names:
            return names[module]
        module = module.rpartition(".")[0]
        if module == "runner":
            return None
    return None


MODULES = dict(modules())


@pytest.mark.parametrize("module", MODULES)
def test_every_module_has_a_floor_and_imports_go_down_only(module: str) -> None:
    own = floor(module)
    assert own is not None, f"{module} stands on no floor: add it to FLOORS"
    for imported in imports(MODULES[module]):
        if imported.partition(".")[0] == "runner":
            other = floor(imported)
            if other is None:
                other = floor(imported.rpartition(".")[0]) or 0
            assert other <= own, f"{module} imports {imported} from above"


@pytest.mark.parametrize("library", ROOMS)
def test_an_outside_library_stays_in_its_rooms(library: str) -> None:
    users = {
        module
        for module, tree in MODULES.items()
        if any(name.partition(".")[0] == library for name in imports(tree))
    }

    assert users <= ROOMS[library]


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
