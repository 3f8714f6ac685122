"""docs/reference/scenarios.md shows files that are right, and names every field."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from runner.config.diagnostics import render
from runner.testing.results import Status
from runner.testing.runner import TestOptions, run_scenario
from runner.testing.scenarios.loader import check_suite, load_suite, packaged_schema
from tests.testing.scenarios.reading import read

PAGE = Path(__file__).parents[3] / "docs" / "reference" / "scenarios.md"
TEXT = PAGE.read_text("utf-8")
MODELINE = "# yaml-language-server: $schema=./scenario.schema.json\n"
BLOCKS = re.findall(r"^```yaml\n(.*?)^```", TEXT, re.MULTILINE | re.DOTALL)


@pytest.mark.parametrize("block", BLOCKS, ids=range(len(BLOCKS)))
def test_every_block_is_a_scenario_file_without_findings(
    block: str, suites: Path
) -> None:
    found = check_suite(read(suites, block.replace(MODELINE, "")))
    assert not found, render(found)


def test_the_first_line_is_the_one_that_editors_know() -> None:
    assert BLOCKS[0].startswith(MODELINE)


def test_every_field_is_named() -> None:
    schema = packaged_schema()
    names = set(schema["properties"])
    for definition in ("scenario", "turn", "answer"):
        names |= set(schema["$defs"][definition]["properties"])
    names |= set(schema["$defs"]["llm"]["items"]["properties"])
    for each in schema["$defs"]["turn"]["properties"].values():
        names |= set(each.get("properties", ()))
    assert [each for each in sorted(names) if not re.search(rf"\b{each}\b", TEXT)] == []


@pytest.mark.parametrize("block", BLOCKS, ids=range(len(BLOCKS)))
def test_an_example_of_the_page_is_correct(block: str, suites: Path) -> None:
    path = suites / "shown.test.yaml"
    path.write_text(block, "utf-8")
    for scenario in load_suite(path).scenarios:
        result = run_scenario(scenario, TestOptions())
        failure = result.failure or result.error
        assert result.status is Status.PASSED, f"{scenario.id}: {failure}"
