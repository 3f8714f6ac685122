"""Prompts of the small model, and the rules for ending a call."""

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

MAX_RESULT = 1_200  # characters of a tool result; more would be slow
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
    context: AgentContext, history: Sequence[HistoryMessage] = ()
) -> list[ChatMessage]:
    """Returns the chat for a decision: the last user message and earlier tool calls.

    Messages alternate between user and assistant.
    """
    # The prefix (tools and prompt) is the same in a session and each turn only appends,
    # so that the model's prefix cache stays valid. Some chat templates refuse messages
    # that do not alternate.
    tools = read_tool_specs(context.tools)
    lines = "\n".join(f"- {_tool_line(tool)}" for tool in tools)
    system = f"Tools:\n{lines}\n\n{context.prompt.strip()}\n\n{_DECIDING}"
    messages = [{"role": "system", "content": system}]
    for turn in _relevant(merge_pending(history)):
        for role, content in _as_decision(turn):
            _append(messages, role, content)
    return messages


def speech_messages(
    context: AgentContext, history: Sequence[HistoryMessage] = ()
) -> list[ChatMessage]:
    """Returns the chat for speaking: the whole conversation."""
    parts = [context.prompt.strip(), _SPEAKING]
    abilities = [
        tool.description.split(". ")[0].rstrip(".")
        for tool in read_tool_specs(context.tools)
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
    """Joins each request with the answer to the agent's question for an argument.

    "Where is my order?", (question for the number), "1234." become one user message.
    """
    # The question in between would make a small model speak instead of call the tool.
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
    """Returns the tool calls, the instructions and the last message of a history."""
    # Earlier chat makes a small model speak where it should call a tool: 6 of 9
    # dialogues succeeded with all messages, 9 of 9 without the chat. A bare "yes" needs
    # the question before it.
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
    """Removes the oldest messages if the history has more than `room` characters."""
    # Cut to half of `room`, so that the prefix cache stays valid for some turns.
    if sum(map(_size, history)) <= room:
        return history
    kept = 0
    start = len(history)
    for start in range(len(history) - 1, -1, -1):
        kept += _size(history[start])
        if kept > room // 2:
            break
    start = min(start + 1, len(history) - 1)
    # Start with a user message: an answer needs its question.
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
    """Returns a tool result without extra white space, cut to 1,200 characters."""
    try:
        text = _json(json.loads(result))
    except ValueError:
        text = " ".join(result.split())
    return text if len(text) <= MAX_RESULT else text[: MAX_RESULT - 1] + "…"


def _append(messages: list[ChatMessage], role: str, content: str) -> None:
    if messages[-1]["role"] == role:
        messages[-1]["content"] += "\n" + content
        return
    if role == "assistant" and messages[-1]["role"] == "system":
        messages.append({"role": "user", "content": "(The caller is on the line.)"})
    messages.append({"role": role, "content": content})


def _tool_line(tool: ToolSpec) -> str:
    parameters = ", ".join(_parameter(parameter) for parameter in tool.parameters)
    return f"{tool.name}({parameters}): {tool.description}".rstrip(": ")


def _parameter(parameter: ToolParameter) -> str:
    name = parameter.name if parameter.is_required else f"{parameter.name}?"
    about = parameter.description or _hint(parameter.schema)
    return f"{name}: {about}" if about else name


def _hint(schema: Mapping[str, Any]) -> str:
    choices = schema.get("enum")
    if isinstance(choices, Sequence) and not isinstance(choices, str):
        return "|".join(map(str, choices))
    kind = schema.get("type")
    return kind if isinstance(kind, str) and kind != "string" else ""


GOODBYE = "Thank you for calling. Goodbye!"
_BYE = frozenset(("bye", "goodbye", "byebye", "cheerio", "farewell"))
# Alone or with thanks, these end a call as clearly as goodbye.
_CLEAR = re.compile(
    r"\b(hang up|end (the|this|our) (call|conversation)|talk to you (later|soon)|"
    r"(that|this)('?s| is| was) (all|it|everything)|nothing (else|more)|"
    r"no more questions|i'?m done|i am done|"
    r"(that|this)('ll| will| would) be (all|it|everything))\b"
    # "That is all wrong" is not an end.
    r"(?=\W*($|(for|from|then|now|thanks|thank|cheers|i|we|today|folks|bye|goodbye|good"
    r"|have|and|so|until|at)\b))"
)
_LEAVING = re.compile(
    r"\b(good[ -]?bye|bye|farewell|cheerio|see (you|ya)|so long|hanging up|"
    r"no,? (thanks|thank you|that|i'm good|i am good|i'm fine)|"
    r"i'?( a)?m (all set|done|finished|good)|that('ll| will| would) do|"
    r"(have a|good) (\w+ )?(day|evening|night|weekend|one|afternoon))\b"
)
_MENTIONED = re.compile(r"\b(say|saying|said|word|before|mean)\b")
# Words around a goodbye that are not a request.

_POLITE = frozenset(
    (
        *("thanks", "thank", "you", "so", "much", "very", "for", "your", "the"),
        *("help", "ok", "okay", "alright", "all", "right", "great", "good", "well"),
        *("no", "now", "that's", "that", "is", "it", "was", "then", "and", "have"),
        *("a", "nice", "day", "i'm", "im", "fine", "done", "set", "see", "later"),
        *("soon", "everything", "nothing", "else", "just", "wonderful", "lovely"),
        *("evening", "night", "yes", "hang", "up", "call", "end", "talk", "perfect"),
        *("bye", "goodbye", "i", "my", "to", "be", "will", "this", "helping"),
        *("many", "lots", "lot", "of", "appreciate", "really", "kind", "thats"),
    )
)
_MAX_OTHER_WORDS = 2


def find_ending_tool(tools: Sequence[ToolSpec]) -> ToolSpec | None:
    """Returns the tool that ends the call, None if there is none."""
    return next((tool for tool in tools if tool.ends_call), None)


def is_goodbye(text: str) -> bool:
    """True if the caller clearly says goodbye and makes no request."""
    words = spoken_tokens(text.replace("bye-bye", "bye").replace("good bye", "goodbye"))
    lowered = text.lower()
    if "?" in text or _MENTIONED.search(lowered):
        return False
    if not _BYE.intersection(words[-3:]) and not _CLEAR.search(lowered):
        return False
    others = [word for word in words if word not in _POLITE and word not in _BYE]
    return len(others) <= _MAX_OTHER_WORDS and not any(w[0].isdecimal() for w in others)


_THANKS = frozenset(("thanks", "thank", "thankyou", "cheers", "thx"))
# With one of these, thanks can be the answer to a question of the agent.
_AGREEMENT = frozenset(("yes", "yeah", "yep", "sure", "ok", "okay", "please", "right"))


def is_only_thanks(text: str) -> bool:
    """True if the caller thanks, and neither requests nor agrees to anything."""
    words = set(spoken_tokens(text))
    return bool(
        words & _THANKS and not words & _AGREEMENT and words <= _POLITE | _THANKS
    )


def allows_ending(history: Sequence[HistoryMessage]) -> bool:
    """True if the caller's last message can mean the end of the call."""
    # An unwanted hang-up is the worst mistake, and a tool that ends the call has no
    # argument to check, so the words themselves must allow it.
    last = next((t for t in reversed(history) if isinstance(t, UserMessage)), None)
    if last is None:
        return False
    text = last.text.lower()
    return bool(_LEAVING.search(text) or _CLEAR.search(text))
