"""The page of the scenario file's fields, from its JSON Schema."""

from __future__ import annotations

import json
from pathlib import Path

from docs.generate.markdown import page
from docs.generate.schema_tables import field_sections

ROOT = Path(__file__).resolve().parents[2]

_INTRODUCTION = """Every field of a scenario file (`NAME.test.yaml`). The page
[Scenarios](scenarios.md) explains them with examples."""


def make_page() -> str:
    """Returns the page."""
    schema = json.loads((ROOT / "agents" / "scenario.schema.json").read_text("utf-8"))
    sections = field_sections(schema)
    return page("# Scenario file", _INTRODUCTION, "## The file", *sections)
