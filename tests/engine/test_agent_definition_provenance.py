from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from runner.config.model import AgentConfig, ToolConfig
from runner.config.provenance import Origin
from runner.engine.agent import default_origin, definition_origins
from runner.tools.plugins import ConfiguredTool
from runner.tools.python import load_function
from runner.tools.tool import ToolDefinition, tool

AGENT = AgentConfig(Path(__file__), 1, "a", "Be brief.")
PYTHON = ToolConfig("python", "test_agent_definition_provenance.py:plain")
PLUGIN = ToolConfig("plugin", {"name": "stock", "region": "eu"})


def plain(day: str) -> str:
    return day


@tool(effect="write", timeout=5, on_interrupt="cancel", description="Book.")
def marked() -> None: ...


class Stock:
    definition = ToolDefinition("stock", "", {}, 30.0, "read", "finish")

    def run(self, arguments: Mapping[str, Any]) -> object:
        return 12


def line(function: Any) -> int:
    return int(function.__code__.co_firstlineno)


def test_a_function_without_a_word_leaves_defaults() -> None:
    found = definition_origins(load_function(plain, PYTHON, "plain"), PYTHON, {}, AGENT)
    signature = Origin("signature", "test_agent_definition_provenance.py", line(plain))
    assert found == {
        ("name",): signature,
        ("description",): Origin("default", detail="empty"),
        ("parameters",): signature,
        ("timeout",): Origin("default"),
        ("effect",): Origin("default"),
        ("on_interrupt",): Origin("default", detail="by its effect"),
        ("announce",): Origin("default", detail="not announced"),
    }


def test_what_a_mark_says_is_from_the_mark() -> None:
    loaded = load_function(marked, PYTHON, "marked")
    found = definition_origins(loaded, PYTHON, {}, AGENT)
    mark = Origin("mark", "test_agent_definition_provenance.py", line(marked))
    said = {path for path, origin in found.items() if origin == mark}
    assert said == {("description",), ("timeout",), ("effect",), ("on_interrupt",)}


def test_what_the_file_says_is_left_to_it() -> None:
    written = {"name": "x", "timeout": "8s", "effect": "read", "announce": "Wait."}
    config = replace(PYTHON, name="x", timeout=8.0, effect="read", announce="Wait.")
    found = definition_origins(
        load_function(marked, config, "marked"), config, written, AGENT
    )
    assert set(found) == {("description",), ("parameters",), ("on_interrupt",)}


def test_the_file_overrules_the_tool_also_with_the_usual_timeout() -> None:
    config = replace(PYTHON, timeout=30.0)
    loaded = load_function(marked, config, "marked")
    assert loaded.definition.timeout == 30
    found = definition_origins(loaded, config, {"timeout": "30s"}, AGENT)
    assert ("timeout",) not in found


def test_what_an_installed_tool_says_is_the_plugins() -> None:
    stock = ConfiguredTool(Stock.definition, Stock())
    found = definition_origins(stock, PLUGIN, {}, AGENT)
    plugin = Origin("plugin", detail="stock")
    said = {path for path, origin in found.items() if origin == plugin}
    assert said == {("name",), ("on_interrupt",)}
    assert found["parameters",] == Origin("default", detail="takes no arguments")


def test_a_callable_object_has_no_line() -> None:
    class Look:
        def __call__(self, day: str) -> str:
            return day

    found = definition_origins(load_function(Look(), PYTHON, "look"), PYTHON, {}, AGENT)
    assert found["name",] == Origin("signature")


def test_a_default_says_what_it_comes_to_where_it_is_empty() -> None:
    definition = ToolDefinition("a", "Look.", {}, announce="Wait.")
    assert default_origin("announce", definition) == Origin("default")
    assert default_origin("parameters", definition).detail == "takes no arguments"
