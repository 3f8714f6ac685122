"""A mind without a language model: fixed rules over the agent's own tools.

It serves where no model is: it picks the tool whose words the caller used, takes the
values that it can recognise, reads results aloud, and says that it is a script when it
is asked anything else. Deterministic, so tests can lean on it.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence

from runner.speech.brain.extraction import extract
from runner.speech.brain.farewell import (
    GOODBYE,
    allows_ending,
    find_ending_tool,
    is_goodbye,
)
from runner.speech.brain.prompt import merge_pending
from runner.speech.brain.question import relevance, slot_question
from runner.speech.brain.reading import read_aloud
from runner.speech.brain.signature import Signature, read_signatures
from runner.speech.parts import (
    AgentBrief,
    CallerSaid,
    Cancelled,
    Quality,
    Speak,
    Thought,
    ToolUsed,
    Turn,
    UseTool,
)

_THANKS = re.compile(r"\b(thanks|thank you|cheers)\b", re.I)


class RulesBrain:
    """Decides by rules; every agent has it, no machine is too small for it."""

    name = "rules"
    quality: Quality = "script"

    def warm(self, brief: AgentBrief) -> None:
        """Do nothing: rules need no reading ahead."""

    def think(
        self, brief: AgentBrief, history: Sequence[Turn], cancelled: Cancelled
    ) -> Iterator[Thought]:
        """Yield one sentence or one call; see `Brain.think`."""
        tools = read_signatures(brief.tools)
        if cancelled():
            return
        match history[-1] if history else None:
            case CallerSaid(text):
                yield from _answer(tools, history, text)
            case ToolUsed() as used:
                if used.is_error or not _is_ending(tools, used.name):
                    yield Speak(read_aloud(used))
            case _:
                yield Speak(_introduction(tools))

    def close(self) -> None:
        """Do nothing: rules hold nothing."""


def _answer(
    tools: Sequence[Signature], history: Sequence[Turn], text: str
) -> Iterator[Thought]:
    ending = find_ending_tool(tools)
    if ending is not None and is_goodbye(text):
        yield Speak(GOODBYE)
        yield UseTool(ending.name)
        return
    merged = merge_pending(history)
    request = merged[-1].text if isinstance(merged[-1], CallerSaid) else text
    tool = _choose([tool for tool in tools if not tool.ends_call], request)
    if tool is None:
        yield from _small_talk(ending, history, text, _introduction(tools))
        return
    is_reply = request != text.strip()
    arguments = {}
    for slot in tool.slots:
        value = extract(slot, request, reply=text if is_reply else None)
        if value is not None:
            arguments[slot.name] = value
        elif slot.is_required:
            yield Speak(slot_question(slot), f"{tool.name}.{slot.name}")
            return
    yield UseTool(tool.name, arguments)


def _small_talk(
    ending: Signature | None, history: Sequence[Turn], text: str, otherwise: str
) -> Iterator[Thought]:
    if ending is not None and allows_ending(history):
        yield Speak(GOODBYE)
        yield UseTool(ending.name)
    elif _THANKS.search(text):
        yield Speak("You are welcome. Is there anything else?")
    else:
        yield Speak(otherwise)


def _choose(tools: Sequence[Signature], request: str) -> Signature | None:
    """Return the tool whose words the request uses most; the first of equals."""
    best, most = None, 0
    for tool in tools:
        score = relevance(tool, request)
        score += sum(
            extract(slot, request, reply=None) is not None
            for slot in tool.required
            if "pattern" in slot.schema or "enum" in slot.schema
        )
        if score > most:
            best, most = tool, score
    return best


def _introduction(tools: Sequence[Signature]) -> str:
    abilities = [
        sentence
        for tool in tools
        if not tool.ends_call and (sentence := _ability(tool))
    ]
    script = "I am a simple script without a language model"
    if not abilities:
        return f"{script}, so I cannot answer that."
    return f"{script}. What I can do: {'; '.join(abilities)}."


def _ability(tool: Signature) -> str:
    sentence = (tool.description or tool.name.replace("_", " ")).split(". ")[0]
    sentence = sentence.strip().rstrip(".")
    return sentence[:1].lower() + sentence[1:]


def _is_ending(tools: Sequence[Signature], name: str) -> bool:
    return any(tool.ends_call for tool in tools if tool.name == name)
