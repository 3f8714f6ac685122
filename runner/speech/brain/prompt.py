"""What the small model reads: the agent, its tools, the conversation.

The beginning (prompt and tools) never changes within a session, and each turn only adds
to the end, so that the model's cache of what it has read stays good. Messages alternate
strictly between user and assistant: some models' templates refuse anything else.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
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
_STYLE = (
    "You are on the phone: everything you say is spoken aloud. "
    "Say one or two short, plain sentences."
)
_DECIDING = (
    "Answer with one line of JSON, either "
    '{"tool": <name>, "arguments": {...}} to run a tool or {"say": <words>} to speak.\n'
    "You know nothing about live facts, orders, bookings or the caller's data "
    "yourself: whenever the caller asks for something a tool does and gave the needed "
    "values, run the tool. If a value is missing, ask for it. For greetings, thanks "
    "and chat, just speak. Never make up facts."
)
_SPEAKING = 'Answer with one line of JSON: {"say": <words>}. Never make up facts.'
ANSWER_NOTE = (
    "Tell the caller the answer in one short sentence, with the facts of this result "
    "only."
)
FAILURE_NOTE = (
    "It failed. Tell the caller in one short sentence that this did not work, and why."
)


def system_message(brief: AgentBrief) -> ChatMessage:
    """Return the part that stays the same for the whole session."""
    tools = read_signatures(brief.tools)
    parts = [brief.prompt.strip(), _STYLE]
    if tools:
        lines = "\n".join(f"- {_tool_line(tool)}" for tool in tools)
        parts += [f"Tools:\n{lines}", _DECIDING]
    else:
        parts.append(_SPEAKING)
    return {"role": "system", "content": "\n\n".join(part for part in parts if part)}


def conversation(
    brief: AgentBrief, history: Sequence[Turn], note: str | None = None
) -> list[ChatMessage]:
    """Return all messages; `note` is added to the caller's last words."""
    messages = [system_message(brief)]
    for turn in merge_pending(history):
        for role, content in _render(turn):
            _append(messages, role, content)
    if note:
        _append(messages, "user", f"({note})")
    if messages[-1]["role"] != "user":
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
    return sum(len(content) + 8 for _, content in _render(turn))  # 8: a message's marks


def _render(turn: Turn) -> list[tuple[str, str]]:
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
