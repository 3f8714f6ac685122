"""Arguments that callers dictate: numbers, codes, addresses, dates, amounts."""

from __future__ import annotations

import ast
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterator

    from runner.config.yaml.nodes import Pointer

# Any of these tells the service when a value is whole.
_HINTS = {"pattern", "format", "enum", "const", "examples"}
# What a schema may say elsewhere.
_INDIRECT = {"$ref", "anyOf", "oneOf", "allOf"}

# The last word of a name, or its last two, and what a caller gives there.
_KINDS = {
    "phone": "a telephone number",
    "telephone": "a telephone number",
    "mobile": "a telephone number",
    "phone_number": "a telephone number",
    "email": "an e-mail address",
    "mail": "an e-mail address",
    "email_address": "an e-mail address",
    "date": "a date",
    "dob": "a date",
    "birthday": "a date",
    "birthdate": "a date",
    "time": "a time",
    "number": "a number",
    "id": "a number",
    "code": "a code",
    "pin": "a code",
    "amount": "an amount",
    "price": "an amount",
    "iban": "an account number",
    "zip": "a postcode",
    "zipcode": "a postcode",
    "postcode": "a postcode",
    "postal_code": "a postcode",
    "isbn": "a number",
    "vin": "a number",
    "ssn": "a number",
}
# Words that make another thing of it: no caller dictates the code of a language.
_OTHERWISE = {
    *("country", "currency", "language", "lang", "locale", "color", "colour"),
    *("source", "status", "error", "session", "call", "request", "zone", "part"),
}
_DESCRIBED = (
    (r"(?:tele)?phone number|mobile number", "a telephone number"),
    (r"e-?mail address", "an e-mail address"),
    (r"date of birth|birth ?date", "a date"),
    (r"post(?:al )?code|zip code", "a postcode"),
    (r"iban\b", "an account number"),
    (
        r"(?:order|customer|account|policy|booking|reference|card|member(?:ship)?|"
        r"tracking|invoice|ticket|licen[cs]e|serial|contract|meter) (?:number|code|id)",
        "a number",
    ),
)
_ARTICLE = r"\s*(?:the |their |his |her |an? )?(?:(?:caller|customer|user)['’]s )?"
# The id that another tool gave is copied by the model, not heard.
_INTERNAL = (
    r"\b(?:returned|came with|comes from|result of|never ask|internal|uuid)\b|"
    r"\bfrom `?[a-z]+_[a-z_]+|\bdo(?:es)? ?n[o']t know\b"
)


@dataclass(frozen=True, slots=True)
class DictatedArgument:
    """A value that is heard: `path` leads to it from the tool, or it is an argument of
    the Python function."""

    name: str
    kind: str
    path: Pointer = ()


def find_dictated(schema: Any, path: Pointer) -> Iterator[DictatedArgument]:
    """Yield the properties of a schema that are dictated and say nothing of how."""
    properties = schema.get("properties") if isinstance(schema, dict) else None
    if not isinstance(properties, dict):
        return
    for name, each in properties.items():
        here = (*path, "properties", name)
        if not isinstance(each, dict) or not isinstance(name, str):
            continue
        if each.get("type") in ("string", ["string", "null"]):
            kind = kind_of_value(name, each.get("description"))
            if kind and not each.keys() & (_HINTS | _INDIRECT):
                yield DictatedArgument(name, kind, here)
        yield from find_dictated(each, here)


def find_dictated_arguments(
    function: ast.FunctionDef | ast.AsyncFunctionDef,
) -> Iterator[DictatedArgument]:
    """Yield the arguments of a function that are dictated plain strings."""
    taken = function.args
    for each in (*taken.posonlyargs, *taken.args, *taken.kwonlyargs):
        texts = _read_string(each.annotation)
        if texts is not None:
            kind = kind_of_value(each.arg, texts[0] if texts else None)
            if kind:
                yield DictatedArgument(each.arg, kind)


def kind_of_value(name: str, description: object) -> str | None:
    """Say what a caller dictates here; None when nothing, or when it is not clear."""
    said = description if isinstance(description, str) else ""
    if re.search(_INTERNAL, said, re.IGNORECASE):
        return None
    words = re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "_", name).lower().split("_")
    if not _OTHERWISE.isdisjoint(words):
        return None
    kind = _KINDS.get("_".join(words[-2:])) or _KINDS.get(words[-1])
    if kind:
        return kind
    for pattern, each in _DESCRIBED:
        if re.match(_ARTICLE + f"(?:{pattern})", said, re.IGNORECASE):
            return each
    return None


def _read_string(annotation: ast.expr | None) -> list[str] | None:
    """Return the texts beside a plain `str`; None for any other type, or with hints."""
    match annotation:
        case ast.Subscript(value=called, slice=ast.Tuple(elts=[kind, *notes])) if (
            _ends_with(called, "Annotated")
        ):
            texts = [
                each.value
                for each in notes
                if isinstance(each, ast.Constant) and isinstance(each.value, str)
            ]
            if not _is_plain(kind) or any(map(_may_hint, notes)):
                return None
            return texts
        case None:
            return None
    return [] if _is_plain(annotation) else None


def _is_plain(kind: ast.expr) -> bool:
    match kind:
        case ast.Name(id="str"):
            return True
        case ast.BinOp(left=left, op=ast.BitOr(), right=ast.Constant(value=None)):
            return _is_plain(left)
        case ast.Subscript(value=called, slice=inner) if _ends_with(called, "Optional"):
            return _is_plain(inner)
    return False


def _ends_with(node: ast.expr, name: str) -> bool:
    return (isinstance(node, ast.Name) and node.id == name) or (
        isinstance(node, ast.Attribute) and node.attr == name
    )


def _may_hint(note: ast.expr) -> bool:
    """Whether a note beside a type says how it is dictated, or cannot be read."""
    if isinstance(note, ast.Dict):
        keys = [
            key.value if isinstance(key, ast.Constant) else None for key in note.keys
        ]
        return None in keys or not _HINTS.isdisjoint(keys)
    return not isinstance(note, ast.Constant)
