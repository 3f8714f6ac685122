"""The signature of a Python tool, read from its source and never imported.

It follows what loading the tool will find (`runner.tools.signature`), as far as the
source alone is sure of it; of anything else nothing is said.
"""

from __future__ import annotations

import ast
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

Function = ast.FunctionDef | ast.AsyncFunctionDef


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
        return unquoted(self.node.annotation)


@dataclass(frozen=True, slots=True)
class Signature:
    """What a function takes: by name, by position only, and whatever else comes."""

    function: Function
    parameters: tuple[Parameter, ...]
    positional: tuple[ast.arg, ...]  # positional-only, and `*args`
    rest: ast.arg | None  # `**kwargs`


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


def names_in(annotation: ast.expr) -> Iterator[ast.Name]:
    """Yield the names in an annotation that are looked up when it is read."""
    for node in ast.walk(annotation):
        if isinstance(node, ast.Name):
            yield node


def unquoted(node: ast.expr | None) -> ast.expr | None:
    """Return the expression in a text; positions inside it are lost."""
    if isinstance(node, ast.Constant) and isinstance(node.value, str):
        try:
            return ast.parse(node.value.strip(), mode="eval").body
        except (SyntaxError, ValueError):
            return None
    return node
