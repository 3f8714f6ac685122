"""Rules VA703 to VA706: parameters, and the names that tell scenarios apart."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from runner.config.diagnostics import Edit, Finding, Fix, quoted
from runner.config.interpolation import find_placeholders
from runner.config.rules.rule import rule
from runner.config.spelling import is_surely, nearest
from runner.scenarios.parameters import MOST_COMBINATIONS, count_combinations, speaks
from runner.testing.scenarios.drafts import find_drafts

if TYPE_CHECKING:
    from collections.abc import Iterator

    from runner.config.diagnostics import Place
    from runner.config.interpolation import Placeholder
    from runner.config.lint.context import RuleContext
    from runner.config.yaml.nodes import Pointer


@rule("VA703", "parameter-unknown")
def parameter_unknown(inspection: RuleContext) -> Iterator[Finding]:
    """A text of a scenario has a `${…}` that is none of its parameters.

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
        message = f"`{shown}` is no parameter"
        return Finding(place, message, "write the value, or $${ for a plain ${")
    guess = nearest(found.name, names)
    if guess:
        at = place.span.start + written.index(found.name)
        fix = None
        if place.source.text[slice(*place.span)] == written:
            edit = Edit(at, at + len(found.name), guess)
            title = f"replace `{found.name}` by `{guess}`"
            fix = Fix(title, (edit,), is_surely(found.name, guess))
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
            if name not in used.get(path, ()) and inspection.is_sound(key):
                message = f"the parameter `{quoted(name)[1:-1]}` is not used"
                help_ = f"write ${{{name}}} where its values belong, or take it away"
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
        if not draft.name or not inspection.is_sound(path):
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
        if count > MOST_COMBINATIONS:
            message = f"the parameters have {count:,} combinations"
            help_ = f"a scenario has at most {MOST_COMBINATIONS:,}"
            yield Finding(inspection.key(path), message, help_)


def _placeholders(
    inspection: RuleContext,
) -> Iterator[tuple[Pointer, str, Placeholder]]:
    """Yield every placeholder of the scenarios and of what they share."""
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
    """Return the parameters of the scenario that a path is in."""
    if path[:1] != ("scenarios",):
        return {}
    return inspection.get((*path[:2], "parameters"), dict) or {}


def _is_spoken(path: Pointer) -> bool:
    return speaks(path[2:] if path[:1] == ("scenarios",) else path)
