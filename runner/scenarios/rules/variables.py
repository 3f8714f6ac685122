"""Rules VA708 and VA709: values of the agent's variables."""

from __future__ import annotations

from typing import TYPE_CHECKING

from runner.config.diagnostics import Finding, quoted, replacement
from runner.config.rules.rule import rule
from runner.config.spelling import is_surely, nearest
from runner.scenarios.agents import agent_of
from runner.testing.scenarios.drafts import find_drafts

if TYPE_CHECKING:
    from collections.abc import Iterator

    from runner.config.diagnostics import Severity
    from runner.config.lint.context import RuleContext
    from runner.config.yaml.nodes import Pointer


@rule("VA708", "variable-not-declared")
def variable_not_declared(inspection: RuleContext) -> Iterator[Finding]:
    """A scenario sets a variable that its agent does not declare.

    What stands beside `scenarios` may be for one of several agents: it is enough that
    one of them declares it.

    Bad:
        agent: shop.yaml
        scenarios:
          - name: greets
            variables: {compny: Globex}
            turns:
              - agent: help

    Good:
        agent: shop.yaml
        scenarios:
          - name: greets
            variables: {company: Globex}
            turns:
              - agent: Globex
    """
    declared: dict[Pointer, set[str] | None] = {}
    for draft in inspection.fact(find_drafts):
        agent = agent_of(inspection, draft)
        known = agent.variables if agent is not None else None
        for part in draft.entries["variables"].values():
            names = declared.setdefault(part.path, set())
            if names is not None and known is not None:
                names.update(known)
            else:
                declared[part.path] = None
    for path, names in declared.items():
        name = str(path[-1])
        if names is None or name in names:
            continue
        place = inspection.key(path)
        guess = nearest(name, names)
        has = ", ".join(f"`{each}`" for each in sorted(names)) or "none"
        help_ = f"did you mean `{guess}`?" if guess else f"it declares {has}"
        fix = None
        if guess:
            fix = replacement(place, name, guess, is_safe=is_surely(name, guess))
        message = f"the agent declares no variable `{quoted(name)[1:-1]}`"
        yield Finding(place, message, help_, fix)


@rule("VA709", "variable-not-given", "warning")
def variable_not_given(inspection: RuleContext) -> Iterator[Finding]:
    """The agent has a variable without a default, and the scenario gives it no value.

    The scenario cannot be run, unless the value is given on the command line, with
    `--var`.

    Bad:
        agent: clinic.yaml
        scenarios:
          - name: greets
            turns:
              - agent: help

    Good:
        agent: clinic.yaml
        variables: {doctor: Grey}
        scenarios:
          - name: greets
            turns:
              - agent: Doctor Grey
    """
    seen = set()
    for draft in inspection.fact(find_drafts):
        agent = agent_of(inspection, draft)
        if agent is None or agent.variables is None or draft.path in seen:
            continue
        seen.add(draft.path)
        given = {*draft.entries["variables"], *(inspection.variables or {})}
        for name, has_default in agent.variables.items():
            if not has_default and name not in given:
                message = f"the variable `{name}` has no value in this scenario"
                help_ = f"add `variables: {{{name}: …}}`"
                severity: Severity = "error" if inspection.must_run else "warning"
                place = inspection.start(draft.path)
                yield Finding(place, message, help_, severity=severity)
