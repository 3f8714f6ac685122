"""Versions of agent files, with a format of three versions made for these tests."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from runner.config.loader import check_file
from runner.config.schema import find_violations, packaged_schema
from runner.config.schema_errors import to_findings
from runner.config.schema_fixes import FORMAT, Format
from runner.config.source import Source
from runner.config.yaml.parser import parse_document

LATER = Format(
    3,
    {
        1: lambda text: text.replace("version: 1", "version: 2").replace(
            "say:", "tell:"
        ),
        2: lambda text: text.replace("version: 2", "version: 3") + "mood: calm\n",
    },
)
SCHEMA: dict[str, Any] = {
    "properties": {"version": {"const": 3}, "tell": {}, "mood": {}},
    "required": ["mood"],
    "additionalProperties": False,
}
OLD = "# mine\nversion: 1   # for now\nsay:   Hello\n"


def findings(text: str) -> list[tuple[str, str, str | None]]:
    document, _ = parse_document(Source("a.yaml", text))
    assert document is not None
    violations = find_violations(document.value, SCHEMA)
    return [
        (rule, each.message, each.help)
        for rule, each in to_findings(document, violations, format_=LATER)
    ]


def test_the_version_that_is_read_is_the_schemas() -> None:
    schema = packaged_schema()

    assert schema["properties"]["version"]["const"] == FORMAT.current
    assert schema["$id"].endswith(f"/agent-{FORMAT.current}.json")


def test_migrations_lead_from_version_to_version_and_keep_the_rest() -> None:
    assert LATER.migrate(OLD, 1) == (
        "# mine\nversion: 3   # for now\ntell:   Hello\nmood: calm\n"
    )
    assert LATER.migrate("version: 2\n", 2) == "version: 3\nmood: calm\n"
    assert LATER.migrate("version: 3\n", 3) == "version: 3\n"


def test_migrations_with_a_gap_are_refused() -> None:
    with pytest.raises(ValueError, match="do not lead to 3"):
        Format(3, {1: str})


def test_an_outdated_file_has_one_finding_and_the_way_out() -> None:
    document, _ = parse_document(Source("a.yaml", OLD))
    assert document is not None

    ((rule, found),) = to_findings(
        document, find_violations(document.value, SCHEMA), format_=LATER
    )

    assert (rule, found.invalidates) == ("VA212", ())
    assert found.message == "the file has version 1; this vagent reads version 3"
    assert found.help == "run `vagent validate --fix` to rewrite it"
    assert found.fix is not None
    (edit,) = found.fix.edits
    assert (edit.start, edit.end) == (0, len(OLD))
    assert findings(edit.text) == []


@pytest.mark.parametrize("version", ["4", '"4"', "4.0"])
def test_a_later_file_has_one_finding_however_its_version_is_written(
    version: str,
) -> None:
    assert findings(f"version: {version}\nwhat: 1\never: 2\n") == [
        (
            "VA212",
            "the file has version 4; this vagent reads version 3",
            "update vagent",
        )
    ]


@pytest.mark.parametrize(
    ("version", "help_"),
    [
        ('"3"', "remove the quotes"),
        ("0", "write 3"),
        ("-1", "write 3"),
        ("3.5", "write 3"),
        ("three", "write 3"),
        ("true", "write 3"),
    ],
)
def test_an_invalid_version_is_an_ordinary_finding(
    version: str, help_: str | None
) -> None:
    (found,) = findings(f"version: {version}\nmood: calm\n")

    rule, message, advice = found
    assert (rule, advice) == ("VA205", help_)
    assert message.endswith("; it must be `3`")


def test_of_a_file_of_a_later_version_nothing_else_is_said(tmp_path: Path) -> None:
    file = tmp_path / "a.yaml"
    file.write_text(
        "version: 2\nnaem: x\npersona: ${nobody}\ntools:\n"
        "  - python: ../outside.py:f\n    timeout: 900s\n  - mcp: {}\n"
        "session: {idle: {say: Hello?}}\n",
        "utf-8",
    )

    (found,) = check_file(file, environment={})

    assert (found.rule, found.line, found.column) == ("VA212", 1, 10)
