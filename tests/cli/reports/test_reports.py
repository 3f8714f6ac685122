"""Every format word for word, for one set of findings: expected/FORMAT.txt.

To accept new wordings: UPDATE_GOLDEN=1 pytest tests/cli/reports, then read the
difference.
"""

from __future__ import annotations

import json
import os
import re
from pathlib import Path

import pytest

from runner.cli.reports import FORMATS, choose_format, load_report
from runner.cli.validate import Format
from tests.cli.reports.findings_samples import samples

EXPECTED = Path(__file__).parent / "expected"


def comparable(name: str) -> str:
    """Write the samples; what changes with the version or the rules is left out."""
    text = load_report(name)(samples()).replace("\\\\", "/")
    if name in ("json", "sarif"):
        document = json.loads(text)
        if name == "json":
            document["tool"].pop("version")
        else:
            document["runs"][0]["tool"]["driver"] = {}
            for result in document["runs"][0]["results"]:
                result.pop("ruleIndex")
        text = json.dumps(document, indent=2) + "\n"
    return text


@pytest.mark.parametrize("name", FORMATS)
def test_a_format_is_written_word_for_word(name: str) -> None:
    said = comparable(name)
    expected = EXPECTED / f"{name}.txt"
    if os.environ.get("UPDATE_GOLDEN"):
        expected.write_bytes(said.encode())
    assert said == expected.read_bytes().decode()


@pytest.mark.parametrize("name", ["text", "concise"])
def test_color_adds_only_color_codes(name: str) -> None:
    plain, colored = load_report(name), load_report(name, color=True)
    assert "\x1b[1;31m" in colored(samples())
    assert re.sub(r"\x1b\[[0-9;]*m", "", colored(samples())) == plain(samples())


@pytest.mark.parametrize("name", sorted(set(FORMATS) - {"text", "concise"}))
def test_machine_formats_have_no_color(name: str) -> None:
    assert load_report(name, color=True)(samples()) == load_report(name)(samples())


@pytest.mark.parametrize("name", sorted(set(FORMATS) - {"text", "concise", "github"}))
def test_machine_formats_are_ascii(name: str) -> None:
    assert load_report(name)(samples()).isascii()


def test_the_command_line_takes_every_format() -> None:
    assert [each.value for each in Format] == ["auto", *FORMATS]


@pytest.mark.parametrize(
    ("wanted", "environment", "chosen"),
    [
        ("auto", {}, "text"),
        ("auto", {"GITHUB_ACTIONS": "true"}, "github"),
        ("auto", {"GITHUB_ACTIONS": "false"}, "text"),
        ("sarif", {"GITHUB_ACTIONS": "true"}, "sarif"),
    ],
)
def test_auto_writes_annotations_under_github_actions(
    wanted: str, environment: dict[str, str], chosen: str
) -> None:
    assert choose_format(wanted, environment) == chosen
