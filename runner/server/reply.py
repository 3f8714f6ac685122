"""One reply on its way from thoughts to sound.

It may be begun on a guess of what the caller said: thoughts and sound are made at once
and held back until `release`; a wrong guess is cancelled, and nobody heard of it.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Coroutine
from dataclasses import dataclass

from runner.errors import SpeechError
from runner.protocol.server.events import (
    AudioChunk,
    ClauseStarted,
    ReplyFailed,
    ReplyFinished,
    ServerEvent,
    ToolCallRequested,
)
from runner.protocol.server.settings import Settings, bytes_per_ms
from runner.server.larynx import Clause, SpeechSynthesizer, sentences
from runner.service.workers import Stream
from runner.speech.interfaces import ModelOutput, TextChunk, ToolCallRequest

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
        larynx: SpeechSynthesizer,
        settings: Settings,
        *,
        say: str | None = None,
        may_fill: bool = False,
        chunk_ms: float | None = None,
    ) -> None:
        self.asked_for: str | None = None  # of the thoughts so far
        self.is_sounding = False
        self._thoughts = thoughts
        self._larynx = larynx
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
        clause = await self._larynx.say(text, self._settings, self._is_over, keep=keep)
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
