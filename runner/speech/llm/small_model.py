"""Policy around a small language model: decide, validate, speak."""

from __future__ import annotations

import json
import re
import threading
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from runner.speech.interfaces import (
    AgentContext,
    AssistantMessage,
    Cancelled,
    HistoryMessage,
    ModelOutput,
    TextChunk,
    ToolCallRequest,
    ToolMessage,
    UserMessage,
)
from runner.speech.llm.grammar import decision_grammar, speech_grammar
from runner.speech.llm.grounding import (
    check_arguments,
    find_asked_parameter,
    gather_evidence,
    parameter_question,
    relevance,
)
from runner.speech.llm.prompt import (
    GOODBYE,
    ChatMessage,
    allows_ending,
    decision_messages,
    find_ending_tool,
    is_goodbye,
    is_only_thanks,
    merge_pending,
    speech_messages,
    trim,
)
from runner.speech.llm.rule_based import is_short, read_aloud
from runner.speech.llm.text import ClauseSplitter
from runner.speech.llm.tools import ToolSpec, is_ending_tool, read_tool_specs

_POLL = 0.02  # seconds until a waiting thread notices a cancellation
_MAX_TOKENS = 200  # of one answer; the grammar ends nearly all answers earlier
_CHARACTERS_PER_TOKEN = 3  # English has more


class TextModel(Protocol):
    """A language model whose output a grammar constrains."""

    context: int  # maximum tokens of one conversation
    is_small: bool  # below a billion parameters: its decisions are not reliable

    def write(
        self,
        messages: Sequence[ChatMessage],
        *,
        grammar: str,
        max_tokens: int,
        cancelled: Cancelled,
    ) -> Iterator[str]:
        """Yields the answer in pieces; with `max_tokens` 0 only caches the messages."""
        ...

    def close(self) -> None:
        """Releases the memory."""
        ...


class SmallModelPolicy:
    """Decides with a small model and validates each decision.

    A tool call with an argument that was not said becomes a question; a tool call that
    was not requested becomes plain speech.
    """

    def __init__(self, model: TextModel) -> None:
        self._model = model
        # Prompts being cached, each with an event that is set when it is done.
        self._warming: dict[str, threading.Event] = {}
        self._was_asked = False  # since the last `warm`

    def warm(self, context: AgentContext) -> None:
        """Caches the prefixes of decisions and of speech in the model."""
        # The two prefixes differ, so that each keeps its own slot of the engine. The
        # first turn needs the decision; a turn cancels caching for speech.
        tools = read_tool_specs(context.tools)
        hello = [UserMessage("Hello.")]
        self._was_asked = False
        if tools:
            done = self._warming[context.prompt] = threading.Event()
            try:
                grammar = decision_grammar(tools)
                self._cache(decision_messages(context, hello), grammar, lambda: False)
            finally:
                done.set()
                self._warming.pop(context.prompt, None)
        self._cache(
            speech_messages(context, hello), speech_grammar(), lambda: self._was_asked
        )

    def _cache(
        self, messages: Sequence[ChatMessage], grammar: str, cancelled: Cancelled
    ) -> None:
        for _ in self._model.write(
            messages, grammar=grammar, max_tokens=0, cancelled=cancelled
        ):
            pass

    def _wait_until_warm(self, context: AgentContext, cancelled: Cancelled) -> None:
        """Waits for `warm`: processing a prompt twice at once takes twice as long."""
        done = self._warming.get(context.prompt)
        while done is not None and not cancelled():
            if done.wait(_POLL):
                return

    def respond(
        self,
        context: AgentContext,
        history: Sequence[HistoryMessage],
        cancelled: Cancelled,
    ) -> Iterator[ModelOutput]:
        """Yields clauses to be joined with spaces, or one tool call.

        Yields nothing after a tool that ended the call, since the goodbye came with it.
        """
        self._was_asked = True
        self._wait_until_warm(context, cancelled)
        tools = read_tool_specs(context.tools)
        history = trim(history, self._room(context))
        match history[-1] if history else None:
            case UserMessage(text) if tools:
                ending = find_ending_tool(tools)
                if ending is not None and is_goodbye(text):
                    yield TextChunk(GOODBYE)
                    yield ToolCallRequest(ending.name)
                else:
                    yield from self._answer(context, tools, history, cancelled)
            case ToolMessage(name=name, is_error=False) if is_ending_tool(tools, name):
                return
            case ToolMessage() as used if self._model.is_small and is_short(used):
                yield TextChunk(read_aloud(used))
            case _:
                yield from self._speak(context, tools, history, cancelled)

    def close(self) -> None:
        """Releases the memory."""
        self._model.close()

    def _room(self, context: AgentContext) -> int:
        taken = len(decision_messages(context)[0]["content"])
        tokens = self._model.context - _MAX_TOKENS
        return max(0, tokens * _CHARACTERS_PER_TOKEN - taken)

    def _answer(
        self,
        context: AgentContext,
        tools: Sequence[ToolSpec],
        history: Sequence[HistoryMessage],
        cancelled: Cancelled,
    ) -> Iterator[ModelOutput]:
        """Calls a tool, asks for a missing argument, or speaks."""
        is_small = self._model.is_small
        # The answer to a question for an argument most likely contains it.
        asked = find_pending(tools, history)
        call = self._decide(context, [asked] if asked else tools, history, cancelled)
        validated = validate_call(tools, history, call, is_small=is_small)
        if asked and not isinstance(validated, ToolCallRequest):
            fresh = without_pending(tools, history)
            if fresh is not None:
                call = self._decide(context, tools, fresh, cancelled)
                validated = (
                    validate_call(tools, fresh, call, is_small=is_small) or validated
                )
        if cancelled():
            return
        if validated is None:
            yield from self._speak(context, tools, history, cancelled)
            return
        if isinstance(validated, ToolCallRequest) and is_ending_tool(
            tools, validated.name
        ):
            yield TextChunk(GOODBYE)
        yield validated

    def _decide(
        self,
        context: AgentContext,
        tools: Sequence[ToolSpec],
        history: Sequence[HistoryMessage],
        cancelled: Cancelled,
    ) -> ToolDecision | None:
        """Returns the tool call that the model wants, None if it wants to speak."""
        written = ""
        for piece in self._model.write(
            decision_messages(context, history),
            grammar=decision_grammar(tools, may_speak=not self._model.is_small),
            max_tokens=_MAX_TOKENS,
            cancelled=cancelled,
        ):
            written += piece
            if prefers_speech(written):
                # It speaks better with the prompt for speech, which has no tools.
                return None
        return read_tool_decision(written)

    def _speak(
        self,
        context: AgentContext,
        tools: Sequence[ToolSpec],
        history: Sequence[HistoryMessage],
        cancelled: Cancelled,
    ) -> Iterator[ModelOutput]:
        """Yields the spoken answer of the model."""
        splitter = ClauseSplitter()
        for piece in self._model.write(
            speech_messages(context, history),
            grammar=speech_grammar(),
            max_tokens=_MAX_TOKENS,
            cancelled=cancelled,
        ):
            for clause in splitter.feed(piece):
                yield TextChunk(clause, find_asked_parameter(tools, clause))
        if not cancelled():
            for clause in splitter.finish():
                yield TextChunk(clause, find_asked_parameter(tools, clause))


def validate_call(
    tools: Sequence[ToolSpec],
    history: Sequence[HistoryMessage],
    call: ToolDecision | None,
    *,
    is_small: bool,
) -> ToolCallRequest | TextChunk | None:
    """Returns the tool call to make, the question to ask, or None: the agent speaks.

    `is_small`: the model had to name a tool, so a call without arguments to check must
    share words with the request.
    """
    request = last_request(history)
    tool = next((t for t in tools if call and t.name == call.name), None)
    validated = (
        _validate(tool, history, call, request, is_small) if call and tool else None
    )
    if is_small and not isinstance(validated, ToolCallRequest):
        other = _plain_tool(tools, tool, request)
        if other is not None:
            return ToolCallRequest(other.name)
    return validated


def find_pending(
    tools: Sequence[ToolSpec], history: Sequence[HistoryMessage]
) -> ToolSpec | None:
    """Returns the tool for which the agent asked an argument in the message before."""
    if len(history) < 3 or len(merge_pending(history)) == len(history):
        return None
    asked = history[-2]
    wanted = (asked.asked_for or "") if isinstance(asked, AssistantMessage) else ""
    name = wanted.rpartition(".")[0]
    return next((tool for tool in tools if tool.name == name), None)


def without_pending(
    tools: Sequence[ToolSpec], history: Sequence[HistoryMessage]
) -> Sequence[HistoryMessage] | None:
    """Returns the history without the request for which an argument was asked, None
    unless the last user message is about another tool."""
    pending, said = find_pending(tools, history), history[-1]
    if pending is None or not isinstance(said, UserMessage):
        return None
    if any(relevance(tool, said.text) for tool in tools if tool != pending):
        return [*history[:-3], said]
    return None


def last_request(history: Sequence[HistoryMessage]) -> str:
    """Returns the last user message, with the request that it completes."""
    last = merge_pending(history)[-1]
    return last.text if isinstance(last, UserMessage) else ""


def _validate(
    tool: ToolSpec,
    history: Sequence[HistoryMessage],
    call: ToolDecision,
    request: str,
    is_small: bool,
) -> ToolCallRequest | TextChunk | None:
    if tool.ends_call:
        return ToolCallRequest(tool.name) if allows_ending(history) else None
    last = history[-1] if history else None
    if tool.required and isinstance(last, UserMessage) and is_only_thanks(last.text):
        return None  # it contains no argument; what the model gives is of earlier turns
    if (
        is_small
        and all(parameter.is_free_text for parameter in tool.required)
        and not relevance(tool, request)
    ):
        return None
    grounded = check_arguments(tool, call.arguments, gather_evidence(history))
    if not grounded.missing:
        if _is_repeated(tool, grounded.arguments, history):
            return None
        return ToolCallRequest(tool.name, grounded.arguments)
    if not relevance(tool, request):
        return None
    parameter = grounded.missing[0]
    return TextChunk(parameter_question(parameter), f"{tool.name}.{parameter.name}")


def _plain_tool(
    tools: Sequence[ToolSpec], instead_of: ToolSpec | None, request: str
) -> ToolSpec | None:
    """Returns a tool without parameters that fits a question better, if any."""
    # "Which films run today?" makes a small model ask for the title of the film.
    least = relevance(instead_of, request) if instead_of else 0
    if "?" not in request:
        return None
    plain = [tool for tool in tools if not tool.parameters and not tool.ends_call]
    best = max(plain, key=lambda tool: relevance(tool, request), default=None)
    return best if best is not None and relevance(best, request) > least else None


def _is_repeated(
    tool: ToolSpec, arguments: Mapping[str, Any], history: Sequence[HistoryMessage]
) -> bool:
    """True if the same call was the last one and was not requested again."""
    # A small model tends to repeat the last call.
    before = next((t for t in reversed(history) if isinstance(t, ToolMessage)), None)
    return (
        before is not None
        and not before.is_error
        and (before.name, dict(before.arguments)) == (tool.name, dict(arguments))
        and not relevance(tool, last_request(history))
    )


_SAY = re.compile(r'\s*(?:```(?:json)?\s*)?\{\s*"say"')
_PLAIN = re.compile(r"\s*[^\s{`]")


@dataclass(frozen=True, slots=True)
class ToolDecision:
    """A tool call as the model wrote it, not validated."""

    name: str
    arguments: Mapping[str, Any]


def prefers_speech(written: str) -> bool:
    """True if the incomplete line can only become speech."""
    return bool(_SAY.match(written) or _PLAIN.match(written))


def read_tool_decision(written: str) -> ToolDecision | None:
    """Returns the tool call in a complete line, None if there is none."""

    begin, end = written.find("{"), written.rfind("}")
    try:
        value = json.loads(written[begin : end + 1])
    except ValueError:
        return None
    if not isinstance(value, dict) or not isinstance(value.get("tool"), str):
        return None
    arguments = value.get("arguments")
    return ToolDecision(value["tool"], arguments if isinstance(arguments, dict) else {})
