"""The scripted service: the local service with words in place of sound.

The same sessions, floor, pacing and faults as `vagent serve`, over a pipe instead of a
socket; the caller's words are handed to it where ears would have understood them, a
script thinks, and tones of about a voice's length are the voice. It starts no thread
and draws no lots, so on virtual time every run is the same.
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
    Quality,
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
SECONDS_A_SYLLABLE = 0.25
# Silence after which the local service takes a turn to be over.
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
        synthesizer = SpeechSynthesizer(speech, workers)
        numbers = count(1)
        self.happened: list[str] = []  # faults, in words
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
            self._context, _MOST_SESSIONS, faults=faults, fault_seed=seed
        )
        return self

    async def __aexit__(self, *exc: object) -> None:
        await self._open.sessions.leave()
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    @property
    def _open(self) -> ConnectionHandler:
        assert self._handler is not None, "the service has not been entered"
        return self._handler

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

    def language_model(self) -> LanguageModel:
        return self._brain

    def voice(self) -> Synthesizer:
        return _Tones()

    def missing(self) -> Sequence[MissingComponent]:
        return ()

    def close(self) -> None:
        """Hold nothing: the mind is whoever made it's to close."""


# The scripted service's mind: a scenario's own rules, and the agent's where none fits.
#
# What the agent says is then as certain as what it does, and no model is asked.


_PLACEHOLDER = re.compile(r"\$\{(\w+)\}")


class ScriptedModel:
    """Plays an agent by the rules of one scenario.

    For one call only: the steps of a script are used up.
    """

    name = "script"
    quality: Quality = "script"

    def __init__(self, rules: Sequence[LlmRule] = ()) -> None:
        self._rules = [rule for rule in rules if rule.user_says or rule.after]
        self._steps = [rule for rule in rules if not (rule.user_says or rule.after)]
        self._otherwise = RuleBasedModel()

    def warm(self, brief: AgentContext) -> None:
        """Do nothing: there is nothing to read."""

    def think(
        self,
        brief: AgentContext,
        history: Sequence[HistoryMessage],
        cancelled: Cancelled,
    ) -> Iterator[ModelOutput]:
        """Yield what the first rule that fits says and calls; see `Brain.think`."""
        last = history[-1] if history else None
        rule = next((each for each in self._rules if _fits(each, last)), None)
        if rule is None and self._steps and not _is_ending(last):
            rule = self._steps.pop(0)
        if rule is None:
            yield from self._otherwise.think(brief, history, cancelled)
            return
        if rule.says:
            yield TextChunk(_filled(rule.says, last))
        for tool, arguments in rule.tool_calls:
            yield ToolCallRequest(tool, arguments)

    def close(self) -> None:
        """Do nothing: nothing is held."""


def _fits(rule: LlmRule, last: HistoryMessage | None) -> bool:
    match last:
        case UserMessage(text):
            return any(pattern.matches(text) for pattern in rule.user_says)
        case ToolMessage(name=name):
            return rule.after == name
        case _:
            return False


def _is_ending(last: HistoryMessage | None) -> bool:
    """Whether the call has just been ended: nothing more is to be said."""
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


# A line without a network: what one end writes, the other reads a moment later.


class InMemoryTransport:
    """One connection, seen from both ends.

    To the client it is a `Transport` with a listener; to the reception it is a
    `Connection` and, for faults that are done to sockets, the transport under it.
    """

    def __init__(self, listener: TransportListener) -> None:
        self.is_writable = True
        self.is_open = True
        self._listener = listener
        self._up: asyncio.Queue[str | None] = asyncio.Queue()

    # ------------------------------------------------------------- the client's end

    def open(self) -> None:
        """Stand, as far as the listener knows."""
        self._listener.opened(self)

    def write(self, text: str) -> None:
        """Send a text frame; does nothing once the connection is gone."""
        if self.is_open:
            self._up.put_nowait(text)

    async def close(self) -> None:
        """Let the other end read what was written, and then the end."""
        self._end()

    # --------------------------------------------------------------- the server's end

    @property
    def transport(self) -> InMemoryTransport:
        """What faults are done to."""
        return self

    async def messages(self) -> AsyncIterator[str | bytes]:
        """Yield what the client writes until the line is gone."""
        while (text := await self._up.get()) is not None:
            yield text

    async def write_all(self, line: Outbox | FaultySocket) -> None:
        """Give the client what is said on this line until it is closed."""
        async for text in line:
            if not self.is_open:
                return
            self._listener.received(text)
        if line.code == ABNORMAL_CLOSURE:
            self.cut()
        elif self._end():
            reason = f"the service closed the line (code {line.code})"
            self._listener.lost(ConnectionLost(reason, line.code))

    def abort(self) -> None:
        """Break the line from this end."""
        self.cut()

    def cut(self) -> None:
        """Break the line: both ends notice, and nobody says why."""
        if self._end():
            self._listener.lost(ConnectionLost("the line was lost"))

    def pause_reading(self) -> None:
        """Fall silent without closing; the client's own pings find out."""
        silent = PING_SECONDS + PONG_SECONDS
        asyncio.get_running_loop().call_later(silent, self.cut)

    def get_extra_info(self, name: str) -> Any:
        """There is no socket below."""
        del name
        return None

    def _end(self) -> bool:
        """Close both ways; false when they were closed before."""
        was_open, self.is_open, self.is_writable = self.is_open, False, False
        if was_open:
            self._up.put_nowait(None)
        return was_open
