"""A mind on a small language model: decides, checks what was decided, speaks."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Protocol

from runner.speech.brain.clauses import ClauseCutter
from runner.speech.brain.decision import Call, prefers_speech, read_call
from runner.speech.brain.farewell import (
    GOODBYE,
    allows_ending,
    find_ending_tool,
    is_goodbye,
)
from runner.speech.brain.grammar import decision_grammar, speech_grammar
from runner.speech.brain.grounding import gather, ground
from runner.speech.brain.prompt import (
    ChatMessage,
    decision_messages,
    merge_pending,
    speech_messages,
    trim,
)
from runner.speech.brain.question import find_asked, is_about, slot_question
from runner.speech.brain.reading import is_short, read_aloud
from runner.speech.brain.signature import Signature, read_signatures
from runner.speech.parts import (
    AgentBrief,
    AgentSaid,
    CallerSaid,
    Cancelled,
    Quality,
    Speak,
    Thought,
    ToolUsed,
    Turn,
    UseTool,
)

_MOST_TOKENS = 200  # of one answer; the grammar closes nearly all of them earlier
# A model's context in characters: English has more than three to a token.
_CHARACTERS_PER_TOKEN = 3


class TextModel(Protocol):
    """A language model in this process, held to a grammar."""

    name: str
    context: int  # tokens that one conversation may have
    retells: bool  # whether it can be trusted to put a short result in its own words

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

    def warm(self, brief: AgentBrief) -> None:
        """Let the model read the prompt and the tools, for deciding and for speaking.

        The two begin differently, so that each keeps a slot of the engine to itself.
        """
        tools = read_signatures(brief.tools)
        hello = [CallerSaid("Hello.")]
        prompts = [(speech_messages(brief, hello), speech_grammar())]
        if tools:
            prompts.append((decision_messages(brief, hello), decision_grammar(tools)))
        for messages, grammar in prompts:
            for _ in self._model.write(
                messages, grammar=grammar, most_tokens=0, cancelled=lambda: False
            ):
                pass

    def think(
        self, brief: AgentBrief, history: Sequence[Turn], cancelled: Cancelled
    ) -> Iterator[Thought]:
        """Yield clauses to be joined with blanks, or one call; see `Brain.think`.

        After the result of a tool that ended the call it yields nothing: the goodbye
        was said with the call.
        """
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
            case ToolUsed() as used if not self._model.retells and is_short(used):
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
        thoughts = self._check(
            tools, history, self._decide(brief, tools, history, cancelled)
        )
        asks = thoughts is not None and isinstance(thoughts[-1], Speak)
        fresh = _without_pending(tools, history) if asks else None
        if fresh is not None:
            # The caller was asked for a value and wants something else instead.
            call = self._decide(brief, tools, fresh, cancelled)
            thoughts = self._check(tools, fresh, call) or thoughts
        if cancelled():
            return
        if thoughts is not None:
            yield from thoughts
        else:
            yield from self._speak(brief, tools, history, cancelled)

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
            grammar=decision_grammar(tools),
            most_tokens=_MOST_TOKENS,
            cancelled=cancelled,
        ):
            written += piece
            if prefers_speech(written):
                # Its words are better when it need not think of tools as well.
                return None
        return read_call(written)

    def _check(
        self, tools: Sequence[Signature], history: Sequence[Turn], call: Call | None
    ) -> list[Thought] | None:
        """Hold a call against what was said; None: it was a guess, speak instead."""
        tool = next((t for t in tools if call and t.name == call.name), None)
        if call is None or tool is None:
            return None
        if tool.ends_call:
            if not allows_ending(history):
                return None
            return [Speak(GOODBYE), UseTool(tool.name)]
        grounded = ground(tool, call.arguments, gather(history))
        if not grounded.missing:
            if _is_repeated(tool, grounded.arguments, history):
                return None
            return [UseTool(tool.name, grounded.arguments)]
        slot = grounded.missing[0]
        if not is_about(tool, _last_request(history)):
            return None
        return [Speak(slot_question(slot), f"{tool.name}.{slot.name}")]

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


def _is_repeated(
    tool: Signature, arguments: Mapping[str, Any], history: Sequence[Turn]
) -> bool:
    """Whether this very call was just made and the caller did not ask for it again.

    A small model likes to do once more what it sees itself doing.
    """
    before = next((t for t in reversed(history) if isinstance(t, ToolUsed)), None)
    return (
        before is not None
        and not before.is_error
        and (before.name, dict(before.arguments)) == (tool.name, dict(arguments))
        and not is_about(tool, _last_request(history))
    )


def _last_request(history: Sequence[Turn]) -> str:
    last = merge_pending(history)[-1]
    return last.text if isinstance(last, CallerSaid) else ""


def _without_pending(
    tools: Sequence[Signature], history: Sequence[Turn]
) -> Sequence[Turn] | None:
    """Return the history without the request whose value was asked for.

    None when the last words are no answer to such a question or are about no other
    tool.
    """
    if len(history) < 3 or len(merge_pending(history)) == len(history):
        return None
    said, asked = history[-1], history[-2]
    if not isinstance(said, CallerSaid) or not isinstance(asked, AgentSaid):
        return None
    wanted = (asked.asked_for or "").rpartition(".")[0]
    if any(is_about(tool, said.text) for tool in tools if tool.name != wanted):
        return [*history[:-3], said]
    return None
