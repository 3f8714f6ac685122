"""What scenarios have to know of their agent: its tools, its variables, its faults.

Read from the agent's files as `vagent validate` reads them; nothing is imported.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from runner.config.loader import examine_agent
from runner.config.reading import read_agent_file
from runner.config.toolbox import find_definitions, find_names, name_of_tool
from runner.errors import FileUnreadable
from runner.testing.scenarios.drafts import find_drafts

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from runner.config.diagnostics import Diagnostic
    from runner.config.lint.context import RuleContext
    from runner.config.yaml.nodes import Pointer
    from runner.testing.scenarios.drafts import ExpandedScenario

# What a tool of a kind that is not built in looks like at first.
_UNKNOWN_KIND = {"VA203", "VA210"}


@dataclass(frozen=True, slots=True)
class Agent:
    """An agent file. `problem` says why it cannot be read; then the rest is empty.

    `tools` are None when not all of their names can be told, `schemas` those of the
    arguments that can be. `variables` say whether each has a default.
    """

    problem: str | None = None
    is_agent: bool = True
    errors: tuple[Diagnostic, ...] = ()
    tools: frozenset[str] | None = None
    schemas: Mapping[str, Any] = field(default_factory=dict)
    remote: frozenset[str] = frozenset()  # tools that ask a service elsewhere
    variables: Mapping[str, bool] | None = None
    greets: bool = True

    @property
    def is_sound(self) -> bool:
        """Whether something can be said about scenarios that use it."""
        return self.problem is None and self.is_agent and not self.errors


def find_agents(inspection: RuleContext) -> dict[str, Agent]:
    """Return the agents that the scenarios of a file name, each read once."""
    named = {draft.value("agent") for draft in inspection.fact(find_drafts)}
    return {
        name: read_agent(inspection.folder / name)
        for name in sorted(each for each in named if isinstance(each, str))
    }


def agent_of(inspection: RuleContext, draft: ExpandedScenario) -> Agent | None:
    """Return the agent of a scenario, if it is one that is sound."""
    agent = inspection.fact(find_agents).get(draft.value("agent", ""))
    return agent if agent is not None and agent.is_sound else None


def read_agent(path: Path) -> Agent:
    """Read and check an agent file."""
    try:
        reading = read_agent_file(path)
    except FileUnreadable as error:
        return Agent(problem=error.message)
    if reading.is_suite:
        return Agent(is_agent=False)
    found, inspection = examine_agent(reading, environment={})
    if any(each.rule in _UNKNOWN_KIND for each in found):
        from runner.config.lint.checker import added_kinds

        kinds = added_kinds()
        if kinds:
            found, inspection = examine_agent(reading, environment={}, kinds=kinds)
    errors = tuple(each for each in found if each.is_error)
    if inspection is None or errors:
        return Agent(errors=errors)
    names = find_names(inspection)
    return Agent(
        tools=None if names is None else frozenset(names),
        schemas=dict(_schemas(inspection)),
        remote=frozenset(_remote(inspection)),
        variables={
            name: "default" in each
            for name, each in inspection.document.value.get("variables", {}).items()
        },
        greets="greeting" in inspection.document.value,
    )


def _schemas(inspection: RuleContext) -> Iterator[tuple[str, Any]]:
    """Yield the schemas of the tools' arguments that can be told, by their names."""
    for tool in inspection.tools():
        name = name_of_tool(inspection, tool)
        schema = _schema(inspection, tool)
        if name is not None and schema is not None:
            yield name, schema


def _remote(inspection: RuleContext) -> Iterator[str]:
    for tool in inspection.tools():
        name = name_of_tool(inspection, tool)
        if name is not None and inspection.get((*tool, "http"), dict) is not None:
            yield name


def _schema(inspection: RuleContext, tool: Pointer) -> dict[str, Any] | None:
    written = inspection.get((*tool, "parameters"), dict)
    if written is not None:
        return written
    if inspection.get((*tool, "http"), dict) is not None:
        return {"type": "object", "properties": {}}
    function = inspection.fact(find_definitions).get(tool)
    if function is None or function.decorator_list:
        return None
    from runner.config.lint.python_types import infer_schema  # for Python tools only

    return infer_schema(inspection, tool)
