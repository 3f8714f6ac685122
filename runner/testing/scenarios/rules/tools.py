"""Rules for mocked and expected tools, and for `llm`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from runner.config.diagnostics import Finding, quoted, replacement
from runner.config.lint.context import rule
from runner.config.spelling import is_certain_guess, nearest
from runner.errors import ToolError
from runner.testing.scenarios.drafts import agent_of, find_drafts, find_mentions, listed

if TYPE_CHECKING:
    from collections.abc import Iterator

    from runner.config.diagnostics import Severity
    from runner.config.lint.context import RuleContext
    from runner.config.yaml.nodes import Pointer
    from runner.tools.arguments import ArgumentCheck


@rule("VA710", "tool-not-had")
def tool_not_had(inspection: RuleContext) -> Iterator[Finding]:
    """A scenario mocks, calls or expects a tool that its agent does not have.

    Tools are called by the names that the model knows them by. Top-level
    values can be for one of several agents: it is enough that one has the tool.

    Bad:
        agent: shop.yaml
        scenarios:
          - name: looks up an order
            turns:
              - user: Where is my order 1234?
              - tool_call: lookup_ordr

    Good:
        agent: shop.yaml
        scenarios:
          - name: looks up an order
            turns:
              - user: Where is my order 1234?
              - tool_call: lookup_order
    """
    for each in inspection.fact(find_mentions):
        names = {name for agent in each.agents for name in agent.tools or ()}
        tool = each.mention.tool
        if not each.is_sure or tool in names:
            continue
        path = each.mention.path
        place = inspection.key(path) if each.mention.is_key else inspection.value(path)
        guess = nearest(tool, names)
        has = ", ".join(f"`{name}`" for name in sorted(names)) or "none"
        help_ = f"did you mean `{guess}`?" if guess else f"it has {has}"
        fix = None
        if guess:
            fix = replacement(place, tool, guess, is_safe=is_certain_guess(tool, guess))
        message = f"the agent has no tool `{quoted(tool)[1:-1]}`"
        yield Finding(place, message, help_, fix)


@rule("VA711", "arguments-refused")
def arguments_refused(inspection: RuleContext) -> Iterator[Finding]:
    """A call has arguments that the tool's schema refuses.

    The tool would not be run with them, so the call that is expected cannot happen. To
    test a call with wrong arguments, write `fails: true`. For the calls of `llm`
    it is only a warning.

    Bad:
        agent: shop.yaml
        scenarios:
          - name: looks up an order
            turns:
              - user: Where is my order 12?
              - tool_call: {tool: lookup_order, arguments: {order_id: "12"}}

    Good:
        agent: shop.yaml
        scenarios:
          - name: looks up an order
            turns:
              - user: Where is my order 1234?
              - tool_call: {tool: lookup_order, arguments: {order_id: "1234"}}
    """
    checks: dict[tuple[int, str], ArgumentCheck | None] = {}
    for each in inspection.fact(find_mentions):
        mention = each.mention
        if mention.arguments is None or not mention.must_fit:
            continue
        if not each.is_sure or len(each.agents) != 1:
            continue
        (agent,) = each.agents
        key = (id(agent), mention.tool)
        if key not in checks:
            checks[key] = _build_check(mention.tool, agent.schemas.get(mention.tool))
        arguments, path = mention.arguments
        refusal = _refusal(checks[key], arguments)
        if refusal is not None:
            message = f"`{mention.tool}` refuses these arguments: {refusal}"
            help_ = "correct them, or write `fails: true` to test wrong arguments"
            if mention.role == "llm":
                help_ = "correct them, unless the scenario tests wrong arguments"
            # A rule may be wrong by intention, to test the reaction of the agent.
            severity: Severity = "error" if mention.role == "tool_call" else "warning"
            place = inspection.start(path)
            yield Finding(place, message, help_, severity=severity)


def _build_check(tool: str, schema: Any) -> ArgumentCheck | None:
    """Returns the check of the arguments of a tool; None if its schema is unknown."""
    if schema is None:
        return None
    # It takes long to import, and most scenarios need no check.
    from runner.tools.arguments import ArgumentCheck

    try:
        return ArgumentCheck(tool, schema)
    except ToolError:
        return None  # the check of the agent reports its schema


def _refusal(check: ArgumentCheck | None, arguments: Any) -> str | None:
    if check is None:
        return None
    from runner.tools.arguments import ArgumentsRefused

    try:
        check.check(arguments)
    except ArgumentsRefused as refusal:
        return str(refusal)
    return None


@rule("VA712", "matching-invalid")
def matching_invalid(inspection: RuleContext) -> Iterator[Finding]:
    """The value of `matching` is not a JSON Schema.

    The arguments of a call must be valid under it; arguments that it does not name can
    have any value.

    Bad:
        agent: shop.yaml
        scenarios:
          - name: looks up an order
            turns:
              - user: Where is my order 1234?
              - tool_call: {tool: lookup_order, matching: {type: mapping}}

    Good:
        agent: shop.yaml
        scenarios:
          - name: looks up an order
            turns:
              - user: Where is my order 1234?
              - tool_call: {tool: lookup_order, matching: {required: [order_id]}}
    """
    seen: set[Pointer] = set()
    for draft in inspection.fact(find_drafts):
        for turn in draft.turns:
            call = turn.value.get("tool_call")
            if not isinstance(call, dict) or "matching" not in call:
                continue
            path = (*turn.path, "tool_call", "matching")
            why = _fault(call["matching"])
            if why is None or path in seen:
                continue
            seen.add(path)
            where, reason = why
            place = inspection.value((*path, *where))
            yield Finding(place, f"`matching` is not a JSON Schema: {reason}")


def _fault(schema: object) -> tuple[Pointer, str] | None:
    """Returns the place and reason of a schema error."""
    from runner.config import schema_errors
    from runner.config.schema import find_schema_violations

    for each in find_schema_violations(schema):
        _, message, _ = schema_errors.bad_value(
            each.path, each.keyword, each.expected, each.instance, each.schema
        )
        return each.path, message
    from runner.tools.arguments import ArgumentCheck

    try:
        # It may still hold a bad pattern, or a reference that leads nowhere.
        ArgumentCheck("matching", schema if isinstance(schema, dict) else {})
    except ToolError as error:
        return (), error.message.rpartition("JSON Schema: ")[2]
    return None


# Rules VA713, VA714 and VA720: answers of mocks, rules of `llm`, missing mocks.


@rule("VA713", "answer-unreachable", "warning")
def answer_unreachable(inspection: RuleContext) -> Iterator[Finding]:
    """A mock never reaches an answer, since one before it has no limit.

    Answers are tried in order. One without `times` is used without limit, for all calls
    that its `match` fits.

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
                message = f"`{quoted(name)[1:-1]}` never reaches this answer"
                help_ = (
                    f"give the answer in line {_line(inspection, part.path, before)}"
                )
                yield Finding(place, message, f"{help_} `times: 1`, or a `match`")


def _lasting_before(answers: list[Any], answer: dict[str, Any]) -> int | None:
    """Returns the index of an answer that is given wherever this one could be."""
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
          - {user_says: order, says: Please give me its number.}
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
    """A scenario expects a call of an HTTP tool that has no mock.

    On `script` HTTP tools do not use the network, so that results are reproducible:
    such a call fails. The mock `live` allows it.

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
