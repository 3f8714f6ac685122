from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest
import typer
from typer.testing import CliRunner, Result

from runner.cli.tools import tools
from runner.errors import ConfigError, ToolError, UsageError

AGENT = """\
version: 1
name: shop
prompt: You are a shop.
variables: {host: {default: nowhere.invalid}}
tools:
  - name: add
    python: tools/sums.py:add
    timeout: 8s
    announce: Let me see.
  - name: look_up
    description: Look up an order.
    parameters:
      type: object
      properties: {order_id: {type: string, pattern: "[0-9]{4}"}}
      required: [order_id]
    http: {url: "http://${host}/orders/{order_id}"}
  - plugin: end_call
"""
SUMS = '''\
from typing import Literal

def add(first: int, second: int = 1, kind: Literal["a", "b"] = "a") -> int:
    """Add two numbers.

    Args:
        first: The one.
    """
    print("adding")
    return first + second
'''


@pytest.fixture
def agent(tmp_path: Path) -> Path:
    (tmp_path / "tools").mkdir()
    (tmp_path / "tools/sums.py").write_text(SUMS)
    path = tmp_path / "agent.yaml"
    path.write_text(AGENT)
    return path


def invoke(*arguments: object) -> Result:
    app = typer.Typer()
    app.command()(tools)
    return CliRunner().invoke(app, [str(each) for each in arguments])


def test_the_list_shows_the_tools_as_the_model_sees_them(agent: Path) -> None:
    result = invoke(agent)

    assert (result.exit_code, result.stderr) == (0, "")
    assert result.stdout == (
        "add  (read, 8 s, cancel when interrupted)\n"
        "  Add two numbers.\n"
        "    first   integer, required  The one.\n"
        "    second  integer, optional, default 1\n"
        "    kind    a | b, optional, default a\n"
        "  announces: Let me see.\n"
        "\n"
        "look_up  (read, 30 s, cancel when interrupted)\n"
        "  Look up an order.\n"
        "    order_id  string, required, pattern [0-9]{4}\n"
        "\n"
        "end_call  (terminal, 5 s, cancel when interrupted)\n"
        "  Hang up after saying goodbye, when the caller is done.\n"
    )


def test_json_has_one_object_per_line(agent: Path) -> None:
    lines = [json.loads(line) for line in invoke(agent, "--json").stdout.splitlines()]

    assert [line["name"] for line in lines] == ["add", "look_up", "end_call"]
    assert {line["type"] for line in lines} == {"vagent.tool"}
    assert lines[1]["wire"]["parameters"]["required"] == ["order_id"]


def test_a_call_writes_its_result_to_stdout_and_its_prints_to_stderr(
    agent: Path,
) -> None:
    result = invoke(agent, "call", "add", '{"first": 2}')

    assert (result.exit_code, result.stdout) == (0, "3\n")
    assert result.stderr == "adding\n"


@pytest.mark.parametrize(
    ("name", "arguments", "text"),
    [
        ("add", "{}", '{"error":"first is missing"}'),
        ("subtract", "{}", "there is no tool 'subtract'"),
        ("look_up", '{"order_id": "1234"}', "the host nowhere.invalid cannot be found"),
    ],
)
def test_a_call_that_fails_exits_with_one(
    agent: Path, name: str, arguments: str, text: str
) -> None:
    result = invoke(agent, "call", name, arguments, "--var", "host=nowhere.invalid")

    # The name is not public anyway, so that the answer is the same with no network.
    assert result.exit_code == 1
    assert text in result.stdout


@pytest.mark.parametrize(
    ("arguments", "reason"),
    [
        (["sing"], "unknown action 'sing'"),
        (["call"], "call needs the name of a tool"),
        (["call", "add", "{"], "the arguments are not JSON"),
        (["--var", "host"], "invalid --var 'host'"),
    ],
)
def test_wrong_usage_is_reported(
    agent: Path, arguments: list[str], reason: str
) -> None:
    result = invoke(agent, *arguments)

    assert isinstance(result.exception, UsageError)
    assert str(result.exception).startswith(reason)
    assert result.exception.exit_code == 2


def test_a_file_with_findings_lists_no_tools(agent: Path) -> None:
    agent.write_text(AGENT.replace("tools/sums.py", "tools/none.py"))

    assert isinstance(invoke(agent).exception, ConfigError)


def test_a_tool_that_cannot_be_loaded_is_an_error(agent: Path) -> None:
    (agent.parent / "tools/sums.py").write_text("def add(: ...")

    assert isinstance(invoke(agent).exception, ConfigError | ToolError)


def test_an_agent_without_tools_says_so(tmp_path: Path) -> None:
    path = tmp_path / "agent.yaml"
    path.write_text("version: 1\nname: quiet\nprompt: Listen.\n")

    result = invoke(path)

    assert (result.stdout, result.stderr) == ("", "this agent has no tools\n")


def test_the_command_s_module_is_light() -> None:
    heavy = ["httpx", "jsonschema", "yaml", "numpy", "websockets", "asyncio"]
    program = f"import sys, runner.cli.tools; print(*set({heavy}) & set(sys.modules))"
    bare = "import sys, typer; print(*sys.modules)"

    def loaded(text: str) -> set[str]:
        done = subprocess.run(
            [sys.executable, "-c", text], capture_output=True, text=True, timeout=60
        )
        return set(done.stdout.split())

    assert loaded(program) - loaded(bare) == set()


LEFT_BEHIND = """\
import asyncio
import concurrent.futures
import threading

forever = threading.Event()

def pool() -> str:
    concurrent.futures.ThreadPoolExecutor().submit(forever.wait)
    return "answered"

def thread() -> str:
    threading.Thread(target=forever.wait).start()
    return "answered"

async def task() -> str:
    async def cling() -> None:
        while True:
            try:
                await asyncio.Event().wait()
            except asyncio.CancelledError:
                pass
    task.running = asyncio.create_task(cling())
    await asyncio.sleep(0)
    return "answered"

class Panic(BaseException):
    pass

async def panic() -> str:
    raise Panic("out of bounds")
"""


@pytest.mark.parametrize(
    ("tool", "code", "output"),
    [
        ("pool", 0, '"answered"'),
        ("thread", 0, '"answered"'),
        ("task", 0, '"answered"'),
        ("panic", 1, '{"error":"panic failed: out of bounds"}'),
    ],
)
def test_the_command_ends_whatever_a_tool_leaves_behind(
    tmp_path: Path, tool: str, code: int, output: str
) -> None:
    (tmp_path / "tools.py").write_text(LEFT_BEHIND)
    path = tmp_path / "agent.yaml"
    text = f"tools: [{{python: 'tools.py:{tool}', description: Look, timeout: 2s}}]\n"
    path.write_text(f"version: 1\nname: a\nprompt: Be brief.\n{text}")

    done = subprocess.run(
        [sys.executable, "-m", "runner", "tools", str(path), "call", tool, "{}"],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )

    assert (done.returncode, done.stdout) == (code, f"{output}\n")


@pytest.mark.parametrize("call", [(), ("--json",), ("call", "hostile")])
def test_control_characters_of_a_tool_do_not_reach_the_terminal(
    agent: Path, call: tuple[str, ...]
) -> None:
    hostile = "\x1b]0;t\x07\x9b\u202e"
    (agent.parent / "tools/sums.py").write_text(
        f"def hostile() -> str:\n    return {hostile!r}\n", "utf-8"
    )
    described = json.dumps(hostile)
    agent.write_text(
        "version: 1\nname: shop\nprompt: Be brief.\ntools:\n"
        f"  - {{python: tools/sums.py:hostile, description: {described}}}\n"
    )

    result = invoke(agent, *call)

    assert result.exit_code == 0, result.output
    assert result.output.replace("\n", "").isprintable()
    assert "202e" in result.output


SECRETIVE = """\
version: 1
name: shop
prompt: You are a shop.
variables: {place: {}}
tools:
  - name: look_up
    description: Look up an order.
    parameters:
      type: object
      properties: {order_id: {type: string}}
      required: [order_id]
    http:
      url: "https://api.example.com/${place}/{order_id}"
      headers: {Authorization: "Bearer ${env:SHOP_TOKEN}"}
"""


@pytest.mark.parametrize("arguments", [(), ("--json",)])
def test_the_list_needs_neither_a_secret_nor_the_value_of_a_variable(
    agent: Path, arguments: tuple[str, ...], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("SHOP_TOKEN", raising=False)
    agent.write_text(SECRETIVE)

    result = invoke(agent, *arguments)

    assert result.exit_code == 0, result.exception
    assert "look_up" in result.stdout
    assert "${env:SHOP_TOKEN} is not set" in result.stderr
    assert "${place} is not set" in result.stderr


def test_the_list_does_not_contain_a_secret_that_is_set(
    agent: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SHOP_TOKEN", "tok-12345678")
    described = "Look up an order with ${env:SHOP_TOKEN}."
    agent.write_text(SECRETIVE.replace("Look up an order.", described))

    assert "tok-12345678" not in invoke(agent, "--json").output


def test_a_tool_is_called_only_with_its_secret(
    agent: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("SHOP_TOKEN", raising=False)
    agent.write_text(SECRETIVE)

    result = invoke(agent, "call", "look_up", "--var", "place=x")

    assert isinstance(result.exception, ConfigError)


def test_the_tools_that_can_be_loaded_are_listed_next_to_the_error(
    agent: Path,
) -> None:
    (agent.parent / "tools/sums.py").write_text(
        "raise RuntimeError('no')\ndef add(): ..."
    )

    result = invoke(agent)

    assert "end_call" in result.stdout
    assert isinstance(result.exception, ToolError)
