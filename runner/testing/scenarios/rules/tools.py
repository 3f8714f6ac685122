"""Rules VA710 to VA712: the tools that scenarios mock and expect."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from runner.config.diagnostics import Finding, quoted, replacement
from runner.config.rules.rule import rule
from runner.config.spelling import is_surely, nearest
from runner.errors import ToolError
from runner.scenarios.mentions import find_mentions
from runner.testing.scenarios.drafts import find_drafts

if TYPE_CHECKING:
    from collections.abc import Iterator

    from runner.config.diagnostics import Severity
    from runner.config.lint.context import RuleContext
    from runner.config.yaml.nodes import Pointer
    from runner.tools.arguments import ArgumentCheck


@rule("VA710", "tool-not-had")
def tool_not_had(inspection: RuleContext) -> Iterator[Finding]:
    """A scenario mocks, calls or expects a tool that its agent does not have.

    Tools are called by the names that the model knows them by. What stands beside
    `scenarios` may be for one of several agents: it is enough that one has the tool.

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
            fix = replacement(place, tool, guess, is_safe=is_surely(tool, guess))
        message = f"the agent has no tool `{quoted(tool)[1:-1]}`"
        yield Finding(place, message, help_, fix)


@rule("VA711", "arguments-refused")
def arguments_refused(inspection: RuleContext) -> Iterator[Finding]:
    """A call has arguments that the tool's schema refuses.

    The tool would not be run with them, so the call that is expected cannot happen. To
    try out that a tool is called wrongly, say `fails: true`. For the calls of `llm`
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
            help_ = "correct them, or say `fails: true` if that is what is tried out"
            if mention.role == "llm":
                help_ = "correct them, unless that is what is tried out"
            # A mind may be meant to get it wrong, to see what the agent makes of it.
            severity: Severity = "error" if mention.role == "tool_call" else "warning"
            place = inspection.start(path)
            yield Finding(place, message, help_, severity=severity)


def _build_check(tool: str, schema: Any) -> ArgumentCheck | None:
    """Return what checks the arguments of a tool; None where that cannot be told."""
    if schema is None:
        return None
    # It takes long to import, and most scenarios need no check.
    from runner.tools.arguments import ArgumentCheck

    try:
        return ArgumentCheck(tool, schema)
    except ToolError:
        return None  # the agent's schema is at fault, which its own check says


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
    """What `matching` holds is no JSON Schema.

    The arguments of a call are to be valid under it; what it does not name may be
    anything.

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
            yield Finding(place, f"`matching` is no JSON Schema: {reason}")


def _fault(schema: object) -> tuple[Pointer, str] | None:
    """Return where a schema is none, and why."""
    from runner.config import wording
    from runner.config.schema import find_schema_violations

    for each in find_schema_violations(schema):
        _, message, _ = wording.bad_value(
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
