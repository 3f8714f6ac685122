"""Annotations of a Python tool as JSON Schema, read from source and never imported.

The counterpart of `runner.tools.annotations`. A schema here says nothing that the one
at run time does not say; the keywords that are not sure are left out, and None means
that nothing is sure.
"""

from __future__ import annotations

import ast
from typing import TYPE_CHECKING, Any

from runner.config.lint.python_files import Function, find_sure_functions, unquoted

if TYPE_CHECKING:
    from collections.abc import Iterator

    from runner.config.lint.context import RuleContext
    from runner.config.lint.python_files import PythonFile
    from runner.config.yaml.nodes import Pointer

Schema = dict[str, Any]

# The format `time` of JSON Schema requires seconds and an offset, which callers omit.
CLOCK_PATTERN = "([01][0-9]|2[0-3]):[0-5][0-9](:[0-5][0-9])?"


class _Partial(Schema):
    """A schema of which more keywords exist; a union of it is not sure."""


def _everywhere(*names: str) -> tuple[str, ...]:
    modules = ("typing", "collections.abc")
    return tuple(f"{module}.{name}" for module in modules for name in names)


_TEXT, _NULL = {"type": "string"}, {"type": "null"}
_LISTS = {
    *("list", "typing.List", "collections.deque", "typing.Deque"),
    *_everywhere("Sequence", "MutableSequence", "Iterable", "Collection"),
}
_TUPLES = {"tuple", "typing.Tuple"}
_SETS = {
    *("set", "frozenset", "typing.Set", "typing.FrozenSet", "typing.AbstractSet"),
    *("collections.abc.Set", *_everywhere("MutableSet")),
}
_MAPPINGS = {"dict", "typing.Dict", *_everywhere("Mapping", "MutableMapping")}
# JSON Schema types of annotations, by the full name of the type.
_SCHEMAS: dict[str, Schema] = {
    **dict.fromkeys(
        ("str", "typing.Text", "typing.LiteralString", "bytes", "pathlib.Path"), _TEXT
    ),
    "pathlib.PurePath": _TEXT,
    "datetime.time": {**_TEXT, "pattern": CLOCK_PATTERN},
    "int": {"type": "integer"},
    "float": {"type": "number"},
    "bool": {"type": "boolean"},
    "None": _NULL,
    "object": {},
    "typing.Any": {},
    "decimal.Decimal": {"type": "number"},
    "datetime.datetime": {**_TEXT, "format": "date-time"},
    "datetime.date": {**_TEXT, "format": "date"},
    "datetime.timedelta": {**_TEXT, "format": "duration"},
    "uuid.UUID": {**_TEXT, "format": "uuid"},
    **dict.fromkeys((*_LISTS, *_TUPLES), {"type": "array"}),
    **dict.fromkeys(_SETS, {"type": "array", "uniqueItems": True}),
    **dict.fromkeys(_MAPPINGS, {"type": "object"}),
}
# Types that certainly have no JSON Schema.
_NOT_JSON = {
    *("bytearray", "memoryview", "range", "slice", "type", "datetime.tzinfo"),
    *("io.BytesIO", "io.StringIO"),
    *_everywhere("Callable", "Iterator", "AsyncIterator", "AsyncIterable"),
    *_everywhere("AsyncGenerator", "Awaitable", "Coroutine"),
}
# Certainly not the result of a tool: a generator is not data.
_NOT_A_RESULT = {
    *_NOT_JSON,
    *("complex", "re.Pattern", "typing.Pattern", *_everywhere("Iterable", "Generator")),
}
_CONTAINERS = {*_LISTS, *_TUPLES, *_SETS, *_MAPPINGS, "typing.Union", "typing.Optional"}
# Notes in an `Annotated` that add to a schema and change nothing that it says.
_ADDING = ("pydantic.Field", "annotated_types.")


def annotation_schema(file: PythonFile, node: ast.expr | None) -> Schema | None:
    """Returns the JSON Schema of an annotation, None when unsure of it."""
    node = unquoted(node)
    if isinstance(node, ast.BinOp) and isinstance(node.op, ast.BitOr):
        return _union(file, [node])
    if not isinstance(node, ast.Subscript):
        known = _SCHEMAS.get(file.scope.resolve(node) or "") if node else None
        return None if known is None else dict(known)
    inner = _members(node)
    match file.scope.resolve(node.value):
        case "typing.Annotated":
            return _annotated(file, inner)
        case "typing.Optional":
            return _union(file, [*inner, ast.Constant(None)])
        case "typing.Union":
            return _union(file, inner)
        case "typing.Literal":
            return _choice(_literals(node))
        case str(name) if name in _CONTAINERS:
            return _container(file, name, inner)
    return None


def json_types(file: PythonFile, node: ast.expr | None) -> frozenset[str] | None:
    """Returns the JSON types that an annotation takes; None when unsure of any."""
    return _types(annotation_schema(file, node))


def literal_values(file: PythonFile, node: ast.expr | None) -> list[object] | None:
    """Returns the members of a `Literal`, None if an annotation is not one."""
    node = unquoted(node)
    if not isinstance(node, ast.Subscript):
        return None
    name = file.scope.resolve(node.value)
    if name == "typing.Annotated":
        return literal_values(file, _members(node)[0])
    return _literals(node) if name == "typing.Literal" else None


def not_json(
    file: PythonFile, node: ast.expr, *, as_result: bool = False
) -> str | None:
    """Returns the part of an annotation that JSON certainly cannot represent."""
    node = unquoted(node) or node
    bad = _NOT_A_RESULT if as_result else _NOT_JSON
    if isinstance(node, ast.BinOp):
        parts = [node.left, node.right]
    elif isinstance(node, ast.Subscript):
        name = file.scope.resolve(node.value)
        if name in bad and name != "type":
            return ast.unparse(node)
        parts = _members(node) if name in _CONTAINERS else []
        if name == "typing.Annotated":
            inner, *notes = _members(node)
            parts = [inner] if all(_is_adding(file, each) for each in notes) else []
    else:
        is_bad = file.scope.resolve(node) in bad
        is_bad = is_bad or (not as_result and _is_plain_class(file, node))
        return ast.unparse(node) if is_bad else None
    found = (not_json(file, each, as_result=as_result) for each in parts)
    return next((each for each in found if each), None)


def names_in(annotation: ast.expr) -> Iterator[ast.Name]:
    """Yields the names in an annotation that are looked up when it is read."""
    nodes = list(ast.walk(annotation))
    own = {each.arg for each in nodes if isinstance(each, ast.arg)}  # of a lambda
    names = [each for each in nodes if isinstance(each, ast.Name)]
    own |= {each.id for each in names if isinstance(each.ctx, ast.Store)}
    return (each for each in names if each.id not in own)


def infer_schema(inspection: RuleContext, tool: Pointer) -> Schema | None:
    """Returns the schema of a Python tool's arguments; None when nothing is sure."""
    for each in inspection.fact(find_sure_functions):
        signature = each.signature
        if each.tool.tool != tool:
            continue
        if signature.rest is not None or signature.positional:
            return None
        return {
            "type": "object",
            "properties": {
                parameter.name: annotation_schema(each.file, parameter.annotation) or {}
                for parameter in signature.parameters
            },
            "required": [
                parameter.name
                for parameter in signature.parameters
                if parameter.default is None
            ],
        }
    return None


def _union(file: PythonFile, parts: list[ast.expr]) -> Schema | None:
    members = []
    for each in _flat(file, parts):
        schema = annotation_schema(file, each)
        if schema is None or isinstance(schema, _Partial):
            return None
        members.append(schema)
    members.sort(key=lambda schema: schema == _NULL)  # pydantic has it last
    unique = [each for at, each in enumerate(members) if each not in members[:at]]
    if all(each.keys() == {"type"} for each in unique):
        types = [each["type"] for each in unique]
        return {"type": types if len(types) > 1 else types[0]}
    return {"anyOf": members} if len(unique) == len(members) else None


def _flat(file: PythonFile, parts: list[ast.expr]) -> Iterator[ast.expr]:
    """Yields the members of unions, those in unions inside them included."""
    for part in parts:
        node = unquoted(part) or part
        if isinstance(node, ast.BinOp):
            yield from _flat(file, [node.left, node.right])
            continue
        name = None
        if isinstance(node, ast.Subscript):
            name = file.scope.resolve(node.value)
        if isinstance(node, ast.Subscript) and name in (
            "typing.Union",
            "typing.Optional",
        ):
            yield from _flat(file, _members(node))
            if name == "typing.Optional":
                yield ast.Constant(None)
        else:
            yield node


def _annotated(file: PythonFile, parts: list[ast.expr]) -> Schema | None:
    schema = annotation_schema(file, parts[0])
    if schema is None or not all(_is_adding(file, each) for each in parts[1:]):
        return None
    for note in parts[1:]:
        if isinstance(note, ast.Constant) and isinstance(note.value, str):
            schema["description"] = note.value
        elif isinstance(note, ast.Dict):
            for key, value in zip(note.keys, note.values, strict=True):
                if not isinstance(key, ast.Constant) or not isinstance(key.value, str):
                    return None
                schema.pop(key.value, None)
                try:
                    schema[key.value] = ast.literal_eval(value)
                except (ValueError, TypeError, RecursionError):
                    schema = _Partial(schema)  # it is computed
        elif not isinstance(note, ast.Constant):
            schema.pop("description", None)
            schema = _Partial(schema)
    return schema


def _is_adding(file: PythonFile, note: ast.expr) -> bool:
    """True if metadata in an `Annotated` certainly does not replace the schema."""
    if isinstance(note, ast.Call):
        return (file.scope.resolve(note.func) or "").startswith(_ADDING)
    return isinstance(note, ast.Dict | ast.Constant)


def _container(file: PythonFile, name: str, inner: list[ast.expr]) -> Schema:
    schema = dict(_SCHEMAS[name])
    is_several = len(inner) == 2 and _is_ellipsis(inner[1])
    if name in _TUPLES and not is_several:
        found = [annotation_schema(file, each) for each in inner]
        if None in found:  # also for `tuple[()]`
            return _Partial(schema)
        return {
            **schema,
            "minItems": len(inner),
            "maxItems": len(inner),
            "prefixItems": found,
        }
    member = annotation_schema(file, inner[-1 if name in _MAPPINGS else 0])
    if member is None:
        return _Partial(schema)
    if member:
        schema["additionalProperties" if name in _MAPPINGS else "items"] = member
    return schema


def _is_ellipsis(node: ast.expr) -> bool:
    return isinstance(node, ast.Constant) and node.value is ...


def _is_plain_class(file: PythonFile, node: ast.expr) -> bool:
    """True for a class of this file that is neither data nor a choice."""
    found = file.scope.find(node.id) if isinstance(node, ast.Name) else None
    if not isinstance(found, ast.ClassDef):
        return False
    if found.bases or found.keywords or found.decorator_list:
        return False
    names = [each.name for each in found.body if isinstance(each, Function)]
    return not any(name.startswith("__get_pydantic") for name in names)


def _literals(node: ast.Subscript) -> list[object] | None:
    """Returns the values in the brackets; None if one is not written out."""
    parts = _members(node)
    if not all(isinstance(each, ast.Constant) for each in parts):
        return None
    return [each.value for each in parts if isinstance(each, ast.Constant)]


def _choice(values: list[object] | None) -> Schema | None:
    if values is None or not all(isinstance(v, str | int | None) for v in values):
        return None
    kinds = {type(each) for each in values}
    unique = list({(type(each), each): each for each in values}.values())
    types = {str: "string", int: "integer"}
    named = next(({"type": types[k]} for k in kinds if k in types), {})
    return {**(named if len(kinds) == 1 else {}), "enum": unique}


def _members(node: ast.Subscript) -> list[ast.expr]:
    inner = node.slice
    return list(inner.elts) if isinstance(inner, ast.Tuple) and inner.elts else [inner]


def _types(schema: Schema | None) -> frozenset[str] | None:
    if schema is None:
        return None
    if "anyOf" in schema:
        found = [_types(each) for each in schema["anyOf"]]
        known = [each for each in found if each is not None]
        return frozenset().union(*known) if len(known) == len(found) else None
    if "enum" in schema and "type" not in schema:
        names = {str: "string", bool: "boolean", int: "integer", type(None): "null"}
        return frozenset(names[type(each)] for each in schema["enum"])
    types = schema.get("type", [])
    found_types = {types} if isinstance(types, str) else set(types)
    if "number" in found_types:
        found_types.add("integer")
    return frozenset(found_types) or None
