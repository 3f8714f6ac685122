"""Python files that agents' tools point at, read as text and never imported."""

from __future__ import annotations

import ast
import io
import os
import tokenize
import warnings
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from runner.config.diagnostics import Place
from runner.config.paths import resolve_inside
from runner.config.source import Source, Span
from runner.errors import os_error_text

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from runner.config.inspection import Inspection
    from runner.config.nodes import Pointer

_MAX_BYTES = 5_000_000  # of a Python file; parsing a larger one takes gigabytes


@dataclass(frozen=True, slots=True)
class PythonFile:
    """What a file of tools holds: its tree and what its top level binds.

    `problem` says why it cannot be read; then the rest is empty.
    """

    source: Source = Source("", "")
    tree: ast.Module = field(default_factory=lambda: ast.Module([], []))
    names: Mapping[str, ast.AST] = field(default_factory=dict)
    problem: str | None = None

    def place(self, node: ast.AST) -> Place:
        """Return where a node of the tree stands; of a definition, its name."""
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
            word = "class" if isinstance(node, ast.ClassDef) else "def"
            if isinstance(node, ast.AsyncFunctionDef):
                word = "async def"
            start = self._offset(node.lineno, node.col_offset) + len(word) + 1
            start = max(self.source.text.find(node.name, start), 0)
            return Place(self.source, Span(start, start + len(node.name)))
        if not isinstance(node, ast.expr | ast.stmt | ast.arg | ast.alias):
            return Place(self.source, Span(0, 0))
        start = self._offset(node.lineno, node.col_offset)
        end_line, end = node.end_lineno or node.lineno, node.end_col_offset or 0
        return Place(self.source, Span(start, self._offset(end_line, end)))

    def _offset(self, line: int, column: int) -> int:
        """Turn a line and a column in UTF-8 bytes, as `ast` counts, into an offset."""
        before = self.source.line(line).encode()[:column]
        return self.source.start(line) + len(before.decode(errors="replace"))


@dataclass(frozen=True, slots=True)
class PythonTool:
    """One `python:` entry. `path` is that of its reference in the agent file."""

    tool: Pointer
    file: str
    function: str
    real: Path | None  # None: outside the agent's folder
    content: PythonFile | None  # None: there is no such file

    @property
    def path(self) -> Pointer:
        """The path of the reference."""
        return (*self.tool, "python")

    @property
    def definition(self) -> ast.FunctionDef | ast.AsyncFunctionDef | None:
        """The function, where it is defined in that file as one."""
        found = self.content.names.get(self.function) if self.content else None
        if isinstance(found, ast.FunctionDef | ast.AsyncFunctionDef):
            return found
        return None


def find_python_tools(inspection: Inspection) -> list[PythonTool]:
    """Return the Python tools of an agent, in order; a shared file is read once."""
    found: list[PythonTool] = []
    read: dict[Path, PythonFile | None] = {}
    for tool in inspection.tools():
        reference = inspection.get((*tool, "python"), str)
        if reference is None:
            continue
        file, _, function = reference.rpartition(":")
        real = resolve_inside(inspection.folder, file)
        if real is not None and real not in read:
            # Unlike pathlib's, it answers for names that no file can have, too.
            shown = str(Path(inspection.document.source.path).parent / file)
            there = os.path.isfile(real)
            read[real] = read_python(real, shown) if there else None
        content = read[real] if real is not None else None
        found.append(PythonTool(tool, file, function, real, content))
    return found


@lru_cache(maxsize=64)  # agents that lie side by side share their tools' files
def _parse(data: bytes) -> tuple[ast.Module, str]:
    """Parse a Python file, and decode its text; nobody changes the tree."""
    with warnings.catch_warnings():
        # What Python would warn of in the user's file is not a finding of ours.
        warnings.simplefilter("ignore")
        tree = ast.parse(data)
    encoding, _ = tokenize.detect_encoding(io.BytesIO(data).readline)
    return tree, io.TextIOWrapper(io.BytesIO(data), encoding).read()


def read_python(file: Path, shown: str) -> PythonFile:
    """Parse a Python file; `shown` is how its findings call it."""
    try:
        with file.open("rb") as stream:
            data = stream.read(_MAX_BYTES + 1)
        if len(data) > _MAX_BYTES:
            return PythonFile(problem="it is too large")
        tree, text = _parse(data)
    except OSError as error:
        return PythonFile(problem=os_error_text(error))
    except SyntaxError as error:
        line = f"line {error.lineno}: " if error.lineno else ""
        return PythonFile(problem=f"{line}{error.msg}")
    except (ValueError, RecursionError, MemoryError) as error:
        return PythonFile(problem=str(error) or "it is nested too deeply")
    return PythonFile(Source(shown, text), tree, dict(_definitions(tree.body)))


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


def read_marks(function: ast.FunctionDef | ast.AsyncFunctionDef) -> dict[str, object]:
    """Return what `@tool(effect="write", …)` says about a function, as far as written.

    What is computed there cannot be known without running it, and is left out.
    """
    marks: dict[str, object] = {}
    for each in function.decorator_list:
        if isinstance(each, ast.Call) and _name_of(each.func) == "tool":
            for keyword in each.keywords:
                if keyword.arg and isinstance(keyword.value, ast.Constant):
                    marks[keyword.arg] = keyword.value.value
    return marks


def _name_of(node: ast.expr) -> str:
    if isinstance(node, ast.Attribute):
        return node.attr
    return node.id if isinstance(node, ast.Name) else ""


Kind = Literal["function", "class", "other"]


def kind_of(node: ast.AST) -> Kind:
    """Say what a name is bound to."""
    if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
        return "function"
    return "class" if isinstance(node, ast.ClassDef) else "other"
