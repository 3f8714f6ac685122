"""The functions of Python tools, with what the agent file says of them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from runner.config.pyfiles import find_python_tools
from runner.config.scope import scope_of
from runner.config.signatures import Signature, read_signature

if TYPE_CHECKING:
    from runner.config.inspection import Inspection
    from runner.config.nodes import Pointer
    from runner.config.pyfiles import PythonFile, PythonTool


class ToolFunction:
    """A Python tool whose function can be read, with all that its rules ask for."""

    def __init__(self, inspection: Inspection, tool: PythonTool) -> None:
        assert tool.content is not None and tool.definition is not None
        self.tool = tool
        self.name = f"{tool.function}()"
        self.file: PythonFile = tool.content
        self.scope = scope_of(tool.content.tree)
        self.signature: Signature = read_signature(tool.definition)
        self.path: Pointer = (*tool.tool, "parameters")
        self.has_schema = "parameters" in (inspection.get(tool.tool, dict) or {})
        properties = inspection.get((*self.path, "properties"), dict)
        self.properties: dict[str, object] = properties or {}
        self.required = inspection.get((*self.path, "required"), list) or []


def find_functions(inspection: Inspection) -> list[ToolFunction]:
    """Return the Python tools whose functions are defined in their files."""
    return [
        ToolFunction(inspection, each)
        for each in inspection.fact(find_python_tools)
        if each.definition is not None
    ]
