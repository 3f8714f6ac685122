"""A mind on a small language model: decides, checks what was decided, speaks."""

from __future__ import annotations

import threading
from collections.abc import Iterator, Sequence
from typing import Protocol

from runner.speech.brain.clauses import ClauseCutter
from runner.speech.brain.decision import Call, prefers_speech, read_call
from runner.speech.brain.farewell import GOODBYE, find_ending_tool, is_goodbye
from runner.speech.brain.grammar import decision_grammar, speech_grammar
from runner.speech.brain.prompt import (
    ChatMessage,
    decision_messages,
    speech_messages,
    trim,
)
from runner.speech.brain.question import find_asked
from runner.speech.brain.reading import is_short, read_aloud
from runner.speech.brain.signature import Signature, read_signatures
from runner.speech.brain.verdict import find_pending, judge, without_pending
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


class ModelBrain:
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

    def warm(self, brief: AgentBrief) -> None:
        """Let the model read the prompt and the tools, for deciding and for speaking.

        The two begin differently, so that each keeps a slot of the engine to itself.
        Deciding comes first, since the first turn needs it; reading for speech gives
        way as soon as somebody asks.
        """
        tools = read_signatures(brief.tools)
        hello = [CallerSaid("Hello.")]
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

    def _wait_until_read(self, brief: AgentBrief, cancelled: Cancelled) -> None:
        """Wait for `warm`: reading a prompt twice at once takes twice as long."""
        been_read = self._reading.get(brief.prompt)
        while been_read is not None and not cancelled():
            if been_read.wait(_POLL):
                return

    def think(
        self, brief: AgentBrief, history: Sequence[Turn], cancelled: Cancelled
    ) -> Iterator[Thought]:
        """Yield clauses to be joined with blanks, or one call; see `Brain.think`.

        After the result of a tool that ended the call it yields nothing: the goodbye
        was said with the call.
        """
        self._was_asked = True
        self._wait_until_read(brief, cancelled)
        tools = read_signatures(brief.tools)
        history = trim(history, self._room(brief))
        match history[-1] if history else None:
            case CallerSaid(text) if tools:
                ending = find_ending_tool(tools)
                if ending is not None and is_goodbye(text):
                    yield Speak(GOODBYE)
                    yield UseTool(ending.name)
                else:
                    yield from self._answer(brief, tools, history, cancelled)
            case ToolUsed(name=name, is_error=False) if _ends_call(tools, name):
                return
            case ToolUsed() as used if self._model.is_small and is_short(used):
                yield Speak(read_aloud(used))
            case _:
                yield from self._speak(brief, tools, history, cancelled)

    def close(self) -> None:
        """Give the model's memory back."""
        self._model.close()

    def _room(self, brief: AgentBrief) -> int:
        taken = len(decision_messages(brief)[0]["content"])
        tokens = self._model.context - _MOST_TOKENS
        return max(0, tokens * _CHARACTERS_PER_TOKEN - taken)

    def _answer(
        self,
        brief: AgentBrief,
        tools: Sequence[Signature],
        history: Sequence[Turn],
        cancelled: Cancelled,
    ) -> Iterator[Thought]:
        """Call a tool, ask for what it lacks, or speak."""
        is_small = self._model.is_small
        # Who was asked for a tool's value most likely gives it.
        asked = find_pending(tools, history)
        call = self._decide(brief, [asked] if asked else tools, history, cancelled)
        verdict = judge(tools, history, call, is_small=is_small)
        if asked and not isinstance(verdict, UseTool):
            fresh = without_pending(tools, history)
            if fresh is not None:
                call = self._decide(brief, tools, fresh, cancelled)
                verdict = judge(tools, fresh, call, is_small=is_small) or verdict
        if cancelled():
            return
        if verdict is None:
            yield from self._speak(brief, tools, history, cancelled)
            return
        if isinstance(verdict, UseTool) and _ends_call(tools, verdict.name):
            yield Speak(GOODBYE)
        yield verdict

    def _decide(
        self,
        brief: AgentBrief,
        tools: Sequence[Signature],
        history: Sequence[Turn],
        cancelled: Cancelled,
    ) -> Call | None:
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
        return read_call(written)

    def _speak(
        self,
        brief: AgentBrief,
        tools: Sequence[Signature],
        history: Sequence[Turn],
        cancelled: Cancelled,
    ) -> Iterator[Thought]:
        """Let the model speak and nothing else."""
        cutter = ClauseCutter()
        for piece in self._model.write(
            speech_messages(brief, history),
            grammar=speech_grammar(),
            most_tokens=_MOST_TOKENS,
            cancelled=cancelled,
        ):
            for clause in cutter.feed(piece):
                yield Speak(clause, find_asked(tools, clause))
        if not cancelled():
            for clause in cutter.finish():
                yield Speak(clause, find_asked(tools, clause))


def _ends_call(tools: Sequence[Signature], name: str) -> bool:
    return any(tool.ends_call for tool in tools if tool.name == name)
