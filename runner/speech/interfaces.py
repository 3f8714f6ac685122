"""Protocols of the speech components, and the values that pass between them.

All methods block (the engines release the interpreter lock) and run in worker threads.
A method that takes `cancelled` polls it and stops soon after it returns True.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol, TypeAlias

import numpy as np
from numpy.typing import NDArray

Samples: TypeAlias = NDArray[np.float32]  # mono, -1 to 1
SPEECH_RATE = 16_000  # Hz: sample rate of VAD, endpointer and recognizer
VAD_FRAME = 512  # samples at 16 kHz: 32 ms
Cancelled: TypeAlias = Callable[[], bool]


class Vad(Protocol):
    """Voice activity detector. Stateful: one per session, frames in order."""

    def probability(self, frame: Samples) -> float:
        """Returns the probability of speech in a frame of 512 samples, 0 to 1."""
        ...

    def reset(self) -> None:
        """Clears the state of earlier frames."""
        ...


class Endpointer(Protocol):
    """Decides if a pause is the end of a turn."""

    def completeness(self, samples: Samples) -> float:
        """Returns the probability that the turn is complete at the end of `samples`,
        0 to 1."""
        ...


class Recognizer(Protocol):
    """Speech to text."""

    def transcribe(self, samples: Samples, *, key_terms: Sequence[str] = ()) -> str:
        """Returns the text of 16 kHz samples, empty if they contain no speech.

        `key_terms` are preferred spellings.
        """
        ...


@dataclass(frozen=True, slots=True)
class AgentContext:
    """Prompt and tools of an agent; tools as in `session.update`."""

    prompt: str
    tools: Sequence[Mapping[str, Any]] = ()


@dataclass(frozen=True, slots=True)
class UserMessage:
    """An utterance of the caller."""

    text: str


@dataclass(frozen=True, slots=True)
class AssistantMessage:
    """An utterance of the agent. `asked_for` is "tool.parameter" if it asked for a
    missing argument: the next user message is decided together with the request."""

    text: str
    asked_for: str | None = None


@dataclass(frozen=True, slots=True)
class ToolMessage:
    """A tool call and its result (JSON text); None while the tool runs."""

    call_id: str
    name: str
    arguments: Mapping[str, Any]
    result: str | None = None
    is_error: bool = False


@dataclass(frozen=True, slots=True)
class SystemMessage:
    """An instruction: `conversation.message` with role system, or of `reply.create`."""

    text: str


HistoryMessage: TypeAlias = UserMessage | AssistantMessage | ToolMessage | SystemMessage


@dataclass(frozen=True, slots=True)
class TextChunk:
    """The next clause to speak; `asked_for` as in `AssistantMessage`."""

    text: str
    asked_for: str | None = None


@dataclass(frozen=True, slots=True)
class ToolCallRequest:
    """A tool call the model wants; the server assigns the call ID."""

    name: str
    arguments: Mapping[str, Any] = field(default_factory=dict)


ModelOutput: TypeAlias = TextChunk | ToolCallRequest


class LanguageModel(Protocol):
    """Decides what the agent says and which tools it calls. Keeps no conversation."""

    def warm(self, context: AgentContext) -> None:
        """Processes the prompt and the tools before the first turn."""
        ...

    def respond(
        self,
        context: AgentContext,
        history: Sequence[HistoryMessage],
        cancelled: Cancelled,
    ) -> Iterator[ModelOutput]:
        """Yields clauses and tool calls as they are decided.

        The last message of `history` is the one to answer: a user message, a tool
        result or an instruction.
        """
        ...

    def close(self) -> None:
        """Releases memory and connections; the model is unusable afterwards."""
        ...


class Synthesizer(Protocol):
    """Text to speech."""

    def synthesize(self, text: str, cancelled: Cancelled) -> Iterator[bytes]:
        """Yields the audio of one sentence as 24 kHz mono PCM16, in pieces."""
        ...


@dataclass(frozen=True, slots=True)
class MissingComponent:
    """A component that could not be loaded, its fallback, and the command to install
    it."""

    part: str  # stt, llm, tts, vad, endpointing
    reason: str
    instead: str
    command: str


class SpeechStack(Protocol):
    """The speech components of one machine, shared by its sessions.

    Loading runs in the background. Each method blocks until its component is loaded, so
    call it from a worker thread. A component that cannot be loaded is replaced by a
    fallback and listed in `missing`.
    """

    def vad(self) -> Vad:
        """Returns a new detector; each session needs its own."""
        ...

    def endpointer(self) -> Endpointer | None: ...

    def recognizer(self) -> Recognizer | None: ...

    def language_model(self) -> LanguageModel: ...

    def synthesizer(self) -> Synthesizer: ...

    def missing(self) -> Sequence[MissingComponent]:
        """Returns the missing components; waits until all loading has finished."""
        ...

    def close(self) -> None:
        """Releases the memory."""
        ...
