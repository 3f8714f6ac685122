"""Rules VA715 to VA717: turns in vain, and scenarios that show nothing."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from runner.config.diagnostics import Finding
from runner.config.rules.rule import rule
from runner.scenarios.agents import agent_of
from runner.testing.scenarios.drafts import find_drafts

if TYPE_CHECKING:
    from collections.abc import Iterator

    from runner.config.diagnostics import Severity
    from runner.config.lint.context import RuleContext
    from runner.config.yaml.nodes import Pointer
    from runner.testing.scenarios.drafts import ExpandedScenario

_EXPECTATIONS = {"agent", "tool_call", "expect", "end"}


@rule("VA715", "turn-in-vain")
def turn_in_vain(inspection: RuleContext) -> Iterator[Finding]:
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
        for path, message, help_ in _vain(draft, listens_first=listens_first):
            if path not in seen:
                seen.add(path)
                # A fault of the command line may still drop it.
                mild: Severity | None = "warning" if path[-1] == "resumed" else None
                place = inspection.key(path)
                yield Finding(place, message, help_, severity=mild)


def _vain(
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
        message = "nobody has interrupted the agent before this"
        help_ = "have a `user` turn with `interrupts: {after: 400ms}` before it"
        yield (*path, "silence_within"), message, help_
    wanted = value.get("interruptions", 0)
    if wanted > interruptions:
        times = "once" if interruptions == 1 else f"{interruptions} times"
        message = f"the caller interrupts only {times} before this"
        if not interruptions:
            message = "nobody has interrupted the agent before this"
        yield (*path, "interruptions"), message, "add turns with `interrupts`"
    if value.get("resumed") is True and not drops:
        message = "the connection has not dropped before this"
        yield (*path, "resumed"), message, "have `connection: {drops: 2s}` before it"


@rule("VA716", "interruption-in-vain")
def interruption_in_vain(inspection: RuleContext) -> Iterator[Finding]:
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
                    help_ = "have the caller say something before"
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
