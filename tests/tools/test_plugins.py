"""Tests with a plugin that is installed in the environment of another process."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tomllib
import zipfile
from pathlib import Path
from typing import Any

import pytest

from runner.config.model import AgentConfig, ToolConfig
from runner.errors import ToolError
from runner.tools.plugins import PluginKind, installed_kinds, installed_tools

ROOT = Path(__file__).parents[2]
PACKAGE = Path(__file__).parent / "plugin_package"
AGENT = AgentConfig(path=Path("agent.yaml"), version=1, name="x", prompt="x")

PROGRAM = """
import asyncio, json, sys
from pathlib import Path
from runner.config.model import AgentConfig, ToolConfig
from runner.errors import ToolError
from runner.tools.plugins import installed_kinds
from runner.tools.registry import load_tools

async def main(tools, calls):
    agent = AgentConfig(
        path=Path("agent.yaml"), version=1, name="x", prompt="x",
        tools=tuple(ToolConfig(**each) for each in tools),
    )
    try:
        registry = load_tools(agent, installed_kinds())
    except ToolError as error:
        return {"error": str(error), "hint": error.hint}
    outcomes = [await registry.run(*call) for call in calls]
    await registry.close()
    return {
        "definitions": {d.name: [d.effect, d.timeout] for d in registry.definitions()},
        "outcomes": [outcome.text for outcome in outcomes],
    }

print(json.dumps(asyncio.run(main(*json.load(sys.stdin)))))
"""


@pytest.fixture(scope="module")
def installed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Install the plugin package and return the folder that it is in."""
    target = tmp_path_factory.mktemp("installed")
    wheel = build_wheel(tmp_path_factory.mktemp("wheel"))
    subprocess.run(
        [
            sys.executable, "-m", "pip", "--disable-pip-version-check", "install",
            "--quiet", "--no-index", "--no-deps", "--target", target, wheel,
        ],
        check=True,
        timeout=120,
    )  # fmt: skip
    return target


def build_wheel(folder: Path) -> Path:
    """Build the wheel of the package by hand: a build backend may not be there.

    A wheel is a zip file with a `.dist-info` folder (PEP 427).
    """
    project = tomllib.loads((PACKAGE / "pyproject.toml").read_text())["project"]
    name = f"{project['name'].replace('-', '_')}-{project['version']}"
    entry_points = "\n".join(
        f"[{group}]\n" + "\n".join(f"{key} = {value}" for key, value in entries.items())
        for group, entries in project["entry-points"].items()
    )
    info = {
        "METADATA": f"Metadata-Version: 2.1\nName: {project['name']}\n"
        f"Version: {project['version']}\n",
        "WHEEL": "Wheel-Version: 1.0\nGenerator: test\nRoot-Is-Purelib: true\n"
        "Tag: py3-none-any\n",
        "entry_points.txt": entry_points,
    }
    path = folder / f"{name}-py3-none-any.whl"
    with zipfile.ZipFile(path, "w") as wheel:
        for module in PACKAGE.glob("*.py"):
            wheel.writestr(module.name, module.read_text())
        for file, text in info.items():
            wheel.writestr(f"{name}.dist-info/{file}", text)
        wheel.writestr(f"{name}.dist-info/RECORD", "")
    return path


def run_with(
    installed: Path, tools: list[dict[str, Any]], calls: list[Any] | None = None
) -> dict[str, Any]:
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM],
        input=json.dumps([tools, calls or []]),
        env={**os.environ, "PYTHONPATH": os.pathsep.join([str(installed), str(ROOT)])},
        capture_output=True,
        text=True,
        check=True,
        timeout=120,
    )
    found: dict[str, Any] = json.loads(done.stdout)
    found["stderr"] = done.stderr
    return found


def plugin(settings: object, **fields: Any) -> dict[str, Any]:
    return {"kind": "plugin", "settings": settings, **fields}


def test_a_plugin_works_and_its_broken_parts_break_nothing_else(
    installed: Path,
) -> None:
    found = run_with(
        installed,
        [
            plugin("shop_hours"),
            plugin({"name": "shop_stock", "region": "us"}),
            plugin("shop_ready", timeout=9.0),
            plugin("end_call"),
            {"kind": "fixed", "settings": "forty-two", "name": "answer"},
        ],
        [
            ["shop_hours", {"day": "Sunday"}],
            ["shop_stock", {}],
            ["shop_ready", {}],
            ["answer", {}],
        ],
    )

    assert found["outcomes"] == [
        '"Sunday: nine to five"',
        '{"region":"us","stock":12}',
        "true",
        '"forty-two"',
    ]
    assert found["definitions"]["shop_hours"] == ["write", 4]
    assert found["definitions"]["shop_ready"] == ["read", 9.0]
    for key in ("shattered", "empty", "misnamed", "invalid"):
        assert f"the plugin '{key}' of vagent-shop-plugin" in found["stderr"]


@pytest.mark.parametrize(
    ("tool", "reason"),
    [
        (plugin("shop_broken"), "cannot be loaded: AttributeError"),
        (plugin("shop_number"), "is neither a function nor a tool"),
        (
            {"kind": "shattered", "settings": {}},
            "cannot be loaded: RuntimeError: needs a newer shop",
        ),
        ({"kind": "empty", "settings": {}}, "is not a tool kind"),
        (
            plugin({"name": "shop_stock", "region": "mars"}),
            "refuses its settings: ValueError",
        ),
    ],
)
def test_a_broken_plugin_that_is_used_names_its_distribution(
    installed: Path, tool: dict[str, Any], reason: str
) -> None:
    found = run_with(installed, [tool])

    assert "of vagent-shop-plugin" in found["error"]
    assert reason in found["error"]
    assert "k3y" not in found["error"]


def test_settings_that_a_plugin_does_not_know_are_named(installed: Path) -> None:
    found = run_with(
        installed,
        [
            plugin({"name": "shop_stock", "colour": "red"}),
            plugin({"name": "shop_hours", "x": 1}),
        ],
    )

    assert "unexpected keyword argument 'colour'" in found["error"]
    assert "'shop_hours' takes no settings, but has 'x'" in found["error"]


@pytest.mark.parametrize(
    ("settings", "reason"),
    [
        ("nothing_such", "no plugin named 'nothing_such' is installed"),
        ({}, "has no name"),
        (3, "has no name"),
    ],
)
def test_a_missing_plugin_is_refused(settings: object, reason: str) -> None:
    with pytest.raises(ToolError, match=reason):
        PluginKind().load(ToolConfig(kind="plugin", settings=settings), AGENT)


def test_built_in_tools_and_kinds_are_entry_points() -> None:
    assert {"end_call", "current_time"} <= installed_tools().keys()
    assert {"python", "http", "plugin"} <= installed_kinds().keys()
