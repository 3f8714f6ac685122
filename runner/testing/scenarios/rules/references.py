"""Rules for references: agents, variables, services, faults and patterns."""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from runner.config.diagnostics import Finding, quoted, replacement
from runner.config.lint.context import rule
from runner.config.lint.regex import is_catastrophic
from runner.config.spelling import is_certain_guess, nearest
from runner.errors import UsageError, counted
from runner.testing.scenarios.drafts import agent_of, find_agents, find_drafts
from runner.testing.scenarios.model import read_pattern

if TYPE_CHECKING:
    from collections.abc import Iterator

    from runner.config.diagnostics import Severity
    from runner.config.lint.context import RuleContext
    from runner.config.yaml.nodes import Pointer
    from runner.testing.scenarios.drafts import Agent, ExpandedScenario


@rule("VA701", "agent-not-named")
def agent_not_named(inspection: RuleContext) -> Iterator[Finding]:
    """A scenario does not name its agent.

    `agent` is the path of the agent file, relative to the scenario file. At the top
    level it applies to all scenarios; a scenario can have its own.

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
        if not inspection.is_valid((*draft.path, "agent")):
            continue
        if not inspection.is_valid(("agent",)):
            continue
        seen.add(draft.path)
        help_ = "write `agent: NAME.yaml` at the beginning of the file"
        message = "no agent is named for this scenario"
        yield Finding(inspection.start(draft.path), message, help_)


@rule("VA702", "agent-unusable")
def agent_unusable(inspection: RuleContext) -> Iterator[Finding]:
    """The agent file of a scenario cannot be used.

    It does not exist, is not an agent file, or has errors. `vagent validate` shows
    them.

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
    """Returns message, help and a better name, if the agent cannot be used."""
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
        help_ = "write the path relative to the folder of this file"
        return f"the agent file `{shown}` {problem}", help_, None
    if not agent.is_agent:
        help_ = "name the agent file that it tests"
        return f"`{shown}` is a scenario file, not an agent file", help_, None
    if agent.errors:
        count = len(agent.errors)
        errors = counted(count, "error")
        first = agent.errors[0]
        help_ = f"line {first.line}: {first.message}"
        return f"the agent file `{shown}` has {errors}", help_, None
    return None


# Rules VA708 and VA709: variables.


@rule("VA708", "variable-not-declared")
def variable_not_declared(inspection: RuleContext) -> Iterator[Finding]:
    """A scenario sets a variable that its agent does not declare.

    Top-level values can be for one of several agents: it is enough that one of them
    declares it.

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
            fix = replacement(place, name, guess, is_safe=is_certain_guess(name, guess))
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


# Rules VA718 and VA719: services and faults.


SERVICES = ("script", "local", "assemblyai")


@rule("VA718", "service-unknown")
def service_unknown(inspection: RuleContext) -> Iterator[Finding]:
    """A scenario names an unknown service.

    A service is `script`, `local`, `assemblyai`, or an address that begins with
    `ws://` or `wss://`. On services not in the list the scenario is skipped.

    Bad:
        agent: shop.yaml
        services: scirpt
        scenarios:
          - name: greets
            turns:
              - agent: help

    Good:
        agent: shop.yaml
        services: [script, local]
        scenarios:
          - name: greets
            turns:
              - agent: help
    """
    for path, name in _items(inspection, "services"):
        if name in SERVICES or _is_address(name):
            continue
        place = inspection.value(path)
        guess = nearest(name, SERVICES)
        help_ = f"did you mean `{guess}`?" if guess else None
        fix = None
        if guess:
            fix = replacement(place, name, guess, is_safe=is_certain_guess(name, guess))
        known = ", ".join(f"`{each}`" for each in SERVICES)
        help_ = help_ or f"use {known}, or an address such as wss://example.com/v1"
        yield Finding(place, f"unknown service {quoted(name)}", help_, fix)


def _is_address(name: str) -> bool:
    try:
        address = urlsplit(name)
        return address.scheme in ("ws", "wss") and bool(address.hostname)
    except ValueError:  # brackets that are none of an address
        return False


@rule("VA719", "fault-invalid")
def fault_invalid(inspection: RuleContext) -> Iterator[Finding]:
    """A fault of a scenario is not valid.

    A fault is a kind, then `key=value`, as `vagent service --fault` takes it;
    `vagent service --fault help` lists them.

    Bad:
        agent: shop.yaml
        scenarios:
          - name: survives an outage
            faults: drop on=tool.cal
            turns:
              - user: Where is my order 1234?
              - agent: order

    Good:
        agent: shop.yaml
        scenarios:
          - name: survives an outage
            faults: drop on=tool.call
            turns:
              - user: Where is my order 1234?
              - agent: order
    """
    for path, spec in _items(inspection, "faults"):
        from runner.service.faults.parser import parse_fault  # few scenarios have any

        try:
            parse_fault(spec)
        except UsageError as error:
            yield Finding(inspection.value(path), error.message, error.hint)


def _items(inspection: RuleContext, key: str) -> Iterator[tuple[Pointer, str]]:
    """Yields each text of a list, or the one in its place, once."""
    seen: set[tuple[Pointer, str]] = set()
    for draft in inspection.fact(find_drafts):
        part = draft.part(key)
        if part is None:
            continue
        items = [((*part.path, i), each) for i, each in enumerate(part.value)]
        if isinstance(part.value, str):
            items = [(part.path, part.value)]
        for each in items:
            if each not in seen:
                seen.add(each)
                yield each


# Rule VA707: patterns.


@rule("VA707", "pattern-invalid")
def pattern_invalid(inspection: RuleContext) -> Iterator[Finding]:
    """A text between slashes is not a regular expression, or can take exponential time.

    `/…/` is a Python regular expression, searched anywhere in an utterance; a text
    without slashes is searched literally. Letter case, line breaks and
    typographic quotes make no difference to either.

    Bad:
        agent: shop.yaml
        scenarios:
          - name: greets
            turns:
              - agent: /(help/

    Good:
        agent: shop.yaml
        scenarios:
          - name: greets
            turns:
              - agent: /(help|do for you)/
    """
    seen: set[tuple[Pointer, str]] = set()
    for draft in inspection.fact(find_drafts):
        for path, text in _patterns(draft):
            if (path, text) in seen:
                continue
            seen.add((path, text))
            why = _fault(text)
            if why is not None:
                yield Finding(inspection.value(path), *why, invalidates=path)


def _fault(text: str) -> tuple[str, str] | None:
    shown = quoted(text)[1:-1]
    try:
        pattern = read_pattern(text)
    except (re.error, RecursionError, OverflowError) as error:
        reason = str(getattr(error, "msg", None) or error)
        message = f"`{shown}` is not a regular expression: {reason}"
        return message, "remove the slashes to search for the text literally"
    if pattern.regex.pattern and text.startswith("/") and is_catastrophic(text[1:-1]):
        message = f"`{shown}` can take exponential time on a text that does not match"
        return message, "do not repeat a part that contains a repetition"
    return None


def _patterns(draft: ExpandedScenario) -> Iterator[tuple[Pointer, str]]:
    llm = draft.part("llm")
    for index, each in enumerate(llm.value if llm is not None else ()):
        assert llm is not None
        yield from _each(each.get("user_says"), (*llm.path, index, "user_says"))
    for turn in draft.turns:
        ((kind, value),) = turn.value.items()
        path = (*turn.path, kind)
        if kind == "agent" and not isinstance(value, dict):
            yield from _each(value, path)
        elif kind in ("agent", "expect"):
            for key in ("says", "never", "never_says"):
                # The text of the user is not a pattern.
                yield from _each(value.get(key), (*path, key))


def _each(value: Any, path: Pointer) -> Iterator[tuple[Pointer, str]]:
    if isinstance(value, str):
        yield path, value
    elif isinstance(value, list):
        for index, each in enumerate(value):
            yield (*path, index), each
