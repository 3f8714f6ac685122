"""What `vagent show` knows of an agent: what a call sends, and no secret."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from websockets.asyncio.server import ServerConnection, serve

from runner.cli.show import FORMATS, write
from runner.config.diagnostics import Diagnostic
from runner.engine.agent import HIDDEN, ResolvedAgent, resolve
from runner.engine.compose import CallOptions, open_call
from runner.errors import ConfigError, UsageError

AGENT = """\
version: 1
name: shop
prompt_file: prompt.md
greeting: Welcome to ${company}, ${caller}.
voice: alba
turn_detection: {min_silence: 600ms}
variables:
  company: {default: Acme}
  caller: {description: Who calls}
tools:
  - name: add
    python: tools/sums.py:add
    timeout: 8s
  - python: tools/sums.py:forget
  - name: look_up
    description: Look up an order.
    parameters:
      type: object
      properties: {order_id: {type: string, pattern: "[0-9]{4}"}}
      required: [order_id]
    http:
      url: "https://api.example.com/orders/{order_id}?key=${env:ORDERS_KEY}"
      headers: {Authorization: "Bearer ${env:ORDERS_TOKEN}"}
  - plugin: end_call
local: {llm: {url: "http://127.0.0.1:1/v1", key: "${env:BRAIN_KEY}"}}
"""
SUMS = '''\
from typing import Annotated

from runner.tools.plugins import tool


def add(first: Annotated[int, "The one"], second: int = 1) -> int:
    """Add two numbers.

    Args:
        second: The other.
    """
    return first + second


@tool(effect="write", timeout=9, announce="One moment.")
def forget() -> str:
    return "gone"
'''
NAMES = ("ORDERS_KEY", "ORDERS_TOKEN", "BRAIN_KEY")
PLACES = {name: f"value-{number}" for number, name in enumerate(NAMES)}


def make_agent(folder: Path, text: str = AGENT) -> Path:
    (folder / "tools").mkdir(exist_ok=True)
    (folder / "tools/sums.py").write_text(SUMS)
    (folder / "prompt.md").write_text("You are the shop ${company}.\nBe brief.\n")
    path = folder / "agent.yaml"
    path.write_text(text, "utf-8")
    return path


@pytest.fixture
def agent(tmp_path: Path) -> Path:
    return make_agent(tmp_path)


def origins(resolution: ResolvedAgent) -> dict[str, tuple[str, str | None, int | None]]:
    return {
        "/".join(map(str, path)): (origin.kind, origin.file, origin.line)
        for path, origin in resolution.origins()
    }


# ------------------------------------------------------------ where values are from


def test_each_value_has_its_origin(agent: Path) -> None:
    found = origins(resolve(agent, {"company": "Bolt"}, PLACES))
    expected = {
        "name": ("file", None, 2),
        "prompt": ("file", "prompt.md", 1),
        "greeting": ("file", None, 4),
        "voice/name": ("file", None, 5),
        "voice/volume": ("service", None, None),
        "turn_detection/min_silence": ("file", None, 6),
        "turn_detection/max_silence": ("service", None, None),
        "variables/company": ("given", None, None),
        "variables/caller": ("unset", None, None),
        "session/tool_results": ("default", None, None),
        "local/llm/key": ("file", None, 25),
        "tools/0/timeout": ("file", None, 13),
        "tools/0/effect": ("default", None, None),
        "tools/0/description": ("docstring", "tools/sums.py", 6),
        "tools/0/parameters/properties/first/type": ("signature", "tools/sums.py", 6),
        "tools/0/parameters/properties/first/description": (
            "signature",
            "tools/sums.py",
            6,
        ),
        "tools/0/parameters/properties/second/description": (
            "docstring",
            "tools/sums.py",
            6,
        ),
        "tools/1/name": ("signature", "tools/sums.py", 15),
        "tools/1/effect": ("mark", "tools/sums.py", 15),
        "tools/1/timeout": ("mark", "tools/sums.py", 15),
        "tools/1/announce": ("mark", "tools/sums.py", 15),
        "tools/1/on_interrupt": ("default", None, None),
        "tools/2/parameters/required": ("file", None, 20),
        "tools/2/http/headers/Authorization": ("file", None, 23),
        "tools/3/name": ("plugin", None, None),
        "tools/3/effect": ("plugin", None, None),
    }
    assert {path: found[path] for path in expected} == expected


def test_an_announcement_that_the_file_takes_back_is_shown_as_that(
    tmp_path: Path,
) -> None:
    text = AGENT.replace("sums.py:forget", "sums.py:forget\n    announce: false")

    shown = resolve(make_agent(tmp_path, text), {}, PLACES)

    assert shown.traced.values["tools"][1]["announce"] is False
    assert origins(shown)["tools/1/announce"] == ("file", None, 15)


def test_a_placeholder_says_where_its_value_is_from(agent: Path) -> None:
    shown = resolve(agent, {}, {"ORDERS_TOKEN": "secret-one"})
    greeting = shown.traced.origin(("greeting",)).uses
    assert [(use.name, use.origin, use.line) for use in greeting] == [
        ("company", "default", 8),
        ("caller", "unset", None),
    ]
    header = shown.traced.origin(("tools", 2, "http", "headers", "Authorization"))
    key = shown.traced.origin(("local", "llm", "key"))
    assert [(use.name, use.origin) for use in (*header.uses, *key.uses)] == [
        ("env:ORDERS_TOKEN", "environment"),
        ("env:BRAIN_KEY", "unset"),
    ]


def test_what_is_not_set_is_reported_and_stops_nothing(agent: Path) -> None:
    shown = resolve(agent, {}, {})
    assert shown.unset == (
        "caller",
        "env:ORDERS_KEY",
        "env:ORDERS_TOKEN",
        "env:BRAIN_KEY",
    )
    assert shown.problems == ()
    assert shown.traced.values["greeting"] == "Welcome to Acme, ${caller}."
    assert shown.traced.values["local"]["llm"]["key"] == "${env:BRAIN_KEY}"


def test_an_http_tool_whose_address_is_not_set_is_shown_as_the_file_has_it(
    tmp_path: Path,
) -> None:
    text = AGENT.replace("https://api.example.com", "${env:ORDERS_URL}")
    shown = resolve(make_agent(tmp_path, text), {}, {})
    assert shown.problems == ()
    assert [each["name"] for each in shown.update.session["tools"]][2] == "look_up"


def test_a_tool_that_cannot_be_loaded_is_shown_with_its_problem(tmp_path: Path) -> None:
    agent = make_agent(tmp_path)
    (tmp_path / "tools/sums.py").write_text(SUMS + "\nraise OSError('out of sums')\n")
    shown = resolve(agent, {}, PLACES)
    assert len(shown.problems) == 2
    assert "out of sums" in shown.problems[0]
    assert shown.traced.values["tools"][0]["problem"] == shown.problems[0]
    assert shown.traced.values["tools"][0]["name"] == "add"
    assert [each["name"] for each in shown.update.session["tools"]] == [
        "look_up",
        "end_call",
    ]


def test_two_tools_of_one_name_are_a_problem(tmp_path: Path) -> None:
    agent = make_agent(tmp_path)
    text = SUMS.replace('effect="write"', 'name="end_call"')
    (tmp_path / "tools/sums.py").write_text(text)
    assert resolve(agent, {}, PLACES).problems == ("two tools are named 'end_call'",)


def test_a_file_with_errors_is_refused_as_a_run_refuses_it(tmp_path: Path) -> None:
    with pytest.raises(ConfigError):
        resolve(make_agent(tmp_path, AGENT + "voise: alba\n"), {}, {})


def test_a_variable_that_is_not_declared_is_refused(agent: Path) -> None:
    with pytest.raises(UsageError, match="does not declare the variable 'nobody'"):
        resolve(agent, {"nobody": "x"}, {})


# --------------------------------------------------------------------- no secrets


def outputs(resolution: ResolvedAgent) -> list[str]:
    return [write(resolution, format) for format in FORMATS]


@pytest.fixture(scope="module")
def shared_agent(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_agent(tmp_path_factory.mktemp("shop"))


# What a header can carry, and a url without a placeholder of its own: the tool refuses
# other values, so that the outputs differ by its problem.
FITTING = st.text(
    st.characters(min_codepoint=0x21, max_codepoint=0x7E, exclude_characters="{}"),
    min_size=1,
)


@given(st.fixed_dictionaries(dict.fromkeys(NAMES, FITTING)))
@settings(max_examples=15, deadline=None)
def test_outputs_are_the_same_whatever_the_environment_values_are(
    shared_agent: Path, values: dict[str, str]
) -> None:
    expected = outputs(resolve(shared_agent, {}, PLACES))
    spoken = "".join(expected)
    values = {
        # What is in the file anyway is masked there too, and changes the output.
        name: value if value not in spoken else PLACES[name]
        for name, value in values.items()
    }
    assert outputs(resolve(shared_agent, {}, values)) == expected


@given(st.fixed_dictionaries({name: st.text(min_size=1) for name in NAMES}))
@settings(max_examples=15, deadline=None)
def test_no_environment_value_reaches_any_output(
    shared_agent: Path, values: dict[str, str]
) -> None:
    spoken = "".join(outputs(resolve(shared_agent, {}, {})))
    spoken += "".join(outputs(resolve(shared_agent, {}, PLACES)))
    shown = resolve(shared_agent, {}, values)
    for value in values.values():
        if value not in spoken and value not in "".join(shown.problems):
            assert not any(value in output for output in outputs(shown))
        if len(value) >= 4 and value not in spoken:
            assert not any(value in problem for problem in shown.problems)


def test_a_secret_that_a_tool_reads_by_itself_is_hidden(tmp_path: Path) -> None:
    agent = make_agent(tmp_path)
    text = SUMS.replace("Add two numbers", "Add for hunter22, with tok/en+1")
    (tmp_path / "tools/sums.py").write_text(text.replace("= 1)", "= 471100)"))
    environment = {
        **PLACES,
        "ORDERS_KEY": "tok/en+1",
        "BRAIN_KEY": "471100",
        "MAIL_PASSWORD": "hunter22",
    }
    tool = resolve(agent, {}, environment).update.session["tools"][0]
    assert tool["description"] == (
        "Add for ${env:MAIL_PASSWORD}, with ${env:ORDERS_KEY}."
    )
    assert tool["parameters"]["properties"]["second"]["default"] == "${env:BRAIN_KEY}"


def test_a_secret_in_clear_is_hidden(tmp_path: Path) -> None:
    key = "shop-4711-key"
    text = AGENT.replace("${env:ORDERS_TOKEN}", key)
    shown = resolve(make_agent(tmp_path, text), {}, PLACES)
    header = shown.traced.values["tools"][2]["http"]["headers"]["Authorization"]
    assert header == f"Bearer {HIDDEN}"
    assert not any(key in output for output in outputs(shown))


# ------------------------------------------------------------------ what is sent


class Silence:
    def observe(self, at: float, what: Any) -> None: ...

    def notice(self, text: str) -> None: ...

    def findings(self, found: Sequence[Diagnostic]) -> None: ...


async def opening_message(
    agent: Path, variables: Mapping[str, str], environment: Mapping[str, str]
) -> Any:
    """Hold a call with a service of ours, and return what it was sent first."""
    heard: list[Any] = []

    async def answer(connection: ServerConnection) -> None:
        async for text in connection:
            heard.append(json.loads(text))
            await connection.close(1008, "that was all")

    async with serve(answer, "127.0.0.1", 0) as server:
        url = f"ws://127.0.0.1:{server.sockets[0].getsockname()[1]}"
        options = CallOptions(agent, "none", "null", (), url, variables)
        async with open_call(options, environment, Silence()) as call:
            await call.run()
    return heard[0]


async def test_the_wire_format_is_what_a_call_sends(agent: Path) -> None:
    variables = {"caller": "Ann"}
    sent = await opening_message(agent, variables, PLACES)
    assert [each["name"] for each in sent["session"]["tools"]] == [
        "add",
        "forget",
        "look_up",
        "end_call",
    ]
    shown = await asyncio.to_thread(resolve, agent, variables, PLACES)
    assert json.loads(write(shown, "wire")) == sent
