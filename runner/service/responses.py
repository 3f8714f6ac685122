"""The agent's side of a session: what it remembers, thinks ahead and says."""

from __future__ import annotations

import asyncio
import re
from collections.abc import AsyncIterator, Callable, Coroutine, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from runner.audio.devices import BYTES_PER_SECOND, SAMPLE_RATE
from runner.audio.pcm import (
    TELEPHONE_RATE,
    encode_alaw,
    encode_mulaw,
    to_pcm,
    to_samples,
)
from runner.audio.resampler import resample_pcm
from runner.errors import SpeechError
from runner.protocol.messages import (
    ConversationMessage,
    ToolCall,
    ToolResult,
    TranscriptAgent,
    TranscriptUser,
    parse_verbatim,
)
from runner.protocol.server.config import Settings, bytes_per_ms, default_settings
from runner.protocol.server.events import (
    AppendHistory,
    AudioChunk,
    ClauseStarted,
    Memorable,
    RemoveFromHistory,
    ReplyFailed,
    ReplyFinished,
    ServerEvent,
    StartReply,
    ToolCallRequested,
)
from runner.service.workers import Stream, Workers
from runner.speech.interfaces import (
    AgentContext,
    AssistantMessage,
    Cancelled,
    HistoryMessage,
    ModelOutput,
    SpeechStack,
    SystemMessage,
    TextChunk,
    ToolCallRequest,
    ToolMessage,
    UserMessage,
)


@dataclass(frozen=True, slots=True)
class _Premise:
    """All that a reply follows from: equal premises, equal replies."""

    settings: Settings
    turns: tuple[HistoryMessage, ...] = ()
    say: str | None = None
    may_fill: bool = True

    @property
    def brief(self) -> AgentContext:
        tools: tuple[Mapping[str, Any], ...] = self.settings.tools
        return AgentContext(self.settings.system_prompt, tools)


class Responder:
    """Mind and voice of one session; performs what its `ServerSession` wants said."""

    def __init__(
        self,
        speech: SpeechStack,
        workers: Workers,
        synthesizer: SpeechSynthesizer,
        chunk_ms: float | None = None,
    ) -> None:
        self._speech = speech
        self._chunk_ms = chunk_ms
        self._workers = workers
        self._synthesizer = synthesizer
        self._settings = default_settings()
        self._memory = ChatHistory()
        self._reply: Reply | None = None
        # A reply to what the caller perhaps has finished saying.
        self._guess: tuple[_Premise, Reply] | None = None

    @property
    def is_sounding(self) -> bool:
        """True if the caller hears the agent now."""
        return self._reply is not None and self._reply.is_sounding

    def configure(self, settings: Settings) -> AgentContext | None:
        """Use these settings; return the brief if the mind should read it ahead."""
        before = _Premise(self._settings).brief
        self._settings = settings
        after = _Premise(settings).brief
        return None if after == before else after

    def note(self, action: AppendHistory | RemoveFromHistory) -> None:
        """Let the mind know what was said, asked or answered, or will never be."""
        if isinstance(action, RemoveFromHistory):
            self._memory.forget(action.call_id)
            return
        asked_for = None
        if isinstance(action.message, TranscriptAgent) and self._reply is not None:
            asked_for = self._reply.asked_for
        self._memory.note(action.message, asked_for=asked_for)

    def suppose(self, text: str) -> None:
        """Begin a reply to words that may be the caller's last of this turn."""
        turns = (*self._memory.turns, UserMessage(text))
        premise = _Premise(self._settings, turns)
        if self._guess is None or self._guess[0] != premise:
            self.doubt()
            self._guess = (premise, self._begin(premise))

    def doubt(self) -> None:
        """Discards the speculative reply."""
        if self._guess is not None:
            self._guess[1].cancel()
            self._guess = None

    def start(self, wanted: StartReply, post: Post) -> bool:
        """Make the reply that is wanted; return whether it had been begun before."""
        premise = self._premise(wanted)
        was_guessed = self._guess is not None and self._guess[0] == premise
        if was_guessed and self._guess is not None:
            self._reply, self._guess = self._guess[1], None
        else:
            self.doubt()
            self._reply = self._begin(premise)
        self._reply.release(wanted.reply_id, post)
        return was_guessed

    def stop(self) -> None:
        """Fall silent now."""
        if self._reply is not None:
            self._reply.cancel()

    def close(self) -> None:
        """Stop everything."""
        self.stop()
        self.doubt()

    def _premise(self, wanted: StartReply) -> _Premise:
        if wanted.say is not None:
            return _Premise(self._settings, say=wanted.say)
        turns = self._memory.turns
        line = parse_verbatim(wanted.instructions)
        if line is not None:  # it needs no mind, and a small one would garble it
            return _Premise(self._settings, say=line)
        if wanted.instructions:
            turns = (*turns, SystemMessage(wanted.instructions))
        elif wanted.unasked and (not turns or isinstance(turns[-1], AssistantMessage)):
            turns = (*turns, SystemMessage("Say what comes next in this conversation."))
        return _Premise(self._settings, turns, may_fill=not wanted.after_tools)

    def _begin(self, premise: _Premise) -> Reply:
        thoughts = None
        if premise.say is None:
            thoughts = self._workers.stream(
                "the language model",
                lambda cancelled: self._speech.language_model().think(
                    premise.brief, premise.turns, cancelled
                ),
            )
        return Reply(
            thoughts,
            self._synthesizer,
            premise.settings,
            say=premise.say,
            may_fill=premise.may_fill,
            chunk_ms=self._chunk_ms,
        )


# One reply on its way from thoughts to sound.
#
# It may be begun on a guess of what the caller said: thoughts and sound are made at
# once and held back until `release`; a wrong guess is cancelled, and nobody heard of
# it.


FILLER = "Let me check that."
# Said ahead of real time, so that a hiccup of the network is not a gap in the sound.
_AHEAD_SECONDS = 0.1
# As the service cuts it: 10 ms of PCM, 37.5 ms of telephone sound.
_CHUNK_BYTES = {"audio/pcm": 480, "audio/pcmu": 300, "audio/pcma": 300}
# Sound is made a few clauses ahead of what is being heard, not all at once.
_CLAUSES_AHEAD = 3

Post = Callable[[ServerEvent], None]


@dataclass(frozen=True, slots=True)
class _Failure:
    code: str
    message: str


class Reply:
    """Thinks, speaks and paces one reply; made and driven by `Responder`."""

    def __init__(
        self,
        thoughts: Stream[ModelOutput] | None,
        synthesizer: SpeechSynthesizer,
        settings: Settings,
        *,
        say: str | None = None,
        may_fill: bool = False,
        chunk_ms: float | None = None,
    ) -> None:
        self.asked_for: str | None = None  # of the thoughts so far
        self.is_sounding = False
        self._thoughts = thoughts
        self._synthesizer = synthesizer
        encoding = settings.output_encoding
        self._chunk_bytes = _CHUNK_BYTES[encoding]
        if chunk_ms is not None:
            self._chunk_bytes = int(chunk_ms * bytes_per_ms(encoding))
        self._settings = settings
        self._clauses: asyncio.Queue[Clause | _Failure | None] = asyncio.Queue(
            _CLAUSES_AHEAD
        )
        self._calls: list[ToolCallRequest] = []
        self._outlet: tuple[str, Post] | None = None  # set by release
        self._tasks: list[asyncio.Task[None]] = []
        self._run(self._make(say, may_fill))

    def release(self, reply_id: str, post: Post) -> None:
        """Let the reply be heard, under this id."""
        self._outlet = (reply_id, post)
        for call in self._calls:
            post(ToolCallRequested(reply_id, call.name, call.arguments))
        self._run(self._pace(reply_id, post))

    def cancel(self) -> None:
        """Stop thinking, synthesising and sending now."""
        self.is_sounding = False
        if self._thoughts is not None:
            self._thoughts.cancel()
        for task in self._tasks:
            task.cancel()

    def _run(self, work: Coroutine[None, None, None]) -> None:
        task = asyncio.create_task(work)
        task.add_done_callback(self._check)
        self._tasks.append(task)

    def _check(self, task: asyncio.Task[None]) -> None:
        """A bug in making a reply must not leave the caller with silence for good."""
        if task.cancelled() or task.exception() is None:
            return
        if self._outlet is not None:
            reply_id, post = self._outlet
            post(ReplyFailed(reply_id, "internal_error", repr(task.exception())))

    async def _make(self, say: str | None, may_fill: bool) -> None:
        try:
            if say is not None:
                for sentence in sentences(say):
                    await self._voice(sentence, keep=True)
            elif self._thoughts is not None:
                await self._voice_thoughts(self._thoughts, may_fill)
        except SpeechError as error:
            await self._clauses.put(_Failure("internal_error", error.message))
        await self._clauses.put(None)

    async def _voice_thoughts(
        self, thoughts: Stream[ModelOutput], may_fill: bool
    ) -> None:
        said_something = False
        async for thought in _named(thoughts):
            match thought:
                case TextChunk(text=text, asked_for=asked_for):
                    self.asked_for = asked_for or self.asked_for
                    for sentence in sentences(text):
                        said_something = True
                        await self._voice(sentence)
                case ToolCallRequest():
                    self._call(thought)
                    if may_fill and not said_something and not _ends(thought.name):
                        said_something = True
                        await self._voice(FILLER, keep=True)
                case _Failure():
                    await self._clauses.put(thought)
                    return

    def _call(self, call: ToolCallRequest) -> None:
        """Send a call as soon as it is decided: the tool runs under the filler."""
        self._calls.append(call)
        if self._outlet is not None:
            reply_id, post = self._outlet
            post(ToolCallRequested(reply_id, call.name, call.arguments))

    async def _voice(self, text: str, *, keep: bool = False) -> None:
        clause = await self._synthesizer.say(
            text, self._settings, self._is_over, keep=keep
        )
        await self._clauses.put(clause)

    def _is_over(self) -> bool:
        return self._tasks[0].cancelling() > 0

    async def _pace(self, reply_id: str, post: Post) -> None:
        """Hand the sound over as it is due, and call the reply done at its end."""
        loop = asyncio.get_running_loop()
        encoding = self._settings.output_encoding
        size = self._chunk_bytes
        seconds = size / bytes_per_ms(encoding) / 1000
        # Two short chunks a waking; more at once would be a gap before the next.
        lull = min(seconds, _AHEAD_SECONDS - seconds)
        due = loop.time() - _AHEAD_SECONDS
        while (clause := await self._clauses.get()) is not None:
            if isinstance(clause, _Failure):
                post(ReplyFailed(reply_id, clause.code, clause.message, retryable=True))
                return
            post(ClauseStarted(reply_id, clause.text, clause.duration_ms))
            # After a gap the clock starts anew; what was missed is not rushed.
            due = max(due, loop.time() - _AHEAD_SECONDS)
            for start in range(0, len(clause.pcm), size):
                if (wait := due - loop.time()) > 0:
                    await asyncio.sleep(wait + lull)
                self.is_sounding = True
                post(AudioChunk(reply_id, clause.pcm[start : start + size]))
                due += seconds
        await asyncio.sleep(max(0.0, due - loop.time()))
        self.is_sounding = False
        post(ReplyFinished(reply_id))


async def _named(
    thoughts: Stream[ModelOutput],
) -> AsyncIterator[ModelOutput | _Failure]:
    """Tell a mind that fails from a voice that fails: the wire has a code for it."""
    try:
        async for thought in thoughts:
            yield thought
    except SpeechError as error:
        yield _Failure("llm_provider_error", error.message)


def _ends(tool: str) -> bool:
    """Whether a tool ends the call, by its name: there is nothing to check then."""
    words = set(tool.lower().replace("-", "_").split("_"))
    return bool(words & {"end", "hang", "hangup", "goodbye"})


# Words to sound in a session's own encoding, clause by clause.


# Quieter than this is silence: about -46 dB below full scale.
_AUDIBLE = 0.005
_LEAD_SAMPLES = SAMPLE_RATE // 100  # kept before the first audible sample
_TAIL_SAMPLES = SAMPLE_RATE // 8  # kept after the last one: the pause between clauses
_KEPT_CLAUSES = 32
_SENTENCE_END = re.compile(r"(?<=[.!?])\s+")


@dataclass(frozen=True, slots=True)
class Clause:
    """A clause and its audio in the encoding of the session."""

    text: str
    pcm: bytes = b""
    duration_ms: float = 0.0


class SpeechSynthesizer:
    """Text to speech, shared by all sessions of the server."""

    def __init__(self, speech: SpeechStack, workers: Workers) -> None:
        self._speech = speech
        self._workers = workers
        # Greetings and fillers are said again and again; oldest first.
        self._kept: dict[str, bytes] = {}

    async def prepare(self, text: str) -> None:
        """Synthesise words that will be needed at once."""
        await self._sound(text, _never, keep=True)

    async def say(
        self, text: str, settings: Settings, cancelled: Cancelled, *, keep: bool = False
    ) -> Clause:
        """Return the sound of a clause; `keep` what will be said again.

        Raises:
            SpeechError: the voice failed.
        """
        if not settings.speaks:
            return Clause(text)
        pcm = await self._sound(text, cancelled, keep=keep)
        duration_ms = len(pcm) / BYTES_PER_SECOND * 1000
        encoded = await self._workers.run(
            "encoding", lambda: _encode(pcm, settings.output_encoding, settings.volume)
        )
        return Clause(text, encoded, duration_ms)

    async def _sound(self, text: str, cancelled: Cancelled, *, keep: bool) -> bytes:
        if text in self._kept:
            return self._kept[text]
        pcm = await self._workers.run(
            "the voice", lambda: _speak(self._speech, text, cancelled)
        )
        if keep and not cancelled():
            if len(self._kept) >= _KEPT_CLAUSES:
                del self._kept[next(iter(self._kept))]
            self._kept[text] = pcm
        return pcm


def sentences(text: str) -> Sequence[str]:
    """Cut a text where a voice takes breath, so that the first sound comes early."""
    return [part for part in _SENTENCE_END.split(text.strip()) if part]


def _speak(speech: SpeechStack, text: str, cancelled: Cancelled) -> bytes:
    return _trim(b"".join(speech.voice().speak(text, cancelled)))


def _trim(pcm: bytes) -> bytes:
    """Cut the silence around a clause: the caller waits for sound, not for silence."""
    audible = np.flatnonzero(np.abs(to_samples(pcm)) > _AUDIBLE)
    if not len(audible):
        return pcm
    start = max(0, int(audible[0]) - _LEAD_SAMPLES)
    end = int(audible[-1]) + _TAIL_SAMPLES
    return pcm[2 * start : 2 * end]


def _encode(pcm: bytes, encoding: str, volume: float) -> bytes:
    if volume != 1:
        pcm = to_pcm(to_samples(pcm) * np.float32(volume))
    if encoding == "audio/pcmu":
        return encode_mulaw(resample_pcm(pcm, SAMPLE_RATE, TELEPHONE_RATE))
    if encoding == "audio/pcma":
        return encode_alaw(resample_pcm(pcm, SAMPLE_RATE, TELEPHONE_RATE))
    return pcm


def _never() -> bool:
    return False


# What has been said in a session, as the mind is told it.


# The small minds here read some thousand tokens at most, and need a few turns only.
_MAX_TURNS = 60
_OWN_WORDS = re.compile(r'You said: "(.*)"', re.DOTALL)


class ChatHistory:
    """One session's history, written by the session's own actions."""

    def __init__(self) -> None:
        self._turns: list[HistoryMessage] = []

    @property
    def turns(self) -> tuple[HistoryMessage, ...]:
        """Everything that still counts, oldest first."""
        return tuple(self._turns)

    def note(self, message: Memorable, *, asked_for: str | None = None) -> None:
        """Take in what was said, asked or answered.

        `asked_for` is the tool's value that the agent's words asked for, if any.
        """
        match message:
            case TranscriptUser(text=text):
                self._turns.append(UserMessage(text))
            case TranscriptAgent(text=text):
                self._turns.append(AssistantMessage(text, asked_for))
            case ConversationMessage(role="user", content=text):
                self._turns.append(UserMessage(text))
            case ConversationMessage(content=text):
                # A client that carries a conversation over has no other way to say it.
                own = _OWN_WORDS.fullmatch(text)
                self._turns.append(
                    AssistantMessage(own[1]) if own else SystemMessage(text)
                )
            case ToolCall():
                call = ToolMessage(message.call_id, message.name, message.arguments)
                self._turns.append(call)
            case ToolResult():
                self._answer(message)
        del self._turns[:-_MAX_TURNS]

    def forget(self, call_id: str) -> None:
        """Drop a call that nobody will answer."""
        self._turns = [
            turn
            for turn in self._turns
            if not (isinstance(turn, ToolMessage) and turn.call_id == call_id)
        ]

    def _answer(self, result: ToolResult) -> None:
        """Move the call to the end: its result is what the mind answers next."""
        for turn in self._turns:
            if isinstance(turn, ToolMessage) and turn.call_id == result.call_id:
                self._turns.remove(turn)
                answered = replace(turn, result=result.result, is_error=result.is_error)
                self._turns.append(answered)
                return
