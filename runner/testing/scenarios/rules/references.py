"""Rules VA701 and VA702: the agent that scenarios are about."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from runner.config.diagnostics import Finding, quoted, replacement
from runner.config.rules.rule import rule
from runner.config.spelling import nearest
from runner.errors import counted
from runner.scenarios.agents import find_agents
from runner.testing.scenarios.drafts import find_drafts

if TYPE_CHECKING:
    from collections.abc import Iterator

    from runner.config.lint.context import RuleContext
    from runner.scenarios.agents import Agent


@rule("VA701", "agent-not-named")
def agent_not_named(inspection: RuleContext) -> Iterator[Finding]:
    """A scenario does not say which agent it is about.

    `agent` is the path of the agent file, seen from the scenario file. Beside
    `scenarios` it is for all of them; a scenario may have its own.

    Bad:
        scenarios:
          - name: greets
            turns:
              - agent: help

    Good:
        agent: shop.yaml
        scenarios:
          - name: greets
            turns:
              - agent: help
    """
    value = inspection.document.value
    seen = set()
    for draft in inspection.fact(find_drafts):
        own = inspection.get(draft.path, dict) or {}
        if "agent" in own or "agent" in value or draft.path in seen:
            continue
        if not inspection.is_sound((*draft.path, "agent")):
            continue
        if not inspection.is_sound(("agent",)):
            continue
        seen.add(draft.path)
        help_ = "write `agent: NAME.yaml` at the beginning of the file"
        message = "no agent is named for this scenario"
        yield Finding(inspection.start(draft.path), message, help_)


@rule("VA702", "agent-unusable")
def agent_unusable(inspection: RuleContext) -> Iterator[Finding]:
    """The agent file of a scenario cannot be used.

    It does not exist, is no agent file, or has errors, which `vagent validate` shows.

    Bad:
        agent: shopp.yaml
        scenarios:
          - name: greets
            turns:
              - agent: help

    Good:
        agent: shop.yaml
        scenarios:
          - name: greets
            turns:
              - agent: help
    """
    seen = set()
    agents = inspection.fact(find_agents)
    for draft in inspection.fact(find_drafts):
        part = draft.part("agent")
        if part is None or (part.path, part.value) in seen:
            continue
        seen.add((part.path, part.value))
        words = _explain(inspection.folder, part.value, agents[part.value])
        if words is None:
            continue
        message, help_, guess = words
        place = inspection.value(part.path)
        fix = replacement(place, part.value, guess, is_safe=False) if guess else None
        yield Finding(place, message, help_, fix)


def _explain(
    folder: Path, name: str, agent: Agent
) -> tuple[str, str, str | None] | None:
    """Return message, help and a better name, if the agent cannot be used."""
    shown = quoted(name)[1:-1]
    if agent.problem is not None:
        above, _, last = name.rpartition("/")
        path = folder / above
        others = [each.name for each in path.glob("*.y*ml")] if path.is_dir() else []
        guess = nearest(last, others)
        if guess is not None and guess != last:
            guess = f"{above}/{guess}" if above else guess
            message = f"the agent file `{shown}` does not exist"
            return message, f"did you mean `{guess}`?", guess
        problem = agent.problem.removeprefix(str(folder / name)).strip()
        help_ = "the path is seen from the folder of this file"
        return f"the agent file `{shown}` {problem}", help_, None
    if not agent.is_agent:
        help_ = "name the agent file that its scenarios are about"
        return f"`{shown}` holds scenarios, no agent", help_, None
    if agent.errors:
        count = len(agent.errors)
        errors = counted(count, "error")
        first = agent.errors[0]
        help_ = f"line {first.line}: {first.message}"
        return f"the agent file `{shown}` has {errors}", help_, None
    return None
