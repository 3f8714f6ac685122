"""Every rule for scenarios: documented by examples that do what they claim."""

from __future__ import annotations

import re

import pytest

from runner.cli.reports.common import all_rules
from runner.config.diagnostics import Diagnostic, render
from runner.config.lint.context import Rule
from runner.testing.scenarios.loader import check_suite
from runner.testing.scenarios.rules import RULES
from tests.testing.scenarios.reading import BESIDE, read


def check(example: str) -> list[Diagnostic]:
    return check_suite(read(BESIDE, example))


@pytest.mark.parametrize("each", RULES.values(), ids=RULES.keys())
def test_a_rule_is_documented(each: Rule) -> None:
    documentation = each.documentation
    assert documentation.summary.endswith(".")
    assert len(documentation.summary) <= 88
    assert re.fullmatch(r"VA7[0-9]{2}", each.id)
    assert re.fullmatch(r"[a-z]+(-[a-z]+)*", each.name)


@pytest.mark.parametrize("each", RULES.values(), ids=RULES.keys())
def test_the_bad_example_breaks_its_rule_and_no_other(each: Rule) -> None:
    found = check(each.documentation.bad)
    assert {found.rule for found in found} == {each.id}, render(found)
    assert {found.severity for found in found} == {each.severity}


@pytest.mark.parametrize("each", RULES.values(), ids=RULES.keys())
def test_nothing_is_said_about_the_good_example(each: Rule) -> None:
    found = check(each.documentation.good)
    assert not found, render(found)


def test_ids_and_names_are_used_once() -> None:
    rules = all_rules()
    assert len({each.name for each in rules.values()}) == len(rules)
    assert RULES.keys() <= rules.keys()


HEAD = "agent: shop.yaml\nscenarios:\n- name: a\n  turns:\n"


@pytest.mark.parametrize(
    "written",
    [
        # others' tools, schemas and variables are not judged by guesswork
        "  - tool_call: {tool: lookup_order, arguments: {order_id: x}, fails: true}\n",
        "  - tool_call: {tool: end_call, arguments: {whatever: 1}}\n",
        "  - tool_call: {tool: lookup_order, matching: {}}\n",
        # the text of a caller is not a pattern
        "  - user: /(/\n  - agent: {}\n",
        # an interruption of the greeting
        "  - user: {says: Stop, interrupts: {after: 1s}}\n"
        "  - expect: {silence_within: 100ms, interruptions: 1}\n",
        "  - connection: {drops: 1s}\n  - expect: {resumed: true}\n",
        "  - end: agent\n  - expect: {no_errors: true}\n",
    ],
)
def test_a_valid_file_has_no_finding(written: str) -> None:
    found = check(HEAD + written)
    assert not found, render(found)


def test_a_default_may_be_for_one_of_several_agents() -> None:
    found = check(
        "variables: {company: Acme, doctor: Grey}\n"
        "mock: {lookup_order: {returns: 1}}\n"
        "scenarios:\n"
        "- {name: a, agent: shop.yaml, turns: [agent: help]}\n"
        "- {name: b, agent: clinic.yaml, turns: [agent: help]}\n"
    )
    assert not found, render(found)


def test_nothing_is_said_of_tools_where_the_agent_cannot_be_read() -> None:
    found = check(
        "agent: broken.yaml\nscenarios:\n"
        "- {name: a, mock: {x: {returns: 1}}, variables: {y: z},"
        " turns: [tool_call: w]}\n"
    )
    assert [each.rule for each in found] == ["VA702"]


def test_an_answer_is_reachable_when_the_one_before_matches_other_calls() -> None:
    answers = "[{returns: 1, match: {a: 1}}, {returns: 2, match: {a: 2}}, {returns: 3}]"
    found = check(
        f"agent: shop.yaml\nmock: {{lookup_order: {answers}}}\n"
        "scenarios: [{name: a, turns: [agent: help]}]\n"
    )
    assert not found, render(found)


def test_a_comment_silences_a_warning() -> None:
    text = (
        "agent: shop.yaml\nscenarios:\n- name: a\n"
        "  turns:  # vagent: ignore[VA717] only that it lives\n  - user: Hello\n"
    )
    assert check(text) == []
    assert [each.rule for each in check(text.replace("VA717", "VA713"))] == [
        "VA717",
        "VA113",
    ]


def test_findings_give_no_secret_away() -> None:
    key = "sk-proj-" + "a1B2c3D4" * 6
    found = check(f"agent: shop.yaml\nscenarios: [{{name: a, x: {key}, turns: []}}]")
    assert found
    assert key not in render(found)
