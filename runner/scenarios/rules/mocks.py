"""Rules VA713, VA714 and VA720: what tools and the scripted mind answer."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from runner.config.diagnostics import Finding, quoted
from runner.config.rules.rule import rule
from runner.scenarios.agents import agent_of
from runner.testing.scenarios.drafts import find_drafts, listed

if TYPE_CHECKING:
    from collections.abc import Iterator

    from runner.config.lint.context import RuleContext
    from runner.config.yaml.nodes import Pointer


@rule("VA713", "answer-unreachable", "warning")
def answer_unreachable(inspection: RuleContext) -> Iterator[Finding]:
    """A mocked tool never comes to an answer, since one before it lasts for ever.

    Answers are gone through in their order. One without `times` is given again and
    again, to all calls that its `match` fits.

    Bad:
        agent: shop.yaml
        scenarios:
          - name: tries again when the order system is down
            mock:
              lookup_order:
                - raises: the order system is down
                - returns: {status: shipped}
            turns:
              - user: Where is my order 1234?
              - tool_call: {tool: lookup_order, fails: true}

    Good:
        agent: shop.yaml
        scenarios:
          - name: tries again when the order system is down
            mock:
              lookup_order:
                - {raises: the order system is down, times: 1}
                - returns: {status: shipped}
            turns:
              - user: Where is my order 1234?
              - tool_call: {tool: lookup_order, fails: true}
    """
    seen: set[Pointer] = set()
    for draft in inspection.fact(find_drafts):
        for name, part in draft.entries["mock"].items():
            answers = part.value if isinstance(part.value, list) else []
            for index, answer in enumerate(answers):
                before = _lasting_before(answers[:index], answer)
                path = (*part.path, index)
                if before is None or path in seen:
                    continue
                seen.add(path)
                place = inspection.start(path)
                message = f"`{quoted(name)[1:-1]}` never comes to this answer"
                help_ = f"give the one in line {_line(inspection, part.path, before)}"
                yield Finding(place, message, f"{help_} `times: 1`, or a `match`")


def _lasting_before(answers: list[Any], answer: dict[str, Any]) -> int | None:
    """Return the index of an answer that is given wherever this one could be."""
    match = answer.get("match", {})
    for index, each in enumerate(answers):
        wanted = each.get("match", {})
        if "times" not in each and all(
            key in match and match[key] == value for key, value in wanted.items()
        ):
            return index
    return None


def _line(inspection: RuleContext, path: Pointer, index: int) -> int:
    place = inspection.start((*path, index))
    return place.source.point(place.span.start)[0]


@rule("VA714", "llm-rule-unused")
def llm_rule_unused(inspection: RuleContext) -> Iterator[Finding]:
    """A rule of `llm` has no effect.

    A rule says something, calls tools, or both: when the caller's utterance matches
    `user_says`, after a result of the tool `after`, or, with neither, once in order.

    Bad:
        agent: shop.yaml
        llm:
          - user_says: order
        scenarios:
          - name: looks up an order
            turns:
              - user: Where is my order?
              - agent: number

    Good:
        agent: shop.yaml
        llm:
          - {user_says: order, says: Tell me its number.}
        scenarios:
          - name: looks up an order
            turns:
              - user: Where is my order?
              - agent: number
    """
    seen: set[Pointer] = set()
    for draft in inspection.fact(find_drafts):
        llm = draft.part("llm")
        for index, each in enumerate(llm.value if llm is not None else ()):
            assert llm is not None
            path = (*llm.path, index)
            if path in seen:
                continue
            seen.add(path)
            if "says" not in each and "tool_calls" not in each:
                help_ = "give it something to say, or tools to call"
                message = "this rule neither says nor calls anything"
                yield Finding(inspection.start(path), message, help_)


@rule("VA720", "tool-not-mocked", "warning")
def tool_not_mocked(inspection: RuleContext) -> Iterator[Finding]:
    """A call is expected of an HTTP tool that has no mock.

    On `script` no tool calls a URL, so that tests need no network and always come out
    the same: such a call fails. `live` as the mock allows it all the same.

    Bad:
        agent: courier.yaml
        scenarios:
          - name: finds a parcel
            turns:
              - user: Where is my parcel 123456?
              - tool_call: find_parcel

    Good:
        agent: courier.yaml
        scenarios:
          - name: finds a parcel
            mock: {find_parcel: {returns: {place: Berlin}}}
            turns:
              - user: Where is my parcel 123456?
              - tool_call: find_parcel
    """
    seen: set[Pointer] = set()
    for draft in inspection.fact(find_drafts):
        agent = agent_of(inspection, draft)
        services = listed(draft.value("services", "script"))
        if agent is None or "script" not in services:
            continue
        for turn in draft.turns:
            call = turn.value.get("tool_call")
            fields = call if isinstance(call, dict) else {"tool": call}
            name, fails = fields["tool"], fields.get("fails") is True
            if name not in agent.remote or name in draft.entries["mock"] or fails:
                continue
            path: Pointer = (*turn.path, "tool_call")
            path = (*path, "tool") if fields is call else path
            if path not in seen:
                seen.add(path)
                place = inspection.value(path)
                message = f"`{name}` calls a URL, and is not mocked"
                help_ = f"add `mock: {{{name}: {{returns: …}}}}`, or `{name}: live`"
                yield Finding(place, message, help_)
