from __future__ import annotations

import os
from pathlib import Path

import pytest

from runner.config.diagnostics import Diagnostic
from runner.config.loader import check_file

RULES = {"VA401", "VA402", "VA403", "VA404", "VA601"}


def check(folder: Path, code: str | bytes | None, name: str = "f") -> list[Diagnostic]:
    if code is not None:
        data = code.encode() if isinstance(code, str) else code
        (folder / "tool.py").write_bytes(data)
    path = folder / "agent.yaml"
    path.write_text(
        f"version: 1\nname: a\nprompt: p\ntools:\n  - python: tool.py:{name}\n",
        encoding="utf-8",
    )
    found = check_file(path, environment={})
    return [each for each in found if each.rule in RULES]


@pytest.mark.parametrize(
    "code",
    [
        "def f(): ...",
        "async def f(): ...",
        "f = lambda: 1",
        "f: object = print",
        "from other import f",
        "from other import g as f",
        "import f",
        "if True:\n    def f(): ...",
        "if True:\n    pass\nelse:\n    def f(): ...",
        "try:\n    from a import f\nexcept ImportError:\n    f = None",
        "try:\n    import x\nexcept ImportError:\n    def f(): ...",
        "try:\n    pass\nfinally:\n    f = 1",
        "with open('x'):\n    f = 1",
        "# -*- coding: latin-1 -*-\ndef f(): ...  # \u00e9",
        "'\\d'\ndef f(): ...",
    ],
)
def test_a_name_of_the_top_level_is_found(tmp_path: Path, code: str) -> None:
    assert check(tmp_path, code) == []


@pytest.mark.parametrize(
    ("code", "help_"),
    [
        ("", "the file has no functions"),
        ("def ff(): ...", "the file has `ff`"),
        ("def other(): ...\ndef more(): ...", "the file has `other`, `more`"),
        ("def g():\n    def f(): ...", "the file has `g`"),
        ("class C:\n    def f(self): ...", "the file has no functions"),
    ],
)
def test_a_name_that_is_not_there_is_reported(
    tmp_path: Path, code: str, help_: str
) -> None:
    (found,) = check(tmp_path, code)
    assert (found.rule, found.line, found.column) == ("VA402", 5, 13)
    assert found.help == help_


def test_a_class_is_not_a_function(tmp_path: Path) -> None:
    (found,) = check(tmp_path, "class f: ...")
    assert "is a class" in found.message


def test_nothing_is_imported_or_run(tmp_path: Path) -> None:
    marker = tmp_path / "ran"
    code = f"open({str(marker)!r}, 'w')\ndef f(): ...\nraise SystemExit"
    assert check(tmp_path, code) == []
    assert not marker.exists()


@pytest.mark.parametrize(
    "code",
    [
        "def f(:",
        b"def f(): '\xff'",
        b"\0",
        "# coding: nonsense\n",
        "(" * 5000,
        "-" * 100_000 + "1",
    ],
)
def test_what_python_cannot_read_is_reported(tmp_path: Path, code: str | bytes) -> None:
    (found,) = check(tmp_path, code)
    assert found.rule == "VA404"
    assert "\n" not in found.message


def test_the_line_of_a_syntax_error_is_reported(tmp_path: Path) -> None:
    (found,) = check(tmp_path, "x = 1\ndef f(:\n")
    assert "line 2: " in found.message


def test_a_missing_file_names_the_one_that_was_meant(tmp_path: Path) -> None:
    (tmp_path / "tools.py").write_text("", encoding="utf-8")
    (found,) = check(tmp_path, None)
    assert found.rule == "VA401"
    assert found.help is not None
    assert "did you mean `tools.py`?" in found.help


def test_a_link_that_leads_outside_is_refused(tmp_path: Path) -> None:
    folder = tmp_path / "agents"
    folder.mkdir()
    (tmp_path / "evil.py").write_text("def f(): ...", encoding="utf-8")
    try:
        os.symlink(tmp_path / "evil.py", folder / "tool.py")
    except OSError:
        pytest.skip("this account may not make symbolic links")
    (found,) = check(folder, None)
    assert found.rule == "VA601"


@pytest.mark.parametrize(
    "code",
    [
        "from .other import *",
        "f, g = print, print",
        "[g, *f] = print, print",
        "for _ in (1,):\n    def f(a): ...",
        "match 1:\n    case 1:\n        def f(a): ...\n    case f: ...",
        "print(f := print)",
        "globals()['f'] = print",
        "names = globals\nnames()['f'] = print",
        "import sys\nsys.modules[__name__].__dict__['f'] = print",
        "import inspect\ninspect.currentframe().f_globals['f'] = print",
        "def g():\n    global f\n    f = print\ng()",
        "class C:\n    global f\n    f = print",
        "class C:\n    exec('def f(): ...', globals())",
        "class C:\n    def m(self):\n        global f\n        f = print\nC().m()",
        "(lambda: globals().update(f=print))()",
        "import builtins\nbuiltins.exec('def f(): ...')",
    ],
)
def test_a_name_that_the_file_may_bind_is_not_reported_as_missing(
    tmp_path: Path, code: str
) -> None:
    assert check(tmp_path, code) == []


BAD = "def f(a, *c): ..."


@pytest.mark.parametrize(
    "code",
    [
        "if old:\n    def f(a, *c): ...\nelse:\n    def f(a: str): ...",
        "try:\n    import x\nexcept ImportError:\n    def f(a: str): ...\n"
        "else:\n    def f(a, *c): ...",
        f"{BAD}\nfrom .other import *",
        f"from .other import *\nif old:\n    {BAD}",
        f"{BAD}\nglobals()['f'] = print",
        f"def g():\n    global f\n    f = print\n{BAD}\ng()",
        f"{BAD}\nf = wrapped(f)",
        f"{BAD}\nf.__signature__ = signature",
        f"{BAD}\nf.__annotations__['a'] = str",
        f"def f(a: str): ...\nwith suppress(ImportError):\n    import x\n    {BAD}",
        f"from .x import wrapped\n@wrapped\n{BAD}",
        f"from .x import wrapped\n@wrapped('a')\nasync {BAD}",
        "from .x import wrapped\n@wrapped\ndef f(a: str):\n    yield a",
        "class f(metaclass=Function): ...",
    ],
)
def test_no_error_is_reported_about_a_function_that_may_be_another_one(
    tmp_path: Path, code: str
) -> None:
    check(tmp_path, code)
    found = check_file(tmp_path / "agent.yaml", environment={})
    assert [each.rule for each in found if each.is_error] == []
