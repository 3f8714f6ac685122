"""The generated pages of the reference are those that the program makes today."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from docs.generate.__main__ import make_pages
from runner.cli.main import COMMANDS
from runner.cli.reports.common import all_rules
from runner.config.schema import packaged_schema
from runner.protocol.client.state import CLOSES, ERRORS, REFUSALS

DOCS = Path(__file__).parents[2] / "docs"
RULES = all_rules()


@pytest.fixture(scope="module")
def pages() -> dict[str, str]:
    """The pages by their path, as `make docs` would write them."""
    return make_pages()


def test_the_pages_are_current(pages: dict[str, str]) -> None:
    written = {name: (DOCS / name).read_text("utf-8") for name in pages}
    outdated = [name for name, text in pages.items() if written[name] != text]
    assert outdated == [], "run: make docs"


def test_every_page_of_a_rule_has_its_rule(pages: dict[str, str]) -> None:
    folder = DOCS / "reference" / "rules"
    found = {f"reference/rules/{path.name}" for path in folder.iterdir()}
    assert found == {name for name in pages if name.startswith("reference/rules/")}


def test_every_rule_has_a_page_and_a_row(pages: dict[str, str]) -> None:
    index = pages["reference/rules/README.md"]
    rows = re.findall(r"^\| \[(VA\d+)\]\((.+?)\)", index, re.MULTILINE)
    assert rows == [(each, f"{each}.md") for each in sorted(RULES)]
    assert {f"reference/rules/{each}.md" for each in RULES} <= pages.keys()


def test_every_family_of_rules_has_a_title(pages: dict[str, str]) -> None:
    assert "Others" not in pages["reference/rules/README.md"]


def test_every_error_code_has_a_row(pages: dict[str, str]) -> None:
    lines = pages["reference/errors.md"].splitlines()
    rows = {line.split("|")[1].strip() for line in lines if "|" in line}
    assert {f"`{code}`" for code in (*ERRORS, *CLOSES, *REFUSALS)} <= rows


def test_every_command_has_a_section(pages: dict[str, str]) -> None:
    titles = re.findall(r"^## vagent (\S+)$", pages["reference/cli.md"], re.MULTILINE)
    assert sorted(titles) == sorted(COMMANDS)


def test_every_field_of_an_agent_has_a_row(pages: dict[str, str]) -> None:
    page = pages["reference/agent-file.md"]
    for name, field in packaged_schema()["properties"].items():
        assert f"| `{name}`" in page
        for inner in field.get("properties", ()):
            assert f"| `{inner}`" in page, f"{name}.{inner}"
