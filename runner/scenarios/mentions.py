"""Where scenarios name tools and give arguments, each place once."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal

from runner.scenarios.agents import agent_of
from runner.testing.scenarios.drafts import find_drafts, listed

if TYPE_CHECKING:
    from collections.abc import Iterator

    from runner.config.lint.context import RuleContext
    from runner.config.yaml.nodes import Pointer
    from runner.scenarios.agents import Agent
    from runner.testing.scenarios.drafts import ExpandedScenario

Role = Literal["mock", "tool_call", "expect", "llm"]


@dataclass(frozen=True, slots=True)
class Mention:
    """A tool's name in a scenario. `is_key`: it is the key that `path` ends with.

    `arguments` are where they stand beside it, with their path; `must_fit` says that
    the tool is expected to take them.
    """

    role: Role
    tool: str
    path: Pointer
    is_key: bool = False
    arguments: tuple[Any, Pointer] | None = None
    must_fit: bool = True


@dataclass(slots=True)
class Mentioned:
    """One mention and the agents of all scenarios that it is in force for."""

    mention: Mention
    agents: list[Agent] = field(default_factory=list)
    is_sure: bool = True  # False: one of the agents cannot be told


def find_mentions(inspection: RuleContext) -> list[Mentioned]:
    """Return every mention, with the agents that it is about."""
    found: dict[tuple[Pointer, str, str], Mentioned] = {}
    for draft in inspection.fact(find_drafts):
        agent = agent_of(inspection, draft)
        for each in _mentions(draft):
            key = (each.path, each.tool, repr(each.arguments))
            entry = found.setdefault(key, Mentioned(each))
            if agent is None or agent.tools is None:
                entry.is_sure = False
            elif agent not in entry.agents:
                entry.agents.append(agent)
    return list(found.values())


def _mentions(draft: ExpandedScenario) -> Iterator[Mention]:
    for name, part in draft.entries["mock"].items():
        yield Mention("mock", name, part.path, is_key=True)
    llm = draft.part("llm")
    if llm is not None:
        yield from _in_llm(llm.value, llm.path)
    for turn in draft.turns:
        ((kind, value),) = turn.value.items()
        path = (*turn.path, kind)
        if kind == "tool_call":
            yield _called("tool_call", value, path)
        elif kind == "expect":
            yield from _expected(value.get("tool_calls"), (*path, "tool_calls"))


def _in_llm(rules: Any, path: Pointer) -> Iterator[Mention]:
    for index, rule in enumerate(rules):
        at = (*path, index)
        if "after" in rule:
            yield Mention("llm", rule["after"], (*at, "after"))
        for number, call in enumerate(rule.get("tool_calls", ())):
            yield _called("llm", call, (*at, "tool_calls", number))


def _called(role: Role, value: Any, path: Pointer) -> Mention:
    if isinstance(value, str):
        return Mention(role, value, path)
    arguments = None
    if "arguments" in value:
        arguments = value["arguments"], (*path, "arguments")
    # A call that is to fail may be one that is refused.
    must_fit = value.get("fails") is not True
    return Mention(
        role, value["tool"], (*path, "tool"), arguments=arguments, must_fit=must_fit
    )


def _expected(calls: Any, path: Pointer) -> Iterator[Mention]:
    if isinstance(calls, dict):
        calls, path = calls["any_order"], (*path, "any_order")
    if calls is None or isinstance(calls, str):
        return
    for index, name in enumerate(listed(calls)):
        yield Mention("expect", name, (*path, index))
