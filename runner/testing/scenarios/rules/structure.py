"""Rules for parameters, names and the order of turns."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from runner.config.diagnostics import Edit, Finding, Fix, quoted
from runner.config.interpolation import find_placeholders
from runner.config.lint.context import rule
from runner.config.spelling import is_certain_guess, nearest
from runner.testing.scenarios.drafts import (
    MAX_COMBINATIONS,
    agent_of,
    count_combinations,
    find_drafts,
    speaks,
)

if TYPE_CHECKING:
    from collections.abc import Iterator

    from runner.config.diagnostics import Place, Severity
    from runner.config.interpolation import Placeholder
    from runner.config.lint.context import RuleContext
    from runner.config.yaml.nodes import Pointer
    from runner.testing.scenarios.drafts import ExpandedScenario


@rule("VA703", "parameter-unknown")
def parameter_unknown(inspection: RuleContext) -> Iterator[Finding]:
    """A text of a scenario has a `${…}` that is not one of its parameters.

    In scenarios `${name}` stands for a parameter of the same scenario, and nothing
    else: not for a variable of the agent, nor for the environment. `$${` writes a plain
    `${`. `says` in `llm` may also name keys of the last result.

    Bad:
        agent: shop.yaml
        scenarios:
          - name: looks up an order
            parameters: {order: ["1234", "5678"]}
            turns:
              - user: Where is my order ${number}?
              - tool_call: {tool: lookup_order, arguments: {order_id: "${order}"}}

    Good:
        agent: shop.yaml
        scenarios:
          - name: looks up an order
            parameters: {order: ["1234", "5678"]}
            turns:
              - user: Where is my order ${order}?
              - tool_call: {tool: lookup_order, arguments: {order_id: "${order}"}}
    """
    for path, text, found in _placeholders(inspection):
        names = _parameters(inspection, path)
        is_known = found.kind == "variable" and found.name in names
        if found.kind == "escape" or is_known or _is_spoken(path):
            continue
        if inspection.document.is_broken(path):
            continue
        place = inspection.part(path, found.start, found.end)
        yield _unknown(place, text[found.start : found.end], found, names)


def _unknown(
    place: Place, written: str, found: Placeholder, names: dict[str, Any]
) -> Finding:
    shown = quoted(written)[1:-1]
    if found.kind != "variable":
        message = f"`{shown}` is not a parameter"
        return Finding(place, message, "write the value, or $${ for a plain ${")
    guess = nearest(found.name, names)
    if guess:
        at = place.span.start + written.index(found.name)
        fix = None
        if place.source.text[slice(*place.span)] == written:
            edit = Edit(at, at + len(found.name), guess)
            title = f"replace `{found.name}` by `{guess}`"
            fix = Fix(title, (edit,), is_certain_guess(found.name, guess))
        message = f"the scenario has no parameter `{found.name}`"
        return Finding(place, message, f"did you mean `{guess}`?", fix)
    if names:
        help_ = f"it has {', '.join(f'`{each}`' for each in names)}"
    else:
        help_ = f"give it one with `parameters: {{{found.name}: […]}}`"
    return Finding(place, f"the scenario has no parameter `{found.name}`", help_)


@rule("VA704", "parameter-unused", "warning")
def parameter_unused(inspection: RuleContext) -> Iterator[Finding]:
    """A parameter is used nowhere in its scenario.

    The scenario would be run for each of the values, each time the same.

    Bad:
        agent: shop.yaml
        scenarios:
          - name: looks up an order
            parameters: {order: ["1234", "5678"]}
            turns:
              - user: Where is my order 1234?
              - tool_call: lookup_order

    Good:
        agent: shop.yaml
        scenarios:
          - name: looks up an order
            parameters: {order: ["1234", "5678"]}
            turns:
              - user: Where is my order ${order}?
              - tool_call: lookup_order
    """
    used: dict[Pointer, set[str]] = {}
    for at, _, found in _placeholders(inspection):
        used.setdefault(at[:2], set()).add(found.name)
    for index in range(len(inspection.get(("scenarios",), list) or ())):
        path: Pointer = ("scenarios", index)
        for name in inspection.get((*path, "parameters"), dict) or ():
            key = (*path, "parameters", name)
            if name not in used.get(path, ()) and inspection.is_valid(key):
                message = f"the parameter `{quoted(name)[1:-1]}` is not used"
                help_ = f"write ${{{name}}} where its values belong, or remove it"
                yield Finding(inspection.key(key), message, help_)


@rule("VA705", "scenario-repeated")
def scenario_repeated(inspection: RuleContext) -> Iterator[Finding]:
    """Two scenarios of a file have the same name.

    Reports, `-k` and `--last-failed` know a scenario by its name and its parameters.

    Bad:
        agent: shop.yaml
        scenarios:
          - name: greets
            turns: [agent: help]
          - name: greets
            turns: [user: Goodbye, end: agent]

    Good:
        agent: shop.yaml
        scenarios:
          - name: greets
            turns: [agent: help]
          - name: says goodbye
            turns: [{user: Goodbye}, {end: agent}]
    """
    seen: dict[str, Pointer] = {}
    for draft in inspection.fact(find_drafts):
        path = (*draft.path, "name")
        if not draft.name or not inspection.is_valid(path):
            continue
        if draft.id not in seen:
            seen[draft.id] = draft.path
        elif seen[draft.id] == draft.path:
            place = inspection.key((*draft.path, "parameters"))
            message = "two combinations of the parameters are the same"
            yield Finding(place, message, "list each value once")
        else:
            first = inspection.value((*seen[draft.id], "name"))
            line, _ = first.source.point(first.span.start)
            message = f"another scenario is called {quoted(draft.id)}, too"
            help_ = f"the first one is in line {line}; give this one another name"
            yield Finding(inspection.value(path), message, help_)


@rule("VA706", "matrix-too-large")
def matrix_too_large(inspection: RuleContext) -> Iterator[Finding]:
    """The parameters of a scenario have more than 1000 combinations.

    Every parameter multiplies the runs by the number of its values. Split what does not
    belong together into scenarios of their own.

    Bad:
        agent: shop.yaml
        scenarios:
          - name: names the time
            parameters:
              hour: &many ["0", "1", "2", "3", "4", "5", "6", "7", "8", "9", "10", "11"]
              minute: *many
              second: *many
            turns:
              - user: It is ${hour}:${minute}:${second}.
              - agent: ${hour}

    Good:
        agent: shop.yaml
        scenarios:
          - name: names the time
            parameters: {hour: ["0", "12", "23"], minute: ["0", "59"]}
            turns:
              - user: It is ${hour}:${minute}.
              - agent: ${hour}
    """
    for index in range(len(inspection.get(("scenarios",), list) or ())):
        path: Pointer = ("scenarios", index, "parameters")
        count = count_combinations(inspection.get(path, dict))
        if count > MAX_COMBINATIONS:
            message = f"the parameters have {count:,} combinations"
            help_ = f"a scenario has at most {MAX_COMBINATIONS:,}"
            yield Finding(inspection.key(path), message, help_)


def _placeholders(
    inspection: RuleContext,
) -> Iterator[tuple[Pointer, str, Placeholder]]:
    """Yields every placeholder of the scenarios and of what they share."""
    for path, text in _texts(inspection.document.value, ()):
        if "${" in text:
            for found in find_placeholders(text):
                yield path, text, found


def _texts(value: Any, path: Pointer) -> Iterator[tuple[Pointer, str]]:
    if path[:1] == ("scenarios",) and path[2:] == ("parameters",):
        return
    if isinstance(value, str):
        yield path, value
    elif isinstance(value, dict):
        for key, each in value.items():
            yield from _texts(each, (*path, key))
    elif isinstance(value, list):
        for index, each in enumerate(value):
            yield from _texts(each, (*path, index))


def _parameters(inspection: RuleContext, path: Pointer) -> dict[str, Any]:
    """Returns the parameters of the scenario that a path is in."""
    if path[:1] != ("scenarios",):
        return {}
    return inspection.get((*path[:2], "parameters"), dict) or {}


def _is_spoken(path: Pointer) -> bool:
    return speaks(path[2:] if path[:1] == ("scenarios",) else path)


# Rules VA715 to VA717: turns without effect, and scenarios without expectations.


_EXPECTATIONS = {"agent", "tool_call", "expect", "end"}


@rule("VA715", "turn-in-vain")
def turn_in_unreachable_turns(inspection: RuleContext) -> Iterator[Finding]:
    """A turn can never come true, because of what comes before it or does not.

    After the `end` of a call only `expect` may come. `silence_within` and
    `interruptions` need a caller who interrupts before, `resumed` a line that drops.
    An agent without a `greeting` says nothing before the caller does.

    Bad:
        agent: shop.yaml
        scenarios:
          - name: says goodbye
            turns:
              - user: Goodbye
              - end: agent
              - agent: Goodbye

    Good:
        agent: shop.yaml
        scenarios:
          - name: says goodbye
            turns:
              - user: Goodbye
              - agent: Goodbye
              - end: agent
    """
    seen: set[Pointer] = set()
    for draft in inspection.fact(find_drafts):
        agent = agent_of(inspection, draft)
        listens_first = agent is not None and not agent.greets
        for path, message, help_ in _unreachable_turns(
            draft, listens_first=listens_first
        ):
            if path not in seen:
                seen.add(path)
                # A fault of the command line may still drop it.
                mild: Severity | None = "warning" if path[-1] == "resumed" else None
                place = inspection.key(path)
                yield Finding(place, message, help_, severity=mild)


def _unreachable_turns(
    draft: ExpandedScenario, *, listens_first: bool
) -> Iterator[tuple[Pointer, str, str | None]]:
    before: list[str] = []
    interruptions = 0
    for turn in draft.turns:
        ((kind, value),) = turn.value.items()
        path = (*turn.path, kind)
        if "end" in before and kind != "expect":
            message = f"`{kind}` comes after the end of the call"
            yield path, message, "only `expect` may follow `end`"
        elif kind == "agent" and listens_first and not {"user", "wait"} & set(before):
            message = "the agent has no greeting, so it says nothing before the caller"
            yield path, message, "begin with a `user` turn"
        elif kind == "expect":
            drops = "connection" in before or draft.part("faults") is not None
            yield from _unexpected(value, path, interruptions, drops=drops)
        before.append(kind)
        interruptions += isinstance(value, dict) and "interrupts" in value


def _unexpected(
    value: dict[str, Any], path: Pointer, interruptions: int, *, drops: bool
) -> Iterator[tuple[Pointer, str, str]]:
    if "silence_within" in value and not interruptions:
        message = "the caller has not interrupted the agent before this"
        help_ = "add a `user` turn with `interrupts: {after: 400ms}` before it"
        yield (*path, "silence_within"), message, help_
    wanted = value.get("interruptions", 0)
    if wanted > interruptions:
        times = "once" if interruptions == 1 else f"{interruptions} times"
        message = f"the caller interrupts only {times} before this"
        if not interruptions:
            message = "the caller has not interrupted the agent before this"
        yield (*path, "interruptions"), message, "add turns with `interrupts`"
    if value.get("resumed") is True and not drops:
        message = "the connection has not dropped before this"
        yield (*path, "resumed"), message, "add `connection: {drops: 2s}` before it"


@rule("VA716", "interruption-in-vain")
def interruption_in_unreachable_turns(inspection: RuleContext) -> Iterator[Finding]:
    """The caller interrupts where the agent has nothing to say.

    An interruption needs words of the agent: its greeting, or the reply to what the
    caller has said before.

    Bad:
        agent: listener.yaml
        scenarios:
          - name: stops when interrupted
            turns:
              - user: {says: Stop, interrupts: {after: 400ms}}
              - agent: sorry

    Good:
        agent: listener.yaml
        scenarios:
          - name: stops when interrupted
            turns:
              - user: What can you do?
              - user: {says: Stop, interrupts: {after: 400ms}}
              - agent: sorry
    """
    seen: set[Pointer] = set()
    for draft in inspection.fact(find_drafts):
        agent = agent_of(inspection, draft)
        if agent is None or agent.greets:
            continue
        for turn in draft.turns:
            ((kind, value),) = turn.value.items()
            if isinstance(value, dict) and "interrupts" in value:
                path = (*turn.path, kind, "interrupts")
                if path not in seen:
                    seen.add(path)
                    message = "the agent has no greeting that could be interrupted"
                    help_ = "add a `user` turn before it"
                    yield Finding(inspection.key(path), message, help_)
            if kind in ("user", "wait"):
                break


@rule("VA717", "nothing-expected", "warning")
def nothing_expected(inspection: RuleContext) -> Iterator[Finding]:
    """A scenario expects nothing, so it cannot fail.

    One of `agent`, `tool_call`, `expect` and `end` says what is to happen. `expect:
    {no_errors: true}` is the least.

    Bad:
        agent: shop.yaml
        scenarios:
          - name: says goodbye
            turns:
              - user: Goodbye

    Good:
        agent: shop.yaml
        scenarios:
          - name: says goodbye
            turns:
              - user: Goodbye
              - end: agent
    """
    for index in range(len(inspection.get(("scenarios",), list) or ())):
        path: Pointer = ("scenarios", index)
        turns = inspection.get((*path, "turns"), list)
        if not turns or not inspection.is_whole((*path, "turns")):
            continue
        if all(_EXPECTATIONS.isdisjoint(turn) for turn in turns):
            help_ = "add an `agent`, `tool_call`, `expect` or `end` turn"
            message = "this scenario expects nothing"
            yield Finding(inspection.key((*path, "turns")), message, help_)
