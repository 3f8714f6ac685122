"""Language model without a model: fixed rules over the agent's tools.

Chooses the tool whose words the caller used, extracts its arguments, and reads results
aloud. To everything else it answers that it is a script. Deterministic.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping, Sequence

from runner.speech.interfaces import (
    AgentContext,
    Cancelled,
    HistoryMessage,
    ModelOutput,
    TextChunk,
    ToolCallRequest,
    ToolMessage,
    UserMessage,
)
from runner.speech.llm.grounding import extract_value, parameter_question, relevance
from runner.speech.llm.prompt import (
    GOODBYE,
    allows_ending,
    find_ending_tool,
    is_goodbye,
    merge_pending,
)
from runner.speech.llm.tools import ToolSpec, is_ending_tool, read_tool_specs

# Begins each answer that the rules do not have.
NO_LANGUAGE_MODEL = "I am a simple script without a language model"

_THANKS = re.compile(r"\b(thanks|thank you|cheers)\b", re.I)


class RuleBasedModel:
    """Decides by fixed rules."""

    def warm(self, context: AgentContext) -> None:
        """Does nothing: rules need no preparation."""

    def respond(
        self,
        context: AgentContext,
        history: Sequence[HistoryMessage],
        cancelled: Cancelled,
    ) -> Iterator[ModelOutput]:
        """Yields one sentence or one tool call; see `LanguageModel.respond`."""
        tools = read_tool_specs(context.tools)
        if cancelled():
            return
        match history[-1] if history else None:
            case UserMessage(text):
                yield from _answer(tools, history, text)
            case ToolMessage() as used:
                if used.is_error or not is_ending_tool(tools, used.name):
                    yield TextChunk(read_aloud(used))
            case _:
                yield TextChunk(_introduction(tools))

    def close(self) -> None:
        """Does nothing."""


def _answer(
    tools: Sequence[ToolSpec], history: Sequence[HistoryMessage], text: str
) -> Iterator[ModelOutput]:
    ending = find_ending_tool(tools)
    if ending is not None and is_goodbye(text):
        yield TextChunk(GOODBYE)
        yield ToolCallRequest(ending.name)
        return
    merged = merge_pending(history)
    request = merged[-1].text if isinstance(merged[-1], UserMessage) else text
    tool = _choose([tool for tool in tools if not tool.ends_call], request)
    if tool is None:
        yield from _small_talk(ending, history, text, _introduction(tools))
        return
    is_reply = request != text.strip()
    arguments = {}
    for parameter in tool.parameters:
        value = extract_value(parameter, request, reply=text if is_reply else None)
        if value is not None:
            arguments[parameter.name] = value
        elif parameter.is_required:
            yield TextChunk(
                parameter_question(parameter), f"{tool.name}.{parameter.name}"
            )
            return
    yield ToolCallRequest(tool.name, arguments)


def _small_talk(
    ending: ToolSpec | None,
    history: Sequence[HistoryMessage],
    text: str,
    otherwise: str,
) -> Iterator[ModelOutput]:
    if ending is not None and allows_ending(history):
        yield TextChunk(GOODBYE)
        yield ToolCallRequest(ending.name)
    elif _THANKS.search(text):
        yield TextChunk("You are welcome. Is there anything else?")
    else:
        yield TextChunk(otherwise)


def _choose(tools: Sequence[ToolSpec], request: str) -> ToolSpec | None:
    """Returns the tool that shares most words with the request, the first of equals."""
    best, most = None, 0
    for tool in tools:
        score = relevance(tool, request)
        score += sum(
            extract_value(parameter, request, reply=None) is not None
            for parameter in tool.required
            if "pattern" in parameter.schema or "enum" in parameter.schema
        )
        if score > most:
            best, most = tool, score
    return best


def _introduction(tools: Sequence[ToolSpec]) -> str:
    abilities = [
        sentence
        for tool in tools
        if not tool.ends_call and (sentence := _ability(tool))
    ]
    if not abilities:
        return f"{NO_LANGUAGE_MODEL}, so I cannot answer that."
    return f"{NO_LANGUAGE_MODEL}. What I can do: {'; '.join(abilities)}."


def _ability(tool: ToolSpec) -> str:
    sentence = (tool.description or tool.name.replace("_", " ")).split(". ")[0]
    sentence = sentence.strip().rstrip(".")
    return sentence[:1].lower() + sentence[1:]


_MAX_FACTS = 5
_MAX_VALUE = 200  # characters
_UNITS = {
    "c": "degrees Celsius",
    "celsius": "degrees Celsius",
    "f": "degrees Fahrenheit",
    "fahrenheit": "degrees Fahrenheit",
    "percent": "percent",
    "pct": "percent",
    "km": "kilometres",
    "kmh": "kilometres per hour",
    "kph": "kilometres per hour",
    "mph": "miles per hour",
    "usd": "dollars",
    "eur": "euros",
    "minutes": "minutes",
    "hours": "hours",
    "days": "days",
}
# Keys that are not spoken: the value is clear without them.
_SELF_EVIDENT = frozenset(
    (
        *("item", "product", "title", "name", "status", "state", "message", "text"),
        *("answer", "result", "summary", "description", "condition", "conditions"),
        *("sky", "weather", "reason"),
    )
)
_SUCCESS = frozenset(("ok", "success", "done", "succeeded"))
_MONTHS = (
    *("January", "February", "March", "April", "May", "June", "July", "August"),
    *("September", "October", "November", "December"),
)
_DATE = re.compile(r"\b(\d{4})-(0[1-9]|1[0-2])-(0[1-9]|[12]\d|3[01])\b")


def is_short(used: ToolMessage) -> bool:
    """True if a result has few enough facts to read all of them aloud."""
    if used.result is None:
        return False
    value = _parse(used.result)
    if isinstance(value, Mapping):
        facts = _facts(used, value)
        return len(facts) <= _MAX_FACTS and not any(
            isinstance(item, Mapping)
            for _, inner in facts
            if isinstance(inner, list)
            for item in inner
        )
    return not isinstance(value, list) and len(str(value)) <= _MAX_VALUE


def read_aloud(used: ToolMessage) -> str:
    """Returns the result of a tool call as one sentence: "The status is shipped."."""
    # A model of half a billion parameters retells one result in three wrongly ("it is
    # available" for `"available": false`), so short results are not left to it.
    if used.result is None:
        return "One moment, please."
    value = _parse(used.result)
    if used.is_error:
        return f"Sorry, that did not work: {_lower(_spoken(_error_text(value)))}."
    if isinstance(value, list):
        return (
            f"I found {len(value)}: {_spoken(value)}." if value else "I found nothing."
        )
    if not isinstance(value, Mapping):
        return _sentence(_spoken(value)) if value not in (None, "") else "That is done."
    facts = _facts(used, value)[:_MAX_FACTS]
    if not facts:
        return "That is done."
    if len(facts) == 1:
        return _single(*facts[0])
    lead = "It is" if _opens_with_truth(facts) else "Here is what I found:"
    return f"{lead} {', '.join(_part(key, inner) for key, inner in facts)}."


def _opens_with_truth(facts: list[tuple[str, object]]) -> bool:
    """True if "It is" fits the first fact: "confirmed", "not available"."""
    key, value = facts[0]
    return isinstance(value, bool) and key.lower() not in _SUCCESS


def _parse(result: str) -> object:
    try:
        value: object = json.loads(result)
    except ValueError:
        return result.strip()
    return value


def _error_text(value: object) -> object:
    if isinstance(value, Mapping):
        return next((value[k] for k in ("error", "message") if k in value), value)
    return value


def _facts(used: ToolMessage, value: Mapping[str, object]) -> list[tuple[str, object]]:
    """Returns the facts of a result without those that repeat an argument."""
    asked = {str(argument) for argument in used.arguments.values()}
    return [
        (key, inner)
        for key, inner in _flatten(value)
        if inner is not None and (isinstance(inner, bool) or str(inner) not in asked)
    ]


def _flatten(value: Mapping[str, object]) -> Iterator[tuple[str, object]]:
    for key, inner in value.items():
        if isinstance(inner, Mapping):
            yield from _flatten(inner)
        else:
            yield key, inner


def _single(key: str, value: object) -> str:
    label, unit = _label(key, value)
    match value:
        case bool() if key.lower() in _SUCCESS:
            return "That is done." if value else "Sorry, that did not work."
        case bool():
            return f"It is {label}." if value else f"It is not {label}."
        case _ if key.lower() in ("message", "text", "answer", "result", "error"):
            return _sentence(_spoken(value))
        case _:
            return _sentence(f"the {label} is {_spoken(value)}{unit}")


def _part(key: str, value: object) -> str:
    label, unit = _label(key, value)
    match value:
        case bool() if key.lower() in _SUCCESS:
            return "that is done" if value else "that did not work"
        case bool():
            return label if value else f"not {label}"
        case str() if key.lower() in _SELF_EVIDENT:
            return _spoken(value)
        case _:
            return f"{label} {_spoken(value)}{unit}"


def _label(key: str, value: object) -> tuple[str, str]:
    """Returns a key as words, and the unit if its last word is one."""

    words = re.sub(r"(?<=[a-z0-9])(?=[A-Z])", " ", key).replace("-", " ")
    parts = re.split(r"[_\s]+", words.strip("_ ").lower())
    is_number = isinstance(value, (int, float)) and not isinstance(value, bool)
    if len(parts) > 1 and parts[-1] in _UNITS and is_number:
        return " ".join(parts[:-1]), f" {_UNITS[parts[-1]]}"
    return " ".join(parts), ""


def _spoken(value: object) -> str:
    match value:
        case bool():
            return "yes" if value else "no"
        case None:
            return "nothing"
        case list():
            return ", ".join(_spoken(item) for item in value[:_MAX_FACTS])
        case Mapping():
            facts = list(_flatten(value))[:_MAX_FACTS]
            return " ".join(_spoken(inner) for _, inner in facts)
        case _:
            text = " ".join(str(value).replace("_", " ").split())[:_MAX_VALUE]
            return _DATE.sub(_spoken_date, text).rstrip(".")


def _spoken_date(found: re.Match[str]) -> str:
    return f"{_MONTHS[int(found[2]) - 1]} {int(found[3])}, {found[1]}"


def _lower(text: str) -> str:
    return text[:1].lower() + text[1:] if text[1:2].islower() else text


def _sentence(text: str) -> str:
    text = text[:1].upper() + text[1:]
    return text if text.endswith((".", "!", "?")) else f"{text}."
