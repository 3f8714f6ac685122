"""Any OpenAI-compatible endpoint as a mind, with its own tool calling.

Ollama, llama.cpp, vLLM and the hosted ones speak the same protocol: server-sent events
with pieces of text and pieces of tool calls. Models behind it are large enough to be
trusted with their arguments. A server that refuses the `tools` field is asked for one
line of JSON instead, which is then held against the caller's words like a small
model's.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from runner.errors import SpeechError
from runner.speech.brain.chat import ChatEndpoint, PartialCall, ToolsRefused
from runner.speech.brain.clauses import ClauseCutter
from runner.speech.brain.farewell import GOODBYE
from runner.speech.brain.grammar import speech_grammar
from runner.speech.brain.markup import MarkupFilter
from runner.speech.brain.model import ModelBrain
from runner.speech.brain.prompt import ChatMessage, shorten
from runner.speech.brain.signature import read_signatures
from runner.speech.parts import (
    AgentBrief,
    AgentSaid,
    CallerSaid,
    Cancelled,
    Instruction,
    Quality,
    Speak,
    Thought,
    ToolUsed,
    Turn,
    UseTool,
)

_STYLE = (
    "You are on the phone: everything you write is spoken aloud. Use one or two short, "
    "plain sentences, no lists, no markdown, no emoji. When you end the call, say a "
    "short goodbye together with the tool call."
)
_CONTEXT = 8192  # tokens; what the fallback may take, which any such server has
_MOST_TOKENS = 400


class EndpointBrain:
    """Decides with a model elsewhere; `url` is the API's root, such as `.../v1`.

    `timeout` is how long the endpoint may be silent, in seconds. `think` raises
    `SpeechError` when the endpoint fails; no message ever holds the key.
    """

    quality: Quality = "model"

    def __init__(
        self,
        url: str,
        *,
        model: str | None = None,
        key: str | None = None,
        timeout: float = 30.0,
    ) -> None:
        self._endpoint = ChatEndpoint(url, model=model, key=key, timeout=timeout)
        self._plain = ModelBrain(_EndpointModel(self._endpoint))
        self._takes_tools = True
        self.name = model or self._endpoint.address

    def warm(self, brief: AgentBrief) -> None:
        """Do nothing: a server elsewhere keeps its own cache, and asking costs money"""

    def think(
        self, brief: AgentBrief, history: Sequence[Turn], cancelled: Cancelled
    ) -> Iterator[Thought]:
        """Yield clauses to be joined with blanks, then calls; see `Brain.think`."""
        tools = read_signatures(brief.tools)
        endings = {tool.name for tool in tools if tool.ends_call}
        last = history[-1] if history else None
        if isinstance(last, ToolUsed) and last.name in endings and not last.is_error:
            return  # the goodbye was said with the call
        if not self._takes_tools:
            yield from self._plain.think(brief, history, cancelled)
            return
        try:
            yield from self._think_natively(brief, history, endings, cancelled)
        except ToolsRefused:
            self._takes_tools = False
            yield from self._plain.think(brief, history, cancelled)

    def close(self) -> None:
        """Close the connections."""
        self._endpoint.close()

    def _think_natively(
        self,
        brief: AgentBrief,
        history: Sequence[Turn],
        endings: set[str],
        cancelled: Cancelled,
    ) -> Iterator[Thought]:
        cutter, markup = ClauseCutter(), MarkupFilter()
        calls: dict[int, PartialCall] = {}
        has_spoken = False
        request: dict[str, Any] = {"messages": _messages(brief, history)}
        if brief.tools:
            request["tools"] = [_function(tool) for tool in brief.tools]
        for piece in self._endpoint.complete(request, cancelled):
            for part in piece.calls:
                calls.setdefault(part.index, PartialCall(part.index)).add(part)
            for clause in cutter.feed(markup.feed(piece.text)):
                has_spoken = True
                yield Speak(clause)
        if cancelled():
            return
        for clause in (*cutter.feed(markup.finish()), *cutter.finish()):
            has_spoken = True
            yield Speak(clause)
        for _, call in sorted(calls.items()):
            if call.name in endings and not has_spoken:
                yield Speak(GOODBYE)
            yield UseTool(call.name, _arguments(call))


class _EndpointModel:
    """The endpoint as a model that is only asked nicely: nothing enforces a grammar"""

    context = _CONTEXT
    is_small = False

    def __init__(self, endpoint: ChatEndpoint) -> None:
        self._endpoint = endpoint
        self.name = endpoint.address

    def write(
        self,
        messages: Sequence[ChatMessage],
        *,
        grammar: str,
        most_tokens: int,
        cancelled: Cancelled,
    ) -> Iterator[str]:
        if most_tokens == 0:
            return
        request: dict[str, Any] = {
            "messages": list(messages),
            "max_tokens": _MOST_TOKENS,
            "temperature": 0.0,
        }
        if grammar != speech_grammar():
            request["response_format"] = {"type": "json_object"}
        markup = MarkupFilter()
        for piece in self._endpoint.complete(request, cancelled):
            yield markup.feed(piece.text)
        yield markup.finish()

    def close(self) -> None:
        self._endpoint.close()


def _messages(brief: AgentBrief, history: Sequence[Turn]) -> list[dict[str, Any]]:
    content = f"{brief.prompt.strip()}\n\n{_STYLE}".strip()
    messages: list[dict[str, Any]] = [{"role": "system", "content": content}]
    for number, turn in enumerate(history):
        match turn:
            case CallerSaid(text):
                messages.append({"role": "user", "content": text})
            case AgentSaid(text):
                messages.append({"role": "assistant", "content": text})
            case Instruction(text):
                messages.append({"role": "system", "content": text})
            case ToolUsed():
                messages += _call_and_result(turn, turn.call_id or f"call_{number}")
    return messages


def _call_and_result(turn: ToolUsed, call_id: str) -> list[dict[str, Any]]:
    function = {"name": turn.name, "arguments": json.dumps(dict(turn.arguments))}
    call = {"id": call_id, "type": "function", "function": function}
    result = "still running" if turn.result is None else shorten(turn.result)
    if turn.is_error:
        result = f"failed: {result}"
    return [
        {"role": "assistant", "content": None, "tool_calls": [call]},
        {"role": "tool", "tool_call_id": call_id, "content": result},
    ]


def _function(tool: Mapping[str, Any]) -> dict[str, Any]:
    return {
        "type": "function",
        "function": {
            "name": tool.get("name"),
            "description": tool.get("description") or "",
            "parameters": tool.get("parameters")
            or {"type": "object", "properties": {}},
        },
    }


def _arguments(call: PartialCall) -> Mapping[str, Any]:
    try:
        arguments = json.loads(call.arguments or "{}")
    except ValueError as error:
        raise SpeechError(
            f"the endpoint's model wrote arguments for {call.name!r} that are not JSON"
        ) from error
    if not isinstance(arguments, dict):
        raise SpeechError(
            f"the endpoint's model wrote arguments for {call.name!r} that are no object"
        )
    return arguments
