"""The schema of a Python tool's arguments, as far as its source is sure of it.

The counterpart of what loading the tool makes of its signature, for source that is
never imported. What is not sure admits anything.
"""

from __future__ import annotations

import ast
from typing import TYPE_CHECKING, Any

from runner.config.functions import find_functions
from runner.config.jsontypes import json_types, literal_values
from runner.config.scope import scope_of

if TYPE_CHECKING:
    from runner.config.inspection import Inspection
    from runner.config.nodes import Pointer
    from runner.config.pyfiles import PythonFile


def infer_schema(inspection: Inspection, tool: Pointer) -> dict[str, Any] | None:
    """Return the schema of a Python tool's arguments; None when nothing is sure."""
    for each in inspection.fact(find_functions):
        signature = each.signature
        if each.tool.tool != tool:
            continue
        if signature.rest is not None or signature.positional:
            return None
        return {
            "type": "object",
            "properties": {
                parameter.name: _schema(each.file, parameter.annotation)
                for parameter in signature.parameters
            },
            "required": [
                parameter.name
                for parameter in signature.parameters
                if parameter.default is None
            ],
        }
    return None


def _schema(file: PythonFile, annotation: ast.expr | None) -> dict[str, Any]:
    choices = literal_values(file, annotation)
    if choices is not None:
        return {"enum": choices}
    types = json_types(file, annotation)
    if types is None or "any" in types:
        return {}
    return {"type": sorted(types), **_keywords(file, annotation)}


def _keywords(file: PythonFile, annotation: ast.expr | None) -> dict[str, Any]:
    """Return what mappings in an `Annotated` say, where they are written out."""
    match annotation:
        case ast.Subscript(value=called, slice=ast.Tuple(elts=[_, *notes])) if (
            scope_of(file.tree).resolve(called) == "typing.Annotated"
        ):
            found: dict[str, Any] = {}
            for each in notes:
                if isinstance(each, ast.Dict):
                    found.update(_value(each))
            return found
    return {}


def _value(node: ast.Dict) -> dict[str, Any]:
    try:
        value: dict[str, Any] = ast.literal_eval(node)
    except (ValueError, TypeError, RecursionError):
        return {}
    return value
