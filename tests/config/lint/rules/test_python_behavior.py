from __future__ import annotations

from pathlib import Path

import pytest

from runner.config.loader import check_file

RULES = {"VA422", "VA423", "VA424", "VA426", "VA427"}


def rules_of(folder: Path, code: str, more: str = "") -> list[str]:
    (folder / "t.py").write_text(code + "\n", "utf-8")
    path = folder / "agent.yaml"
    tool = f"tools:\n  - python: t.py:f\n{more}"
    path.write_text(f"version: 1\nname: a\nprompt: p\n{tool}", "utf-8")
    found = check_file(path, environment={})
    return [each.rule for each in found if each.rule in RULES]


DOC = '\n  """It is for a test."""'


@pytest.mark.parametrize(
    ("code", "rules"),
    [
        (f"def f() -> bytes:{DOC}", []),
        (f"def f() -> complex:{DOC}", ["VA422"]),
        (f"from pathlib import Path\ndef f() -> Path:{DOC}", []),
        (f"class C: ...\ndef f() -> C:{DOC}", []),  # it may be taken apart
        (f"from typing import Iterator\ndef f() -> Iterator[int]:{DOC}", ["VA422"]),
        ("def f(): ...", ["VA423"]),
        ("import x\n@x.described\ndef f(): ...", []),
        ("def f(a: int = 1):\n  '''Do it.\n\n  :param b: what\n  '''", ["VA424"]),
        ("def f(a: int = 1):\n  '''Do it.\n\n  :param a: what\n  '''", []),
        ("def f(**k: int):\n  '''Do it.\n\n  :param b: what\n  '''", []),
    ],
)
def test_what_a_tool_says_of_itself(
    tmp_path: Path, code: str, rules: list[str]
) -> None:
    found = rules_of(tmp_path, code)
    assert [each for each in found if each != "VA427"] == rules


def test_a_description_in_the_file_is_one(tmp_path: Path) -> None:
    assert rules_of(tmp_path, "def f(): ...", "    description: Do it.\n") == []


@pytest.mark.parametrize(
    ("body", "is_found"),
    [
        ("async def f():{doc}\n  time.sleep(1)", True),
        ("def f():{doc}\n  time.sleep(1)", False),
        ("async def f():{doc}\n  from time import sleep\n  sleep(1)", True),
        ("async def f():{doc}\n  def g(): time.sleep(1)\n  g", False),
        ("async def f():{doc}\n  await asyncio.sleep(1)", False),
        ("async def f():{doc}\n  return requests.get('x')", True),
        ("async def f():{doc}\n  return session.get('x')", False),
    ],
)
def test_an_async_tool_must_not_block(
    tmp_path: Path, body: str, is_found: bool
) -> None:
    code = "import asyncio, time, requests\n" + body.format(doc=DOC)
    assert rules_of(tmp_path, code) == ["VA426"] * is_found


@pytest.mark.parametrize(
    ("code", "is_found"),
    [
        ("print('x')", True),
        ("if True:\n  print('x')", True),
        ("name = input()", True),
        ("import sys\nsys.exit()", True),
        ("import subprocess as s\ns.run(['x'])", True),
        ("class C:\n  print('x')", False),
        ("if __name__ == '__main__':\n  print('x')", False),
        ("def main():\n  print('x')", False),
        ("say = lambda: print('x')", False),
        ("import re, logging\nP = re.compile('x')\nlog = logging.getLogger()", False),
        ("def print(text): ...\nprint('x')", False),
    ],
)
def test_loading_a_file_does_nothing_else(
    tmp_path: Path, code: str, is_found: bool
) -> None:
    assert rules_of(tmp_path, f"{code}\ndef f():{DOC}") == ["VA427"] * is_found
