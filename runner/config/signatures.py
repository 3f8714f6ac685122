"""The signature of a Python tool, read from its source and never imported.

It follows what loading the tool will find (`runner.tools.signature`), as far as the
source alone is sure of it; of anything else nothing is said.
"""

from __future__ import annotations

import ast
import builtins
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

    from runner.config.pyfiles import PythonFile

Function = ast.FunctionDef | ast.AsyncFunctionDef

_ANY = frozenset({"any"})
# What annotations become in JSON Schema, by the name that they are imported under.
_JSON_TYPES: dict[str, frozenset[str]] = {
    "str": frozenset({"string"}),
    "int": frozenset({"integer"}),
    "float": frozenset({"number", "integer"}),
    "bool": frozenset({"boolean"}),
    "None": frozenset({"null"}),
    "object": _ANY,
    "typing.Any": _ANY,
    "decimal.Decimal": frozenset({"number", "integer"}),
    "datetime.datetime": frozenset({"string"}),
    "datetime.date": frozenset({"string"}),
    "datetime.time": frozenset({"string"}),
    "uuid.UUID": frozenset({"string"}),
    **dict.fromkeys(
        (
            *("list", "set", "frozenset", "tuple"),
            *("typing.List", "typing.Set", "typing.FrozenSet", "typing.Tuple"),
            *("typing.Sequence", "collections.abc.Sequence"),
        ),
        frozenset({"array"}),
    ),
    **dict.fromkeys(
        ("dict", "typing.Dict", "typing.Mapping", "collections.abc.Mapping"),
        frozenset({"object"}),
    ),
}
# What JSON surely has no counterpart for.
_NOT_JSON = {
    *("bytes", "bytearray", "complex", "memoryview", "range", "slice", "type"),
    *("pathlib.Path", "pathlib.PurePath", "datetime.timedelta", "datetime.tzinfo"),
    *(
        "re.Pattern",
        "typing.Pattern",
        "io.BytesIO",
        "io.StringIO",
        "fractions.Fraction",
    ),
    *(
        f"{module}.{name}"
        for module in ("typing", "collections.abc")
        for name in (
            *("Callable", "Iterator", "Iterable", "Generator", "AsyncIterator"),
            *("AsyncIterable", "AsyncGenerator", "Awaitable", "Coroutine"),
        )
    ),
}
# What a result may be all the same: it becomes text, or seconds.
_SAYABLE = {"bytes", "pathlib.Path", "pathlib.PurePath", "datetime.timedelta"}


@dataclass(frozen=True, slots=True)
class Parameter:
    """One parameter that a call gives by name."""

    node: ast.arg
    default: ast.expr | None

    @property
    def name(self) -> str:
        """What the argument is called."""
        return self.node.arg

    @property
    def annotation(self) -> ast.expr | None:
        """Its annotation, with one that is written as text taken out of its quotes."""
        return _unquoted(self.node.annotation)


@dataclass(frozen=True, slots=True)
class Signature:
    """What a function takes: by name, by position only, and whatever else comes."""

    function: Function
    parameters: tuple[Parameter, ...]
    positional: tuple[ast.arg, ...]  # positional-only, and `*args`
    rest: ast.arg | None  # `**kwargs`

    def parameter(self, name: str) -> Parameter | None:
        """Return the parameter of this name."""
        return next((each for each in self.parameters if each.name == name), None)


def read_signature(function: Function) -> Signature:
    """Read the parameters of a function from its definition."""
    given = function.args
    ordinary = [*given.posonlyargs, *given.args]
    late = [None] * (len(ordinary) - len(given.defaults))
    defaults: list[ast.expr | None] = [*late, *given.defaults]
    named = list(zip(ordinary, defaults, strict=True))[len(given.posonlyargs) :]
    named += zip(given.kwonlyargs, given.kw_defaults, strict=True)
    positional = [*given.posonlyargs, *([given.vararg] if given.vararg else [])]
    parameters = tuple(Parameter(node, default) for node, default in named)
    return Signature(function, parameters, tuple(positional), given.kwarg)


class Scope:
    """What names mean at the top level of a file of tools."""

    def __init__(self, file: PythonFile) -> None:
        self._names = file.names
        self._imports = _imported_names(file.tree)
        self._bound = {*vars(builtins), *_bound_names(file.tree)}
        self._for_checkers = _names_for_checkers(file.tree) - _bound_elsewhere(file)
        self._is_open = "*" in self._bound  # a star import may bring anything

    def is_unknown(self, name: str) -> bool:
        """Whether nothing in the file binds this name."""
        return not self._is_open and name not in self._bound

    def is_for_checkers(self, name: str) -> bool:
        """Whether a name is imported under TYPE_CHECKING only, so not at run time."""
        return name in self._for_checkers

    def resolve(self, node: ast.expr) -> str | None:
        """Return the full name that an expression stands for, None when unsure."""
        if isinstance(node, ast.Constant) and node.value is None:
            return "None"
        if isinstance(node, ast.Attribute):
            owner = self.resolve(node.value)
            return f"{owner}.{node.attr}" if owner else None
        if not isinstance(node, ast.Name):
            return None
        if node.id in self._imports:
            return self._imports[node.id]
        is_builtin = node.id not in self._names and hasattr(builtins, node.id)
        return node.id if is_builtin else None

    def json_types(self, node: ast.expr | None) -> frozenset[str] | None:
        """Return the JSON types that an annotation takes; None when unsure of any."""
        if node is None:
            return None
        node = _unquoted(node) or node
        if isinstance(node, ast.BinOp) and isinstance(node.op, ast.BitOr):
            return self._union([node.left, node.right])
        if not isinstance(node, ast.Subscript):
            return _JSON_TYPES.get(self.resolve(node) or "")
        inner = _members(node)
        match self.resolve(node.value):
            case "typing.Annotated":
                return self.json_types(inner[0])
            case "typing.Optional":
                types = self.json_types(inner[0])
                return types | {"null"} if types else None
            case "typing.Union":
                return self._union(inner)
            case "typing.Literal":
                return _types_of_values(literals(node))
            case name:
                return _JSON_TYPES.get(name or "")

    def not_json(self, node: ast.expr, *, as_result: bool = False) -> str | None:
        """Return the part of an annotation that JSON surely cannot carry."""
        node = _unquoted(node) or node
        if isinstance(node, ast.BinOp):
            parts = [node.left, node.right]
        elif isinstance(node, ast.Subscript):
            name = self.resolve(node.value)
            if name in _NOT_JSON:
                return ast.unparse(node)
            parts = _members(node)
            parts = parts[:1] if name == "typing.Annotated" else parts
            parts = [] if name == "typing.Literal" else parts
        else:
            name = self.resolve(node)
            sayable = as_result and name in _SAYABLE
            is_bad = name in _NOT_JSON and not sayable
            is_bad = is_bad or (not as_result and self._is_plain_class(node))
            return ast.unparse(node) if is_bad else None
        found = (self.not_json(each, as_result=as_result) for each in parts)
        return next((each for each in found if each), None)

    def literal_values(self, node: ast.expr | None) -> list[object] | None:
        """Return the members of a `Literal`, None when an annotation is none."""
        node = _unquoted(node)
        if not isinstance(node, ast.Subscript):
            return None
        name = self.resolve(node.value)
        if name == "typing.Annotated":
            return self.literal_values(_members(node)[0])
        return literals(node) if name == "typing.Literal" else None

    def _union(self, parts: list[ast.expr]) -> frozenset[str] | None:
        found = [self.json_types(each) for each in parts]
        known = [each for each in found if each is not None]
        return frozenset().union(*known) if len(known) == len(found) else None

    def _is_plain_class(self, node: ast.expr) -> bool:
        """Whether it is a class of this file that is neither data nor a choice."""
        found = self._names.get(node.id) if isinstance(node, ast.Name) else None
        if not isinstance(found, ast.ClassDef):
            return False
        return not found.bases and not found.keywords and not found.decorator_list


def literals(node: ast.Subscript) -> list[object] | None:
    """Return the values in the brackets; None when one is not written out."""
    parts = _members(node)
    if not all(isinstance(each, ast.Constant) for each in parts):
        return None
    return [each.value for each in parts if isinstance(each, ast.Constant)]


def names_in(annotation: ast.expr) -> Iterator[ast.Name]:
    """Yield the names in an annotation that are looked up when it is read."""
    for node in ast.walk(annotation):
        if isinstance(node, ast.Name):
            yield node


def _members(node: ast.Subscript) -> list[ast.expr]:
    inner = node.slice
    return list(inner.elts) if isinstance(inner, ast.Tuple) else [inner]


def _unquoted(node: ast.expr | None) -> ast.expr | None:
    """Return the expression in a text; positions inside it are lost."""
    if isinstance(node, ast.Constant) and isinstance(node.value, str):
        try:
            return ast.parse(node.value.strip(), mode="eval").body
        except (SyntaxError, ValueError):
            return None
    return node


def _types_of_values(values: list[object] | None) -> frozenset[str] | None:
    names = {str: "string", bool: "boolean", int: "integer", type(None): "null"}
    if values is None or not all(type(each) in names for each in values):
        return None
    return frozenset(names[type(each)] for each in values)


def _imported_names(tree: ast.Module) -> dict[str, str]:
    """Return the full name of whatever imports bind, those below `if` included."""
    found: dict[str, str] = {}
    for node in ast.walk(tree):
        if isinstance(node, ast.ImportFrom) and node.module and not node.level:
            for alias in node.names:
                found[alias.asname or alias.name] = f"{node.module}.{alias.name}"
        elif isinstance(node, ast.Import):
            for alias in node.names:
                local = alias.asname or alias.name.partition(".")[0]
                found[local] = alias.name if alias.asname else local
    return found


def _bound_names(tree: ast.AST) -> Iterator[str]:
    """Yield every name that is bound anywhere in a file."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store):
            yield node.id
        elif isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
            yield node.name
        elif isinstance(node, ast.alias):
            yield node.asname or node.name.partition(".")[0]


def _names_for_checkers(tree: ast.Module) -> set[str]:
    found: set[str] = set()
    for node in tree.body:
        if isinstance(node, ast.If) and _is_for_checkers(node.test):
            for each in node.body:
                found.update(_bound_names(each))
    return found


def _bound_elsewhere(file: PythonFile) -> set[str]:
    found: set[str] = set()
    for node in file.tree.body:
        is_guard = isinstance(node, ast.If) and _is_for_checkers(node.test)
        parts = node.orelse if is_guard and isinstance(node, ast.If) else [node]
        for each in parts:
            found.update(_bound_names(each))
    return found


def _is_for_checkers(test: ast.expr) -> bool:
    name = test.attr if isinstance(test, ast.Attribute) else getattr(test, "id", "")
    return bool(name == "TYPE_CHECKING")
