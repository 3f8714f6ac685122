"""Rules VA417 to VA421: how a Python tool takes its arguments."""

from __future__ import annotations

from typing import TYPE_CHECKING

from runner.config.diagnostics import Finding
from runner.config.lint.python_files import find_sure_functions
from runner.config.lint.python_types import names_in, not_json
from runner.config.rules.rule import rule

if TYPE_CHECKING:
    from collections.abc import Iterator

    from runner.config.lint.context import RuleContext


@rule("VA417", "argument-by-position")
def argument_by_position(inspection: RuleContext) -> Iterator[Finding]:
    """A Python tool takes arguments by position only.

    The arguments of a call have names, so `*args` and what stands before a `/` could
    never be given. Such a tool is not loaded.

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
            help_ = "the arguments of a call have names: give it a name of its own"
            yield Finding(each.file.place(node), message, help_)


@rule("VA418", "arguments-open-ended")
def arguments_open_ended(inspection: RuleContext) -> Iterator[Finding]:
    """A Python tool takes `**anything`, and the file does not say what.

    The model has to know the names of the arguments. Name them in the function, or
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
            message = f"`{each.name}` takes `**{rest.arg}`, which the model cannot know"
            help_ = "name the parameters, or give the tool `parameters` in the file"
            yield Finding(each.file.place(rest), message, help_)


@rule("VA419", "argument-without-annotation")
def argument_without_annotation(inspection: RuleContext) -> Iterator[Finding]:
    """A parameter of a Python tool has no annotation.

    Where the agent file gives no `parameters`, they are taken from the function's
    signature: without an annotation nobody knows what the argument is.

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
                help_ = f"write `{parameter.name}: str`, or whatever type it has"
                yield Finding(each.file.place(parameter.node), message, help_)


@rule("VA420", "argument-not-json")
def argument_not_json(inspection: RuleContext) -> Iterator[Finding]:
    """A parameter of a Python tool is of a type that JSON does not have.

    Arguments come as JSON: text, numbers, true and false, lists, mappings, and what is
    made of them (`Literal`, `Enum`, dates, data classes, typed dictionaries).

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
                message = f"JSON has no counterpart for `{bad}`"
                help_ = "take what JSON has (str, int, float, list, dict, date, …)"
                place = each.file.place(parameter.node.annotation or parameter.node)
                yield Finding(place, message, help_)


@rule("VA421", "annotation-not-there")
def annotation_not_there(inspection: RuleContext) -> Iterator[Finding]:
    """An annotation of a Python tool uses a name that is not there at run time.

    The annotations are read when the tool is loaded. A name that is imported under
    `TYPE_CHECKING` only, or not at all, cannot be looked up then.

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
            for name in names_in(node):
                if each.scope.is_for_checkers(name.id):
                    message = f"`{name.id}` is imported for type checkers only"
                    help_ = "import it outside `if TYPE_CHECKING:`"
                elif each.scope.is_unknown(name.id):
                    message = f"nothing in this file is called `{name.id}`"
                    help_ = "import it, or define it above"
                else:
                    continue
                yield Finding(each.file.place(name), message, help_)
