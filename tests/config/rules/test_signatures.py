"""What is said about a function is what loading it would find."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from runner.config.diagnostics import Diagnostic
from runner.config.loader import check_file
from runner.errors import ConfigError, ToolError
from runner.loading import load_agent_and_tools

HEAD = "from __future__ import annotations\n"
# Function f, and the parameters that the agent file gives it (None: none).
Case = tuple[str, dict[str, Any] | None]


def of(*required: str, **properties: Any) -> dict[str, Any]:
    return {"type": "object", "properties": properties, "required": [*required]}


TEXT = {"type": "string"}
LOADED: list[Case] = [
    ("def f(): ...", None),
    ("def f(a: str, b: int = 3) -> dict[str, list[int]]: ...", None),
    ("async def f(*, a: float) -> None: ...", None),
    ("from typing import *\ndef f(a: Optional[str] = None): ...", None),
    ("import typing as t\ndef f(a: t.Annotated[str, 'what']): ...", None),
    ("from datetime import date\ndef f(a: date | None = None) -> date: ...", None),
    ("import datetime\ndef f(a: datetime.date): ...", None),
    ("import enum\nclass E(enum.Enum):\n  A = 1\ndef f(a: E): ...", None),
    (
        "import dataclasses\n@dataclasses.dataclass\nclass D:\n  x: int\n"
        "def f(a: list[D]): ...",
        None,
    ),
    ("from typing import NamedTuple as N\ndef f(a: 'str') -> 'int': ...", None),
    ("try:\n  import x\nexcept ImportError:\n  x = None\ndef f(): ...", None),
    ("if True:\n  def f(a: str): ...\nelse:\n  def f(): ...", None),
    ("f = lambda: 1", None),
    ("def f(a, b=1): ...", of("a", a=TEXT)),
    ("def f(a: bytes): ...", of("a", a=TEXT)),
    ("def f(**rest): ...", of("a", a=TEXT)),
    ("def f(a, **rest): ...", of("a", a=TEXT, other=TEXT)),
    ("def f() -> bytes: ...", None),
]
REFUSED: list[Case] = [
    ("def f(a): ...", None),
    ("def f(a: bytes): ...", None),
    ("def f(a: list[complex]): ...", None),
    ("from collections.abc import Callable\ndef f(a: Callable[[], int]): ...", None),
    ("from pathlib import Path\ndef f(a: Path | None): ...", None),
    ("import pathlib as p\ndef f(a: p.Path): ...", None),
    ("class C: ...\ndef f(a: C): ...", None),
    ("def f(*a: str): ...", None),
    ("def f(a: str, /): ...", None),
    ("def f(**rest: str): ...", None),
    ("def f(a: str, /): ...", of("a", a=TEXT)),
    ("def f(): ...", of(a=TEXT)),
    ("def f(a: str): ...", of(a=TEXT)),
    ("def f(a: str, b: str): ...", of("a", a=TEXT)),
    ("def f(a: Unheard): ...", None),
    ("def f() -> Unheard: ...", None),
    (
        "from typing import TYPE_CHECKING\nif TYPE_CHECKING:\n"
        "  from datetime import date\ndef f(a: date): ...",
        None,
    ),
    ("def f():\n  yield 1", None),
    ("async def f():\n  yield 1", None),
]


def write(folder: Path, code: str, parameters: dict[str, Any] | None) -> Path:
    (folder / "t.py").write_text(HEAD + code + "\n", "utf-8")
    tool: dict[str, Any] = {"python": "t.py:f", "description": "It is for a test."}
    if parameters is not None:
        tool["parameters"] = parameters
    agent = {"version": 1, "name": "a", "prompt": "p", "tools": [tool]}
    path = folder / "agent.yaml"
    path.write_text(json.dumps(agent), "utf-8")
    return path


def check(folder: Path, code: str, parameters: Any = None) -> list[Diagnostic]:
    found = check_file(write(folder, code, parameters), environment={})
    return [each for each in found if each.rule.startswith("VA4")]


def is_loaded(path: Path) -> bool:
    try:
        load_agent_and_tools(path, {}, {})
    except (ToolError, ConfigError):
        return False
    return True


@pytest.mark.parametrize(("code", "parameters"), LOADED)
def test_nothing_is_wrong_with_what_can_be_loaded(
    tmp_path: Path, code: str, parameters: dict[str, Any] | None
) -> None:
    errors = [each for each in check(tmp_path, code, parameters) if each.is_error]
    assert [each.message for each in errors] == []
    assert is_loaded(tmp_path / "agent.yaml")


@pytest.mark.parametrize(("code", "parameters"), REFUSED)
def test_one_error_is_found_in_what_cannot_be_loaded(
    tmp_path: Path, code: str, parameters: dict[str, Any] | None
) -> None:
    errors = [each for each in check(tmp_path, code, parameters) if each.is_error]
    assert len(errors) == 1
    assert not is_loaded(tmp_path / "agent.yaml")


@pytest.mark.parametrize(
    ("annotation", "schema", "rules"),
    [
        ("str", {"type": "string"}, []),
        ("str", {"type": "integer"}, ["VA414"]),
        ("int", {"type": "number"}, ["VA414"]),
        ("float", {"type": "integer"}, []),
        ("str | None", {"type": "null"}, []),
        ("list[str]", {"type": "array"}, []),
        ("dict[str, int]", {"type": "array"}, ["VA414"]),
        ("object", {"type": "array"}, []),
        ("'int'", {"type": "string"}, ["VA414"]),
        ("Literal['a', 'b']", {"enum": ["a"]}, []),
        ("Literal['a', 'b']", {"enum": ["a", "c"]}, ["VA415"]),
        ("Annotated[Literal[1, 2], 'n']", {"enum": [1, 3]}, ["VA415"]),
        ("Elsewhere", {"type": "integer"}, []),
    ],
)
def test_types_and_choices_agree(
    tmp_path: Path, annotation: str, schema: Any, rules: list[str]
) -> None:
    code = (
        "from typing import Annotated, Literal\nfrom elsewhere import Elsewhere\n"
        f"def f(a: {annotation}): ..."
    )
    assert [each.rule for each in check(tmp_path, code, of("a", a=schema))] == rules


@pytest.mark.parametrize(
    ("default", "given", "is_found"),
    [("3", 3, False), ("3", 4, True), ("None", 4, False), ("True", 1, True)],
)
def test_defaults_agree(
    tmp_path: Path, default: str, given: Any, is_found: bool
) -> None:
    schema = of(a={"type": ["integer", "boolean"], "default": given})
    found = check(tmp_path, f"def f(a: object = {default}): ...", schema)
    assert [each.rule for each in found] == ["VA416"] * is_found


def test_a_renamed_argument_is_one_finding(tmp_path: Path) -> None:
    found = check(tmp_path, "def f(order_id: str): ...", of("ordre_id", ordre_id=TEXT))
    assert [(each.rule, each.help) for each in found] == [
        ("VA412", "did you mean `order_id`?")
    ]


def test_places_in_the_function_count_characters_not_bytes(tmp_path: Path) -> None:
    (found,) = check(tmp_path, "def f(größe: 'str' = 'ü', länge: bytes = b''): ...")
    assert Path(found.path).name == "t.py"
    assert found.excerpt[found.column - 1 : found.end_column - 1] == "bytes"
