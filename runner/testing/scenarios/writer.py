"""Writes a `Suite` as a scenario file that loads as the same suite."""

from __future__ import annotations

import json
import os
import re
from decimal import Decimal
from typing import TYPE_CHECKING, Any, assert_never

from runner.config.durations import parse_duration
from runner.config.schema import SUITE_SCHEMA
from runner.config.yaml.writer import write_scalar
from runner.testing.scenarios.model import (
    AgentTurn,
    ConnectionTurn,
    EndTurn,
    ExpectTurn,
    ToolCallTurn,
    UserTurn,
    WaitTurn,
)

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from pathlib import Path

    from runner.testing.scenarios.model import (
        LlmRule,
        MockAnswer,
        Pattern,
        Scenario,
        Suite,
        Turn,
    )

_MODELINE = f"# yaml-language-server: $schema=./{SUITE_SCHEMA}\n"
# Letters, digits and harmless punctuation, which YAML reads as plain text
# between brackets, where some readers stop at a question mark, and elsewhere. The words
# that YAML 1.1 knows are not among them.
_BEGIN = r"(?!(?i:y|n|yes|no|on|off)$)(?:\.\./)*[^\W\d_]"
_TIME = r"[0-9]+(?:\.[0-9]+)?m?s"
_PLAIN = re.compile(rf"{_BEGIN}(?:[\w ./'’!-]*[\w.!])?|{_TIME}")
_PLAIN_LINE = re.compile(rf"{_BEGIN}(?:[\w ./'’!?,-]*[\w.!?])?|{_TIME}")


def write_suite(suite: Suite) -> str:
    """Returns the text of a scenario file at the suite's path.

    Only what a mind says about a result's key that is called like a parameter cannot be
    written: there the parameter would be meant.
    """
    scenarios = "\n".join(
        "".join(_scenario(each, suite.path.parent)) for each in suite.scenarios
    )
    return f"{_MODELINE}scenarios:\n{scenarios}"


def _scenario(scenario: Scenario, folder: Path) -> Iterator[str]:
    yield f"  - name: {_line(_escape(scenario.name))}\n"
    fields = {
        "agent": os.path.relpath(scenario.agent, folder).replace(os.sep, "/"),
        "tags": list(scenario.tags),
        "services": list(scenario.services),
        "parameters": {key: [value] for key, value in scenario.parameters.items()},
        "variables": dict(scenario.variables),
        "environment": dict(scenario.environment),
        "seed": scenario.seed,
        "faults": list(scenario.faults),
        "mock": {
            name: "live" if answers is None else [_answer(each) for each in answers]
            for name, answers in scenario.mock.items()
        },
    }
    for key, value in fields.items():
        if value:
            shown = value if key == "parameters" else _escape(value)
            yield f"    {key}: {_flow(shown)}\n"
    if scenario.llm:
        yield "    llm:\n"
        for rule in scenario.llm:
            yield f"      - {_flow(_rule(rule))}\n"
    yield "    turns:\n"
    for turn in scenario.turns:
        ((key, value),) = _turn(turn).items()
        yield f"      - {key}: {_line(_escape(value))}\n"


def _turn(turn: Turn) -> dict[str, Any]:
    match turn:
        case AgentTurn():
            fields = _agent(turn)
            only = fields.keys() == {"says"}
            return {"agent": fields["says"] if only else fields}
        case UserTurn(says=says, interrupts_after=None):
            return {"user": says}
        case UserTurn(says=says, interrupts_after=after):
            return {"user": {"says": says, "interrupts": {"after": _time(after)}}}
        case ToolCallTurn():
            fields = _call(turn)
            return {"tool_call": turn.tool if len(fields) == 1 else fields}
        case ExpectTurn():
            return {"expect": _expect(turn)}
        case ConnectionTurn(drops=drops):
            return {"connection": {"drops": _time(drops)}}
        case WaitTurn(seconds=seconds):
            return {"wait": _time(seconds)}
        case EndTurn(by=by, within=within):
            fields = _given(by=by, within=_time(within))
            return {"end": by if fields.keys() == {"by"} else fields}
        case _:
            assert_never(turn)


def _agent(turn: AgentTurn) -> dict[str, Any]:
    return _given(
        says=_patterns(turn.says),
        never=_patterns(turn.never),
        within=_time(turn.within),
        judge=turn.judge,
    )


def _call(turn: ToolCallTurn) -> dict[str, Any]:
    return _given(
        tool=turn.tool,
        arguments=turn.arguments,
        matching=turn.matching,
        within=_time(turn.within),
        fails=turn.fails,
    )


def _expect(turn: ExpectTurn) -> dict[str, Any]:
    calls: Any = turn.tool_calls
    if calls is not None:
        calls = list(calls) or "none"
        calls = {"any_order": calls} if turn.any_order else calls
    return _given(
        silence_within=_time(turn.silence_within),
        latency_within=_time(turn.latency_within),
        tool_calls=calls,
        interruptions=turn.interruptions,
        resumed=turn.resumed,
        nothing_dropped=turn.nothing_dropped or None,
        no_errors=turn.no_errors or None,
        never_says=_patterns(turn.never_says),
        judge=turn.judge,
    )


def _answer(answer: MockAnswer) -> dict[str, Any]:
    said = {"returns": answer.returns}
    if answer.raises is not None:
        said = {"raises": answer.raises}
    return said | _given(
        delay=_time(answer.delay or None),
        times=answer.times,
        match=dict(answer.match) or None,
    )


def _rule(rule: LlmRule) -> dict[str, Any]:
    calls = [
        _given(tool=tool, arguments=dict(arguments) or None)
        for tool, arguments in rule.tool_calls
    ]
    escaped: dict[str, Any] = _escape(
        _given(
            user_says=_patterns(rule.user_says),
            after=rule.after,
            tool_calls=calls or None,
        )
    )
    # `says` keeps its placeholders, which name keys of a result.
    return escaped | _given(says=rule.says)


def _patterns(patterns: Iterable[Pattern]) -> Any:
    texts = [each.text for each in patterns]
    return texts[0] if len(texts) == 1 else texts or None


def _given(**fields: Any) -> dict[str, Any]:
    return {key: value for key, value in fields.items() if value is not None}


def _time(seconds: float | None) -> str | None:
    if seconds is None:
        return None
    text = f"{round(seconds * 1000)}ms"
    if seconds < 1 and parse_duration(text) == seconds:
        return text
    return f"{Decimal(repr(seconds)).normalize():f}s"


def _escape(value: Any) -> Any:
    """Keeps `${` in texts from being read as a parameter."""
    if isinstance(value, str):
        return value.replace("${", "$${")
    if isinstance(value, dict):
        return {key: _escape(each) for key, each in value.items()}
    return [_escape(each) for each in value] if isinstance(value, list) else value


def _line(value: Any) -> str:
    """Writes a value that has the rest of a line to itself."""
    return write_scalar(value, _PLAIN_LINE) if isinstance(value, str) else _flow(value)


def _flow(value: Any) -> str:
    """Writes a value for use between brackets."""
    if isinstance(value, str):
        return write_scalar(value, _PLAIN)
    if isinstance(value, list):
        return f"[{', '.join(map(_flow, value))}]"
    if isinstance(value, dict):
        return f"{{{', '.join(_entry(*each) for each in value.items())}}}"
    return json.dumps(value)


def _entry(key: str, value: Any) -> str:
    return f"{write_scalar(key, _PLAIN)}: {_flow(value)}"
