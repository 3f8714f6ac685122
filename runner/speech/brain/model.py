"""A mind on a small language model: decides, checks what was decided, speaks."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Protocol

from runner.speech.brain.decision import Call, Clause, DecisionReader
from runner.speech.brain.farewell import (
    GOODBYE,
    allows_ending,
    find_ending_tool,
    is_goodbye,
)
from runner.speech.brain.grammar import decision_grammar, speak_grammar
from runner.speech.brain.grounding import gather, ground
from runner.speech.brain.prompt import (
    ANSWER_NOTE,
    FAILURE_NOTE,
    ChatMessage,
    conversation,
    merge_pending,
    system_message,
    trim,
)
from runner.speech.brain.question import (
    find_asked,
    is_about,
    slot_question,
    slot_words,
)
from runner.speech.brain.signature import Signature, Slot, read_signatures
from runner.speech.parts import (
    AgentBrief,
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

_MOST_TOKENS = 200  # of one line; the grammar closes nearly all of them earlier
# A model's context in characters: English has more than three to a token.
_CHARACTERS_PER_TOKEN = 3
_DID_NOT_GET_IT = "Sorry, I did not get that. Could you say it again?"


class TextModel(Protocol):
    """A language model in this process, held to a grammar."""

    name: str
    context: int  # tokens that one conversation may have

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
        """Let the model read the prompt and the tools."""
        messages = [system_message(brief), {"role": "user", "content": "Hello."}]
        for _ in self._model.write(
            messages,
            grammar=decision_grammar(read_signatures(brief.tools)),
            most_tokens=0,
            cancelled=lambda: False,
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
            case CallerSaid(text):
                ending = find_ending_tool(tools)
                if ending is not None and is_goodbye(text):
                    yield Speak(GOODBYE)
                    yield UseTool(ending.name)
                    return
                yield from self._decide(brief, tools, history, cancelled)
            case ToolUsed(name=name, is_error=is_error):
                if not is_error and any(t.ends_call for t in tools if t.name == name):
                    return
                note = FAILURE_NOTE if is_error else ANSWER_NOTE
                yield from self._speak(brief, tools, history, note, cancelled)
            case _:
                yield from self._speak(brief, tools, history, None, cancelled)

    def close(self) -> None:
        """Give the model's memory back."""
        self._model.close()

    def _room(self, brief: AgentBrief) -> int:
        taken = len(system_message(brief)["content"])
        tokens = self._model.context - _MOST_TOKENS
        return max(0, tokens * _CHARACTERS_PER_TOKEN - taken)

    def _decide(
        self,
        brief: AgentBrief,
        tools: Sequence[Signature],
        history: Sequence[Turn],
        cancelled: Cancelled,
    ) -> Iterator[Thought]:
        reader = DecisionReader()
        is_decided = False
        for decided in _read(
            self._model.write(
                conversation(brief, history),
                grammar=decision_grammar(tools),
                most_tokens=_MOST_TOKENS,
                cancelled=cancelled,
            ),
            reader,
        ):
            is_decided = True
            if isinstance(decided, Clause):
                yield Speak(decided.text, find_asked(tools, decided.text))
            else:
                yield from self._check(brief, tools, history, decided, cancelled)
        if not is_decided and not cancelled():
            yield Speak(_DID_NOT_GET_IT)

    def _check(
        self,
        brief: AgentBrief,
        tools: Sequence[Signature],
        history: Sequence[Turn],
        call: Call,
        cancelled: Cancelled,
    ) -> Iterator[Thought]:
        """Turn a call that the model wants into a call, a question or speech."""
        tool = next((tool for tool in tools if tool.name == call.name), None)
        if tool is None or (tool.ends_call and not allows_ending(history)):
            yield from self._speak(brief, tools, history, None, cancelled)
            return
        if tool.ends_call:
            yield Speak(GOODBYE)
            yield UseTool(tool.name)
            return
        grounded = ground(tool, call.arguments, gather(history))
        if not grounded.missing:
            yield UseTool(tool.name, grounded.arguments)
            return
        slot = grounded.missing[0]
        if is_about(tool, _last_request(history)):
            yield Speak(slot_question(slot), f"{tool.name}.{slot.name}")
            return
        yield from self._speak(
            brief, tools, history, _missing_note(grounded.missing), cancelled
        )

    def _speak(
        self,
        brief: AgentBrief,
        tools: Sequence[Signature],
        history: Sequence[Turn],
        note: str | None,
        cancelled: Cancelled,
    ) -> Iterator[Thought]:
        """Let the model speak and nothing else."""
        pieces = self._model.write(
            conversation(brief, history, note),
            grammar=speak_grammar(),
            most_tokens=_MOST_TOKENS,
            cancelled=cancelled,
        )
        for decided in _read(pieces, DecisionReader()):
            if isinstance(decided, Clause):
                yield Speak(decided.text, find_asked(tools, decided.text))


def _read(pieces: Iterator[str], reader: DecisionReader) -> Iterator[Clause | Call]:
    for piece in pieces:
        yield from reader.feed(piece)
    yield from reader.finish()


def _last_request(history: Sequence[Turn]) -> str:
    last = merge_pending(history)[-1]
    return last.text if isinstance(last, (CallerSaid, Instruction)) else ""


def _missing_note(missing: Sequence[Slot]) -> str:
    names = " and the ".join(slot_words(slot) for slot in missing)
    return (
        f"The caller has not told you the {names}. If the caller wants that done, ask "
        "for it. Otherwise just reply. Never make up facts."
    )
