"""A Python function as a tool: its signature is the schema, and binds the arguments."""

from __future__ import annotations

import inspect
import json
import typing
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from runner.config.docstring import Docstring, parse_docstring
from runner.errors import ToolError
from runner.tools.annotations import Unsupported, shape_of
from runner.tools.shapes import Schema, Shape

_NAMED = (inspect.Parameter.POSITIONAL_OR_KEYWORD, inspect.Parameter.KEYWORD_ONLY)


@dataclass(frozen=True, slots=True)
class Signature:
    """What a function takes.

    `shapes` holds the parameters whose annotations mean something in JSON; `problems`
    says of the others why not. `open_ended` is whether it takes `**anything`.
    """

    name: str
    parameters: Mapping[str, inspect.Parameter]
    shapes: Mapping[str, Shape]
    problems: Mapping[str, str]
    docstring: Docstring
    open_ended: bool = False

    def schema(self) -> Schema:
        """Return the JSON Schema of the arguments; raise `ToolError` if it has none."""
        for parameter, problem in self.problems.items():
            raise ToolError(
                f"{self.name}(): parameter {parameter!r} {problem}",
                hint="annotate it with a type that JSON knows (str, int, float, bool, "
                "list, dict, Literal, Enum, date, a dataclass), or give the tool "
                "`parameters` in the agent file",
            )
        if self.open_ended:
            raise ToolError(
                f"{self.name}() takes **arguments of any name, which the model cannot "
                "know",
                hint="name the parameters, or give the tool `parameters` in the file",
            )
        properties = {name: self._property(name) for name in self.parameters}
        return {
            "type": "object",
            "properties": properties,
            "required": [
                name for name in self.parameters if not self._has_default(name)
            ],
        }

    def check(self, schema: Mapping[str, Any]) -> None:
        """Raise `ToolError` unless calls that `schema` admits can be made."""
        properties = schema.get("properties") or {}
        required = schema.get("required") or ()
        unknown = [name for name in properties if name not in self.parameters]
        if unknown and not self.open_ended:
            raise ToolError(
                f"{self.name}() takes no {_quoted(unknown)}, which `parameters` names",
                hint=f"it takes {_quoted(self.parameters) or 'nothing'}",
            )
        for name in self.parameters:
            if name not in required and not self._has_default(name):
                raise ToolError(
                    f"{self.name}() needs {name!r}; `parameters` does not require it",
                    hint=f"list {name!r} under `required`, or give it a default",
                )

    def bind(self, arguments: Mapping[str, Any]) -> dict[str, Any]:
        """Turn checked JSON arguments into what the function's annotations ask for.

        Raises ValueError, with a text that names the argument, for one that the schema
        let through and Python does not (a 31st of February).
        """
        bound: dict[str, Any] = {}
        for name, value in arguments.items():
            shape = self.shapes.get(name)
            try:
                bound[name] = shape.convert(value) if shape else value
            except ValueError as error:
                raise ValueError(f"{name}: {error}") from error
        return bound

    def _has_default(self, name: str) -> bool:
        return self.parameters[name].default is not inspect.Parameter.empty

    def _property(self, name: str) -> Schema:
        schema = dict(self.shapes[name].schema)
        text = self.docstring.parameters.get(name)
        if text:
            schema.setdefault("description", text)
        default = self.parameters[name].default
        if self._has_default(name) and default is not None and _is_json(default):
            schema["default"] = default
        return schema


def read_signature(function: Callable[..., object], name: str) -> Signature:
    """Read a function's parameters, annotations and docstring.

    Raises `ToolError` for parameters that cannot be given by name, and where Python
    knows no signature.
    """
    try:
        parameters = dict(inspect.signature(function).parameters)
    except (ValueError, TypeError) as error:
        raise ToolError(f"{name}() has no signature that Python can read") from error
    open_ended = False
    for parameter in list(parameters.values()):
        if parameter.kind is inspect.Parameter.VAR_KEYWORD:
            open_ended = True
            del parameters[parameter.name]
        elif parameter.kind not in _NAMED:
            star = "*" if parameter.kind is inspect.Parameter.VAR_POSITIONAL else ""
            raise ToolError(
                f"{name}() takes {star + parameter.name!r} by position only; the "
                "arguments of a call have names",
            )
    hints = _read_hints(function, name)
    shapes: dict[str, Shape] = {}
    problems: dict[str, str] = {}
    for argument in parameters:
        if argument not in hints:
            problems[argument] = "has no annotation"
            continue
        try:
            shapes[argument] = shape_of(hints[argument])
        except Unsupported as error:
            problems[argument] = f"cannot be described: {error}"
    docstring = parse_docstring(inspect.getdoc(function))
    return Signature(name, parameters, shapes, problems, docstring, open_ended)


def _read_hints(function: Callable[..., object], name: str) -> dict[str, Any]:
    target = inspect.unwrap(function)
    if not inspect.isroutine(target):
        target = type(target).__call__ if callable(target) else target
    try:
        return typing.get_type_hints(target, include_extras=True)
    except (NameError, AttributeError, TypeError, SyntaxError) as error:
        raise ToolError(
            f"{name}() has an annotation that Python cannot resolve: {error}",
            hint="import the name at run time, not only under TYPE_CHECKING",
        ) from error


def _is_json(value: object) -> bool:
    if isinstance(value, bool | str | int):
        return True
    try:
        return bool(json.loads(json.dumps(value, allow_nan=False)) == value)
    except (TypeError, ValueError):
        return False


def _quoted(names: typing.Iterable[str]) -> str:
    return ", ".join(repr(name) for name in names)
