"""What names mean at the top level of a Python file, read from its source."""

from __future__ import annotations

import ast
import builtins
from dataclasses import dataclass, field
from functools import lru_cache
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable

_DEFINITIONS = (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)


@dataclass(slots=True)
class _Bindings:
    """What the statements of a file bind, at any depth, and what imports bring."""

    names: set[str] = field(default_factory=set)
    imports: dict[str, str] = field(default_factory=dict)

    def collect(self, statements: Iterable[ast.stmt]) -> None:
        """Read statements and all that is inside them."""
        for statement in statements:
            for node in ast.walk(statement):
                if isinstance(node, ast.Name):
                    if isinstance(node.ctx, ast.Store):
                        self.names.add(node.id)
                elif isinstance(node, _DEFINITIONS):
                    self.names.add(node.name)
                elif isinstance(node, ast.Import | ast.ImportFrom):
                    self._import(node)

    def _import(self, node: ast.Import | ast.ImportFrom) -> None:
        for alias in node.names:
            local = alias.asname or alias.name.partition(".")[0]
            self.names.add(local)
            if isinstance(node, ast.Import):
                self.imports[local] = alias.name if alias.asname else local
            elif node.module and not node.level:
                self.imports[local] = f"{node.module}.{alias.name}"


class Scope:
    """What names mean in one file. Whatever is not sure is answered by None or no."""

    def __init__(self, tree: ast.Module) -> None:
        guarded = [
            node
            for node in tree.body
            if isinstance(node, ast.If) and _is_for_checkers(node.test)
        ]
        found, hidden = _Bindings(), _Bindings()
        found.collect(node for node in tree.body if node not in guarded)
        for node in guarded:
            hidden.collect(node.body)
            found.collect(node.orelse)
        self._imports = {**hidden.imports, **found.imports}
        self._bound = found.names
        self._for_checkers = hidden.names - found.names

    def is_unknown(self, name: str) -> bool:
        """Whether nothing in the file binds this name."""
        if "*" in self._bound or hasattr(builtins, name):  # a star may bring anything
            return False
        return name not in self._bound and name not in self._for_checkers

    def is_for_checkers(self, name: str) -> bool:
        """Whether a name is bound under TYPE_CHECKING only, so not at run time."""
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
        is_builtin = node.id not in self._bound and hasattr(builtins, node.id)
        return node.id if is_builtin else None


@lru_cache(maxsize=64)  # as many as trees are kept
def scope_of(tree: ast.Module) -> Scope:
    """Return the scope of a file's top level; nobody changes the tree."""
    return Scope(tree)


def _is_for_checkers(test: ast.expr) -> bool:
    name = test.attr if isinstance(test, ast.Attribute) else getattr(test, "id", "")
    return bool(name == "TYPE_CHECKING")
