"""A mind on a small language model: decides, checks what was decided, speaks."""
# MERGED: 'Judges a call that a model wants: make it, ask for what it lacks, or drop it.'
# MERGED: 'Reads the one line in which a model says whether it wants a tool or speech.'

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
    Quality,
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
    merge_pending,
    speech_messages,
    trim,
)
from runner.speech.llm.rule_based import is_short, read_aloud
from runner.speech.llm.text import ClauseSplitter
from runner.speech.llm.tools import ToolSpec, read_tool_specs

# How soon a reader who waits notices that it was cancelled.
_POLL = 0.02  # seconds
_MOST_TOKENS = 200  # of one answer; the grammar closes nearly all of them earlier
# A model's context in characters: English has more than three to a token.
_CHARACTERS_PER_TOKEN = 3


class TextModel(Protocol):
    """A language model in this process, held to a grammar."""

    name: str
    context: int  # tokens that one conversation may have
    is_small: bool  # below a billion parameters: do not rely on its judgement

    def write(
        self,
        messages: Sequence[ChatMessage],
        *,
        grammar: str,
        most_tokens: int,
        cancelled: Cancelled,
    ) -> Iterator[str]:
        """Yield the answer piece by piece; `most_tokens` 0 only reads the messages."""
        ...

    def close(self) -> None:
        """Give the memory back."""
        ...


class SmallModelPolicy:
    """Decides with a small model, which is never believed.

    Each call that it wants is held against the caller's words; a guess becomes a
    question, and a tool that nobody asked for becomes plain speech.
    """

    quality: Quality = "model"

    def __init__(self, model: TextModel) -> None:
        self._model = model
        self.name = model.name
        # Prompts that are being read, each with an event that says when it has been.
        self._reading: dict[str, threading.Event] = {}
        self._was_asked = False  # since the last `warm`: reading ahead is over

    def warm(self, brief: AgentContext) -> None:
        """Let the model read the prompt and the tools, for deciding and for speaking.

        The two begin differently, so that each keeps a slot of the engine to itself.
        Deciding comes first, since the first turn needs it; reading for speech gives
        way as soon as somebody asks.
        """
        tools = read_tool_specs(brief.tools)
        hello = [UserMessage("Hello.")]
        self._was_asked = False
        if tools:
            been_read = self._reading[brief.prompt] = threading.Event()
            try:
                grammar = decision_grammar(tools)
                self._read(decision_messages(brief, hello), grammar, lambda: False)
            finally:
                been_read.set()
                self._reading.pop(brief.prompt, None)
        self._read(
            speech_messages(brief, hello), speech_grammar(), lambda: self._was_asked
        )

    def _read(
        self, messages: Sequence[ChatMessage], grammar: str, cancelled: Cancelled
    ) -> None:
        for _ in self._model.write(
            messages, grammar=grammar, most_tokens=0, cancelled=cancelled
        ):
            pass

    def _wait_until_read(self, brief: AgentContext, cancelled: Cancelled) -> None:
        """Wait for `warm`: reading a prompt twice at once takes twice as long."""
        been_read = self._reading.get(brief.prompt)
        while been_read is not None and not cancelled():
            if been_read.wait(_POLL):
                return

    def think(
        self,
        brief: AgentContext,
        history: Sequence[HistoryMessage],
        cancelled: Cancelled,
    ) -> Iterator[ModelOutput]:
        """Yield clauses to be joined with blanks, or one call; see `Brain.think`.

        After the result of a tool that ended the call it yields nothing: the goodbye
        was said with the call.
        """
        self._was_asked = True
        self._wait_until_read(brief, cancelled)
        tools = read_tool_specs(brief.tools)
        history = trim(history, self._room(brief))
        match history[-1] if history else None:
            case UserMessage(text) if tools:
                ending = find_ending_tool(tools)
                if ending is not None and is_goodbye(text):
                    yield TextChunk(GOODBYE)
                    yield ToolCallRequest(ending.name)
                else:
                    yield from self._answer(brief, tools, history, cancelled)
            case ToolMessage(name=name, is_error=False) if _ends_call(tools, name):
                return
            case ToolMessage() as used if self._model.is_small and is_short(used):
                yield TextChunk(read_aloud(used))
            case _:
                yield from self._speak(brief, tools, history, cancelled)

    def close(self) -> None:
        """Give the model's memory back."""
        self._model.close()

    def _room(self, brief: AgentContext) -> int:
        taken = len(decision_messages(brief)[0]["content"])
        tokens = self._model.context - _MOST_TOKENS
        return max(0, tokens * _CHARACTERS_PER_TOKEN - taken)

    def _answer(
        self,
        brief: AgentContext,
        tools: Sequence[ToolSpec],
        history: Sequence[HistoryMessage],
        cancelled: Cancelled,
    ) -> Iterator[ModelOutput]:
        """Call a tool, ask for what it lacks, or speak."""
        is_small = self._model.is_small
        # Who was asked for a tool's value most likely gives it.
        asked = find_pending(tools, history)
        call = self._decide(brief, [asked] if asked else tools, history, cancelled)
        verdict = validate_call(tools, history, call, is_small=is_small)
        if asked and not isinstance(verdict, ToolCallRequest):
            fresh = without_pending(tools, history)
            if fresh is not None:
                call = self._decide(brief, tools, fresh, cancelled)
                verdict = (
                    validate_call(tools, fresh, call, is_small=is_small) or verdict
                )
        if cancelled():
            return
        if verdict is None:
            yield from self._speak(brief, tools, history, cancelled)
            return
        if isinstance(verdict, ToolCallRequest) and _ends_call(tools, verdict.name):
            yield TextChunk(GOODBYE)
        yield verdict

    def _decide(
        self,
        brief: AgentContext,
        tools: Sequence[ToolSpec],
        history: Sequence[HistoryMessage],
        cancelled: Cancelled,
    ) -> ToolDecision | None:
        """Return the call that the model wants, None when it would rather speak."""
        written = ""
        for piece in self._model.write(
            decision_messages(brief, history),
            grammar=decision_grammar(tools, may_speak=not self._model.is_small),
            most_tokens=_MOST_TOKENS,
            cancelled=cancelled,
        ):
            written += piece
            if prefers_speech(written):
                # Its words are better when it need not think of tools as well.
                return None
        return read_tool_decision(written)

    def _speak(
        self,
        brief: AgentContext,
        tools: Sequence[ToolSpec],
        history: Sequence[HistoryMessage],
        cancelled: Cancelled,
    ) -> Iterator[ModelOutput]:
        """Let the model speak and nothing else."""
        cutter = ClauseSplitter()
        for piece in self._model.write(
            speech_messages(brief, history),
            grammar=speech_grammar(),
            most_tokens=_MOST_TOKENS,
            cancelled=cancelled,
        ):
            for clause in cutter.feed(piece):
                yield TextChunk(clause, find_asked_parameter(tools, clause))
        if not cancelled():
            for clause in cutter.finish():
                yield TextChunk(clause, find_asked_parameter(tools, clause))


def _ends_call(tools: Sequence[ToolSpec], name: str) -> bool:
    return any(tool.ends_call for tool in tools if tool.name == name)


def validate_call(
    tools: Sequence[ToolSpec],
    history: Sequence[HistoryMessage],
    call: ToolDecision | None,
    *,
    is_small: bool,
) -> ToolCallRequest | TextChunk | None:
    """Return the call to make, the question to ask, or None: the agent should speak.

    A small model has to name a tool whatever was said, so what cannot be held against
    the caller's words must at least be about the same thing.
    """
    request = last_request(history)
    tool = next((t for t in tools if call and t.name == call.name), None)
    verdict = _judge(tool, history, call, request, is_small) if call and tool else None
    if is_small and not isinstance(verdict, ToolCallRequest):
        other = _plain_tool(tools, tool, request)
        if other is not None:
            return ToolCallRequest(other.name)
    return verdict


def find_pending(
    tools: Sequence[ToolSpec], history: Sequence[HistoryMessage]
) -> ToolSpec | None:
    """Return the tool for which the agent asked a value just before the last words."""
    if len(history) < 3 or len(merge_pending(history)) == len(history):
        return None
    asked = history[-2]
    wanted = (asked.asked_for or "") if isinstance(asked, AssistantMessage) else ""
    name = wanted.rpartition(".")[0]
    return next((tool for tool in tools if tool.name == name), None)


def without_pending(
    tools: Sequence[ToolSpec], history: Sequence[HistoryMessage]
) -> Sequence[HistoryMessage] | None:
    """Return the history without the request for which a value was asked.

    None when the caller's last words are about no other tool.
    """
    pending, said = find_pending(tools, history), history[-1]
    if pending is None or not isinstance(said, UserMessage):
        return None
    if any(relevance(tool, said.text) for tool in tools if tool != pending):
        return [*history[:-3], said]
    return None


def last_request(history: Sequence[HistoryMessage]) -> str:
    """Return the caller's last words, with the request that they complete."""
    last = merge_pending(history)[-1]
    return last.text if isinstance(last, UserMessage) else ""


def _judge(
    tool: ToolSpec,
    history: Sequence[HistoryMessage],
    call: ToolDecision,
    request: str,
    is_small: bool,
) -> ToolCallRequest | TextChunk | None:
    if tool.ends_call:
        return ToolCallRequest(tool.name) if allows_ending(history) else None
    if (
        is_small
        and all(slot.is_free_text for slot in tool.required)
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
    slot = grounded.missing[0]
    return TextChunk(parameter_question(slot), f"{tool.name}.{slot.name}")


def _plain_tool(
    tools: Sequence[ToolSpec], instead_of: ToolSpec | None, request: str
) -> ToolSpec | None:
    """Return a tool without arguments that a question fits better than the one chosen.

    "Which films run today?" makes a small model ask for the title of the film.
    """
    least = relevance(instead_of, request) if instead_of else 0
    if "?" not in request:
        return None
    plain = [tool for tool in tools if not tool.slots and not tool.ends_call]
    best = max(plain, key=lambda tool: relevance(tool, request), default=None)
    return best if best is not None and relevance(best, request) > least else None


def _is_repeated(
    tool: ToolSpec, arguments: Mapping[str, Any], history: Sequence[HistoryMessage]
) -> bool:
    """Whether this very call was just made and the caller did not ask for it again.

    A small model likes to do once more what it sees itself doing.
    """
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
    """A call as the model wrote it, not yet held against what was said."""

    name: str
    arguments: Mapping[str, Any]


def prefers_speech(written: str) -> bool:
    """Whether the line, as far as it is written, can only become speech."""
    return bool(_SAY.match(written) or _PLAIN.match(written))


def read_tool_decision(written: str) -> ToolDecision | None:
    """Return the call in a finished line; None when it holds none, or half of one."""
    begin, end = written.find("{"), written.rfind("}")
    try:
        value = json.loads(written[begin : end + 1])
    except ValueError:
        return None
    if not isinstance(value, dict) or not isinstance(value.get("tool"), str):
        return None
    arguments = value.get("arguments")
    return ToolDecision(value["tool"], arguments if isinstance(arguments, dict) else {})
