"""Rules VA401 to VA405: the file and the function that a Python tool points at."""

from __future__ import annotations

import ast
from typing import TYPE_CHECKING

from runner.config.diagnostics import Finding, replacement
from runner.config.lint.python_files import find_python_tools
from runner.config.rules.rule import rule
from runner.config.spelling import is_surely, nearest

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from runner.config.diagnostics import Fix
    from runner.config.lint.context import RuleContext
    from runner.config.lint.python_files import PythonTool

_LISTED = 8  # functions that are named in a help line


@rule("VA401", "tool-file-missing")
def tool_file_missing(inspection: RuleContext) -> Iterator[Finding]:
    """The file of a Python tool does not exist.

    Its path begins at the folder of the agent file.

    Bad:
        tools:
          - python: tools/missing.py:lookup

    Good:
        tools:
          - python: tools/shop.py:lookup
    """
    for tool in inspection.fact(find_python_tools):
        if tool.real is not None and tool.content is None:
            help_ = _beside(tool.real, tool.function)
            help_ = f"paths begin at the agent file's folder; {help_}"
            place = inspection.value(tool.path)
            yield Finding(place, f"`{tool.file}` does not exist", help_)


@rule("VA402", "tool-function-missing")
def tool_function_missing(inspection: RuleContext) -> Iterator[Finding]:
    """The file of a Python tool has no such function.

    Only what the top level of the file binds can be a tool: a function that is defined
    or imported there, also below `if` and `try`.

    Bad:
        tools:
          - python: tools/shop.py:lokup

    Good:
        tools:
          - python: tools/shop.py:lookup
    """
    for tool in inspection.fact(find_python_tools):
        content = tool.content
        if content is None or content.problem:
            continue
        if not content.scope.is_unbound(tool.function):
            continue
        names = content.scope.functions()
        guess = nearest(tool.function, names)
        fix = _rename(inspection, tool, guess) if guess else None
        if guess:
            help_ = f"did you mean `{guess}`?"
        elif names:
            help_ = f"it has {', '.join(f'`{each}`' for each in names[:_LISTED])}"
        else:
            help_ = "it has no functions"
        message = f"`{tool.file}` has no function `{tool.function}`"
        yield Finding(inspection.value(tool.path), message, help_, fix)


@rule("VA403", "tool-not-a-function")
def tool_not_a_function(inspection: RuleContext) -> Iterator[Finding]:
    """A Python tool points at a class.

    A tool is a function, plain or async; what it needs to keep between calls lives in
    its file.

    Bad:
        tools:
          - python: tools/shop.py:Shop

    Good:
        tools:
          - python: tools/shop.py:lookup
    """
    for tool in inspection.fact(find_python_tools):
        found = tool.content.scope.find(tool.function) if tool.content else None
        if isinstance(found, ast.ClassDef) and not found.decorator_list:
            message = f"`{tool.function}` in `{tool.file}` is a class, not a function"
            yield Finding(inspection.value(tool.path), message, "point at a function")


@rule("VA404", "tool-file-not-python")
def tool_file_not_python(inspection: RuleContext) -> Iterator[Finding]:
    """The file of a Python tool cannot be read as Python.

    Bad:
        tools:
          - python: tools/broken.py:lookup

    Good:
        tools:
          - python: tools/shop.py:lookup
    """
    for tool in inspection.fact(find_python_tools):
        if tool.content is not None and tool.content.problem:
            message = f"`{tool.file}` is not valid Python: {tool.content.problem}"
            yield Finding(inspection.value(tool.path), message)


def _beside(missing: Path, function: str) -> str:
    """Name the file of the folder that was probably meant."""
    try:
        names = [each.name for each in missing.parent.glob("*.py")]
    except OSError:
        names = []
    guess = nearest(missing.name, names)
    if guess:
        return f"did you mean `{guess}`?"
    return f"create it with a function `{function}` in it"


def _rename(inspection: RuleContext, tool: PythonTool, guess: str) -> Fix | None:
    end = len(f"{tool.file}:{tool.function}")
    place = inspection.part(tool.path, end - len(tool.function), end)
    is_safe = is_surely(tool.function, guess)
    return replacement(place, tool.function, guess, is_safe=is_safe)
