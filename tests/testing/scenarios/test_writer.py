"""A suite that is written loads as the same suite again."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from runner.testing.scenarios.loader import load_suite
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

HERE = Place(Path(), 0, 0)
TOOLS = ("lookup_order", "find_size", "end_call")

text = st.text(
    st.characters(exclude_categories=("Cs", "Cc")) | st.sampled_from("\n\t{}$:#'\""),
    min_size=1,
    max_size=12,
) | st.sampled_from(["${a}", "$${", "$$${", "yes", "1", "a: b", "- x", "null", "01:20"])
line = text.map(lambda each: each.replace("\n", " "))
pattern = (text.filter(lambda each: each[0] != "/") | st.just("/a|b/")).map(
    read_pattern
)
patterns = st.lists(pattern, max_size=2).map(tuple)
seconds = st.integers(0, 5000).map(lambda each: each / 1000) | st.floats(0, 1e6)
whole = st.integers(0, 9)
json_ = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=False, allow_infinity=False)
    | text,
    lambda inner: (
        st.lists(inner, max_size=2) | st.dictionaries(text, inner, max_size=2)
    ),
    max_leaves=4,
)
mapping = st.dictionaries(text, json_, max_size=2)
maybe = st.none()
tool = st.sampled_from(TOOLS)
here = st.just(HERE)

turn = st.one_of(
    st.builds(AgentTurn, here, patterns, patterns, maybe | seconds, maybe | text),
    st.builds(UserTurn, here, text),
    st.builds(
        ToolCallTurn, here, tool, maybe | mapping, maybe, maybe | seconds, st.just(True)
    ),
    st.builds(ConnectionTurn, here, seconds),
    st.builds(WaitTurn, here, seconds),
    st.builds(
        ExpectTurn,
        here,
        latency_within=seconds,
        tool_calls=maybe
        | st.lists(tool, min_size=1, max_size=2).map(tuple)
        | st.just(()),
        nothing_dropped=st.booleans(),
        no_errors=st.booleans(),
        never_says=patterns,
        judge=maybe | text,
    ),
)
end = st.builds(
    EndTurn, here, maybe | st.sampled_from(["agent", "caller"]), maybe | seconds
)
answer = st.builds(
    MockAnswer,
    raises=maybe | text,
    delay=seconds,
    times=maybe | st.integers(1, 3),
    match=mapping,
).flatmap(
    lambda each: (
        json_.map(lambda value: replace(each, returns=value))
        if each.raises is None
        else st.just(each)
    )
)
rule = st.builds(
    LlmRule,
    patterns,
    maybe | tool,
    text,
    st.lists(st.tuples(tool, mapping), max_size=2).map(tuple),
)


def scenarios(folder: Path) -> st.SearchStrategy[Scenario]:
    return st.builds(
        Scenario,
        line,
        here,
        st.just(folder / "shop.yaml"),
        st.builds(
            lambda turns, last: (*turns, *last),
            st.lists(turn, min_size=1, max_size=4),
            st.lists(end, max_size=1),
        ),
        st.dictionaries(st.just("company"), text),
        st.dictionaries(st.sampled_from(["A", "b_1"]), text),
        st.dictionaries(
            tool,
            maybe | st.lists(answer, min_size=1, max_size=2).map(tuple),
            max_size=2,
        ),
        st.lists(rule, max_size=2).map(tuple),
        st.sampled_from([(), ("drop on=tool.call",)]),
        whole,
        st.sampled_from([(), ("script",), ("script", "wss://a.example/x?y=1")]),
        st.lists(text, max_size=2, unique=True).map(tuple),
        st.dictionaries(st.sampled_from(["p", "q"]), json_, max_size=2),
    )


def bare(scenario: Scenario) -> Scenario:
    turns: tuple[Any, ...] = tuple(replace(each, place=HERE) for each in scenario.turns)
    return replace(scenario, place=HERE, turns=turns)


@settings(
    max_examples=60,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
@given(st.data())
def test_a_written_suite_loads_as_the_same_suite(
    suites: Path, data: st.DataObject
) -> None:
    path = suites / "made.test.yaml"
    scenario = data.draw(scenarios(suites))
    written = write_suite(Suite(path, (scenario,)))
    path.write_text(written, "utf-8", newline="")
    assert yaml.safe_load(written)  # others read it, too
    (read,) = load_suite(path).scenarios
    assert bare(read) == scenario, written


def test_it_reads_as_a_person_would_write_it(suites: Path) -> None:
    turns = (
        AgentTurn(HERE, (read_pattern("help"),)),
        UserTurn(HERE, "Where is my order 1234, please?"),
        ToolCallTurn(HERE, "lookup_order", {"order_id": "1234"}),
        UserTurn(HERE, "Stop", 0.4),
        ExpectTurn(HERE, silence_within=0.1, tool_calls=()),
        ConnectionTurn(HERE, 2.0),
        WaitTurn(HERE, 90.0),
        EndTurn(HERE, "agent"),
    )
    scenario = Scenario(
        "looks up an order",
        HERE,
        suites / "tests" / ".." / "shop.yaml",
        turns,
        mock={"lookup_order": (MockAnswer({"status": "shipped"}),), "end_call": None},
    )
    assert write_suite(Suite(suites / "tests" / "a.test.yaml", (scenario,))) == (
        "# yaml-language-server: $schema=./scenario.schema.json\n"
        "scenarios:\n"
        "  - name: looks up an order\n"
        "    agent: ../shop.yaml\n"
        "    mock: {lookup_order: [{returns: {status: shipped}}], end_call: live}\n"
        "    turns:\n"
        "      - agent: help\n"
        "      - user: Where is my order 1234, please?\n"
        '      - tool_call: {tool: lookup_order, arguments: {order_id: "1234"}}\n'
        "      - user: {says: Stop, interrupts: {after: 400ms}}\n"
        "      - expect: {silence_within: 100ms, tool_calls: none}\n"
        "      - connection: {drops: 2s}\n"
        "      - wait: 90s\n"
        "      - end: agent\n"
    )


@pytest.mark.parametrize("seconds", [0.0, 1e-7, 0.0005, 0.3, 1.1, 1e21])
def test_a_time_is_written_exactly(seconds: float, suites: Path) -> None:
    path = suites / "time.test.yaml"
    scenario = Scenario(
        "a", HERE, suites / "shop.yaml", (WaitTurn(HERE, seconds), EndTurn(HERE))
    )
    path.write_text(write_suite(Suite(path, (scenario,))), "utf-8")
    assert bare(load_suite(path).scenarios[0]) == scenario
