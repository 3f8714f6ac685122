"""Every format as a golden file; UPDATE_GOLDEN=1 writes them anew, to be read."""

from __future__ import annotations

import json
import os
from pathlib import Path
from xml.etree import ElementTree

import pytest

from runner.testing.reports import FORMATS, choose_format, load_writer
from runner.testing.reports.annotations import write_summary
from runner.testing.results import Report
from tests.testing.reports.samples import FILE, REPORT, TEXT

EXPECTED = Path(__file__).parent / "expected"


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


@pytest.mark.parametrize("name", FORMATS)
def test_a_format_is_as_it_was(name: str) -> None:
    compare(name, load_writer(name)(REPORT))


def test_colours_are_nothing_but_colours() -> None:
    coloured = load_writer("text", colour=True)(REPORT)

    assert coloured != load_writer("text")(REPORT)
    for code in ("1;31", "0"):
        coloured = coloured.replace(f"\x1b[{code}m", "")
    assert coloured == load_writer("text")(REPORT)


def test_the_job_summary_is_as_it_was() -> None:
    compare("summary", write_summary(REPORT))


@pytest.mark.parametrize("name", FORMATS)
def test_a_report_of_nothing_can_be_written(name: str) -> None:
    assert isinstance(load_writer(name)(Report()), str)


def test_no_control_character_reaches_the_terminal() -> None:
    assert "\x1b" not in load_writer("text")(REPORT)


def test_json_is_json_and_junit_counts_right() -> None:
    content = json.loads(load_writer("json")(REPORT))
    root = ElementTree.fromstring(load_writer("junit")(REPORT))

    assert content["counts"] == {"passed": 2, "failed": 1, "error": 1, "skipped": 1}
    assert [root.get(each) for each in ("tests", "failures", "errors", "skipped")] == [
        "5",
        "1",
        "1",
        "1",
    ]
    assert len(root.findall("./testsuite/testcase")) == 5


def test_auto_is_annotations_where_github_runs_it() -> None:
    assert choose_format("auto", {"GITHUB_ACTIONS": "true"}) == "github"
    assert choose_format("auto", {}) == "text"
    assert choose_format("tap", {"GITHUB_ACTIONS": "true"}) == "tap"
