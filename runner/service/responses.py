"""The replies of one session: generation, speculation, synthesis and pacing."""

from __future__ import annotations

import asyncio
import re
from collections import OrderedDict
from collections.abc import AsyncIterator, Callable, Coroutine, Sequence
from dataclasses import dataclass, replace

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
class _ReplyInput:
    """All that determines a reply: equal inputs have equal replies."""

    settings: Settings
    history: tuple[HistoryMessage, ...] = ()
    text: str | None = None  # spoken as it is, without the language model
    may_fill: bool = True

    @property
    def context(self) -> AgentContext:
        return AgentContext(self.settings.system_prompt, self.settings.tools)


class Responder:
    """Performs the reply actions of one `ServerSession`."""

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
        self._history = ChatHistory()
        self._reply: Reply | None = None
        # A reply to a transcript that may be the complete turn.
        self._speculation: tuple[_ReplyInput, Reply] | None = None

    @property
    def history_size(self) -> int:
        """Characters of the history."""
        return self._history.size

    @property
    def is_playing(self) -> bool:
        """True while audio of the agent plays."""
        return self._reply is not None and self._reply.is_playing

    def configure(self, settings: Settings) -> AgentContext | None:
        """Applies settings; returns prompt and tools if they changed."""
        before = _ReplyInput(self._settings).context
        self._settings = settings
        after = _ReplyInput(settings).context
        return None if after == before else after

    def update_history(self, action: AppendHistory | RemoveFromHistory) -> None:
        """Adds a message to the history, or removes a tool call from it."""
        if isinstance(action, RemoveFromHistory):
            self._history.remove_call(action.call_id)
            return
        asked_for = None
        if isinstance(action.message, TranscriptAgent) and self._reply is not None:
            asked_for = self._reply.asked_for
        self._history.append(action.message, asked_for=asked_for)

    def speculate(self, text: str) -> None:
        """Starts a reply to `text`, which may be the caller's complete turn."""
        history = (*self._history.messages, UserMessage(text))
        given = _ReplyInput(self._settings, history)
        if self._speculation is None or self._speculation[0] != given:
            self.cancel_speculation()
            self._speculation = (given, self._generate(given))

    def cancel_speculation(self) -> None:
        """Discards the speculative reply."""
        if self._speculation is not None:
            self._speculation[1].cancel()
            self._speculation = None

    def start(self, request: StartReply, post: Post) -> bool:
        """Starts a reply; returns True if the speculative reply was used."""
        given = self._reply_input(request)
        speculation = self._speculation
        was_speculative = speculation is not None and speculation[0] == given
        if speculation is not None and was_speculative:
            self._reply, self._speculation = speculation[1], None
        else:
            self.cancel_speculation()
            self._reply = self._generate(given)
        self._reply.release(request.reply_id, post)
        return was_speculative

    def stop(self) -> None:
        """Stops the current reply at once."""
        if self._reply is not None:
            self._reply.cancel()

    def close(self) -> None:
        """Stops all replies."""
        self.stop()
        self.cancel_speculation()

    def _reply_input(self, request: StartReply) -> _ReplyInput:
        if request.say is not None:
            return _ReplyInput(self._settings, text=request.say)
        history = self._history.messages
        verbatim = parse_verbatim(request.instructions)
        if verbatim is not None:  # a small model would garble it
            return _ReplyInput(self._settings, text=verbatim)
        if request.instructions:
            history = (*history, SystemMessage(request.instructions))
        elif request.unasked and (
            not history or isinstance(history[-1], AssistantMessage)
        ):
            next_step = SystemMessage("Say what comes next in this conversation.")
            history = (*history, next_step)
        return _ReplyInput(self._settings, history, may_fill=not request.after_tools)

    def _generate(self, given: _ReplyInput) -> Reply:
        output = None
        if given.text is None:
            output = self._workers.stream(
                "the language model",
                lambda cancelled: self._speech.language_model().respond(
                    given.context, given.history, cancelled
                ),
            )
        return Reply(
            output,
            self._synthesizer,
            given.settings,
            text=given.text,
            may_fill=given.may_fill,
            chunk_ms=self._chunk_ms,
        )


FILLER = "Let me check that."
# Said while the language model has written nothing for so long; then at longer
# intervals. An idle machine with two cores answers within about six seconds.
WAITING = "One moment please, I'm still here."
WAITING_SECONDS = 8.0
_WAITING_AGAIN_SECONDS = 20.0
# Audio is sent this far ahead of real time, so that network jitter causes no gap.
_AHEAD_SECONDS = 0.1
# As the service cuts audio: 10 ms of PCM, 37.5 ms in the telephone encodings.
_CHUNK_BYTES = {"audio/pcm": 480, "audio/pcmu": 300, "audio/pcma": 300}
# Clauses synthesized ahead of the one that plays.
_CLAUSES_AHEAD = 3

Post = Callable[[ServerEvent], None]


@dataclass(frozen=True, slots=True)
class _Failure:
    code: str
    message: str


class Reply:
    """One reply of the agent, from the model's output to paced audio.

    Text and audio are generated at once and held back until `release`; a speculative
    reply that is not needed is cancelled before.
    """

    def __init__(
        self,
        output: Stream[ModelOutput] | None,
        synthesizer: SpeechSynthesizer,
        settings: Settings,
        *,
        text: str | None = None,
        may_fill: bool = False,
        chunk_ms: float | None = None,
        wait_seconds: float = WAITING_SECONDS,
    ) -> None:
        """`wait_seconds` is the silence after which the agent says that it works."""
        self.asked_for: str | None = None  # the argument that the text asks for
        self.is_playing = False
        self._output = output
        self._synthesizer = synthesizer
        encoding = settings.output_encoding
        self._chunk_bytes = _CHUNK_BYTES[encoding]
        if chunk_ms is not None:
            self._chunk_bytes = int(chunk_ms * bytes_per_ms(encoding))
        self._settings = settings
        self._clauses: asyncio.Queue[Clause | _Failure | None] = asyncio.Queue(
            _CLAUSES_AHEAD
        )
        self._tool_calls: list[ToolCallRequest] = []
        self._has_answer = False  # the first clause of the model is here
        self._wait_seconds = wait_seconds
        self._target: tuple[str, Post] | None = None  # reply ID; set by `release`
        self._tasks: list[asyncio.Task[None]] = []
        self._start(self._synthesize(text, may_fill))

    def release(self, reply_id: str, post: Post) -> None:
        """Starts sending events under this ID."""
        self._target = (reply_id, post)
        for call in self._tool_calls:
            post(ToolCallRequested(reply_id, call.name, call.arguments))
        self._start(self._send_audio(reply_id, post))

    def cancel(self) -> None:
        """Stops generation, synthesis and sending at once."""
        self.is_playing = False
        if self._output is not None:
            self._output.cancel()
        for task in self._tasks:
            task.cancel()

    def _start(self, work: Coroutine[None, None, None]) -> None:
        task = asyncio.create_task(work)
        task.add_done_callback(self._report_bug)
        self._tasks.append(task)

    def _report_bug(self, task: asyncio.Task[None]) -> None:
        """Posts the failure of a task, so that the caller does not wait in silence."""
        if task.cancelled() or task.exception() is None:
            return
        if self._target is not None:
            reply_id, post = self._target
            post(ReplyFailed(reply_id, "internal_error", repr(task.exception())))

    async def _synthesize(self, text: str | None, may_fill: bool) -> None:
        try:
            if text is not None:
                for sentence in sentences(text):
                    await self._add_clause(sentence, keep=True)
            elif self._output is not None:
                await self._synthesize_output(self._output, may_fill)
        except SpeechError as error:
            await self._clauses.put(_Failure("internal_error", error.message))
        await self._clauses.put(None)

    async def _synthesize_output(
        self, output: Stream[ModelOutput], may_fill: bool
    ) -> None:
        has_spoken = False
        async for part in _with_failure(output):
            match part:
                case TextChunk(text=text, asked_for=asked_for):
                    self.asked_for = asked_for or self.asked_for
                    for sentence in sentences(text):
                        has_spoken = True
                        await self._add_clause(sentence)
                case ToolCallRequest():
                    self._request_tool(part)
                    is_silent = _ends_call(part.name) or self._settings.is_held(
                        part.name
                    )
                    if may_fill and not has_spoken and not is_silent:
                        has_spoken = True
                        await self._add_clause(FILLER, keep=True)
                case _Failure():
                    await self._clauses.put(part)
                    return

    def _request_tool(self, call: ToolCallRequest) -> None:
        """Posts a tool call at once: the tool runs while the filler plays."""
        self._tool_calls.append(call)
        if self._target is not None:
            reply_id, post = self._target
            post(ToolCallRequested(reply_id, call.name, call.arguments))

    async def _add_clause(self, text: str, *, keep: bool = False) -> None:
        clause = await self._synthesizer.synthesize(
            text, self._settings, self._is_cancelled, keep=keep
        )
        await self._clauses.put(clause)

    def _is_cancelled(self) -> bool:
        return self._tasks[0].cancelling() > 0

    async def _next_clause(self) -> Clause | _Failure | None:
        """Returns the next clause; while the model is slow, one that says so."""
        if self._output is None or self._has_answer:
            return await self._clauses.get()
        seconds, self._wait_seconds = self._wait_seconds, _WAITING_AGAIN_SECONDS
        try:
            clause = await asyncio.wait_for(self._clauses.get(), seconds)
        except TimeoutError:
            return await self._synthesizer.synthesize(
                WAITING, self._settings, self._is_cancelled, keep=True
            )
        self._has_answer = True
        return clause

    async def _send_audio(self, reply_id: str, post: Post) -> None:
        """Posts the audio in real time, then the end of the reply."""
        loop = asyncio.get_running_loop()
        encoding = self._settings.output_encoding
        size = self._chunk_bytes
        seconds = size / bytes_per_ms(encoding) / 1000
        # Wakes for two short chunks at a time; more would be a gap before the next.
        extra = min(seconds, _AHEAD_SECONDS - seconds)
        due = loop.time() - _AHEAD_SECONDS
        while (clause := await self._next_clause()) is not None:
            if isinstance(clause, _Failure):
                post(ReplyFailed(reply_id, clause.code, clause.message, retryable=True))
                return
            post(ClauseStarted(reply_id, clause.text, clause.duration_ms))
            # After a gap the schedule restarts: missed time is not caught up.
            due = max(due, loop.time() - _AHEAD_SECONDS)
            for start in range(0, len(clause.pcm), size):
                if (wait := due - loop.time()) > 0:
                    await asyncio.sleep(wait + extra)
                self.is_playing = True
                post(AudioChunk(reply_id, clause.pcm[start : start + size]))
                due += seconds
        await asyncio.sleep(max(0.0, due - loop.time()))
        self.is_playing = False
        post(ReplyFinished(reply_id))


async def _with_failure(
    output: Stream[ModelOutput],
) -> AsyncIterator[ModelOutput | _Failure]:
    """Yields the output, and a failure of the model with the code of the wire."""
    try:
        async for part in output:
            yield part
    except SpeechError as error:
        yield _Failure("llm_provider_error", error.message)


def _ends_call(tool: str) -> bool:
    """Returns True if a tool ends the call, by its name: it needs no filler."""
    words = set(tool.lower().replace("-", "_").split("_"))
    return bool(words & {"end", "hang", "hangup", "goodbye"})


_MIN_AMPLITUDE = 0.005  # -46 dBFS; below is silence
_LEAD_SAMPLES = SAMPLE_RATE // 100  # kept before the first audible sample
_TAIL_SAMPLES = SAMPLE_RATE // 8  # kept after the last one: the pause between clauses
# Greetings, fillers and questions are repeated, so the audio of short texts is cached.
_MAX_CACHED = 64
_MAX_CACHED_CHARACTERS = 60
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
        self._cached: OrderedDict[str, bytes] = OrderedDict()  # last used at the end

    async def prepare(self, text: str) -> None:
        """Synthesizes text that will be needed later, and keeps its audio."""
        await self._pcm(text, lambda: False, keep=True)

    async def synthesize(
        self, text: str, settings: Settings, cancelled: Cancelled, *, keep: bool = False
    ) -> Clause:
        """Returns a clause with its audio; `keep` caches also a long one.

        Raises SpeechError if the synthesizer fails.
        """
        if not settings.speaks:
            return Clause(text)
        pcm = await self._pcm(text, cancelled, keep=keep)
        duration_ms = len(pcm) / BYTES_PER_SECOND * 1000
        encoded = await self._workers.run(
            "encoding", lambda: _encode(pcm, settings.output_encoding, settings.volume)
        )
        return Clause(text, encoded, duration_ms)

    async def _pcm(self, text: str, cancelled: Cancelled, *, keep: bool) -> bytes:
        if text in self._cached:
            self._cached.move_to_end(text)
            return self._cached[text]
        pcm = await self._workers.run(
            "the voice",
            lambda: _trim(
                b"".join(self._speech.synthesizer().synthesize(text, cancelled))
            ),
        )
        if (keep or len(text) <= _MAX_CACHED_CHARACTERS) and not cancelled():
            self._cached[text] = pcm
            if len(self._cached) > _MAX_CACHED:
                self._cached.popitem(last=False)
        return pcm


def sentences(text: str) -> Sequence[str]:
    """Splits text into sentences, so that the first audio is ready early."""
    return [part for part in _SENTENCE_END.split(text.strip()) if part]


def _trim(pcm: bytes) -> bytes:
    """Removes the silence around a clause, which would delay the speech."""
    audible = np.flatnonzero(np.abs(to_samples(pcm)) > _MIN_AMPLITUDE)
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


# Small models read a few thousand tokens at most, and need only a few messages.
_MAX_MESSAGES = 60
# A client can send messages of megabytes; the last one is kept whole.
_MAX_HISTORY_CHARACTERS = 2**20
_OWN_WORDS = re.compile(r'You said: "(.*)"', re.DOTALL)


class ChatHistory:
    """The history of one session as the language model reads it."""

    def __init__(self) -> None:
        self._messages: list[HistoryMessage] = []

    @property
    def size(self) -> int:
        """Characters of all messages."""
        return sum(_message_size(message) for message in self._messages)

    @property
    def messages(self) -> tuple[HistoryMessage, ...]:
        """The latest messages, oldest first."""
        return tuple(self._messages)

    def append(self, message: Memorable, *, asked_for: str | None = None) -> None:
        """Adds a message; a tool result completes its tool call.

        `asked_for` is the argument that the agent's text asks for, if any.
        """
        match message:
            case TranscriptUser(text=text):
                self._messages.append(UserMessage(text))
            case TranscriptAgent(text=text):
                self._messages.append(AssistantMessage(text, asked_for))
            case ConversationMessage(role="user", content=text):
                self._messages.append(UserMessage(text))
            case ConversationMessage(content=text):
                # The only way for a client to restore what the agent said earlier.
                own = _OWN_WORDS.fullmatch(text)
                self._messages.append(
                    AssistantMessage(own[1]) if own else SystemMessage(text)
                )
            case ToolCall():
                call = ToolMessage(message.call_id, message.name, message.arguments)
                self._messages.append(call)
            case ToolResult():
                self._add_result(message)
        del self._messages[:-_MAX_MESSAGES]
        while len(self._messages) > 1 and self.size > _MAX_HISTORY_CHARACTERS:
            del self._messages[0]

    def remove_call(self, call_id: str) -> None:
        """Removes a tool call that will have no result."""
        self._messages = [
            message
            for message in self._messages
            if not (isinstance(message, ToolMessage) and message.call_id == call_id)
        ]

    def _add_result(self, result: ToolResult) -> None:
        """Adds the result to its call and moves it to the end, to be answered next."""
        for message in self._messages:
            if isinstance(message, ToolMessage) and message.call_id == result.call_id:
                self._messages.remove(message)
                self._messages.append(
                    replace(message, result=result.result, is_error=result.is_error)
                )
                return


def _message_size(message: HistoryMessage) -> int:
    if isinstance(message, ToolMessage):
        return len(str(message.arguments)) + len(message.result or "")
    return len(message.text)
