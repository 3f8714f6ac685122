"""What is known of an agent's tools: what the model calls them, whether one ends it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from runner.config.lint.python_files import find_python_tools, read_marks

if TYPE_CHECKING:
    import ast
    from collections.abc import Mapping

    from runner.config.lint.context import RuleContext
    from runner.config.yaml.nodes import Pointer

_BUILT_IN = {"end_call": "terminal", "current_time": "read"}


def find_definitions(
    inspection: RuleContext,
) -> Mapping[Pointer, ast.FunctionDef | ast.AsyncFunctionDef]:
    """Return the functions of the Python tools that can be read, by their tool."""
    tools = inspection.fact(find_python_tools)
    return {each.tool: each.definition for each in tools if each.definition is not None}


def find_names(inspection: RuleContext) -> set[str] | None:
    """Return what the model calls the tools; None when one of them cannot be told."""
    if not inspection.is_sound(("tools",)):
        return None
    names = set()
    for index in range(len(inspection.get(("tools",), list) or ())):
        name = name_of_tool(inspection, ("tools", index))
        if name is None:
            return None
        names.add(name)
    return names


def find_effect(inspection: RuleContext, tool: Pointer) -> str | None:
    """Return the effect of a tool; None when that cannot be told."""
    effect = inspection.get((*tool, "effect"), str)
    if effect is not None:
        return effect
    if not inspection.is_sound((*tool, "effect")):
        return None
    plugin = plugin_name(inspection, tool)
    if plugin is not None:
        return _BUILT_IN.get(plugin)
    if inspection.get((*tool, "http"), dict) is not None:
        return "read"
    function = inspection.fact(find_definitions).get(tool)
    if function is None:
        return None
    marks = read_marks(function)
    if function.decorator_list and "effect" not in marks:
        return None if _is_computed(function) else "read"
    return str(marks.get("effect", "read"))


def plugin_name(inspection: RuleContext, tool: Pointer) -> str | None:
    """Return the name under which a tool is installed, None for another kind."""
    name = inspection.get((*tool, "plugin"), str)
    return name or inspection.get((*tool, "plugin", "name"), str)


def name_of_tool(inspection: RuleContext, tool: Pointer) -> str | None:
    """Return what the model calls a tool; None when that cannot be told."""
    name = inspection.get((*tool, "name"), str)
    if name is not None or not inspection.is_sound((*tool, "name")):
        return name
    plugin = plugin_name(inspection, tool)
    if plugin is not None:
        return plugin if plugin in _BUILT_IN else None
    python = inspection.fact(find_python_tools)
    found = next((each for each in python if each.tool == tool), None)
    function = found.definition if found else None
    if found is None or function is None or _is_computed(function):
        return None
    return str(read_marks(function).get("name") or found.function)


def _is_computed(function: ast.FunctionDef | ast.AsyncFunctionDef) -> bool:
    """Whether something but `@tool(...)` with plain values decorates a function."""
    import ast

    for each in function.decorator_list:
        name = each.func if isinstance(each, ast.Call) else each
        said = name.attr if isinstance(name, ast.Attribute) else None
        said = name.id if isinstance(name, ast.Name) else said
        keywords = each.keywords if isinstance(each, ast.Call) else []
        plain = all(isinstance(key.value, ast.Constant) for key in keywords)
        if said != "tool" or not plain or any(key.arg is None for key in keywords):
            return True
    return False
