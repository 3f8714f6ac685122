"""Rules VA401 to VA404 and VA412 to VA421: references and signatures of tools."""

from __future__ import annotations

import ast
from typing import TYPE_CHECKING

from runner.config.diagnostics import Finding, quoted, replacement
from runner.config.lint.context import rule
from runner.config.lint.python_files import find_python_tools, find_sure_functions
from runner.config.lint.python_types import (
    json_types,
    literal_values,
    names_in,
    not_json,
)
from runner.config.spelling import is_certain_guess, nearest

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from runner.config.diagnostics import Fix
    from runner.config.lint.context import RuleContext
    from runner.config.lint.python_files import PythonTool, ToolFunction


_MAX_LISTED = 8  # functions that are named in a help line


@rule("VA401", "tool-file-missing")
def tool_file_missing(inspection: RuleContext) -> Iterator[Finding]:
    """The file of a Python tool does not exist.

    Its path is relative to the folder of the agent file.

    Bad:
        tools:
          - python: tools/missing.py:lookup

    Good:
        tools:
          - python: tools/shop.py:lookup
    """
    for tool in inspection.fact(find_python_tools):
        if tool.real is not None and tool.content is None:
            help_ = _missing_file_hint(tool.real, tool.function)
            help_ = f"paths are relative to the agent file's folder; {help_}"
            place = inspection.value(tool.path)
            yield Finding(place, f"`{tool.file}` does not exist", help_)


@rule("VA402", "tool-function-missing")
def tool_function_missing(inspection: RuleContext) -> Iterator[Finding]:
    """The file of a Python tool does not define the function.

    A tool is a function that is defined or imported at the top level of the file, also
    below `if` and `try`.

    Bad:
        tools:
          - python: tools/shop.py:lokup

    Good:
        tools:
          - python: tools/shop.py:lookup
    """
    for tool in inspection.fact(find_python_tools):
        content = tool.content
        if content is None or content.problem:
            continue
        if not content.scope.is_unbound(tool.function):
            continue
        names = content.scope.functions()
        guess = nearest(tool.function, names)
        fix = _rename(inspection, tool, guess) if guess else None
        if guess:
            help_ = f"did you mean `{guess}`?"
        elif names:
            help_ = (
                f"the file has {', '.join(f'`{each}`' for each in names[:_MAX_LISTED])}"
            )
        else:
            help_ = "the file has no functions"
        message = f"`{tool.file}` has no function `{tool.function}`"
        yield Finding(inspection.value(tool.path), message, help_, fix)


@rule("VA403", "tool-not-a-function")
def tool_not_a_function(inspection: RuleContext) -> Iterator[Finding]:
    """A Python tool refers to a class.

    A tool is a function, plain or async. Keep state between calls in module variables.

    Bad:
        tools:
          - python: tools/shop.py:Shop

    Good:
        tools:
          - python: tools/shop.py:lookup
    """
    for tool in inspection.fact(find_python_tools):
        found = tool.content.scope.find(tool.function) if tool.content else None
        # A decorator or a metaclass may make something else of it.
        if isinstance(found, ast.ClassDef) and not (
            found.decorator_list or found.keywords
        ):
            message = f"`{tool.function}` in `{tool.file}` is a class, not a function"
            yield Finding(inspection.value(tool.path), message, "refer to a function")


@rule("VA404", "tool-file-not-python")
def tool_file_not_python(inspection: RuleContext) -> Iterator[Finding]:
    """The file of a Python tool is not valid Python.

    Bad:
        tools:
          - python: tools/broken.py:lookup

    Good:
        tools:
          - python: tools/shop.py:lookup
    """
    for tool in inspection.fact(find_python_tools):
        if tool.content is not None and tool.content.problem:
            message = f"`{tool.file}` is not valid Python: {tool.content.problem}"
            yield Finding(inspection.value(tool.path), message)


def _missing_file_hint(missing: Path, function: str) -> str:
    """Returns a hint: a similar file name in the folder, or to create the file."""
    try:
        names = [each.name for each in missing.parent.glob("*.py")]
    except OSError:
        names = []
    guess = nearest(missing.name, names)
    if guess:
        return f"did you mean `{guess}`?"
    return f"create it with a function `{function}` in it"


def _rename(inspection: RuleContext, tool: PythonTool, guess: str) -> Fix | None:
    end = len(f"{tool.file}:{tool.function}")
    place = inspection.part(tool.path, end - len(tool.function), end)
    is_safe = is_certain_guess(tool.function, guess)
    return replacement(place, tool.function, guess, is_safe=is_safe)


# Rules VA412 to VA416: `parameters` of a Python tool against its signature.


def _described(inspection: RuleContext) -> Iterator[ToolFunction]:
    """Yields the tools whose arguments the agent file describes with a valid schema."""
    for each in inspection.fact(find_sure_functions):
        if each.has_schema and inspection.is_valid((*each.path, "properties")):
            yield each


@rule("VA412", "argument-not-taken")
def argument_not_taken(inspection: RuleContext) -> Iterator[Finding]:
    """The agent file describes an argument that the function does not have.

    The tool is not loaded, because a tool call with the argument would fail.

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
            takes = ", ".join(f"`{x}`" for x in names) or "none"
            help_ = f"did you mean `{guess}`?" if guess else f"its parameters: {takes}"
            fix = None
            if guess:
                is_safe = is_certain_guess(name, guess)
                fix = replacement(place, name, guess, is_safe=is_safe)
            message = f"`{each.name}` has no parameter `{quoted(name)[1:-1]}`"
            intended = (*each.path, "properties", guess) if guess else None
            yield Finding(place, message, help_, fix, intended=intended)


@rule("VA413", "argument-not-required")
def argument_not_required(inspection: RuleContext) -> Iterator[Finding]:
    """A parameter that the function requires is optional in the agent file.

    A parameter without a default must be listed under `required`; otherwise the tool is
    not loaded.

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
        if not inspection.is_valid(listed):
            continue
        for parameter in each.signature.parameters:
            name = parameter.name
            property_path = (*each.path, "properties", name)
            if parameter.default is not None or name in each.required:
                continue
            if not inspection.is_valid(property_path):
                continue
            is_listed = bool(each.required)
            place = inspection.start(listed if is_listed else each.path)
            message = f"`{each.name}` requires `{name}`, which is optional here"
            help_ = f"add `{name}` to `required`, or give it a default in the function"
            if name not in each.properties:
                message = (
                    f"`{each.name}` requires `{name}`, which is not described here"
                )
                help_ = f"add `{name}` to `properties` and to `required`"
            yield Finding(place, message, help_)


@rule("VA414", "argument-type-differs", "warning")
def argument_type_differs(inspection: RuleContext) -> Iterator[Finding]:
    """The type of an argument differs from the function's annotation.

    The model follows the agent file, and the tool call then fails with a type error.

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
            yield Finding(inspection.value(path), message, help_, invalidates=path)


@rule("VA415", "argument-choices-differ", "warning")
def argument_choices_differ(inspection: RuleContext) -> Iterator[Finding]:
    """An `enum` has a value that the function's `Literal` does not have.

    The model may choose it, and the tool call then fails.

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
                    message = f"{quoted(choice)} is not a choice of `{each.name}`"
                    place = inspection.value((*path, index))
                    yield Finding(place, message, f"its choices: {shown}")


@rule("VA416", "argument-default-differs", "warning")
def argument_default_differs(inspection: RuleContext) -> Iterator[Finding]:
    """The default of an argument differs from the function's default.

    The function's default applies when a tool call omits the argument, so the model
    would be misinformed.

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
            help_ = "the function's default applies; use it here"
            yield Finding(inspection.value(path), message, help_)


# Rules VA417 to VA421: the signature of a Python tool.


@rule("VA417", "argument-by-position")
def argument_by_position(inspection: RuleContext) -> Iterator[Finding]:
    """A Python tool takes arguments by position only.

    Tool calls pass arguments by name, so `*args` and parameters before a `/` never get
    a value. Such a tool is not loaded.

    Bad:
        tools:
          - python: tools/broken_tools.py:add

    Good:
        tools:
          - python: tools/shop.py:lookup
    """
    for each in inspection.fact(find_sure_functions):
        for node in each.signature.positional:
            message = f"`{each.name}` takes `{node.arg}` by position only"
            help_ = "tool calls pass arguments by name; make it a named parameter"
            yield Finding(each.file.place(node), message, help_)


@rule("VA418", "arguments-open-ended")
def arguments_open_ended(inspection: RuleContext) -> Iterator[Finding]:
    """A Python tool takes `**kwargs`, and the agent file does not describe them.

    The model needs the names of the arguments. Name them in the function, or
    describe them under `parameters` in the agent file.

    Bad:
        tools:
          - python: tools/broken_tools.py:search

    Good:
        tools:
          - python: tools/broken_tools.py:search
            parameters:
              type: object
              properties: {word: {type: string, examples: [lamp]}}
    """
    for each in inspection.fact(find_sure_functions):
        rest = each.signature.rest
        if rest is not None and not each.has_schema and not each.signature.positional:
            message = (
                f"`{each.name}` takes `**{rest.arg}`, whose names the model cannot know"
            )
            help_ = "name the parameters, or add `parameters` to the tool"
            yield Finding(each.file.place(rest), message, help_)


@rule("VA419", "argument-without-annotation")
def argument_without_annotation(inspection: RuleContext) -> Iterator[Finding]:
    """A parameter of a Python tool has no annotation.

    Without `parameters` in the agent file, the schema is made from the function's
    signature, which needs the type of each parameter.

    Bad:
        tools:
          - python: tools/broken_tools.py:price

    Good:
        tools:
          - python: tools/shop.py:lookup
    """
    for each in inspection.fact(find_sure_functions):
        if each.has_schema:
            continue
        for parameter in each.signature.parameters:
            if parameter.node.annotation is None:
                message = f"the parameter `{parameter.name}` has no annotation"
                help_ = f"write `{parameter.name}: str`, or another type"
                yield Finding(each.file.place(parameter.node), message, help_)


@rule("VA420", "argument-not-json")
def argument_not_json(inspection: RuleContext) -> Iterator[Finding]:
    """A parameter of a Python tool has a type that JSON cannot represent.

    Arguments arrive as JSON: text, numbers, booleans, lists, mappings, and types made
    of them (`Literal`, `Enum`, dates, data classes, typed dictionaries).

    Bad:
        tools:
          - python: tools/broken_tools.py:save

    Good:
        tools:
          - python: tools/shop.py:lookup
    """
    for each in inspection.fact(find_sure_functions):
        if each.has_schema:
            continue
        for parameter in each.signature.parameters:
            annotation = parameter.annotation
            bad = not_json(each.file, annotation) if annotation is not None else None
            if bad:
                message = f"JSON cannot represent the type `{bad}`"
                help_ = "use a JSON type (str, int, float, list, dict, date, …)"
                place = each.file.place(parameter.node.annotation or parameter.node)
                yield Finding(place, message, help_)


@rule("VA421", "annotation-not-there")
def annotation_not_there(inspection: RuleContext) -> Iterator[Finding]:
    """An annotation of a Python tool uses a name that is not defined at run time.

    The annotations are read when the tool is loaded. Names that are
    imported only under `TYPE_CHECKING`, or not at all, are then undefined.

    Bad:
        tools:
          - python: tools/broken_tools.py:due

    Good:
        tools:
          - python: tools/shop.py:lookup
    """
    for each in inspection.fact(find_sure_functions):
        if each.has_schema:
            continue
        for parameter in each.signature.parameters:
            node = parameter.node.annotation
            if node is None:
                continue
            own = {
                getattr(x, "name", "")  # type parameters, of Python 3.12
                for x in getattr(each.signature.function, "type_params", ())
            }
            for name in names_in(node):
                if name.id in own:
                    continue
                if each.scope.is_for_checkers(name.id):
                    message = f"`{name.id}` is imported for type checkers only"
                    help_ = "import it outside `if TYPE_CHECKING:`"
                elif each.scope.is_unknown(name.id):
                    message = f"the name `{name.id}` is not defined in this file"
                    help_ = "import it, or define it above"
                else:
                    continue
                yield Finding(each.file.place(name), message, help_)
