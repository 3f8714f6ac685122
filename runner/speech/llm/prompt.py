"""What the small model reads: the agent, its tools, the conversation.

The beginning (prompt and tools) never changes within a session, and each turn only adds
to the end, so that the model's cache of what it has read stays good. Messages alternate
strictly between user and assistant: some models' templates refuse anything else.
"""
# MERGED: "How a call is ended: with a goodbye, by the tool for it, and never by mistake.\n\nHanging up on a caller is the worst guess a mind can make, and no argument of such a\ntool could be held against the caller's words; so the words themselves must allow it."

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from itertools import pairwise
from typing import Any, TypeAlias

from runner.speech.interfaces import (
    AgentContext,
    AssistantMessage,
    HistoryMessage,
    SystemMessage,
    ToolMessage,
    UserMessage,
)
from runner.speech.llm.text import spoken_tokens
from runner.speech.llm.tools import ToolParameter, ToolSpec, read_tool_specs

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
    brief: AgentContext, history: Sequence[HistoryMessage] = ()
) -> list[ChatMessage]:
    """Return what the model reads to decide: the last words and the calls before."""
    tools = read_tool_specs(brief.tools)
    lines = "\n".join(f"- {_tool_line(tool)}" for tool in tools)
    system = f"Tools:\n{lines}\n\n{brief.prompt.strip()}\n\n{_DECIDING}"
    messages = [{"role": "system", "content": system}]
    for turn in _relevant(merge_pending(history)):
        for role, content in _as_decision(turn):
            _append(messages, role, content)
    return messages


def speech_messages(
    brief: AgentContext, history: Sequence[HistoryMessage] = ()
) -> list[ChatMessage]:
    """Return what the model reads to speak: an ordinary conversation."""
    parts = [brief.prompt.strip(), _SPEAKING]
    abilities = [
        tool.description.split(". ")[0].rstrip(".")
        for tool in read_tool_specs(brief.tools)
        if tool.description and not tool.ends_call
    ]
    if abilities:
        parts.append(f"You can: {'; '.join(abilities)}.")
    system = "\n\n".join(part for part in parts if part)
    messages = [{"role": "system", "content": system}]
    for turn in history:
        _append(messages, *_as_speech(turn))
    match history[-1] if history else None:
        case ToolMessage(is_error=is_error):
            _append(messages, "user", _FAILURE if is_error else _ANSWER)
        case None | AssistantMessage():
            _append(messages, "user", "(The caller is waiting. Go on.)")
    return messages


def merge_pending(history: Sequence[HistoryMessage]) -> list[HistoryMessage]:
    """Join a request with the value that the agent had to ask for.

    "Where is my order?" (asked for its number) "1234." is decided as if the caller had
    said both at once: the question in between would lead a small model to speak on.
    """
    merged: list[HistoryMessage] = []
    for turn in history:
        if (
            isinstance(turn, UserMessage)
            and len(merged) >= 2
            and isinstance(merged[-1], AssistantMessage)
            and merged[-1].asked_for
            and isinstance(merged[-2], UserMessage)
        ):
            request = merged[-2].text.strip()
            merged[-2:] = [UserMessage(f"{request} {turn.text.strip()}")]
        else:
            merged.append(turn)
    return merged


def _relevant(history: Sequence[HistoryMessage]) -> list[HistoryMessage]:
    """Leave out of a history what would mislead a small model when it decides.

    Whatever the agent said before makes it speak again where it should call (measured:
    6 of 9 dialogues held with all turns, 9 of 9 without the chat). A bare "yes" is the
    exception, since it means nothing without the question.
    """
    if not history:
        return []
    last = history[-1]
    kept: list[HistoryMessage] = []
    for turn, following in pairwise(history):
        if isinstance(turn, ToolMessage | SystemMessage) or isinstance(
            following, ToolMessage
        ):
            kept.append(turn)
    if isinstance(last, UserMessage) and _YES.match(last.text):
        kept += [turn for turn in history[-3:-1] if turn not in kept[-2:]]
    return [*kept, last]


def trim(history: Sequence[HistoryMessage], room: int) -> Sequence[HistoryMessage]:
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
    while start < len(history) - 1 and not isinstance(history[start], UserMessage):
        start += 1
    return history[start:]


def _size(turn: HistoryMessage) -> int:
    return sum(len(content) + 8 for _, content in _as_decision(turn))  # 8: its marks


def _as_decision(turn: HistoryMessage) -> list[tuple[str, str]]:
    match turn:
        case UserMessage(text):
            return [("user", text.strip())]
        case AssistantMessage(text):
            return [("assistant", _json({"say": text.strip()}))]
        case SystemMessage(text):
            return [("user", f"(Instruction: {text.strip()})")]
        case ToolMessage():
            call = {"tool": turn.name, "arguments": dict(turn.arguments)}
            return [("assistant", _json(call)), ("user", _tool_result(turn))]


def _as_speech(turn: HistoryMessage) -> tuple[str, str]:
    match turn:
        case UserMessage(text):
            return "user", text.strip()
        case AssistantMessage(text):
            return "assistant", text.strip()
        case SystemMessage(text):
            return "user", f"({text.strip()})"
        case ToolMessage():
            return "user", _tool_result(turn)


def _tool_result(turn: ToolMessage) -> str:
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


def _tool_line(tool: ToolSpec) -> str:
    slots = ", ".join(_slot(slot) for slot in tool.slots)
    return f"{tool.name}({slots}): {tool.description}".rstrip(": ")


def _slot(slot: ToolParameter) -> str:
    name = slot.name if slot.is_required else f"{slot.name}?"
    about = slot.description or _hint(slot.schema)
    return f"{name}: {about}" if about else name


def _hint(schema: Mapping[str, Any]) -> str:
    choices = schema.get("enum")
    if isinstance(choices, Sequence) and not isinstance(choices, str):
        return "|".join(map(str, choices))
    kind = schema.get("type")
    return kind if isinstance(kind, str) and kind != "string" else ""


GOODBYE = "Thank you for calling. Goodbye!"
_BYE = frozenset(("bye", "goodbye", "byebye", "cheerio", "farewell"))
# Said alone or with thanks, these end a call as plainly as goodbye does.
_CLEAR = re.compile(
    r"\b(hang up|end (the|this|our) (call|conversation)|talk to you (later|soon)|"
    r"(that|this)('s| is| was) (all|it|everything)|nothing (else|more)|"
    r"(that|this)('ll| will| would) be (all|it|everything))\b"
)
_LEAVING = re.compile(
    r"\b(good[ -]?bye|bye|farewell|cheerio|see (you|ya)|so long|hanging up|"
    r"no,? (thanks|thank you|that|i'm good|i am good|i'm fine)|"
    r"i'?( a)?m (all set|done|finished|good)|that('ll| will| would) do|"
    r"(have a|good) (\w+ )?(day|evening|night|weekend|one|afternoon))\b"
)
_MENTIONED = re.compile(r"\b(say|saying|said|word|before|mean)\b")
# Words that may surround a goodbye without asking for anything.
_POLITE = frozenset(
    (
        *("thanks", "thank", "you", "so", "much", "very", "for", "your", "the"),
        *("help", "ok", "okay", "alright", "all", "right", "great", "good", "well"),
        *("no", "now", "that's", "that", "is", "it", "was", "then", "and", "have"),
        *("a", "nice", "day", "i'm", "im", "fine", "done", "set", "see", "later"),
        *("soon", "everything", "nothing", "else", "just", "wonderful", "lovely"),
        *("evening", "night", "yes", "hang", "up", "call", "end", "talk", "perfect"),
        *("bye", "goodbye", "i", "my", "to", "be", "will", "this", "helping"),
    )
)
_MOST_OTHERS = 2


def find_ending_tool(tools: Sequence[ToolSpec]) -> ToolSpec | None:
    """Return the tool that ends the call, if the agent has one."""
    return next((tool for tool in tools if tool.ends_call), None)


def is_goodbye(text: str) -> bool:
    """Whether the caller plainly says goodbye and nothing else of weight."""
    words = spoken_tokens(text.replace("bye-bye", "bye").replace("good bye", "goodbye"))
    lowered = text.lower()
    if "?" in text or _MENTIONED.search(lowered):
        return False
    if not _BYE.intersection(words[-3:]) and not _CLEAR.search(lowered):
        return False
    others = [word for word in words if word not in _POLITE and word not in _BYE]
    return len(others) <= _MOST_OTHERS and not any(w[0].isdecimal() for w in others)


def allows_ending(history: Sequence[HistoryMessage]) -> bool:
    """Whether the caller's last words can be meant as the end of the call."""
    last = next((t for t in reversed(history) if isinstance(t, UserMessage)), None)
    if last is None:
        return False
    text = last.text.lower()
    return bool(_LEAVING.search(text) or _CLEAR.search(text))
