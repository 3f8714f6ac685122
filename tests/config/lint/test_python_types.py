from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from runner.config.files import read_agent_text
from runner.config.lint.python_types import infer_schema
from runner.config.loader import examine_agent

AGENT = b"version: 1\nname: a\nprompt: p\ntools: [{python: 'tools.py:f'}]\n"


def infer(folder: Path, signature: str) -> dict[str, Any] | None:
    head = "from typing import Annotated, Any, Literal, Optional\nLIMIT = 4\n"
    (folder / "tools.py").write_text(
        f'{head}def f({signature}) -> str:\n    """Do it."""\n', "utf-8"
    )
    reading = read_agent_text(AGENT, folder / "a.yaml")
    _, inspection = examine_agent(reading, environment={})
    assert inspection is not None
    return infer_schema(inspection, ("tools", 0))


@pytest.mark.parametrize(
    ("annotation", "schema"),
    [
        ("str", {"type": "string"}),
        ("Optional[int]", {"type": ["integer", "null"]}),
        ("Literal['a', 'b']", {"type": "string", "enum": ["a", "b"]}),
        (
            "Annotated[str, 'x', {'pattern': '[0-9]'}]",
            {"type": "string", "description": "x", "pattern": "[0-9]"},
        ),
        ("Annotated[int, {'maximum': LIMIT}]", {"type": "integer"}),
        ("Any", {}),
        ("Unheard", {}),
    ],
)
def test_an_annotation_is_read_as_far_as_it_is_sure(
    annotation: str, schema: dict[str, Any], tmp_path: Path
) -> None:
    found = infer(tmp_path, f"x: {annotation}")
    assert found is not None
    assert found["properties"] == {"x": schema}
    assert found["required"] == ["x"]


def test_what_has_a_default_may_be_left_out(tmp_path: Path) -> None:
    found = infer(tmp_path, "a: str, *, b: int = 3")
    assert found is not None
    assert found["required"] == ["a"]
    assert list(found["properties"]) == ["a", "b"]


@pytest.mark.parametrize("signature", ["**more: str", "a: str, /", "*several: str"])
def test_of_other_signatures_nothing_is_said(signature: str, tmp_path: Path) -> None:
    assert infer(tmp_path, signature) is None


def test_of_another_kind_of_tool_nothing_is_said(tmp_path: Path) -> None:
    text = AGENT.replace(b"{python: 'tools.py:f'}", b"{plugin: end_call}")
    _, inspection = examine_agent(
        read_agent_text(text, tmp_path / "a.yaml"), environment={}
    )
    assert inspection is not None
    assert infer_schema(inspection, ("tools", 0)) is None
