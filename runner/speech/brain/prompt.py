"""What the small model reads: the agent, its tools, the conversation.

The beginning (prompt and tools) never changes within a session, and each turn only adds
to the end, so that the model's cache of what it has read stays good. Messages alternate
strictly between user and assistant: some models' templates refuse anything else.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from itertools import pairwise
from typing import Any, TypeAlias

from runner.speech.brain.signature import Signature, Slot, read_signatures
from runner.speech.parts import (
    AgentBrief,
    AgentSaid,
    CallerSaid,
    Instruction,
    ToolUsed,
    Turn,
)

ChatMessage: TypeAlias = dict[str, str]  # role, content

LONGEST_RESULT = 1_200  # characters of a tool's result; more would only slow it down
_DECIDING = (
    "Decide what to do with the caller's words. Answer with one line of JSON:\n"
    '{"tool": <name>, "arguments": {...}} when the caller asks for something that a '
    "tool above does,\n"
    '{"say": <words>} for greetings, thanks, chat and everything else.'
)
_YES = re.compile(
    r"\W*(yes|yeah|yep|sure|ok|okay|please do|go ahead|correct|exactly|right|do it)\b",
    re.I,
)
_SPEAKING = (
    "You are on the phone: everything you say is spoken aloud. Say one or two short, "
    "plain sentences. Never make up facts."
)
_ANSWER = "Tell me the answer in one short sentence."
_FAILURE = "Say sorry and tell me in one short sentence what went wrong."


def decision_messages(
    brief: AgentBrief, history: Sequence[Turn] = ()
) -> list[ChatMessage]:
    """Return what the model reads to decide: the last words and the calls before."""
    tools = read_signatures(brief.tools)
    lines = "\n".join(f"- {_tool_line(tool)}" for tool in tools)
    system = f"Tools:\n{lines}\n\n{brief.prompt.strip()}\n\n{_DECIDING}"
    messages = [{"role": "system", "content": system}]
    for turn in _relevant(merge_pending(history)):
        for role, content in _as_decision(turn):
            _append(messages, role, content)
    return messages


def speech_messages(
    brief: AgentBrief, history: Sequence[Turn] = ()
) -> list[ChatMessage]:
    """Return what the model reads to speak: an ordinary conversation."""
    parts = [brief.prompt.strip(), _SPEAKING]
    abilities = [
        tool.description.split(". ")[0].rstrip(".")
        for tool in read_signatures(brief.tools)
        if tool.description and not tool.ends_call
    ]
    if abilities:
        parts.append(f"You can: {'; '.join(abilities)}.")
    system = "\n\n".join(part for part in parts if part)
    messages = [{"role": "system", "content": system}]
    for turn in history:
        _append(messages, *_as_speech(turn))
    match history[-1] if history else None:
        case ToolUsed(is_error=is_error):
            _append(messages, "user", _FAILURE if is_error else _ANSWER)
        case None | AgentSaid():
            _append(messages, "user", "(The caller is waiting. Go on.)")
    return messages


def merge_pending(history: Sequence[Turn]) -> list[Turn]:
    """Join a request with the value that the agent had to ask for.

    "Where is my order?" (asked for its number) "1234." is decided as if the caller had
    said both at once: the question in between would lead a small model to speak on.
    """
    merged: list[Turn] = []
    for turn in history:
        if (
            isinstance(turn, CallerSaid)
            and len(merged) >= 2
            and isinstance(merged[-1], AgentSaid)
            and merged[-1].asked_for
            and isinstance(merged[-2], CallerSaid)
        ):
            request = merged[-2].text.strip()
            merged[-2:] = [CallerSaid(f"{request} {turn.text.strip()}")]
        else:
            merged.append(turn)
    return merged


def _relevant(history: Sequence[Turn]) -> list[Turn]:
    """Leave out of a history what would mislead a small model when it decides.

    Whatever the agent said before makes it speak again where it should call (measured:
    6 of 9 dialogues held with all turns, 9 of 9 without the chat). A bare "yes" is the
    exception, since it means nothing without the question.
    """
    if not history:
        return []
    last = history[-1]
    kept: list[Turn] = []
    for turn, following in pairwise(history):
        if isinstance(turn, ToolUsed | Instruction) or isinstance(following, ToolUsed):
            kept.append(turn)
    if isinstance(last, CallerSaid) and _YES.match(last.text):
        kept += [turn for turn in history[-3:-1] if turn not in kept[-2:]]
    return [*kept, last]


def trim(history: Sequence[Turn], room: int) -> Sequence[Turn]:
    """Leave out the oldest turns until the rest has at most `room` characters.

    It cuts off half more than it must, so that the beginning does not move at every
    turn and the model's cache stays good for a while.
    """
    if sum(map(_size, history)) <= room:
        return history
    kept = 0
    start = len(history)
    for start in range(len(history) - 1, -1, -1):
        kept += _size(history[start])
        if kept > room // 2:
            break
    start = min(start + 1, len(history) - 1)
    # An answer without its question says nothing: begin with the caller.
    while start < len(history) - 1 and not isinstance(history[start], CallerSaid):
        start += 1
    return history[start:]


def _size(turn: Turn) -> int:
    return sum(len(content) + 8 for _, content in _as_decision(turn))  # 8: its marks


def _as_decision(turn: Turn) -> list[tuple[str, str]]:
    match turn:
        case CallerSaid(text):
            return [("user", text.strip())]
        case AgentSaid(text):
            return [("assistant", _json({"say": text.strip()}))]
        case Instruction(text):
            return [("user", f"(Instruction: {text.strip()})")]
        case ToolUsed():
            call = {"tool": turn.name, "arguments": dict(turn.arguments)}
            return [("assistant", _json(call)), ("user", _tool_result(turn))]


def _as_speech(turn: Turn) -> tuple[str, str]:
    match turn:
        case CallerSaid(text):
            return "user", text.strip()
        case AgentSaid(text):
            return "assistant", text.strip()
        case Instruction(text):
            return "user", f"({text.strip()})"
        case ToolUsed():
            return "user", _tool_result(turn)


def _tool_result(turn: ToolUsed) -> str:
    if turn.result is None:
        return f"({turn.name} is still running.)"
    outcome = "failed" if turn.is_error else "returned"
    return f"({turn.name} {outcome}: {shorten(turn.result)})"


def _json(value: object) -> str:
    return json.dumps(value, ensure_ascii=False)


def shorten(result: str) -> str:
    """Return a result without the white space and the length that say nothing."""
    try:
        text = _json(json.loads(result))
    except ValueError:
        text = " ".join(result.split())
    return text if len(text) <= LONGEST_RESULT else text[: LONGEST_RESULT - 1] + "…"


def _append(messages: list[ChatMessage], role: str, content: str) -> None:
    if messages[-1]["role"] == role:
        messages[-1]["content"] += "\n" + content
        return
    if role == "assistant" and messages[-1]["role"] == "system":
        messages.append({"role": "user", "content": "(The caller is on the line.)"})
    messages.append({"role": role, "content": content})


def _tool_line(tool: Signature) -> str:
    slots = ", ".join(_slot(slot) for slot in tool.slots)
    return f"{tool.name}({slots}): {tool.description}".rstrip(": ")


def _slot(slot: Slot) -> str:
    name = slot.name if slot.is_required else f"{slot.name}?"
    about = slot.description or _hint(slot.schema)
    return f"{name}: {about}" if about else name


def _hint(schema: Mapping[str, Any]) -> str:
    choices = schema.get("enum")
    if isinstance(choices, Sequence) and not isinstance(choices, str):
        return "|".join(map(str, choices))
    kind = schema.get("type")
    return kind if isinstance(kind, str) and kind != "string" else ""
