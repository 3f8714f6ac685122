"""What annotations of a Python tool become in JSON Schema, as far as that is sure.

The counterpart of `runner.tools.annotations`, for source that is never imported.
"""

from __future__ import annotations

import ast
from typing import TYPE_CHECKING

from runner.config.scope import scope_of
from runner.config.signatures import unquoted

if TYPE_CHECKING:
    from runner.config.pyfiles import PythonFile

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


def json_types(file: PythonFile, node: ast.expr | None) -> frozenset[str] | None:
    """Return the JSON types that an annotation takes; None when unsure of any."""
    if node is None:
        return None
    node = unquoted(node) or node
    if isinstance(node, ast.BinOp) and isinstance(node.op, ast.BitOr):
        return _union(file, [node.left, node.right])
    if not isinstance(node, ast.Subscript):
        return _JSON_TYPES.get(scope_of(file.tree).resolve(node) or "")
    inner = _members(node)
    match scope_of(file.tree).resolve(node.value):
        case "typing.Annotated":
            return json_types(file, inner[0])
        case "typing.Optional":
            types = json_types(file, inner[0])
            return types | {"null"} if types else None
        case "typing.Union":
            return _union(file, inner)
        case "typing.Literal":
            return _types_of_values(_literals(node))
        case name:
            return _JSON_TYPES.get(name or "")


def not_json(
    file: PythonFile, node: ast.expr, *, as_result: bool = False
) -> str | None:
    """Return the part of an annotation that JSON surely cannot carry."""
    node = unquoted(node) or node
    if isinstance(node, ast.BinOp):
        parts = [node.left, node.right]
    elif isinstance(node, ast.Subscript):
        name = scope_of(file.tree).resolve(node.value)
        if name in _NOT_JSON:
            return ast.unparse(node)
        parts = _members(node)
        parts = parts[:1] if name == "typing.Annotated" else parts
        parts = [] if name == "typing.Literal" else parts
    else:
        name = scope_of(file.tree).resolve(node)
        sayable = as_result and name in _SAYABLE
        is_bad = name in _NOT_JSON and not sayable
        is_bad = is_bad or (not as_result and _is_plain_class(file, node))
        return ast.unparse(node) if is_bad else None
    found = (not_json(file, each, as_result=as_result) for each in parts)
    return next((each for each in found if each), None)


def literal_values(file: PythonFile, node: ast.expr | None) -> list[object] | None:
    """Return the members of a `Literal`, None when an annotation is none."""
    node = unquoted(node)
    if not isinstance(node, ast.Subscript):
        return None
    name = scope_of(file.tree).resolve(node.value)
    if name == "typing.Annotated":
        return literal_values(file, _members(node)[0])
    return _literals(node) if name == "typing.Literal" else None


def _union(file: PythonFile, parts: list[ast.expr]) -> frozenset[str] | None:
    found = [json_types(file, each) for each in parts]
    known = [each for each in found if each is not None]
    return frozenset().union(*known) if len(known) == len(found) else None


def _is_plain_class(file: PythonFile, node: ast.expr) -> bool:
    """Whether it is a class of this file that is neither data nor a choice."""
    found = file.names.get(node.id) if isinstance(node, ast.Name) else None
    if not isinstance(found, ast.ClassDef):
        return False
    return not found.bases and not found.keywords and not found.decorator_list


def _literals(node: ast.Subscript) -> list[object] | None:
    """Return the values in the brackets; None when one is not written out."""
    parts = _members(node)
    if not all(isinstance(each, ast.Constant) for each in parts):
        return None
    return [each.value for each in parts if isinstance(each, ast.Constant)]


def _members(node: ast.Subscript) -> list[ast.expr]:
    inner = node.slice
    return list(inner.elts) if isinstance(inner, ast.Tuple) else [inner]


def _types_of_values(values: list[object] | None) -> frozenset[str] | None:
    names = {str: "string", bool: "boolean", int: "integer", type(None): "null"}
    if values is None or not all(type(each) in names for each in values):
        return None
    return frozenset(names[type(each)] for each in values)
