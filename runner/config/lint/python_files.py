"""Python files that agents' tools point at, read as text and never imported.

A file says what its top level binds as far as that is sure. A name that is bound in
several branches, by a star import or through `globals()` is not sure, and nothing is
reported about it.
"""

from __future__ import annotations

import ast
import builtins
import io
import os
import tokenize
import warnings
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING

from runner.config.diagnostics import Place
from runner.config.files import resolve_inside
from runner.config.source import Source, Span
from runner.errors import os_error_text
from runner.safe_files import open_regular

if TYPE_CHECKING:
    from collections.abc import Iterator

    from runner.config.lint.context import RuleContext
    from runner.config.yaml.nodes import Pointer

_MAX_BYTES = 5_000_000  # of a Python file; parsing a larger one takes gigabytes
_BRANCHES = (
    *(ast.If, ast.For, ast.AsyncFor, ast.While, ast.Try, ast.TryStar, ast.Match),
    *(ast.IfExp, ast.BoolOp, ast.With, ast.AsyncWith),  # `suppress` skips a rest
)
# Names and attributes through which any code of a file can bind any name of it.
_BINDERS = {"globals", "locals", "vars", "exec", "eval", "setattr"}
_BINDING_ATTRIBUTES = {"modules", "f_globals", "f_locals", "__dict__", "exec", "eval"}
# Decorators that leave a function's signature and kind as they are.
_PLAIN_DECORATORS = {
    *("runner.tools.tool.tool", "runner.tools.plugins.tool", "vagent.tool"),
    *("functools.cache", "functools.lru_cache"),
}

Function = ast.FunctionDef | ast.AsyncFunctionDef


@dataclass(frozen=True, slots=True)
class PythonFile:
    """A file of tools: its tree and what its top level binds.

    `problem` says why it cannot be read; then the rest is empty.
    """

    source: Source = Source("", "")
    tree: ast.Module = field(default_factory=lambda: ast.Module([], []))
    problem: str | None = None

    @property
    def scope(self) -> Scope:
        """The names of its top level."""
        return scope_of(self.tree)

    def place(self, node: ast.AST) -> Place:
        """Returns the place of a node; of a definition, that of its name."""
        if isinstance(node, Function | ast.ClassDef):
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
        """Turns a line and a column in UTF-8 bytes, as `ast` counts, into an offset."""
        before = self.source.line(line).encode()[:column]
        return self.source.start(line) + len(before.decode(errors="replace"))


@dataclass(frozen=True, slots=True)
class PythonTool:
    """One `python:` entry. `path` is that of its reference in the agent file."""

    tool: Pointer
    file: str
    function: str
    real: Path | None  # None: outside the agent's folder
    content: PythonFile | None  # None: the file does not exist

    @property
    def path(self) -> Pointer:
        """The path of the reference."""
        return (*self.tool, "python")

    @property
    def definition(self) -> Function | None:
        """The function, if the file certainly defines it as one."""
        found = self.content.scope.find(self.function) if self.content else None
        return found if isinstance(found, Function) else None


def find_python_tools(inspection: RuleContext) -> list[PythonTool]:
    """Returns the Python tools of an agent, in order; a shared file is read once."""
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


@lru_cache(maxsize=64)  # agents in one folder share their tools' files
def _parse(data: bytes) -> tuple[ast.Module, str]:
    """Parses a Python file and decodes its text; do not change the tree."""
    with warnings.catch_warnings():
        # Python's warnings about the user's file are not findings.
        warnings.simplefilter("ignore")
        tree = ast.parse(data)
    encoding, _ = tokenize.detect_encoding(io.BytesIO(data).readline)
    return tree, io.TextIOWrapper(io.BytesIO(data), encoding).read()


def read_python(file: Path, shown: str) -> PythonFile:
    """Parses a Python file; `shown` is how its findings call it."""
    try:
        with open_regular(file) as stream:
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
    return PythonFile(Source(shown, text), tree)


@dataclass(frozen=True, slots=True)
class _Binding:
    """One place that binds a name; `origin` is the full name that an import brings."""

    node: ast.AST
    in_branch: bool
    origin: str | None = None


class Scope:
    """The names of a file's top level. Anything unsure is answered by None or False."""

    def __init__(self, tree: ast.Module) -> None:
        self._found: dict[str, list[_Binding]] = {}
        self._hidden: dict[str, list[_Binding]] = {}  # under TYPE_CHECKING
        self._inner: dict[str, list[_Binding]] = {}  # imports in functions
        self._rebound: set[str] = set()  # by other means than a statement at the top
        self._can_rebind = False  # any name
        for node in tree.body:
            if isinstance(node, ast.If) and _is_for_checkers(node.test):
                for each in node.body:
                    self._collect(each, self._hidden, in_branch=False)
                for each in node.orelse:
                    self._collect(each, self._found, in_branch=True)
            else:
                self._collect(node, self._found, in_branch=False)
        self._collect_indirect(tree)
        stars = [each.node for each in self._found.get("*", ())]
        self._last_star = max((getattr(each, "lineno", 0) for each in stars), default=0)
        self._is_open = self._can_rebind or bool(stars) or "__getattr__" in self

    def __contains__(self, name: str) -> bool:
        return name in self._found

    def functions(self) -> list[str]:
        """Returns the names that are bound to functions."""
        found = self._found.items()
        return [name for name, each in found if isinstance(each[-1].node, Function)]

    def find(self, name: str) -> ast.AST | None:
        """Returns the only node that binds a name when the file is loaded."""
        binding = _sure(self._found.get(name, []))
        if binding is None or self._can_rebind or name in self._rebound:
            return None
        line = getattr(binding.node, "lineno", 0)
        if self._last_star and (binding.in_branch or line < self._last_star):
            return None  # the star import may bring another one
        return binding.node

    def is_unbound(self, name: str) -> bool:
        """True if nothing in the file can bind this name."""
        bound = name in self._found or name in self._hidden
        return not bound and not self._is_open

    def is_unknown(self, name: str) -> bool:
        """True if nothing in the file or in Python can bind this name."""
        return self.is_unbound(name) and not hasattr(builtins, name)

    def is_for_checkers(self, name: str) -> bool:
        """True if a name is bound under TYPE_CHECKING only, so not at run time."""
        return name in self._hidden and name not in self._found and not self._is_open

    def resolve(self, node: ast.expr) -> str | None:
        """Returns the full name of an expression, None if it is not sure.

        `typing_extensions` counts as `typing`.
        """
        if isinstance(node, ast.Constant) and node.value is None:
            return "None"
        if isinstance(node, ast.Attribute):
            owner = self.resolve(node.value)
            return f"{owner}.{node.attr}" if owner else None
        if not isinstance(node, ast.Name):
            return None
        for known in (self._found, self._hidden, self._inner):
            if node.id in known:
                origins = {each.origin for each in known[node.id]}
                sure = _sure(known[node.id])
                if len(origins) == 1:
                    return origins.pop()
                return sure.origin if sure else None
        return node.id if hasattr(builtins, node.id) else None

    def _collect(
        self, top: ast.AST, into: dict[str, list[_Binding]], *, in_branch: bool
    ) -> None:
        """Collects the names that a statement binds at the top level, in order."""
        waiting = [(top, in_branch)]
        while waiting:
            node, branch = waiting.pop()
            match node:
                case ast.FunctionDef(name=name) | ast.AsyncFunctionDef(name=name):
                    self._collect_inner(node)
                    into.setdefault(name, []).append(_Binding(node, branch))
                    continue
                case ast.ClassDef(name=name):
                    into.setdefault(name, []).append(_Binding(node, branch))
                    continue
                case ast.Lambda():
                    continue
                case ast.Import() | ast.ImportFrom():
                    for name, binding in _imports(node, branch):
                        into.setdefault(name, []).append(binding)
                case ast.Name(id=name, ctx=ast.Store()):
                    into.setdefault(name, []).append(_Binding(node, branch))
                case (
                    ast.ExceptHandler(name=str(name))
                    | ast.MatchAs(name=str(name))
                    | ast.MatchStar(name=str(name))
                    | ast.MatchMapping(rest=str(name))
                ):
                    into.setdefault(name, []).append(_Binding(node, branch))
            branch = branch or isinstance(node, _BRANCHES)
            children = [(each, branch) for each in ast.iter_child_nodes(node)]
            waiting += reversed(children)

    def _collect_inner(self, function: ast.AST) -> None:
        """Collects the imports in the body of a function."""
        for node in ast.walk(function):
            if isinstance(node, ast.Import | ast.ImportFrom):
                for name, binding in _imports(node, in_branch=True):
                    self._inner.setdefault(name, []).append(binding)

    def _collect_indirect(self, tree: ast.Module) -> None:
        """Collects what any code of the file can bind or change without a statement.

        That is `global` in a function or a class, `globals()` and its like, and
        attributes such as `lookup.__signature__`.
        """
        for node in ast.walk(tree):
            match node:
                case ast.Global(names=names):
                    self._rebound.update(names)
                    for name in names:
                        binding = _Binding(node, in_branch=True)
                        self._found.setdefault(name, []).append(binding)
                case ast.Name(id=name) if name in _BINDERS:
                    self._can_rebind = True
                case ast.Attribute(attr=name) if name in _BINDING_ATTRIBUTES:
                    self._can_rebind = True
                case ast.Attribute(value=ast.Name(id=name), ctx=ast.Store()):
                    self._rebound.add(name)
                case ast.Attribute(value=ast.Name(id=name), attr=attribute):
                    if attribute.startswith("__"):
                        self._rebound.add(name)


def _sure(bindings: list[_Binding]) -> _Binding | None:
    """Returns the binding that counts, None if that depends on what happens."""
    if not bindings:
        return None
    last = bindings[-1]
    return last if len(bindings) == 1 or not last.in_branch else None


def _imports(
    node: ast.Import | ast.ImportFrom, in_branch: bool
) -> Iterator[tuple[str, _Binding]]:
    for alias in node.names:
        local = alias.asname or alias.name.partition(".")[0]
        origin: str | None = None
        if isinstance(node, ast.Import):
            origin = alias.name if alias.asname else local
        elif node.module and not node.level:
            origin = f"{node.module}.{alias.name}"
        if origin is not None and origin.startswith("typing_extensions"):
            origin = "typing" + origin.removeprefix("typing_extensions")
        yield local, _Binding(alias, in_branch, origin)


@lru_cache(maxsize=64)  # as many as trees are kept
def scope_of(tree: ast.Module) -> Scope:
    """Returns the scope of a file's top level; the tree is not to be changed."""
    return Scope(tree)


def _is_for_checkers(test: ast.expr) -> bool:
    name = test.attr if isinstance(test, ast.Attribute) else getattr(test, "id", "")
    return bool(name == "TYPE_CHECKING")


def read_marks(function: Function) -> dict[str, object]:
    """Returns what `@tool(effect="write", …)` says about a function, as far as written.

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


@dataclass(frozen=True, slots=True)
class Parameter:
    """One parameter that a call gives by name."""

    node: ast.arg
    default: ast.expr | None

    @property
    def name(self) -> str:
        """The name of the argument."""
        return self.node.arg

    @property
    def annotation(self) -> ast.expr | None:
        """Its annotation; one that is written as text without its quotes."""
        return unquoted(self.node.annotation)


@dataclass(frozen=True, slots=True)
class Signature:
    """Parameters of a function: by name, by position only, and `**kwargs`."""

    function: Function
    parameters: tuple[Parameter, ...]
    positional: tuple[ast.arg, ...]  # positional-only, and `*args`
    rest: ast.arg | None  # `**kwargs`


def read_signature(function: Function) -> Signature:
    """Reads the parameters of a function from its definition."""
    given = function.args
    ordinary = [*given.posonlyargs, *given.args]
    late = [None] * (len(ordinary) - len(given.defaults))
    defaults: list[ast.expr | None] = [*late, *given.defaults]
    named = list(zip(ordinary, defaults, strict=True))[len(given.posonlyargs) :]
    named += zip(given.kwonlyargs, given.kw_defaults, strict=True)
    # Nothing has to be given for `*args` where `**kwargs` takes any name.
    several = [given.vararg] if given.vararg and not given.kwarg else []
    parameters = tuple(Parameter(node, default) for node, default in named)
    positional = (*given.posonlyargs, *several)
    return Signature(function, parameters, positional, given.kwarg)


def unquoted(node: ast.expr | None) -> ast.expr | None:
    """Returns the expression in a text; positions inside it are lost."""
    if isinstance(node, ast.Constant) and isinstance(node.value, str):
        try:
            return ast.parse(node.value.strip(), mode="eval").body
        except (SyntaxError, ValueError):
            return None
    return node


class ToolFunction:
    """A Python tool whose function can be read, and what the agent file says of it.

    `is_sure` is False for a function with a decorator that may change what it takes.
    """

    def __init__(self, inspection: RuleContext, tool: PythonTool) -> None:
        assert tool.content is not None and tool.definition is not None
        self.tool = tool
        self.name = f"{tool.function}()"
        self.file: PythonFile = tool.content
        self.scope = tool.content.scope
        self.signature = read_signature(tool.definition)
        self.is_sure = all(
            self.scope.resolve(each.func if isinstance(each, ast.Call) else each)
            in _PLAIN_DECORATORS
            for each in tool.definition.decorator_list
        )
        self.path: Pointer = (*tool.tool, "parameters")
        self.has_schema = "parameters" in (inspection.get(tool.tool, dict) or {})
        properties = inspection.get((*self.path, "properties"), dict)
        self.properties: dict[str, object] = properties or {}
        self.required = inspection.get((*self.path, "required"), list) or []


def find_functions(inspection: RuleContext) -> list[ToolFunction]:
    """Returns the Python tools whose functions are defined in their files."""
    return [
        ToolFunction(inspection, each)
        for each in inspection.fact(find_python_tools)
        if each.definition is not None
    ]


def find_sure_functions(inspection: RuleContext) -> list[ToolFunction]:
    """Returns those that take what their definitions say."""
    return [each for each in inspection.fact(find_functions) if each.is_sure]
