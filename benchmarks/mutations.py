"""The ways to break a module: every small change of its syntax tree, one at a time."""

from __future__ import annotations

import ast
import copy
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

_SWAPS: dict[type[ast.AST], type[ast.AST]] = {
    ast.Eq: ast.NotEq,
    ast.NotEq: ast.Eq,
    ast.Lt: ast.LtE,
    ast.LtE: ast.Lt,
    ast.Gt: ast.GtE,
    ast.GtE: ast.Gt,
    ast.Is: ast.IsNot,
    ast.IsNot: ast.Is,
    ast.In: ast.NotIn,
    ast.NotIn: ast.In,
    ast.And: ast.Or,
    ast.Or: ast.And,
    ast.Add: ast.Sub,
    ast.Sub: ast.Add,
    ast.Mult: ast.Div,
    ast.Div: ast.Mult,
}
_NAMES = {"min": "max", "max": "min", "any": "all", "all": "any"}


@dataclass(frozen=True, slots=True)
class Mutant:
    """One change of one module."""

    path: str  # below the root
    module: str
    line: int
    what: str
    source: str

    def __str__(self) -> str:
        return f"{self.path}:{self.line}: {self.what}"


@dataclass(frozen=True, slots=True)
class _Change:
    node: ast.expr | ast.stmt | ast.match_case
    text: str  # what is in its place
    dropped: ast.expr | None = None  # the item that is missing now, if it is one


def find_mutants(root: Path, path: Path) -> Iterator[Mutant]:
    """Yield all mutants of a module that still compile, in the order of its lines."""
    source = path.read_text("utf-8")
    relative = path.relative_to(root)
    module = ".".join(relative.with_suffix("").parts)
    seen: set[str] = set()
    for change in _Finder(ast.parse(source), _enums(path.parent)).changes():
        changed = _apply(source, change)
        if changed in seen or changed == source or not _compiles(changed):
            continue
        seen.add(changed)
        node = change.node
        line = node.pattern.lineno if isinstance(node, ast.match_case) else node.lineno
        if change.dropped is not None:
            line, what = change.dropped.lineno, f"without {_short(change.dropped)}"
        else:
            what = f"{_short(node)}  ->  {' '.join(change.text.split())[:70]}"
        yield Mutant(relative.as_posix(), module, line, what, changed)


def _short(node: ast.AST) -> str:
    return " ".join(ast.unparse(node).split())[:70]


def _enums(folder: Path) -> dict[str, list[str]]:
    """Return the members of every enum of a package, by class and by short name."""
    members: dict[str, list[str]] = {}
    for path in folder.glob("*.py"):
        for node in ast.walk(ast.parse(path.read_text("utf-8"))):
            if not isinstance(node, ast.ClassDef):
                continue
            if [ast.unparse(base) for base in node.bases] == ["Enum"]:
                members[node.name] = [
                    ast.unparse(line.targets[0])
                    for line in node.body
                    if isinstance(line, ast.Assign)
                ]
    if "Phase" in members and "Trigger" in members:
        members["P"], members["T"] = members["Phase"], members["Trigger"]
    return members


def _compiles(source: str) -> bool:
    try:
        compile(source, "mutant", "exec", dont_inherit=True)
    except SyntaxError:
        return False
    return True


def _apply(source: str, change: _Change) -> str:
    lines = [line.encode() for line in source.splitlines(keepends=True)]
    node = change.node
    if isinstance(node, ast.match_case):
        first, last = node.body[0], node.body[-1]
    else:
        first = last = node  # type: ignore[assignment]  # expressions have places too
    assert last.end_lineno is not None and last.end_col_offset is not None
    start = sum(map(len, lines[: first.lineno - 1])) + first.col_offset
    end = sum(map(len, lines[: last.end_lineno - 1])) + last.end_col_offset
    data = b"".join(lines)
    return (data[:start] + change.text.encode() + data[end:]).decode()


class _Finder:
    """Walks one module, past annotations, docstrings and tuning constants."""

    def __init__(self, tree: ast.Module, enums: dict[str, list[str]]) -> None:
        self._tree = tree
        self._enums = enums

    def changes(self) -> Iterator[_Change]:
        for statement in self._tree.body:
            if not _is_tuning(statement):
                yield from self._visit(statement)

    def _visit(self, node: ast.AST) -> Iterator[_Change]:
        if isinstance(node, ast.Import | ast.ImportFrom | ast.JoinedStr):
            return
        yield from self._change(node)
        for name, value in ast.iter_fields(node):
            if name in ("annotation", "returns", "decorator_list", "bases"):
                continue
            for child in value if isinstance(value, list) else [value]:
                if isinstance(child, ast.AST) and not _is_docstring(child):
                    yield from self._visit(child)

    def _change(self, node: ast.AST) -> Iterator[_Change]:
        match node:
            case ast.stmt():
                yield from _change_statement(node)
            case ast.match_case(body=body):
                if ast.unparse(body[0]) != "pass":
                    yield _Change(node, "pass")
                if node.guard is not None:
                    yield _Change(node.guard, "True")
            case ast.expr():
                yield from self._change_expression(node)

    def _change_expression(self, node: ast.expr) -> Iterator[_Change]:
        match node:
            case ast.Constant(value=value):
                yield from _change_constant(node, value)
            case ast.Name(id=name) if name in _NAMES:
                yield _Change(node, _NAMES[name])
            case ast.Attribute(value=ast.Name(id=kind), attr=member):
                members = self._enums.get(kind, [])
                if member in members and len(members) > 1:
                    after = members[(members.index(member) + 1) % len(members)]
                    yield _Change(node, f"{kind}.{after}")
            case ast.List(ctx=ast.Load()) | ast.Dict():
                yield from _drop_items(node)
            case _:
                yield from _change_operator(node)


def _change_operator(node: ast.expr) -> Iterator[_Change]:
    match node:
        case ast.Compare(ops=[operator]) if type(operator) in _SWAPS:
            yield _replace(node, ops=[_SWAPS[type(operator)]()])
        case ast.BoolOp(op=operator, values=values):
            yield _replace(node, op=_SWAPS[type(operator)]())
            for index in range(len(values)):
                yield _replace(node, values=values[:index] + values[index + 1 :])
        case ast.BinOp(op=operator) if type(operator) in _SWAPS:
            yield _replace(node, op=_SWAPS[type(operator)]())
        case ast.UnaryOp(op=ast.Not(), operand=operand):
            yield _Change(node, f"({ast.unparse(operand)})")
        case ast.IfExp(body=body, orelse=orelse):
            yield _replace(node, body=orelse, orelse=body)


def _drop_items(node: ast.List | ast.Dict) -> Iterator[_Change]:
    items = node.elts if isinstance(node, ast.List) else node.values
    for index in range(len(items)):
        rest = items[:index] + items[index + 1 :]
        if isinstance(node, ast.List):
            change = _replace(node, elts=rest)
        else:
            keys = node.keys[:index] + node.keys[index + 1 :]
            change = _replace(node, keys=keys, values=rest)
        key = None if isinstance(node, ast.List) else node.keys[index]
        yield replace(change, dropped=key or items[index])


def _change_statement(node: ast.stmt) -> Iterator[_Change]:
    match node:
        case ast.Expr(value=ast.Call() | ast.Yield() | ast.YieldFrom()):
            yield _Change(node, "pass")
        case ast.Assign(targets=[ast.Attribute() | ast.Subscript()]):
            yield _Change(node, "pass")
        case (
            ast.AugAssign() | ast.Delete() | ast.Raise() | ast.Break() | ast.Continue()
        ):
            yield _Change(node, "pass")
        case ast.Return(value=value) if value is not None:
            if not isinstance(value, ast.Constant):
                yield _Change(node, "return None")
            if isinstance(value, ast.List) and value.elts:
                yield _Change(node, "return []")
        case ast.Return():
            yield _Change(node, "pass")
        case ast.If(test=test) | ast.While(test=test):
            yield _Change(test, "True" if isinstance(node, ast.If) else "False")
            yield _Change(test, "False")
        case ast.For(iter=iterable):
            yield _Change(iterable, "()")


def _change_constant(node: ast.Constant, value: object) -> Iterator[_Change]:
    match value:
        case bool():
            yield _Change(node, str(not value))
        case int() | float():
            yield _Change(node, repr(value + 1))
        case str() if value and " " not in value:  # a word of the wire, not a sentence
            yield _Change(node, '"mutant"')


def _replace(node: ast.expr, **fields: object) -> _Change:
    changed = copy.copy(node)
    for name, value in fields.items():
        setattr(changed, name, value)
    is_display = isinstance(node, ast.List | ast.Dict)
    text = ast.unparse(changed)
    if isinstance(changed, ast.BoolOp) and len(changed.values) == 1:
        text = ast.unparse(changed.values[0])
    return _Change(node, text if is_display else f"({text})")


def _is_docstring(node: ast.AST) -> bool:
    return (
        isinstance(node, ast.Expr)
        and isinstance(node.value, ast.Constant)
        and isinstance(node.value.value, str)
    )


def _is_tuning(node: ast.stmt) -> bool:
    """True if this is `NAME = 3.0`, a chosen number, or the name of a type."""
    if isinstance(node, ast.AnnAssign):
        return ast.unparse(node.annotation) == "TypeAlias"
    if not isinstance(node, ast.Assign):
        return _is_docstring(node)
    if isinstance(node.value, ast.Subscript):
        return True
    parts = (ast.Constant, ast.BinOp, ast.operator, ast.UnaryOp, ast.Name, ast.unaryop)
    return all(isinstance(part, parts) for part in ast.walk(node.value))
