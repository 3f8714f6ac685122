"""The scripted service's mind: a scenario's own rules, and the agent's where none fits.

What the agent says is then as certain as what it does, and no model is asked.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from runner.speech.interfaces import (
    AgentContext,
    Cancelled,
    HistoryMessage,
    ModelOutput,
    Quality,
    TextChunk,
    ToolCallRequest,
    ToolMessage,
    UserMessage,
)
from runner.speech.llm.rule_based import RuleBasedModel
from runner.testing.scenarios.model import LlmRule

_PLACEHOLDER = re.compile(r"\$\{(\w+)\}")


class ScriptedModel:
    """Plays an agent by the rules of one scenario.

    For one call only: the steps of a script are used up.
    """

    name = "script"
    quality: Quality = "script"

    def __init__(self, rules: Sequence[LlmRule] = ()) -> None:
        self._rules = [rule for rule in rules if rule.user_says or rule.after]
        self._steps = [rule for rule in rules if not (rule.user_says or rule.after)]
        self._otherwise = RuleBasedModel()

    def warm(self, brief: AgentContext) -> None:
        """Do nothing: there is nothing to read."""

    def think(
        self,
        brief: AgentContext,
        history: Sequence[HistoryMessage],
        cancelled: Cancelled,
    ) -> Iterator[ModelOutput]:
        """Yield what the first rule that fits says and calls; see `Brain.think`."""
        last = history[-1] if history else None
        rule = next((each for each in self._rules if _fits(each, last)), None)
        if rule is None and self._steps and not _is_ending(last):
            rule = self._steps.pop(0)
        if rule is None:
            yield from self._otherwise.think(brief, history, cancelled)
            return
        if rule.says:
            yield TextChunk(_filled(rule.says, last))
        for tool, arguments in rule.tool_calls:
            yield ToolCallRequest(tool, arguments)

    def close(self) -> None:
        """Do nothing: nothing is held."""


def _fits(rule: LlmRule, last: HistoryMessage | None) -> bool:
    match last:
        case UserMessage(text):
            return any(pattern.matches(text) for pattern in rule.user_says)
        case ToolMessage(name=name):
            return rule.after == name
        case _:
            return False


def _is_ending(last: HistoryMessage | None) -> bool:
    """Whether the call has just been ended: nothing more is to be said."""
    return (
        isinstance(last, ToolMessage) and last.name == "end_call" and not last.is_error
    )


def _filled(text: str, last: HistoryMessage | None) -> str:
    result: Any = None
    if isinstance(last, ToolMessage) and last.result is not None:
        result = json.loads(last.result)
    values = result if isinstance(result, Mapping) else {"result": result}

    def spoken(found: re.Match[str]) -> str:
        value = values.get(found[1], found[0])
        return value if isinstance(value, str) else json.dumps(value)

    return _PLACEHOLDER.sub(spoken, text)
