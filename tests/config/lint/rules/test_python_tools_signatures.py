"""What is said about a function is what loading it would find."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from runner.config.diagnostics import Diagnostic
from runner.config.files import read_agent_text
from runner.config.lint.python_types import infer_schema
from runner.config.loader import check_file, examine_agent, load_agent
from runner.engine.agent import load_agent_and_tools
from runner.errors import ConfigError, ToolError
from runner.tools.python import PythonKind
from runner.tools.registry import load_each

HEAD = "from __future__ import annotations\n"
# Function f, and the parameters that the agent file gives it (None: none).
Case = tuple[str, dict[str, Any] | None]


def of(*required: str, **properties: Any) -> dict[str, Any]:
    return {"type": "object", "properties": properties, "required": [*required]}


TEXT = {"type": "string"}
# Decorators that change what a function takes or returns.
DECORATORS = """
import functools, inspect
def injects(g):
  @functools.wraps(g)
  def w(*a, **k): return g("DB", *a, **k)
  s = inspect.signature(g)
  w.__signature__ = s.replace(parameters=list(s.parameters.values())[1:])
  return w
def gives(g):
  @functools.wraps(g)
  def w(**k): return g("DB", **k)
  return w
def collects(g):
  @functools.wraps(g)
  def w(*a, **k): return list(g(*a, **k))
  return w
"""
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
    ("def f(a: bytes): ...", None),
    ("def f(a: list[complex]): ...", None),
    ("from pathlib import Path\ndef f(a: Path | None): ...", None),
    ("from typing import List\ndef f(a: List): ...", None),
    ("from typing import Iterable\ndef f(a: Iterable[str]): ...", None),
    ("def f() -> Unheard: ...", None),
    ("def f(a: Unheard): ...", of("a", a=TEXT)),
    ("def f(*a, **rest): ...", of("a", a=TEXT)),
    ("def f(a: type[int]): ...", None),
    # Whatever is not sure is not reported.
    ("from .others import *", None),
    ("f, g = (lambda: 1), 2", None),
    ("(f := lambda: 1)", None),
    ("[f] = [lambda: 1]", None),
    ("for _ in (1,):\n  def f(a: str): ...", None),
    ("match 1:\n  case 1:\n    def f(a: str): ...", None),
    ("match (lambda: 1):\n  case f: ...", None),
    ("globals()['f'] = lambda: 1", None),
    ("def g():\n  global f\n  f = lambda: 1\ng()", None),
    ("def g():\n  globals()['f'] = lambda: 1\ng()", None),
    ("if True:\n  def f(a: str): ...\nelse:\n  def f(a, b, *c): ...", None),
    ("def f(a, *b): ...\ndef f(a: str): ...", None),
    ("def f(a): ...\nf = lambda: 1", None),
    ("class f: ...\ndef g(): ...\nf = g", None),
    ("class C:\n  def __call__(self, a: str): ...\nf = C()", None),
    (DECORATORS + "@injects\ndef f(db, city: str): ...", None),
    (DECORATORS + "@injects\ndef f(db, city: str): ...", of("city", city=TEXT)),
    (DECORATORS + "@gives\ndef f(db, city: str): ...", of("city", city=TEXT)),
    (DECORATORS + "@gives\ndef f(db, /, city: str): ...", of("city", city=TEXT)),
    (DECORATORS + "@collects\ndef f(n: int):\n  yield n", None),
    (DECORATORS + "@object.__new__\nclass f:\n  def __call__(self): ...", None),
    ("import functools\n@functools.cache\ndef f(a: str): ...", None),
    (
        "from runner.tools.plugins import tool\n@tool(effect='write')\n"
        "def f(a: str): ...",
        None,
    ),
    (
        "from typing import Annotated\nfrom pydantic import AfterValidator\n"
        "def f(a: Annotated[int, AfterValidator(lambda v: v)]): ...",
        None,
    ),
    (
        "from typing import Annotated\nfrom pydantic import PlainValidator\n"
        "def f(a: Annotated[range, PlainValidator(range)]): ...",
        None,
    ),
    (
        "try:\n  from typing import Annotated\nexcept ImportError:\n"
        "  from typing_extensions import Annotated\n"
        "def f(a: Annotated[str, 'x']): ...",
        None,
    ),
]
REFUSED: list[Case] = [
    ("def f(a): ...", None),
    ("def f(a: memoryview): ...", None),
    ("def f(a: list[range]): ...", None),
    ("from collections.abc import Callable\ndef f(a: Callable[[], int]): ...", None),
    ("from io import BytesIO\ndef f(a: BytesIO | None): ...", None),
    ("import io as i\ndef f(a: i.BytesIO): ...", None),
    ("import functools\n@functools.cache\ndef f(a): ...", None),
    ("def g(): ...", None),
    ("class f: ...", None),
    ("class C: ...\ndef f(a: C): ...", None),
    ("def f(*a: str): ...", None),
    ("def f(a: str, /): ...", None),
    ("def f(**rest: str): ...", None),
    ("def f(a: str, /): ...", of("a", a=TEXT)),
    ("def f(): ...", of(a=TEXT)),
    ("def f(a: str): ...", of(a=TEXT)),
    ("def f(a: str, b: str): ...", of("a", a=TEXT)),
    ("def f(a: Unheard): ...", None),
    (
        "from typing import TYPE_CHECKING\nif TYPE_CHECKING:\n"
        "  from datetime import date\ndef f(a: date): ...",
        None,
    ),
    ("def f():\n  yield 1", None),
    ("async def f():\n  yield 1", None),
]


def write(folder: Path, code: str, parameters: dict[str, Any] | None) -> Path:
    (folder / "others.py").write_text("def f(a: str): ...\n", "utf-8")
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
    (found,) = check(tmp_path, "def f(größe: 'str' = 'ü', länge: range = b''): ...")
    assert Path(found.path).name == "t.py"
    assert found.excerpt[found.column - 1 : found.end_column - 1] == "range"


HEADER = """
import collections.abc, datetime, decimal, enum, pathlib, typing, uuid
from datetime import date
from typing import *
import typing as t
from typing import Annotated, Any, Dict, List, Literal, Optional, Union
from annotated_types import Ge
from pydantic import AfterValidator, BaseModel, Field, WithJsonSchema
LIMIT = 4
class Size(enum.Enum):
  SMALL = "small"
class Order(BaseModel):
  number: int
Alias = int | str
"""
ATOMS = [
    *("str", "int", "float", "bool", "None", "bytes", "object", "Any", "'str'"),
    *("list", "dict", "set", "tuple", "List", "Dict", "t.Sequence", "t.Mapping"),
    *("date", "datetime.datetime", "datetime.time", "datetime.timedelta"),
    *("decimal.Decimal", "uuid.UUID", "pathlib.Path", "collections.abc.Set"),
    *("Literal['a', 'b']", "Literal[1]", "Literal[1, 'b', None]", "Literal[True]"),
    *("Literal[-1]", "Size", "Order", "Alias", "complex", "t.Iterable[str]"),
    *("tuple[int, str]", "tuple[int, ...]", "tuple[()]", "t.Tuple[int]"),
    *("Literal['a', 'a']", "Literal[0, False]"),
]
WRAPPERS = [
    *("{}", "list[{}]", "List[{}]", "t.Set[int]", "dict[str, {}]", "dict[int, {}]"),
    *("{} | None", "None | {}", "Optional[{}]", "Union[{}, None, int]", "{} | str"),
    *("t.Iterable[{}]", "tuple[{}, ...]", "tuple[int, {}]", "Union[{}, list[{}]]"),
    *("Annotated[{}, 'text']", "Annotated[{}, {{'x-a': [1]}}, 'text']"),
    *("Annotated[{}, {{'x-a': LIMIT, 'x-b': 2}}]", "Annotated[{}, 'a', f'b']"),
    *("Annotated[{}, 'a', Field(description='b')]", "Annotated[{}, LIMIT]"),
    *("Annotated[{}, WithJsonSchema({{'type': 'null'}})]", "Annotated[{}, ...]"),
    *("Annotated[{}, AfterValidator(str)]", "list[Annotated[{}, 'text']] | None"),
    *("list[{}] | None", "Annotated[{}, {{'x-a': LIMIT}}] | None"),
    *("Optional[Annotated[{} | None, 'text']]", "t.Final[{}]", "type[{}]"),
]


def says_no_more(static: Any, real: Any) -> bool:
    """True if each keyword of one schema is one of the other."""
    if isinstance(static, dict) and isinstance(real, dict):
        return all(
            key in real and says_no_more(value, real[key])
            for key, value in static.items()
        )
    if isinstance(static, list) and isinstance(real, list):
        return len(static) == len(real) and all(map(says_no_more, static, real))
    return bool(static == real)


@pytest.mark.parametrize("atom", ATOMS)
def test_the_schema_in_the_source_is_that_of_the_loaded_tool(
    tmp_path: Path, atom: str
) -> None:
    annotations = [each.format(*[atom] * each.count("{}")) for each in WRAPPERS]
    code = HEADER
    for number, annotation in enumerate(annotations):
        code += f"def f{number}(a: {annotation}): ...\n"
    (tmp_path / "t.py").write_text(HEAD + code, "utf-8")
    tools = [
        {"python": f"t.py:f{number}", "description": "It is for a test."}
        for number in range(len(annotations))
    ]
    path = tmp_path / "agent.yaml"
    agent = {"version": 1, "name": "a", "prompt": "p", "tools": tools}
    path.write_text(json.dumps(agent), "utf-8")

    _, inspection = examine_agent(
        read_agent_text(path.read_bytes(), path), environment={}
    )
    assert inspection is not None
    errors = {
        each.line
        for each in check_file(path, environment={})
        if each.is_error and Path(each.path).name == "t.py"
    }
    config = load_agent(path, environment={})
    first = code.count("\n") + HEAD.count("\n") - len(annotations) + 1
    wrong = []
    for number, loaded in enumerate(load_each(config, {"python": PythonKind()})):
        static = infer_schema(inspection, ("tools", number))
        if isinstance(loaded, ToolError):
            continue  # what is said about it does not count
        is_error = first + number in errors
        if is_error or not says_no_more(static, dict(loaded.definition.parameters)):
            wrong.append((annotations[number], static, loaded.definition.parameters))
    assert wrong == []
