"""Rules VA718 and VA719: the services of scenarios, and what goes wrong with them."""

from __future__ import annotations

from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from runner.config.diagnostics import Finding, quoted, replacement
from runner.config.rules.rule import rule
from runner.config.spelling import is_surely, nearest
from runner.errors import UsageError
from runner.testing.scenarios.drafts import find_drafts

if TYPE_CHECKING:
    from collections.abc import Iterator

    from runner.config.lint.context import RuleContext
    from runner.config.yaml.nodes import Pointer

SERVICES = ("script", "local", "assemblyai")


@rule("VA718", "service-unknown")
def service_unknown(inspection: RuleContext) -> Iterator[Finding]:
    """A scenario names a service that there is not.

    It is `script`, `local`, `assemblyai`, or an address that begins with `ws://` or
    `wss://`. On others the scenario is skipped.

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
            fix = replacement(place, name, guess, is_safe=is_surely(name, guess))
        known = ", ".join(f"`{each}`" for each in SERVICES)
        help_ = help_ or f"it is {known}, or an address such as wss://example.com/v1"
        yield Finding(place, f"there is no service {quoted(name)}", help_, fix)


def _is_address(name: str) -> bool:
    try:
        address = urlsplit(name)
        return address.scheme in ("ws", "wss") and bool(address.hostname)
    except ValueError:  # brackets that are none of an address
        return False


@rule("VA719", "fault-invalid")
def fault_invalid(inspection: RuleContext) -> Iterator[Finding]:
    """What is to go wrong is not written as faults are.

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
    """Yield each text of a list, or the one in its place, once."""
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
