"""Loading of scenario files, valid and invalid ones."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from runner.config.diagnostics import render
from runner.errors import ConfigError, FileUnreadable
from runner.testing.scenarios.loader import check_suite, load_suite, packaged_schema
from runner.testing.scenarios.model import (
    AgentTurn,
    ConnectionTurn,
    EndTurn,
    ExpectTurn,
    LlmRule,
    MockAnswer,
    Place,
    Scenario,
    Suite,
    ToolCallTurn,
    UserTurn,
    WaitTurn,
    read_pattern,
)
from runner.testing.scenarios.writer import write_suite
from tests.testing.scenarios.reading import read

AGENT = "agent: shop.yaml\n"
NOWHERE = Place(Path(), 0, 0)
SCHEMA = packaged_schema()


@pytest.fixture
def folder(suites: Path) -> Path:
    return suites


def load(folder: Path, text: str, **given: str) -> Suite:
    path = folder / "shop.test.yaml"
    path.write_text(text, "utf-8")
    return load_suite(path, variables=given)


def load_one(folder: Path, text: str, **given: str) -> Scenario:
    (scenario,) = load(folder, f"agent: shop.yaml\n{text}", **given).scenarios
    return scenario


def turns(folder: Path, *written: str) -> list[Any]:
    lines = "".join(f"      - {each}\n" for each in written)
    text = f"scenarios:\n  - name: a\n    turns:\n{lines}"
    return [replace(each, place=NOWHERE) for each in load_one(folder, text).turns]


def test_every_turn_is_read(folder: Path) -> None:
    help_, bye = read_pattern("help"), read_pattern("/good ?bye/")
    assert turns(
        folder,
        "agent: help",
        "agent: [help, /good ?bye/]",
        "agent: {says: help, never: /good ?bye/, within: 3s, judge: It is kind.}",
        "agent: {}",
        "user: Hello",
        "user: {says: Stop, interrupts: {after: 400ms}}",
        "tool_call: lookup_order",
        "tool_call: {tool: find_size, arguments: {size: small}, within: 1.5s, "
        "fails: false}",
        "tool_call: {tool: lookup_order, matching: {required: [order_id]}, "
        "fails: true}",
        "connection: {drops: 2s}",
        "wait: 1m",
        "expect: {silence_within: 100ms, latency_within: 2s, interruptions: 1}",
        "expect: {resumed: true, nothing_dropped: true, no_errors: true}",
        "expect: {tool_calls: none, never_says: [help], judge: All is well.}",
        "expect: {tool_calls: [lookup_order, end_call]}",
        "expect: {tool_calls: {any_order: [end_call, lookup_order]}}",
        "end: agent",
    ) == [
        AgentTurn(NOWHERE, (help_,)),
        AgentTurn(NOWHERE, (help_, bye)),
        AgentTurn(NOWHERE, (help_,), (bye,), 3.0, "It is kind."),
        AgentTurn(NOWHERE),
        UserTurn(NOWHERE, "Hello"),
        UserTurn(NOWHERE, "Stop", 0.4),
        ToolCallTurn(NOWHERE, "lookup_order"),
        ToolCallTurn(
            NOWHERE, "find_size", arguments={"size": "small"}, within=1.5, fails=False
        ),
        ToolCallTurn(
            NOWHERE, "lookup_order", matching={"required": ["order_id"]}, fails=True
        ),
        ConnectionTurn(NOWHERE, 2.0),
        WaitTurn(NOWHERE, 60.0),
        ExpectTurn(NOWHERE, silence_within=0.1, latency_within=2.0, interruptions=1),
        ExpectTurn(NOWHERE, resumed=True, nothing_dropped=True, no_errors=True),
        ExpectTurn(NOWHERE, tool_calls=(), never_says=(help_,), judge="All is well."),
        ExpectTurn(NOWHERE, tool_calls=("lookup_order", "end_call")),
        ExpectTurn(NOWHERE, tool_calls=("end_call", "lookup_order"), any_order=True),
        EndTurn(NOWHERE, by="agent"),
    ]


@pytest.mark.parametrize(
    ("written", "read"),
    [
        ("end: {by: caller, within: 5s}", EndTurn(NOWHERE, by="caller", within=5.0)),
        ("end: {}", EndTurn(NOWHERE)),
        ("end: service", EndTurn(NOWHERE, by="service")),
    ],
)
def test_an_end_is_by_one_side_or_by_any(
    written: str, read: EndTurn, folder: Path
) -> None:
    assert turns(folder, written) == [read]


def test_top_level_values_are_defaults_of_all_scenarios(
    folder: Path,
) -> None:
    one, other = load(
        folder,
        """
agent: shop.yaml
environment: {TOKEN: made-up, HOST: a}
mock:
  lookup_order: {returns: {status: shipped}}
  find_size: live
llm: [{says: Hello}]
faults: drop on=tool.call
seed: 7
services: [script, local]
tags: slow
scenarios:
  - name: takes all
    turns: [{agent: {}}]
  - name: has its own
    agent: clinic.yaml
    variables: {doctor: Grey}
    environment: {HOST: b}
    mock: {end_call: {raises: no}}
    llm: [{user_says: hi, says: Hello}]
    faults: ["drop on=tool.call:2"]
    seed: 8
    services: script
    tags: [smoke, slow]
    turns: [{agent: {}}]
""",
    ).scenarios
    shipped = (MockAnswer(returns={"status": "shipped"}),)
    assert one.agent == folder / "shop.yaml"
    assert one.environment == {"TOKEN": "made-up", "HOST": "a"}
    assert one.mock == {"lookup_order": shipped, "find_size": None}
    assert one.llm == (LlmRule(says="Hello"),)
    assert (one.faults, one.seed) == (("drop on=tool.call",), 7)
    assert (one.services, one.tags) == (("script", "local"), ("slow",))
    assert other.agent == folder / "clinic.yaml"
    assert other.variables == {"doctor": "Grey"}
    assert other.environment == {"TOKEN": "made-up", "HOST": "b"}
    assert other.mock == {**one.mock, "end_call": (MockAnswer(raises="no"),)}
    assert other.llm == (LlmRule((read_pattern("hi"),), says="Hello"),)
    assert (other.faults, other.seed) == (("drop on=tool.call:2",), 8)
    assert (other.services, other.tags) == (("script",), ("slow", "smoke"))


def test_answers_and_rules_of_the_mind_are_read(folder: Path) -> None:
    scenario = load_one(
        folder,
        """
scenarios:
  - name: a
    mock:
      lookup_order:
        - {raises: down, times: 2, delay: 1.5s}
        - {returns: [1, null], match: {order_id: "1234"}}
        - {returns: null}
    llm:
      - {user_says: [order, /parcel/], tool_calls: [end_call, {tool: find_size}]}
      - {after: lookup_order, says: "It is ${status}, $${ok}."}
      - tool_calls: [{tool: lookup_order, arguments: {order_id: "1"}}]
    turns: [{agent: {}}]
""",
    )
    assert scenario.mock["lookup_order"] == (
        MockAnswer(raises="down", times=2, delay=1.5),
        MockAnswer(returns=[1, None], match={"order_id": "1234"}),
        MockAnswer(),
    )
    heard = (read_pattern("order"), read_pattern("/parcel/"))
    assert scenario.llm == (
        LlmRule(heard, tool_calls=(("end_call", {}), ("find_size", {}))),
        LlmRule(after="lookup_order", says="It is ${status}, $${ok}."),
        LlmRule(tool_calls=(("lookup_order", {"order_id": "1"}),)),
    )


def test_places_are_those_of_the_file(folder: Path) -> None:
    suite = load(
        folder,
        "agent: shop.yaml\nscenarios:\n- name: a\n  turns:\n  - agent: help\n"
        '  -   user: Hi\n  - {"wait": 2s}\n',
    )
    (scenario,) = suite.scenarios
    places = [str(each.place) for each in (scenario, *scenario.turns)]
    assert suite.path == folder / "shop.test.yaml"
    assert places == [f"{suite.path}:{at}" for at in ("3:3", "5:5", "6:7", "7:5")]


MATRIX = """
scenarios:
  - name: counts ${size}
    parameters: {size: [small, large], number: [1, 2.5], quick: [true], pause: [2s]}
    llm: [{says: "${size}, ${colour}"}]
    turns:
      - user: There are ${number} of $${size}, ${quick}ly
      - wait: ${pause}
      - tool_call: {tool: lookup_order, arguments: {n: "${number}"}, fails: "${quick}"}
"""


def test_a_scenario_is_made_for_each_combination_of_its_parameters(
    folder: Path,
) -> None:
    made = load(folder, f"agent: shop.yaml\n{MATRIX}").scenarios
    assert [each.name for each in made] == ["counts small"] * 2 + ["counts large"] * 2
    assert [each.parameters["number"] for each in made] == [1, 2.5, 1, 2.5]
    assert made[1].id == "counts small [size=small, number=2.5, quick=True, pause=2s]"
    user, wait, call = made[1].turns
    assert isinstance(user, UserTurn) and isinstance(call, ToolCallTurn)
    assert user.says == "There are 2.5 of ${size}, truely"
    assert wait == WaitTurn(wait.place, 2.0)
    assert (call.arguments, call.fails) == ({"n": 2.5}, True)
    assert made[1].llm == (LlmRule(says="small, ${colour}"),)


def test_variables_of_the_run_override_those_of_scenarios(folder: Path) -> None:
    text = "variables: {company: Acme}\nscenarios: [{name: a, turns: [agent: hi]}]"
    assert load_one(folder, text).variables == {"company": "Acme"}
    assert load_one(folder, text, company="Globex").variables == {"company": "Globex"}


def test_a_variable_that_is_given_is_not_missed(folder: Path) -> None:
    text = "agent: clinic.yaml\nscenarios: [{name: a, turns: [agent: hi]}]"
    assert [each.rule for each in check_suite(read(folder, text))] == ["VA709"]
    found = check_suite(read(folder, text), variables={"doctor": "Grey"})
    assert found == []
    assert load(folder, text).scenarios[0].variables == {}
    (missed,) = check_suite(read(folder, text), must_run=True)
    assert missed.is_error


def test_all_errors_are_raised_at_once(folder: Path) -> None:
    with pytest.raises(ConfigError, match="has 2 errors") as refused:
        load(folder, f"{AGENT}scenarios:\n- name: a\n  turns: [agnt: hi, wait: 2]")
    rules = [getattr(each, "rule", None) for each in refused.value.diagnostics]
    assert rules == ["VA203", "VA201"]


def test_there_must_be_a_file(folder: Path) -> None:
    with pytest.raises(FileUnreadable, match="does not exist"):
        load_suite(folder / "none.test.yaml")


def names(schema: Any) -> set[str]:
    found: set[str] = set()
    if isinstance(schema, dict):
        found |= set(schema.get("properties", ()))
        found = found.union(*map(names, schema.values()))
    elif isinstance(schema, list):
        found = found.union(*map(names, schema))
    return found


NAMES = sorted(names(SCHEMA))


texts = st.sampled_from(
    ["", "x", "/x/", "/(/", "2s", "${a}", "${b}", "$${", "${", "agent", "none", "live"]
) | st.text(max_size=6)
anything = st.recursive(
    st.none() | st.booleans() | st.integers(-2, 2) | st.floats(allow_nan=False) | texts,
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(texts, inner, max_size=2)
        | st.dictionaries(st.sampled_from(NAMES), inner, max_size=3)
    ),
    max_leaves=5,
)
SHARED = sorted(set(SCHEMA["properties"]) - {"scenarios", "agent"})
TURNS = SCHEMA["$defs"]["turn"]["properties"]


def fields(keys: list[str]) -> st.SearchStrategy[dict[str, Any]]:
    return st.dictionaries(st.sampled_from(keys), anything, max_size=3)


def turn(kind: str) -> st.SearchStrategy[dict[str, Any]]:
    inner = sorted(names(TURNS[kind])) or ["x"]
    return st.fixed_dictionaries({kind: anything | fields(inner)})


scenario = st.builds(
    lambda head, more: {**head, **more},
    st.fixed_dictionaries(
        {
            "name": st.just("a") | anything,
            "turns": st.lists(st.sampled_from(sorted(TURNS)).flatmap(turn), max_size=4)
            | anything,
        },
        optional={
            "parameters": anything
            | st.fixed_dictionaries({"a": st.lists(anything, max_size=2)})
        },
    ),
    fields(SHARED),
)
suites = st.builds(
    lambda shared, made: {"agent": "shop.yaml", **shared, "scenarios": made},
    fields(SHARED),
    st.lists(scenario, max_size=2) | anything,
)


@settings(
    max_examples=100,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
    deadline=None,
)
@given(suites)
def test_any_mapping_is_a_suite_or_has_findings_with_places_in_it(
    folder: Path, value: dict[str, Any]
) -> None:
    text = json.dumps(value, indent=1)
    reading = read(folder, text)
    found = check_suite(reading)
    lines = text.split("\n")
    for each in found:
        assert 1 <= each.line <= len(lines)
        assert 1 <= each.column <= len(lines[each.line - 1]) + 1
        assert render([each])
    errors = [each for each in found if each.is_error]
    try:
        suite = load(folder, text)
    except ConfigError as error:
        assert error.diagnostics and errors
    else:
        assert errors == []
        assert write_suite(suite)
