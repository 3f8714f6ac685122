"""Rules VA412 to VA416: what the file says that a Python tool takes."""

from __future__ import annotations

import ast
from typing import TYPE_CHECKING

from runner.config.diagnostics import Finding, quoted, replacement
from runner.config.lint.python_files import find_sure_functions
from runner.config.lint.python_types import json_types, literal_values
from runner.config.rules.rule import rule
from runner.config.spelling import is_surely, nearest

if TYPE_CHECKING:
    from collections.abc import Iterator

    from runner.config.lint.context import RuleContext
    from runner.config.lint.python_files import ToolFunction


def _described(inspection: RuleContext) -> Iterator[ToolFunction]:
    """Yield the tools whose arguments the agent file describes soundly."""
    for each in inspection.fact(find_sure_functions):
        if each.has_schema and inspection.is_sound((*each.path, "properties")):
            yield each


@rule("VA412", "argument-not-taken")
def argument_not_taken(inspection: RuleContext) -> Iterator[Finding]:
    """The file names an argument that the function does not take.

    Such a tool is not loaded: a call that gives the argument could not be made.

    Bad:
        tools:
          - python: tools/shop.py:lookup
            parameters:
              type: object
              properties:
                order: {type: string, pattern: "[0-9]{4}"}
                colour: {type: string, enum: [red, blue]}
              required: [order]

    Good:
        tools:
          - python: tools/shop.py:lookup
            parameters:
              type: object
              properties:
                order: {type: string, pattern: "[0-9]{4}"}
              required: [order]
    """
    for each in _described(inspection):
        if each.signature.rest is not None or each.signature.positional:
            continue
        names = [parameter.name for parameter in each.signature.parameters]
        for name in each.properties:
            if name in names:
                continue
            guess = nearest(name, [x for x in names if x not in each.properties])
            place = inspection.key((*each.path, "properties", name))
            takes = ", ".join(f"`{x}`" for x in names) or "nothing"
            help_ = f"did you mean `{guess}`?" if guess else f"it takes {takes}"
            fix = None
            if guess:
                is_safe = is_surely(name, guess)
                fix = replacement(place, name, guess, is_safe=is_safe)
            message = f"`{each.name}` takes no `{quoted(name)[1:-1]}`"
            meant = (*each.path, "properties", guess) if guess else None
            yield Finding(place, message, help_, fix, meant=meant)


@rule("VA413", "argument-not-required")
def argument_not_required(inspection: RuleContext) -> Iterator[Finding]:
    """The function needs an argument that a call may leave out.

    A parameter without a default has to be under `required`, or else the tool is not
    loaded.

    Bad:
        tools:
          - python: tools/shop.py:lookup
            parameters:
              type: object
              properties: {order: {type: string, pattern: "[0-9]{4}"}}

    Good:
        tools:
          - python: tools/shop.py:lookup
            parameters:
              type: object
              properties: {order: {type: string, pattern: "[0-9]{4}"}}
              required: [order]
    """
    for each in _described(inspection):
        listed = (*each.path, "required")
        if not inspection.is_sound(listed):
            continue
        for parameter in each.signature.parameters:
            name = parameter.name
            property_path = (*each.path, "properties", name)
            if parameter.default is not None or name in each.required:
                continue
            if not inspection.is_sound(property_path):
                continue
            is_listed = bool(each.required)
            place = inspection.start(listed if is_listed else each.path)
            message = f"`{each.name}` needs `{name}`, which a call may leave out"
            help_ = f"add `{name}` to `required`, or give it a default in the function"
            if name not in each.properties:
                message = f"`{each.name}` needs `{name}`, which is not a parameter here"
                help_ = f"add `{name}` to `properties` and to `required`"
            yield Finding(place, message, help_)


@rule("VA414", "argument-type-differs", "warning")
def argument_type_differs(inspection: RuleContext) -> Iterator[Finding]:
    """The file gives an argument a type that the function's annotation does not take.

    The model follows the file, and the call then fails with a sentence about the
    wrong type.

    Bad:
        tools:
          - python: tools/shop.py:lookup
            parameters:
              type: object
              properties: {order: {type: integer, minimum: 1000, maximum: 9999}}
              required: [order]

    Good:
        tools:
          - python: tools/shop.py:lookup
            parameters:
              type: object
              properties: {order: {type: string, pattern: "[0-9]{4}"}}
              required: [order]
    """
    for each in _described(inspection):
        for parameter in each.signature.parameters:
            path = (*each.path, "properties", parameter.name, "type")
            taken = json_types(each.file, parameter.annotation)
            given = inspection.get(path, str)
            if taken is None or given is None or given in taken:
                continue
            own = " or ".join(sorted(taken))
            message = f"`{parameter.name}` is {given} here and {own} in the function"
            help_ = f"write {own}, or change the function"
            yield Finding(inspection.value(path), message, help_, spoils=path)


@rule("VA415", "argument-choices-differ", "warning")
def argument_choices_differ(inspection: RuleContext) -> Iterator[Finding]:
    """The file lists a choice that the function's `Literal` does not have.

    The model may choose it, and the call then fails.

    Bad:
        tools:
          - python: tools/shop.py:find_size
            parameters:
              type: object
              properties: {size: {type: string, enum: [small, large, huge]}}
              required: [size]

    Good:
        tools:
          - python: tools/shop.py:find_size
            parameters:
              type: object
              properties: {size: {type: string, enum: [small, large]}}
              required: [size]
    """
    for each in _described(inspection):
        for parameter in each.signature.parameters:
            path = (*each.path, "properties", parameter.name, "enum")
            choices = inspection.get(path, list) or []
            members = literal_values(each.file, parameter.annotation)
            if members is None:
                continue
            for index, choice in enumerate(choices):
                if choice not in members:
                    shown = ", ".join(quoted(member) for member in members)
                    message = f"{quoted(choice)} is no choice of `{each.name}`"
                    place = inspection.value((*path, index))
                    yield Finding(place, message, f"it knows {shown}")


@rule("VA416", "argument-default-differs", "warning")
def argument_default_differs(inspection: RuleContext) -> Iterator[Finding]:
    """The file gives an argument another default than the function has.

    When a call leaves the argument out, the function's own default counts: the model
    is told something else than what happens.

    Bad:
        tools:
          - python: tools/shop.py:list_orders
            parameters:
              type: object
              properties: {most: {type: integer, default: 10}}

    Good:
        tools:
          - python: tools/shop.py:list_orders
            parameters:
              type: object
              properties: {most: {type: integer, default: 3}}
    """
    for each in _described(inspection):
        for parameter in each.signature.parameters:
            own = each.properties.get(parameter.name)
            default = parameter.default
            if not isinstance(own, dict) or "default" not in own:
                continue
            if not isinstance(default, ast.Constant) or default.value is None:
                continue
            given = own["default"]
            if (type(given), given) == (type(default.value), default.value):
                continue
            path = (*each.path, "properties", parameter.name, "default")
            message = (
                f"the default of `{parameter.name}` is {quoted(given)} here and "
                f"{quoted(default.value)} in the function"
            )
            help_ = "the function's is the one that counts"
            yield Finding(inspection.value(path), message, help_)
