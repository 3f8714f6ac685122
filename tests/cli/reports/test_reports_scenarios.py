"""Every format against a golden file; UPDATE_GOLDEN=1 rewrites the files."""

from __future__ import annotations

import json
import os
from dataclasses import replace
from pathlib import Path
from xml.etree import ElementTree

import pytest
import yaml

from runner.cli.reports import SCENARIO_FORMATS, load_scenario_report
from runner.cli.reports.github import write_summary
from runner.testing.results import Failure, Report, Status
from runner.testing.scenarios.model import Place
from tests.cli.reports.samples import (
    ERROR,
    FAILED,
    FILE,
    PASSED,
    REPORT,
    SKIPPED,
    TEXT,
    result,
)

EXPECTED = Path(__file__).parent / "expected_scenarios"


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    FILE.write_text(TEXT, "utf-8")


def compare(name: str, text: str) -> None:
    path = EXPECTED / f"{name}.txt"
    if os.environ.get("UPDATE_GOLDEN"):
        path.parent.mkdir(exist_ok=True)
        path.write_text(text, "utf-8", newline="\n")
    assert text == path.read_text("utf-8")


@pytest.mark.parametrize("name", SCENARIO_FORMATS)
def test_a_format_matches_its_golden_file(name: str) -> None:
    compare(name, load_scenario_report(name)(REPORT))


def test_color_adds_only_color_codes() -> None:
    colored = load_scenario_report("text", color=True)(REPORT)

    assert colored != load_scenario_report("text")(REPORT)
    for code in ("1;31", "0"):
        colored = colored.replace(f"\x1b[{code}m", "")
    assert colored == load_scenario_report("text")(REPORT)


def test_the_job_summary_matches_its_golden_file() -> None:
    compare("summary", write_summary(REPORT))


@pytest.mark.parametrize("name", SCENARIO_FORMATS)
def test_an_empty_report_can_be_written(name: str) -> None:
    assert isinstance(load_scenario_report(name)(Report()), str)


HOSTILE = "a\x1b]0;title\x07b\x9bc\u202ed\re\u2028f"


@pytest.mark.parametrize("name", SCENARIO_FORMATS)
def test_no_format_contains_a_control_character(name: str) -> None:
    assert FAILED.failure is not None
    failed = replace(
        FAILED,
        scenario=replace(FAILED.scenario, name=HOSTILE, tags=(HOSTILE,)),
        failure=Failure(Place(FILE, 6, 9), HOSTILE, HOSTILE),
        said=(("agent", HOSTILE),),
        left_out=(HOSTILE,),
        recording=Path(HOSTILE),
    )
    others = (replace(ERROR, error=HOSTILE), replace(SKIPPED, error=HOSTILE))

    text = load_scenario_report(name)(Report((failed, *others), Path.cwd()))

    assert text.replace("\n", "").isprintable()


def test_json_keeps_the_value_of_a_name_with_control_characters() -> None:
    named = replace(PASSED, scenario=replace(PASSED.scenario, name=HOSTILE))

    text = load_scenario_report("json")(Report((named,), Path.cwd()))

    assert json.loads(text)["results"][0]["scenario"] == HOSTILE


def test_json_is_json_and_junit_counts_right() -> None:
    content = json.loads(load_scenario_report("json")(REPORT))
    root = ElementTree.fromstring(load_scenario_report("junit")(REPORT))

    assert content["counts"] == {"passed": 2, "failed": 2, "error": 1, "skipped": 1}
    assert [root.get(each) for each in ("tests", "failures", "errors", "skipped")] == [
        "6",
        "2",
        "1",
        "1",
    ]
    assert len(root.findall("./testsuite/testcase")) == 6


# What the schemas of Jenkins and Ant have in common, and in addition what readers of
# either take for granted: places and properties of a case.
ATTRIBUTES = {
    "testsuites": {"name", "tests", "failures", "errors", "skipped"},
    "testsuite": {"name", "tests", "failures", "errors", "skipped", "time"},
    "testcase": {"name", "classname", "time", "file", "line"},
    "failure": {"message", "type"},
    "error": {"message", "type"},
    "skipped": {"message"},
    "properties": set[str](),
    "property": {"name", "value"},
    "system-out": set[str](),
}
CHILDREN = {
    "testsuites": ["testsuite"],
    "testsuite": ["testcase"],
    # In this order, which those schemas that have one ask for.
    "testcase": ["properties", "skipped", "error", "failure", "system-out"],
    "properties": ["property"],
}


def test_junit_has_the_elements_that_its_readers_know() -> None:
    root = ElementTree.fromstring(load_scenario_report("junit")(REPORT))

    for element in root.iter():
        assert set(element.keys()) == ATTRIBUTES[element.tag]
        order = CHILDREN.get(element.tag, [])
        places = [order.index(child.tag) for child in element]
        assert places == sorted(places)


def test_junit_says_which_service_seed_and_recording() -> None:
    root = ElementTree.fromstring(load_scenario_report("junit")(REPORT))
    case = root.findall("./testsuite/testcase")[2]

    assert {each.get("name"): each.get("value") for each in case.iter("property")} == {
        "service": "script",
        "seed": "2",
        "recording": ".vagent/recordings/shop-3-looks-up-an-order",
    }


def test_the_blocks_of_tap_are_yaml() -> None:
    lines = load_scenario_report("tap")(REPORT).splitlines()
    blocks = "\n".join(lines).split("\n  ---\n")[1:]

    for block in blocks:
        text = "\n".join(each[2:] for each in block.split("\n  ...")[0].split("\n"))
        value = yaml.safe_load(text)
        assert value["file"] == "shop.test.yaml"
    assert len(blocks) == 3
    assert lines[1] == "1..6"
    assert [each.split()[0] for each in lines if not each.startswith(" ")][2:] == (
        ["not", "ok", "not", "not", "ok", "ok"]
    )


def test_markdown_in_a_name_is_shown_as_it_is() -> None:
    name = "a | b <img src=x> `c` [d](e)"
    shown = write_summary(Report((result(name, Status.FAILED),)))

    assert (
        "| a \\| b \\<img src=x\\> \\`c\\` \\[d\\](e) | shop.test.yaml | failed |"
        in shown
    )


@pytest.mark.parametrize("before", ["\t", "日本 ", "x" * 150 + " "])
def test_the_caret_is_below_its_turn(before: str) -> None:
    FILE.write_text(TEXT.replace("      - agent", f"{before}- agent"), "utf-8")
    column = len(before) + 3
    place = Place(FILE, 6, column)
    failed = replace(FAILED, failure=Failure(place, "x", "y"))

    shown, caret = load_scenario_report("text")(Report((failed,))).splitlines()[1:3]

    def width(text: str) -> int:
        return sum(2 if each in "日本" else 1 for each in text)

    assert width(caret.rstrip("^")) == width(shown[: shown.index("agent: shipped")])
    assert len(shown) < 140
