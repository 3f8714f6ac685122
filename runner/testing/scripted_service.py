"""The scripted service: the embedded server with words in place of sound.

The same sessions, floor, pacing and faults as `vagent serve`, over a pipe instead of a
socket; the caller's words are handed to it where ears would have understood them, a
script thinks, and tones of about a voice's length are the voice. It starts no thread
and draws no lots, so on virtual time every run is the same.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import lru_cache
from itertools import count
from typing import Any, Self, TypeVar

from runner.engine.connection import TransportListener
from runner.errors import TransportError
from runner.protocol.server.events import (
    PartialTranscript,
    SpeechStarted,
    TurnCommitted,
)
from runner.server.larynx import SpeechSynthesizer
from runner.server.reception import ConnectionHandler
from runner.server.understanding import is_stop_phrase
from runner.service.conversation import Conversation, ServerContext
from runner.service.faults.model import Fault
from runner.service.workers import Stream, Workers
from runner.speech.interfaces import (
    Cancelled,
    LanguageModel,
    MissingComponent,
    Recognizer,
    Samples,
    Synthesizer,
    Vad,
)
from runner.speech.synthesizer import ToneSynthesizer, syllables
from runner.testing.pipe import InMemoryTransport

T = TypeVar("T")

# Four syllables a second are about 150 words a minute, as on the telephone.
SECONDS_A_SYLLABLE = 0.25
# Silence after which the embedded server takes a turn to be over.
ENDPOINT_SECONDS = 0.5
# A recogniser's partial transcripts: about every so many words.
_WORDS_A_PARTIAL = 2
# Sound that goes out in one message; the service's 10 ms would only cost time here.
_CHUNK_MS = 100.0
# 2026-01-01, for the timestamps on the wire.
_EPOCH = 1_767_225_600.0
_MOST_SESSIONS = 8


class ScriptedService:
    """A service in this process; an asynchronous context, `dial` leads to it.

    `brain` plays the agent. Must be entered in the loop that the call runs in.
    """

    def __init__(
        self, brain: LanguageModel, *, faults: Sequence[Fault] = (), fault_seed: int = 0
    ) -> None:
        workers = _Inline()
        speech = _Wordless(brain)
        larynx = SpeechSynthesizer(speech, workers)
        numbers = count(1)
        self.happened: list[str] = []  # faults, in words
        self._house = ServerContext(
            speech,
            workers,
            larynx,
            self._note,
            make_id=lambda kind: f"{kind}_{next(numbers):04}",
            epoch=_EPOCH,
            chunk_ms=_CHUNK_MS,
        )
        self._faults = (tuple(faults), fault_seed)
        self._reception: ConnectionHandler | None = None
        self._tasks: set[asyncio.Task[None]] = set()

    async def __aenter__(self) -> Self:
        faults, seed = self._faults
        self._reception = ConnectionHandler(
            self._house, _MOST_SESSIONS, faults=faults, fault_seed=seed
        )
        return self

    async def __aexit__(self, *exc: object) -> None:
        await self._open.sessions.leave()
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    @property
    def _open(self) -> ConnectionHandler:
        assert self._reception is not None, "the service has not been entered"
        return self._reception

    async def dial(self, token: str | None, listener: TransportListener) -> None:
        """Open a connection; raises TransportError where a fault turns it away."""
        del token
        away = self._open.knock()
        if away is not None:
            said = "reset the connection" if away.status is None else "is not available"
            raise TransportError(f"the scripted service {said}", status=away.status)
        pipe = InMemoryTransport(listener)
        pipe.open()
        task = asyncio.create_task(self._open.attend(pipe))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def hear(self, words: str) -> bool:
        """Let the caller speak; return, when the turn is over, whether it was heard.

        As with real ears, nobody hears a caller without a line, one whom the agent may
        not be interrupted by, or who only mutters ("mhm") while the agent speaks.
        """
        duration = _spoken_seconds(words)
        conversation = self._open.sessions.latest()
        if conversation is None:
            await asyncio.sleep(duration)
            return False
        begun = await self._begin_to_hear(conversation, words, duration)
        if begun is None:
            return False
        conversation.post(SpeechStarted())
        spoken = words.split()
        for end in range(_WORDS_A_PARTIAL, len(spoken), _WORDS_A_PARTIAL):
            due = _spoken_seconds(" ".join(spoken[:end])) - begun
            if due > 0:
                await asyncio.sleep(due)
                begun += due
                conversation.post(PartialTranscript(" ".join(spoken[:end])))
        await asyncio.sleep(duration - begun + ENDPOINT_SECONDS)
        conversation.mark_end(ENDPOINT_SECONDS)
        conversation.post(TurnCommitted(words))
        return True

    async def _begin_to_hear(
        self, conversation: Conversation, words: str, duration: float
    ) -> float | None:
        """Return how much was spoken when it counts as a turn; None: it never does."""
        begun = 0.0
        if conversation.agent_sounds:
            wanted = conversation.session.settings.turn_detection.interruption_delay
            is_short = duration < wanted and not is_stop_phrase(words)
            begun = min(wanted, duration)
            await asyncio.sleep(begun)
            if is_short and conversation.agent_sounds:
                await asyncio.sleep(duration - begun)
                return None
        if not conversation.yields:
            await asyncio.sleep(duration - begun)
            begun = duration
        return begun if conversation.yields else None

    def _note(self, kind: str, facts: Mapping[str, Any]) -> None:
        if kind == "vagent.fault":
            self.happened.append(f"{facts['did']} ({facts['fault']})")
        elif kind in ("vagent.internal_error", "vagent.warning"):
            self.happened.append(str(facts["message"]))


def _spoken_seconds(words: str) -> float:
    count = sum(len(syllables(word)) for word in words.split())
    return SECONDS_A_SYLLABLE * max(1, count)


class _Inline(Workers):
    """Does the work at once, in this thread: what it does here takes microseconds."""

    def __init__(self) -> None:
        super().__init__(1)

    async def run(self, task: str, function: Callable[[], T]) -> T:
        del task
        return function()

    def stream(
        self, task: str, produce: Callable[[Cancelled], Iterator[T]]
    ) -> Stream[T]:
        stream: Stream[T] = Stream(asyncio.get_running_loop())
        stream.fill(task, produce)
        return stream


@lru_cache(maxsize=2048)
def _hum(word: str) -> bytes:
    return b"".join(ToneSynthesizer().speak(word, lambda: False))


class _Tones:
    """The stand-in's tones, each word made once."""

    name = "tones"

    def speak(self, text: str, cancelled: Cancelled) -> Iterator[bytes]:
        for word in text.split():
            if cancelled():
                return
            yield _hum(word)


class _Deaf:
    """The ears of who is handed words: sound means nothing."""

    def probability(self, frame: Samples) -> float:
        del frame
        return 0.0

    def reset(self) -> None:
        """Forget nothing."""


class _Wordless:
    """Speech without speech: a mind and a hum."""

    def __init__(self, brain: LanguageModel) -> None:
        self._brain = brain

    def vad(self) -> Vad:
        return _Deaf()

    def endpointer(self) -> None:
        return None

    def recognizer(self) -> Recognizer | None:
        return None

    def brain(self) -> LanguageModel:
        return self._brain

    def voice(self) -> Synthesizer:
        return _Tones()

    def missing(self) -> Sequence[MissingComponent]:
        return ()

    def close(self) -> None:
        """Hold nothing: the mind is whoever made it's to close."""
