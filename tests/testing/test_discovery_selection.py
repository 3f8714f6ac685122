"""Which scenarios are chosen: words, tags, what failed."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from runner.errors import UsageError
from runner.testing.discovery import (
    concerned,
    give_variables,
    key,
    parse_keywords,
    select,
)
from runner.testing.scenarios.model import Place
from tests.testing.builders import scenario, write_agent

HERE = Place(Path("shop.test.yaml"), 3, 5)
BARE = replace(scenario(Path("a.yaml")), place=HERE)
ORDER = replace(BARE, name="looks up an order", tags=("slow",))
LINE = replace(BARE, name="goes on after the line was lost")
ALL = [ORDER, LINE]

EXPRESSIONS = {
    "order": [ORDER],
    "ORDER": [ORDER],
    "slow": [ORDER],
    "shop.test": ALL,  # the file's name
    "order or line": ALL,
    "order and line": [],
    "not order": [LINE],
    "not order and not line": [],
    "not (order and line)": ALL,
    "(order or line) and slow": [ORDER],
    '"line was lost"': [LINE],
    "'line lost'": [],
    "order or line and slow": [ORDER],
}


@pytest.mark.parametrize(("text", "chosen"), EXPRESSIONS.items(), ids=EXPRESSIONS)
def test_words_choose(text: str, chosen: list[object]) -> None:
    wanted = parse_keywords(text)

    assert [each for each in ALL if wanted(each)] == chosen


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("(order", "a ( is not closed"),
        ("order)", "')' is not expected there"),
        ("order line", "'line' is not expected there"),
        ("and order", "a word is missing"),
        ("order or", "a word is missing"),
        ("not", "a word is missing"),
    ],
)
def test_an_invalid_expression_is_an_error(text: str, said: str) -> None:
    with pytest.raises(UsageError) as caught:
        parse_keywords(text)

    assert said in caught.value.message
    assert caught.value.hint


def test_one_of_the_tags_is_enough() -> None:
    assert select(ALL, tags=["slow", "other"]) == [ORDER]


@pytest.mark.parametrize("failed", [None, frozenset(), frozenset({"gone::x"})])
def test_without_failures_all_are_selected(
    failed: frozenset[str] | None,
) -> None:
    assert select(ALL, failed=failed) == ALL


def test_a_scenario_is_called_the_same_however_its_file_is_spelled() -> None:
    absolute = Place(Path.cwd() / HERE.path, HERE.line, HERE.column)

    assert key(replace(ORDER, place=absolute)) == key(ORDER)


def test_failed_scenarios_are_selected_by_file_and_name() -> None:
    assert select(ALL, failed=frozenset({key(LINE)})) == [LINE]


PROJECT = {
    "shop.yaml": "prompt_file: shop.md\ntools: [{python: tools/shop.py:find}]\n",
    "shop.md": "Be brief.",
    "tools/shop.py": "",
    "bank.yaml": "prompt: Be brief.\n",
    "shop.test.yaml": "agent: shop.yaml\nscenarios: []\n",
    "bank.test.yaml": "agent: bank.yaml\nscenarios: []\n",
}


@pytest.mark.parametrize(
    ("changed", "names"),
    [
        (["shop.yaml"], ["shop"]),
        (["shop.md"], ["shop"]),
        (["tools/shop.py"], ["shop"]),
        (["bank.test.yaml"], ["bank"]),
        (["bank.yaml", "shop.test.yaml"], ["shop", "bank"]),
        (["other.yaml"], []),
        ([], []),
    ],
)
def test_a_change_concerns_those_that_draw_on_the_file(
    tmp_path: Path, changed: list[str], names: list[str]
) -> None:
    (tmp_path / "tools").mkdir()
    for name, text in PROJECT.items():
        (tmp_path / name).write_text(text, "utf-8")
    scenarios = [
        replace(
            scenario(tmp_path / f"{name}.yaml"),
            name=name,
            place=Place(tmp_path / f"{name}.test.yaml", 3, 5),
        )
        for name in ("shop", "bank")
    ]

    found = concerned(scenarios, frozenset(tmp_path / each for each in changed))

    assert [each.name for each in found] == names


def test_a_variable_goes_where_it_is_declared(tmp_path: Path) -> None:
    plain = write_agent(tmp_path)
    varied = tmp_path / "varied.yaml"
    text = plain.read_text("utf-8") + "variables: {company: {default: Acme}}\n"
    varied.write_text(text, "utf-8")
    scenarios = [scenario(plain), scenario(varied, variables={"company": "Nadir"})]

    found = give_variables(scenarios, {"company": "Zenith"})

    assert [each.variables for each in found] == [{}, {"company": "Zenith"}]
    with pytest.raises(UsageError, match="no agent declares a variable 'hours'"):
        give_variables(scenarios, {"hours": "nine"})


def test_an_agent_that_cannot_be_read_takes_any_variable(tmp_path: Path) -> None:
    scenarios = [scenario(tmp_path / "missing.yaml")]

    (found,) = give_variables(scenarios, {"company": "Zenith"})

    assert found.variables == {"company": "Zenith"}


def test_a_choice_of_nothing_is_an_error() -> None:
    with pytest.raises(UsageError, match="none of 2 scenarios is selected"):
        select(ALL, tags=["other"])
