"""Rules VA401 to VA404: Python tools, read as text and never imported."""

from __future__ import annotations

import ast
import os
import warnings
from typing import TYPE_CHECKING

from runner.config.names import nearest
from runner.config.references import resolve_inside

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from pathlib import Path

    from runner.config.inspection import Inspection
    from runner.config.nodes import Pointer

_MAX_BYTES = 5_000_000  # of a Python file; parsing a larger one takes gigabytes


def check_python(inspection: Inspection) -> None:
    """A Python tool's file is there, inside the folder, and has the function."""
    # One parse for a file that several tools share.
    parsed: dict[Path, dict[str, ast.AST] | str] = {}
    for tool in inspection.tools():
        path = (*tool, "python")
        reference = inspection.get(path, str)
        if reference is None:
            continue
        file, _, function = reference.rpartition(":")
        real = resolve_inside(inspection.folder, file)
        if real is None:
            message = f"`{file}` is outside the agent's folder"
            help_ = "tools lie beside the agent file or in a folder below it"
            inspection.report(path, "VA402", message, help_)
        # Unlike pathlib's, it answers for names that no file can have, too.
        elif not os.path.isfile(real):
            help_ = f"paths begin at the agent file's folder; {_beside(real, function)}"
            inspection.report(path, "VA401", f"`{file}` does not exist", help_)
        else:
            if real not in parsed:
                parsed[real] = _read_names(real)
            _check_function(inspection, path, file, function, parsed[real])


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


def _check_function(
    inspection: Inspection,
    path: Pointer,
    file: str,
    function: str,
    names: dict[str, ast.AST] | str,
) -> None:
    if isinstance(names, str):
        inspection.report(path, "VA404", f"`{file}` is not valid Python: {names}")
        return
    if function not in names:
        functions = [name for name, at in names.items() if _is_function(at)]
        guess = nearest(function, functions)
        if guess:
            help_: str | None = f"did you mean `{guess}`?"
        elif functions:
            help_ = f"it has {', '.join(f'`{each}`' for each in functions[:8])}"
        else:
            help_ = "it has no functions"
        message = f"`{file}` has no function `{function}`"
        inspection.report(path, "VA403", message, help_)
    elif isinstance(names[function], ast.ClassDef):
        message = f"`{function}` in `{file}` is a class, not a function"
        inspection.report(path, "VA403", message, "point at a function")


def _is_function(node: ast.AST) -> bool:
    return isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)


def _read_names(file: Path) -> dict[str, ast.AST] | str:
    """Return what the top level of a Python file defines, or why it cannot be read."""
    try:
        with file.open("rb") as stream:
            data = stream.read(_MAX_BYTES + 1)
        if len(data) > _MAX_BYTES:
            return "it is too large"
        with warnings.catch_warnings():
            # What Python would warn of in the user's file is not a finding of ours.
            warnings.simplefilter("ignore")
            tree = ast.parse(data)
    except OSError as error:
        return (error.strerror or str(error)).lower()
    except SyntaxError as error:
        line = f"line {error.lineno}: " if error.lineno else ""
        return f"{line}{error.msg}"
    except (ValueError, RecursionError, MemoryError) as error:
        return str(error) or "it is nested too deeply"
    return dict(_definitions(tree.body))


def _definitions(statements: Iterable[ast.stmt]) -> Iterator[tuple[str, ast.AST]]:
    """Yield the names that statements bind, those under `if` and `try` included."""
    for each in statements:
        match each:
            case ast.FunctionDef() | ast.AsyncFunctionDef() | ast.ClassDef():
                yield each.name, each
            case ast.Import() | ast.ImportFrom():
                for alias in each.names:
                    yield (alias.asname or alias.name.partition(".")[0]), alias
            case ast.Assign(targets=targets):
                yield from ((at.id, at) for at in targets if isinstance(at, ast.Name))
            case ast.AnnAssign(target=ast.Name(id=name)):
                yield name, each
            case ast.If() | ast.With() | ast.Try():
                yield from _definitions(_nested(each))


def _nested(statement: ast.If | ast.With | ast.Try) -> Iterator[ast.stmt]:
    yield from statement.body
    if not isinstance(statement, ast.With):
        yield from statement.orelse
    if isinstance(statement, ast.Try):
        for handler in statement.handlers:
            yield from handler.body
        yield from statement.finalbody
