from __future__ import annotations

import os
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from runner.config.model import AgentConfig, ToolConfig
from runner.errors import ToolError
from runner.tools.python import PythonKind, find_file
from runner.tools.registry import ToolRegistry, load_tools
from runner.tools.tool import Tool

Load = Callable[..., Tool]


@pytest.fixture
def agent(tmp_path: Path) -> AgentConfig:
    folder = tmp_path / "agents"
    (folder / "tools").mkdir(parents=True)
    return AgentConfig(path=folder / "a.yaml", version=1, name="x", prompt="x")


def write(agent: AgentConfig, text: str, name: str = "tools/t.py") -> None:
    (agent.folder / name).write_text(text, "utf-8")


def load(agent: AgentConfig, reference: str = "tools/t.py:f", **fields: Any) -> Tool:
    config = ToolConfig(kind="python", settings=reference, **fields)
    return PythonKind().load(config, agent)


async def result_of(tool: Tool, **arguments: Any) -> str:
    registry = ToolRegistry([tool])
    outcome = await registry.run(tool.definition.name, arguments)
    await registry.close()
    return outcome.text


async def test_a_function_in_a_file_is_a_tool(
    agent: AgentConfig,
) -> None:
    write(agent, 'def f(a: int = 1) -> int:\n    """Count."""\n    return a + 1')

    tool = load(agent)

    assert (tool.definition.name, tool.definition.description) == ("f", "Count.")
    assert await result_of(tool, a=2) == "3"


async def test_siblings_are_imported_relatively_without_sys_path(
    agent: AgentConfig,
) -> None:
    write(agent, "RATE = 3", "tools/prices.py")
    write(agent, "from .prices import RATE\ndef f() -> int: return RATE")
    before = list(sys.path)

    assert await result_of(load(agent)) == "3"
    assert sys.path == before
    assert "prices" not in sys.modules


def test_a_plain_import_of_a_sibling_has_a_hint(agent: AgentConfig) -> None:
    write(agent, "RATE = 3", "tools/prices_.py")
    write(agent, "\nimport prices_\ndef f(): ...")

    with pytest.raises(ToolError, match=r"t\.py:2: no module named 'prices_'") as error:
        load(agent)
    assert error.value.hint == (
        "import a file of the same folder with `from . import prices_`"
    )


async def test_dataclasses_and_postponed_annotations_work(agent: AgentConfig) -> None:
    write(
        agent,
        "from __future__ import annotations\n"
        "from dataclasses import dataclass\n"
        "@dataclass\nclass P:\n    x: int\n"
        "def f(p: P) -> int: return p.x",
    )

    assert await result_of(load(agent), p={"x": 7}) == "7"


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("def f(:", r"t\.py:1: invalid syntax"),
        ("x = 1\n1 / 0", r"t\.py:2: ZeroDivisionError: division by zero"),
        ("import nothing_such", r"t\.py:1: no module named 'nothing_such'"),
        ("import sys\nsys.exit(0)", r"t\.py:2: the file ends the program"),
        ("def g(): ...", r"there is no function 'f' in t\.py"),
        ("f = 3", "'f' in t.py is not a function"),
        ("class f: ...", "'f' in t.py is a class"),
        ("def f(a): ...", "parameter 'a' has no annotation"),
        ("\0", "null bytes"),
    ],
)
def test_a_file_that_cannot_be_imported_is_reported_with_the_line(
    agent: AgentConfig, text: str, reason: str
) -> None:
    write(agent, text)

    with pytest.raises(ToolError, match=reason):
        load(agent)


def test_a_file_with_invalid_encoding_is_refused(agent: AgentConfig) -> None:
    (agent.folder / "tools/t.py").write_bytes(b"X = '\xff'\ndef f(): ...")

    with pytest.raises(ToolError, match=r"t\.py"):
        load(agent)


def test_a_misspelt_function_has_a_suggestion(agent: AgentConfig) -> None:
    write(agent, "def get_weather(): ...")

    with pytest.raises(ToolError) as error:
        load(agent, "tools/t.py:get_wether")
    assert error.value.hint == "did you mean 'get_weather'?"


def test_output_of_an_import_goes_to_stderr(
    agent: AgentConfig, capsys: pytest.CaptureFixture[str]
) -> None:
    write(agent, "print('hello')\ndef f(): ...")

    load(agent)

    assert capsys.readouterr() == ("", "hello\n")


@pytest.mark.parametrize(
    ("reference", "reason"),
    [
        ("tools/t.py", "does not name a function"),
        ("tools/t.py:", "does not name a function"),
        ("tools/t.py:a.b", "does not name a function"),
        (":f", "does not name a function"),
        ("os:system", "there is no file 'os'"),
        ("tools/none.py:f", "there is no file"),
        ("tools:f", "there is no file"),
        ("../outside.py:f", "outside the agent's folder"),
        ("tools/../../outside.py:f", "outside the agent's folder"),
        ("\0:f", "is not a valid path"),
    ],
)
def test_only_files_below_the_agent_are_accepted(
    agent: AgentConfig, reference: str, reason: str
) -> None:
    (agent.folder.parent / "outside.py").write_text("def f(): ...")

    with pytest.raises(ToolError, match=reason):
        find_file(reference, agent.folder)


def test_an_absolute_path_outside_is_refused(agent: AgentConfig) -> None:
    outside = agent.folder.parent / "outside.py"
    outside.write_text("def f(): ...")

    with pytest.raises(ToolError, match="outside the agent's folder"):
        find_file(f"{outside}:f", agent.folder)


@pytest.mark.skipif(os.name == "nt", reason="links need a right there")
def test_a_link_to_a_file_outside_is_refused(agent: AgentConfig) -> None:
    (agent.folder.parent / "outside.py").write_text("def f(): ...")
    (agent.folder / "tools/t.py").symlink_to(agent.folder.parent / "outside.py")

    with pytest.raises(ToolError, match="outside the agent's folder"):
        load(agent)


@pytest.mark.skipif(os.name == "nt", reason="links need a right there")
def test_an_agent_behind_a_link_has_its_tools(agent: AgentConfig) -> None:
    write(agent, "def f(): ...")
    link = agent.folder.parent / "link"
    link.symlink_to(agent.folder, target_is_directory=True)

    assert find_file("tools/t.py:f", link)[0] == agent.folder / "tools/t.py"


def reloaded(agent: AgentConfig) -> AgentConfig:
    """Return the agent as a second reading of its file gives it."""
    return AgentConfig(
        path=agent.path,
        version=1,
        name="x",
        prompt="x",
        tools=tuple(
            ToolConfig(kind="python", settings=f"tools/t.py:{name}") for name in "fg"
        ),
    )


async def test_tools_of_one_file_share_it_and_a_reload_sees_edits(
    agent: AgentConfig,
) -> None:
    kinds = {"python": PythonKind()}
    text = "N = []\ndef f() -> int: N.append(1); return len(N)\ndef g(): return {n}"
    write(agent, text.format(n="len(N)"))
    first = load_tools(reloaded(agent), kinds)
    await first.run("f", {})
    assert (await first.run("g", {})).text == "1"

    write(agent, text.format(n="9 + 0 "))
    second = load_tools(reloaded(agent), kinds)

    assert (await second.run("g", {})).text == "9"
    assert (await first.run("f", {})).text == "2"
    await first.close()
    await second.close()


async def test_a_reload_sees_edits_of_imported_files(
    agent: AgentConfig, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys, "dont_write_bytecode", False)
    write(agent, "from .beside import N\ndef f() -> int: return N\ndef g(): pass")
    beside = agent.folder / "tools" / "beside.py"
    beside.write_text("N = 1", "utf-8")
    first = load_tools(reloaded(agent), {"python": PythonKind()})

    beside.write_text("N = 2", "utf-8")  # as long, possibly in the same second
    second = load_tools(reloaded(agent), {"python": PythonKind()})

    assert (await second.run("f", {})).text == "2"
    assert (await first.run("f", {})).text == "1"
    assert not list(beside.parent.rglob("*.pyc"))
    await first.close()
    await second.close()


async def test_late_imports_still_work_after_a_failed_reload(
    agent: AgentConfig,
) -> None:
    write(agent, "def f() -> int:\n from .beside import N\n return N\ndef g(): pass")
    (agent.folder / "tools" / "beside.py").write_text("N = 1", "utf-8")
    first = load_tools(reloaded(agent), {"python": PythonKind()})

    write(agent, "1 / 0")
    with pytest.raises(ToolError):
        load_tools(reloaded(agent), {"python": PythonKind()})

    assert (await first.run("f", {})).text == "1"
    await first.close()
