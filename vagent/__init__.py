"""The public Python API of vagent: tools, agents, calls and tests.

    from vagent import tool

    @tool(effect="write", timeout="10s")
    def book_table(day: str, people: int) -> str:
        '''Books a table.'''
        ...

Names in `__all__` keep their meaning between minor versions. Each is loaded when it is
first used, so that `import vagent` is fast.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

from runner import __version__

if TYPE_CHECKING:
    from runner import errors, hosting, testing
    from runner.config.loader import load_agent
    from runner.config.model import AgentConfig
    from runner.engine.compose import CallOptions, CallSession, open_call
    from runner.tools.tool import Tool, ToolDefinition, ToolKind, ToolOutcome, tool

__all__ = [
    "AgentConfig",
    "CallOptions",
    "CallSession",
    "Tool",
    "ToolDefinition",
    "ToolKind",
    "ToolOutcome",
    "__version__",
    "errors",
    "hosting",
    "load_agent",
    "open_call",
    "testing",
    "tool",
]

_MODULES = {
    "errors": "runner.errors",
    "hosting": "runner.hosting",
    "testing": "runner.testing",
}
# The module that defines each of the other names.
_HOMES = {
    "AgentConfig": "runner.config.model",
    "CallOptions": "runner.engine.compose",
    "CallSession": "runner.engine.compose",
    "Tool": "runner.tools.tool",
    "ToolDefinition": "runner.tools.tool",
    "ToolKind": "runner.tools.tool",
    "ToolOutcome": "runner.tools.tool",
    "load_agent": "runner.config.loader",
    "open_call": "runner.engine.compose",
    "tool": "runner.tools.tool",
}


def __getattr__(name: str) -> Any:
    value: Any
    if name in _MODULES:
        value = import_module(_MODULES[name])
    elif name in _HOMES:
        value = getattr(import_module(_HOMES[name]), name)
    else:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    globals()[name] = value  # later uses do not come here
    return value


def __dir__() -> list[str]:
    return sorted(__all__)
