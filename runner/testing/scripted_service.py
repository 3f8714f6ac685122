"""The scripted service: the local service with text in place of audio.

It has the sessions, turn taking, pacing and faults of `vagent serve`, over a pipe
instead of a socket. The caller's text is injected in place of speech recognition, rules
replace the language model, and tones of the length of speech the synthesizer. It starts
no thread and uses no random numbers, so on virtual time all runs are equal.
"""

from __future__ import annotations

import asyncio
import json
import re
from collections.abc import AsyncIterator, Callable, Iterator, Mapping, Sequence
from functools import lru_cache
from itertools import count
from typing import Any, Self, TypeVar

from runner.engine.connection import TransportListener
from runner.engine.transports import PING_SECONDS, PONG_SECONDS
from runner.errors import ConnectionLost, TransportError
from runner.protocol.server.events import (
    PartialTranscript,
    SpeechStarted,
    TurnCommitted,
)
from runner.service.connection import ABNORMAL_CLOSURE, FaultySocket, Outbox
from runner.service.conversation import Conversation, ServerContext
from runner.service.faults.model import Fault
from runner.service.recognition import is_stop_phrase
from runner.service.responses import SpeechSynthesizer
from runner.service.sessions import ConnectionHandler
from runner.service.workers import Stream, Workers
from runner.speech.interfaces import (
    AgentContext,
    Cancelled,
    HistoryMessage,
    LanguageModel,
    MissingComponent,
    ModelOutput,
    Recognizer,
    Samples,
    Synthesizer,
    TextChunk,
    ToolCallRequest,
    ToolMessage,
    UserMessage,
    Vad,
)
from runner.speech.llm.rule_based import RuleBasedModel
from runner.speech.synthesizer import ToneSynthesizer, syllables
from runner.testing.scenarios.model import LlmRule

T = TypeVar("T")

# Four syllables a second are about 150 words a minute, as on the telephone.
SECONDS_PER_SYLLABLE = 0.25
# Silence after which the local service ends a turn.
ENDPOINT_SECONDS = 0.5
# Words between two partial transcripts, as of a recognizer.
_WORDS_PER_PARTIAL = 2
# Audio in one message; the 10 ms of the local service would only cost time here.
_CHUNK_MS = 100.0
# 2026-01-01, for the timestamps on the wire.
_EPOCH = 1_767_225_600.0
_MAX_SESSIONS = 8


class ScriptedService:
    """A service in this process: an asynchronous context with a `dial` method.

    `model` generates the replies of the agent. Must be entered in the loop of the call.
    """

    def __init__(
        self, model: LanguageModel, *, faults: Sequence[Fault] = (), fault_seed: int = 0
    ) -> None:
        workers = _InlineWorkers()
        speech = _ScriptedSpeech(model)
        synthesizer = SpeechSynthesizer(speech, workers)
        numbers = count(1)
        self.happened: list[str] = []  # descriptions of faults
        self._context = ServerContext(
            speech,
            workers,
            synthesizer,
            self._note,
            make_id=lambda kind: f"{kind}_{next(numbers):04}",
            epoch=_EPOCH,
            chunk_ms=_CHUNK_MS,
        )
        self._faults = (tuple(faults), fault_seed)
        self._handler: ConnectionHandler | None = None
        self._tasks: set[asyncio.Task[None]] = set()

    async def __aenter__(self) -> Self:
        faults, seed = self._faults
        self._handler = ConnectionHandler(
            self._context, _MAX_SESSIONS, faults=faults, fault_seed=seed
        )
        return self

    async def __aexit__(self, *exc: object) -> None:
        await self._open.sessions.close()
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    @property
    def _open(self) -> ConnectionHandler:
        assert self._handler is not None, "the service has not been entered"
        return self._handler

    async def dial(self, token: str | None, listener: TransportListener) -> None:
        """Opens a connection; raises TransportError if a fault rejects it."""
        away = self._open.check_connection()
        if away is not None:
            said = "reset the connection" if away.status is None else "is not available"
            raise TransportError(f"the scripted service {said}", status=away.status)
        pipe = InMemoryTransport(listener)
        pipe.open()
        credentials = () if token is None else (token,)
        task = asyncio.create_task(self._open.serve(pipe, credentials=credentials))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def hear(self, words: str) -> bool:
        """Lets the caller speak; returns True after the turn if it was detected.

        As with real speech detection, a caller is not detected without a connection,
        where interruptions are disabled, or with a short "mhm" while the agent speaks.
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
        for end in range(_WORDS_PER_PARTIAL, len(spoken), _WORDS_PER_PARTIAL):
            due = _spoken_seconds(" ".join(spoken[:end])) - begun
            if due > 0:
                await asyncio.sleep(due)
                begun += due
                conversation.post(PartialTranscript(" ".join(spoken[:end])))
        await asyncio.sleep(duration - begun + ENDPOINT_SECONDS)
        conversation.mark_turn_end(ENDPOINT_SECONDS)
        conversation.post(TurnCommitted(words))
        return True

    async def _begin_to_hear(
        self, conversation: Conversation, words: str, duration: float
    ) -> float | None:
        """Returns the seconds spoken until it counts as a turn; None: it does not."""
        begun = 0.0
        if conversation.agent_is_speaking:
            wanted = conversation.session.settings.turn_detection.interruption_delay
            is_short = duration < wanted and not is_stop_phrase(words)
            begun = min(wanted, duration)
            await asyncio.sleep(begun)
            if is_short and conversation.agent_is_speaking:
                await asyncio.sleep(duration - begun)
                return None
        if not conversation.is_interruptible:
            await asyncio.sleep(duration - begun)
            begun = duration
        return begun if conversation.is_interruptible else None

    def _note(self, kind: str, facts: Mapping[str, Any]) -> None:
        if kind == "vagent.fault":
            self.happened.append(f"{facts['did']} ({facts['fault']})")
        elif kind in ("vagent.internal_error", "vagent.warning"):
            self.happened.append(str(facts["message"]))


def _spoken_seconds(words: str) -> float:
    count = sum(len(syllables(word)) for word in words.split())
    return SECONDS_PER_SYLLABLE * max(1, count)


class _InlineWorkers(Workers):
    """Runs tasks at once in this thread: they take microseconds here."""

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
def _word_tone(word: str) -> bytes:
    return b"".join(ToneSynthesizer().synthesize(word, lambda: False))


class _Tones:
    """Synthesizes tones, cached by word."""

    def synthesize(self, text: str, cancelled: Cancelled) -> Iterator[bytes]:
        for word in text.split():
            if cancelled():
                return
            yield _word_tone(word)


class _SilentVad:
    """A VAD that never detects speech: callers are injected as text."""

    def probability(self, frame: Samples) -> float:
        del frame
        return 0.0

    def reset(self) -> None:
        """Does nothing."""


class _ScriptedSpeech:
    """The speech components: no recognition, the given language model, and tones."""

    def __init__(self, model: LanguageModel) -> None:
        self._model = model

    def vad(self) -> Vad:
        return _SilentVad()

    def endpointer(self) -> None:
        return None

    def recognizer(self) -> Recognizer | None:
        return None

    def language_model(self) -> LanguageModel:
        return self._model

    def synthesizer(self) -> Synthesizer:
        return _Tones()

    def missing(self) -> Sequence[MissingComponent]:
        return ()

    def close(self) -> None:
        """Holds nothing: the caller closes the language model."""


# The model of the scripted service: rules of the scenario, then of the agent's tools.


_PLACEHOLDER = re.compile(r"\$\{(\w+)\}")


class ScriptedModel:
    """Generates the replies of an agent by the rules of one scenario.

    For one call only: rules without a condition are used once, in order.
    """

    def __init__(self, rules: Sequence[LlmRule] = ()) -> None:
        self._rules = [rule for rule in rules if rule.user_says or rule.after]
        self._steps = [rule for rule in rules if not (rule.user_says or rule.after)]
        self._otherwise = RuleBasedModel()

    def warm(self, brief: AgentContext) -> None:
        """Does nothing."""

    def respond(
        self,
        brief: AgentContext,
        history: Sequence[HistoryMessage],
        cancelled: Cancelled,
    ) -> Iterator[ModelOutput]:
        """Yields the output of the first matching rule; see `LanguageModel.respond`."""
        last = history[-1] if history else None
        rule = next((each for each in self._rules if _fits(each, last)), None)
        if rule is None and self._steps and not _is_ending(last):
            rule = self._steps.pop(0)
        if rule is None:
            yield from self._otherwise.respond(brief, history, cancelled)
            return
        if rule.says:
            yield TextChunk(_filled(rule.says, last))
        for tool, arguments in rule.tool_calls:
            yield ToolCallRequest(tool, arguments)

    def close(self) -> None:
        """Does nothing."""


def _fits(rule: LlmRule, last: HistoryMessage | None) -> bool:
    match last:
        case UserMessage(text):
            return any(pattern.matches(text) for pattern in rule.user_says)
        case ToolMessage(name=name):
            return rule.after == name
        case _:
            return False


def _is_ending(last: HistoryMessage | None) -> bool:
    """True if the last message is a successful `end_call`: nothing more is said."""
    return (
        isinstance(last, ToolMessage) and last.name == "end_call" and not last.is_error
    )


def _filled(text: str, last: HistoryMessage | None) -> str:
    result: Any = None
    if isinstance(last, ToolMessage) and last.result is not None:
        result = json.loads(last.result)
    values = result if isinstance(result, Mapping) else {"result": result}

    def spoken(found: re.Match[str]) -> str:
        value = values.get(found[1], found[0])
        return value if isinstance(value, str) else json.dumps(value)

    return _PLACEHOLDER.sub(spoken, text)


# A connection without a network.


class InMemoryTransport:
    """Both ends of one connection.

    For the client it is a `Transport` with a listener; for the service a `Connection`
    and, for faults of sockets, the transport under it.
    """

    def __init__(self, listener: TransportListener) -> None:
        self.is_writable = True
        self.is_open = True
        self._listener = listener
        self._up: asyncio.Queue[str | None] = asyncio.Queue()

    # ------------------------------------------------------------- the client's end

    def open(self) -> None:
        """Reports the connection as open."""
        self._listener.opened(self)

    def write(self, text: str) -> None:
        """Sends a text frame; does nothing after the connection has ended."""
        if self.is_open:
            self._up.put_nowait(text)

    async def close(self) -> None:
        """Lets the other end read what was written, then the end of the stream."""
        self._end()

    # --------------------------------------------------------------- the server's end

    @property
    def transport(self) -> InMemoryTransport:
        """The transport that faults act on."""
        return self

    async def messages(self) -> AsyncIterator[str | bytes]:
        """Yields the messages of the client until the connection ends."""
        while (text := await self._up.get()) is not None:
            yield text

    async def write_all(self, outbox: Outbox | FaultySocket) -> None:
        """Gives the client the messages of the service until it closes."""
        async for text in outbox:
            if not self.is_open:
                return
            self._listener.received(text)
        if outbox.code == ABNORMAL_CLOSURE:
            self.cut()
        elif self._end():
            reason = f"the service closed the line (code {outbox.code})"
            self._listener.lost(ConnectionLost(reason, outbox.code))

    def abort(self) -> None:
        """Breaks the connection from this end."""
        self.cut()

    def cut(self) -> None:
        """Breaks the connection without a close frame."""
        if self._end():
            self._listener.lost(ConnectionLost("the line was lost"))

    def pause_reading(self) -> None:
        """Stops reading; the connection ends when the client's pings time out."""
        silent = PING_SECONDS + PONG_SECONDS
        asyncio.get_running_loop().call_later(silent, self.cut)

    def get_extra_info(self, name: str) -> Any:
        """Returns None: this transport has no socket."""
        del name
        return None

    def _end(self) -> bool:
        """Closes both directions; returns False if already closed."""
        was_open, self.is_open, self.is_writable = self.is_open, False, False
        if was_open:
            self._up.put_nowait(None)
        return was_open
