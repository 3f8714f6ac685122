from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path, PurePath, PurePosixPath, PureWindowsPath
from typing import Any

import pytest
from jsonschema import Draft4Validator

from runner.cli.reports.common import all_rules, uri
from runner.cli.reports.sarif import write_sarif
from runner.config.lint.results import gather
from tests.cli.reports.findings_samples import ROOT, SHOP, samples

RULES = all_rules()

# As it was published for tools (the npm package @microsoft/jest-sarif, MIT).
SCHEMA = json.loads(
    Path(__file__).with_name("sarif-2.1.0-rtm.5.json").read_text("utf-8")
)


def run_of(text: str) -> dict[str, Any]:
    run: dict[str, Any] = json.loads(text)["runs"][0]
    return run


def test_a_log_is_valid_against_the_schema_of_sarif() -> None:
    log = json.loads(write_sarif(samples()))
    assert [each.message for each in Draft4Validator(SCHEMA).iter_errors(log)] == []


def test_a_log_without_findings_is_valid_too() -> None:
    log = json.loads(write_sarif(gather(ROOT, [], [])))
    assert [each.message for each in Draft4Validator(SCHEMA).iter_errors(log)] == []
    assert log["runs"][0]["results"] == []


def test_the_schema_would_notice() -> None:
    log = json.loads(write_sarif(samples()))
    log["runs"][0]["results"][0]["level"] = "fatal"
    assert not Draft4Validator(SCHEMA).is_valid(log)


def test_every_rule_is_described_with_help_and_found_by_its_index() -> None:
    run = run_of(write_sarif(samples()))
    rules = run["tool"]["driver"]["rules"]
    assert [each["id"] for each in rules] == list(RULES)
    for each in rules:
        assert each["help"]["text"] and "```yaml" in each["help"]["markdown"]
    for result in run["results"]:
        assert rules[result["ruleIndex"]]["id"] == result["ruleId"]


def test_a_fix_replaces_what_it_says() -> None:
    results = run_of(write_sarif(samples()))["results"]
    [fix] = [each["fixes"][0] for each in results if "fixes" in each]
    [change] = fix["artifactChanges"]
    [replacement] = change["replacements"]
    region = replacement["deletedRegion"]
    line = SHOP.line(region["startLine"])
    assert line[region["startColumn"] - 1 : region["endColumn"] - 1] == "voise"
    assert replacement["insertedContent"] == {"text": "voice"}


def test_a_fingerprint_stays_when_lines_are_added_above() -> None:
    before = samples()
    file = before.files[0]
    moved = [
        replace(each, line=each.line + 3, end_line=each.end_line + 3)
        for each in file.findings
    ]
    after = gather(ROOT, [replace(file, findings=tuple(moved))], [])
    assert fingerprints(write_sarif(after)) == fingerprints(write_sarif(before))


def test_the_same_finding_twice_has_two_fingerprints() -> None:
    before = samples()
    file = before.files[0]
    found = file.findings[0]
    twice = gather(ROOT, [replace(file, findings=(found, found))], [])
    one, other = fingerprints(write_sarif(twice))
    assert one != other


def fingerprints(text: str) -> list[str]:
    results = run_of(text)["results"]
    return [each["partialFingerprints"]["vagentFinding/v1"] for each in results]


@pytest.mark.parametrize(
    ("path", "root", "expected"),
    [
        (PurePosixPath("a b/ü.yaml"), ROOT, ("a%20b/%C3%BC.yaml", True)),
        (PurePosixPath("a:b#c?.yaml"), ROOT, ("a%3Ab%23c%3F.yaml", True)),
        (PurePosixPath("50%.yaml"), ROOT, ("50%25.yaml", True)),
        (PurePosixPath("/srv/shop/a.yaml"), ROOT, ("a.yaml", True)),
        (PurePosixPath("/etc/a b.yaml"), ROOT, ("file:///etc/a%20b.yaml", False)),
        (
            PureWindowsPath(r"agents\a b.yaml"),
            PureWindowsPath(r"C:\shop"),
            ("agents/a%20b.yaml", True),
        ),
        (
            PureWindowsPath(r"c:\SHOP\a.yaml"),
            PureWindowsPath(r"C:\shop"),
            ("a.yaml", True),
        ),
        (
            PureWindowsPath(r"D:\x\a.yaml"),
            PureWindowsPath(r"C:\shop"),
            ("file:///D:/x/a.yaml", False),
        ),
    ],
)
def test_a_uri_is_relative_where_it_can_be(
    path: PurePath, root: PurePath, expected: tuple[str, bool]
) -> None:
    assert uri(path, root) == expected


def test_a_path_that_climbs_out_is_absolute(tmp_path: Path) -> None:
    spelled, is_relative = uri(Path("../x.yaml"), tmp_path)
    assert (spelled, is_relative) == ((tmp_path.parent / "x.yaml").as_uri(), False)
    assert uri(Path("a/../x.yaml"), tmp_path) == ("x.yaml", True)
