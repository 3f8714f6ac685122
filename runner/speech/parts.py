"""The four small protocols that the embedded server's speech stands on.

All methods block (the engines release the interpreter lock) and are called from worker
threads; `cancelled` is asked often and stops the work at once when it says true.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal, Protocol, TypeAlias

import numpy as np
from numpy.typing import NDArray

Samples: TypeAlias = NDArray[np.float32]  # mono, -1 to 1
SPEECH_RATE = 16_000  # what ears work at, in hertz
VAD_FRAME = 512  # samples at 16 kHz: 32 ms
Cancelled: TypeAlias = Callable[[], bool]


class Vad(Protocol):
    """Tells speech from other sound; one object a session, fed in order."""

    def probability(self, frame: Samples) -> float:
        """Return how likely this frame of 512 samples is speech, 0 to 1."""
        ...

    def reset(self) -> None:
        """Forget what was heard."""
        ...


class Endpointer(Protocol):
    """Tells whether a pause is the end of a turn."""

    def completeness(self, samples: Samples) -> float:
        """Return how likely the turn that ends here is complete, 0 to 1."""
        ...


@dataclass(frozen=True, slots=True)
class Transcript:
    """What was understood; `no_speech` is how likely nobody spoke, 0 to 1."""

    text: str
    no_speech: float = 0.0


class Recognizer(Protocol):
    """Turns speech into text."""

    def transcribe(
        self, samples: Samples, *, key_terms: Sequence[str] = ()
    ) -> Transcript:
        """Return what was said in these samples (at most 30 s count)."""
        ...


@dataclass(frozen=True, slots=True)
class AgentBrief:
    """What a mind knows of the agent it plays; tools as on the wire."""

    prompt: str
    tools: Sequence[Mapping[str, Any]] = ()


@dataclass(frozen=True, slots=True)
class CallerSaid:
    """The caller's words."""

    text: str


@dataclass(frozen=True, slots=True)
class AgentSaid:
    """The agent's words; `asked_for` is set when it asked for a tool's missing value,
    so that the next answer is decided together with what came before."""

    text: str
    asked_for: str | None = None


@dataclass(frozen=True, slots=True)
class ToolUsed:
    """A call and, once it is there, its result (JSON text)."""

    call_id: str
    name: str
    arguments: Mapping[str, Any]
    result: str | None = None
    is_error: bool = False


@dataclass(frozen=True, slots=True)
class Instruction:
    """A system's word: conversation.message of role system, or reply.create's."""

    text: str


Turn: TypeAlias = CallerSaid | AgentSaid | ToolUsed | Instruction


@dataclass(frozen=True, slots=True)
class Speak:
    """The next clause to say; `asked_for` as in `AgentSaid`."""

    text: str
    asked_for: str | None = None


@dataclass(frozen=True, slots=True)
class UseTool:
    """A tool to call; the server makes the call id."""

    name: str
    arguments: Mapping[str, Any] = field(default_factory=dict)


Thought: TypeAlias = Speak | UseTool
Quality: TypeAlias = Literal["model", "script"]


class Brain(Protocol):
    """Decides what the agent says and does; holds no state of a conversation."""

    name: str
    quality: Quality  # "script": fixed rules, no language model

    def warm(self, brief: AgentBrief) -> None:
        """Read the prompt and the tools ahead of the first turn."""
        ...

    def think(
        self, brief: AgentBrief, history: Sequence[Turn], cancelled: Cancelled
    ) -> Iterator[Thought]:
        """Yield what to say, clause by clause, or the tools to call, as it is decided.

        `history` ends with what is to be answered: the caller's words, a tool's
        result, or an instruction.
        """
        ...


class Voice(Protocol):
    """Turns text into sound."""

    name: str

    def speak(self, text: str, cancelled: Cancelled) -> Iterator[bytes]:
        """Yield the sound of one sentence as 24 kHz mono PCM16, in pieces."""
        ...


@dataclass(frozen=True, slots=True)
class MissingPart:
    """A part that is not there, what stands in for it, and the command that mends."""

    part: str  # stt, llm, tts, vad, endpointing
    reason: str
    instead: str
    command: str


class Speech(Protocol):
    """All parts of one machine's speech, shared by its sessions.

    Loading goes on in the background from the start; each method blocks until its part
    is there (so call it from a worker thread) and then always answers at once. A part
    that cannot be loaded is replaced by its light stand-in and listed in `missing`.
    """

    def vad(self) -> Vad:
        """Return a fresh one: it keeps state, so every session needs its own."""
        ...

    def endpointer(self) -> Endpointer | None: ...

    def recognizer(self) -> Recognizer | None: ...

    def brain(self) -> Brain: ...

    def voice(self) -> Voice: ...

    def missing(self) -> Sequence[MissingPart]:
        """Return what is not there; waits until everything has been tried."""
        ...

    def close(self) -> None:
        """Give the memory back."""
        ...
