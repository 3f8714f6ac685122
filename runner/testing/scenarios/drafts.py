"""Scenarios as a file has them: defaults applied, parameters filled in, places kept.

What the schema or the parser has a finding for is left out, so that neither rules nor
the builder meet it.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from runner.scenarios.parameters import combinations, fill
from runner.testing.scenarios.model import scenario_id

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from runner.config.lint.context import RuleContext
    from runner.config.yaml.nodes import Pointer

# Mappings of which a scenario adds to, or replaces, single entries.
MERGED = ("variables", "environment", "mock")
# What replaces the default as a whole.
REPLACED = ("agent", "llm", "faults", "seed", "services")
# What a scenario has beside those of the file.
ADDED = ("tags",)


@dataclass(frozen=True, slots=True)
class Part:
    """A value of a scenario, parameters filled in, and where the file has it."""

    value: Any
    path: Pointer


@dataclass(frozen=True, slots=True)
class ExpandedScenario:
    """One combination of one scenario. `parts` are what is in force, by its key."""

    path: Pointer
    name: str
    parameters: Mapping[str, Any] = field(default_factory=dict)
    parts: Mapping[str, Part] = field(default_factory=dict)
    entries: Mapping[str, Mapping[str, Part]] = field(default_factory=dict)
    tags: tuple[str, ...] = ()
    turns: tuple[Part, ...] = ()

    @property
    def id(self) -> str:
        """What the scenario will be called in reports."""
        return scenario_id(self.name, self.parameters)

    def part(self, key: str) -> Part | None:
        """Return what is in force for a key, if it is sound."""
        return self.parts.get(key)

    def value(self, key: str, default: Any = None) -> Any:
        """Return the value that is in force for a key."""
        part = self.parts.get(key)
        return default if part is None else part.value


def find_drafts(inspection: RuleContext) -> tuple[ExpandedScenario, ...]:
    """Return a draft for every combination of every scenario that is a mapping."""
    count = len(inspection.get(("scenarios",), list) or ())
    return tuple(
        draft
        for index in range(count)
        for draft in _drafts(inspection, ("scenarios", index))
    )


def _drafts(inspection: RuleContext, path: Pointer) -> Iterator[ExpandedScenario]:
    scenario = inspection.get(path, dict)
    if scenario is None:
        return
    parameters = inspection.get((*path, "parameters"), dict)
    for values in combinations(parameters):
        own = {
            key: fill(value, values, (key,))
            for key, value in scenario.items()
            if key != "parameters"
        }
        yield _draft(inspection, path, own, values)


def _draft(
    inspection: RuleContext, path: Pointer, own: dict[str, Any], values: dict[str, Any]
) -> ExpandedScenario:
    shared = {
        key: fill(value, {}, (key,))
        for key, value in inspection.document.value.items()
        if key != "scenarios"
    }
    name = own.get("name")
    sources: tuple[tuple[Pointer, dict[str, Any]], ...] = ((), shared), (path, own)
    tags = [
        each
        for at, fields in sources
        if "tags" in fields and inspection.is_whole((*at, "tags"))
        for each in listed(fields["tags"])
    ]
    return ExpandedScenario(
        path,
        name if isinstance(name, str) else "",
        values,
        {
            key: part
            for key in REPLACED
            if (part := _part(inspection, sources, key)) is not None
        },
        {key: _entries(inspection, sources, key) for key in MERGED},
        tuple(dict.fromkeys(tags)),
        tuple(_turns(inspection, path, own)),
    )


def _part(
    inspection: RuleContext,
    sources: tuple[tuple[Pointer, dict[str, Any]], ...],
    key: str,
) -> Part | None:
    for at, fields in reversed(sources):
        if key in fields:
            path = (*at, key)
            return Part(fields[key], path) if inspection.is_whole(path) else None
    return None


def _entries(
    inspection: RuleContext,
    sources: tuple[tuple[Pointer, dict[str, Any]], ...],
    key: str,
) -> dict[str, Part]:
    found: dict[str, Part] = {}
    for at, fields in sources:
        entries = fields.get(key)
        for name, value in entries.items() if isinstance(entries, dict) else ():
            if inspection.is_whole((*at, key, name)):
                found[name] = Part(value, (*at, key, name))
            else:
                found.pop(name, None)
    return found


def _turns(
    inspection: RuleContext, path: Pointer, own: dict[str, Any]
) -> Iterator[Part]:
    turns = own.get("turns")
    for index, turn in enumerate(turns if isinstance(turns, list) else ()):
        at = (*path, "turns", index)
        if isinstance(turn, dict) and inspection.is_whole(at):
            yield Part(turn, at)


def listed(value: Any) -> list[Any]:
    """Return the items of a list, or of what stands for a list of one."""
    return value if isinstance(value, list) else [value]
