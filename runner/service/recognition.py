"""From the caller's sound to what they said: detection, recognition, end of turn.

One inbox, one pump, like every driver here. Recognition starts at the first hint of a
pause; when the turn turns out to be over, its text is there already, and the mind has
been thinking about it. When the caller goes on, all that is thrown away.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from dataclasses import dataclass

from runner.errors import SpeechError
from runner.protocol.server.events import (
    Failed,
    PartialTranscript,
    SpeechStarted,
    TurnCommitted,
)
from runner.protocol.server.settings import Settings, bytes_per_ms
from runner.server.ears import SpeechSegmenter
from runner.server.heard import TurnInProgress
from runner.server.listener import Listener
from runner.server.understanding import Understanding, is_stop_phrase
from runner.service.endpointing import Timing, TurnSignal
from runner.service.workers import Workers
from runner.speech.interfaces import Samples, SpeechStack

# One stretch of sound for the recognizer is at most 30 s: longer turns are settled at
# a pause and go on from there.
_SETTLE_SECONDS = 15.0
_STEP_MS = 100
# Partial transcripts take a third of the time at most, also on a slow machine: the
# words at the end of the turn must not wait for them.
_PARTIAL_REST = 2.0


@dataclass(frozen=True, slots=True)
class _Sound:
    pcm: bytes


@dataclass(frozen=True, slots=True)
class _Configured:
    settings: Settings


@dataclass(frozen=True, slots=True)
class _Reset:
    """The line was lost: what was half heard is void."""


@dataclass(frozen=True, slots=True)
class _Recognised:
    turn: TurnInProgress
    covers: int
    text: str
    is_mutter: bool = False


@dataclass(frozen=True, slots=True)
class _Judged:
    turn: TurnInProgress
    covers: int
    is_complete: bool


_Item = _Sound | _Configured | _Reset | _Recognised | _Judged


class SpeechPipeline:
    """The ears of one session; `run` lives as long as the session."""

    def __init__(
        self, speech: SpeechStack, workers: Workers, listener: Listener
    ) -> None:
        self._workers = workers
        self._understanding = Understanding(speech, workers)
        self._listener = listener
        self._inbox: asyncio.Queue[_Item] = asyncio.Queue()
        self._ears: SpeechSegmenter | None = None
        self._settings: Settings | None = None
        self._turn = TurnInProgress()
        self._is_judged = True  # until it is known that no model can tell
        self._jobs: set[asyncio.Task[None]] = set()

    def listen(self, pcm: bytes) -> None:
        """Take sound in the session's input encoding; kept while the models load."""
        self._inbox.put_nowait(_Sound(pcm))

    def configure(self, settings: Settings) -> None:
        """Follow these settings for the sound that comes after."""
        self._inbox.put_nowait(_Configured(settings))

    def reset(self) -> None:
        """Forget the turn that is going on."""
        self._inbox.put_nowait(_Reset())

    async def run(self) -> None:
        """Hear until cancelled."""
        try:
            while True:
                item = await self._inbox.get()
                try:
                    await self._take(item)
                except SpeechError as error:
                    self._listener.post(Failed(error.message))
        finally:
            for job in self._jobs:
                job.cancel()

    async def _take(self, item: _Item) -> None:
        match item:
            case _Sound(pcm=pcm):
                await self._hear(pcm)
            case _Configured(settings=settings):
                await self._adopt(settings)
            case _Reset():
                if self._ears is not None:
                    self._start_turn(self._ears)
                self._listener.doubt()
            case _Recognised():
                self._note_text(item)
            case _Judged(turn=turn, covers=covers, is_complete=is_complete):
                if is_complete and turn is self._turn and turn.is_paused:
                    turn.is_decided = turn.is_decided or self._is_covered(covers)
                    self._commit_if_over()

    async def _adopt(self, settings: Settings) -> None:
        before, self._settings = self._settings, settings
        if before is None:
            self._start(self._learn_to_judge)
        if before is None or before.input_encoding != settings.input_encoding:
            vad = await self._understanding.make_vad()
            self._ears = SpeechSegmenter(vad, settings.input_encoding)
        self._set_limits()

    async def _learn_to_judge(self) -> None:
        """The end-of-turn model is loaded late; nobody has to wait for it to listen."""
        try:
            self._is_judged = await self._understanding.can_judge()
        except SpeechError:
            self._is_judged = False
        self._set_limits()

    def _set_limits(self) -> None:
        if self._ears is not None and self._settings is not None:
            wanted = self._settings.turn_detection
            self._ears.use(Timing.from_settings(wanted, is_judged=self._is_judged))

    async def _hear(self, pcm: bytes) -> None:
        ears, settings = self._ears, self._settings
        if ears is None or settings is None:
            return  # no detector could be made; said already
        # What a decision changes must hold for the very next sound, also when a client
        # sends seconds of it in one message.
        step = int(_STEP_MS * bytes_per_ms(settings.input_encoding))
        for start in range(0, len(pcm), step):
            await self._hear_step(ears, pcm[start : start + step])

    async def _hear_step(self, ears: SpeechSegmenter, pcm: bytes) -> None:
        agent_sounds, yields = self._listener.agent_sounds, self._listener.yields
        signs = await self._workers.run(
            "the speech detector",
            lambda: ears.hear(pcm, agent_speaks=agent_sounds, may_start=yields),
        )
        for sign, sound in signs:
            self._obey(sign, sound, ears)

    def _obey(self, sign: TurnSignal, sound: Samples, ears: SpeechSegmenter) -> None:
        turn = self._turn
        match sign:
            case TurnSignal.STARTED:
                self._turn = TurnInProgress()
                self._listener.post(SpeechStarted())
            case TurnSignal.GREW:
                if asyncio.get_running_loop().time() >= turn.partial_at:
                    self._recognise(sound)
            case TurnSignal.PAUSED:
                turn.is_paused = True
                self._recognise(sound)
            case TurnSignal.ASK:
                turn.is_asked = True
                self._judge_if_asked(ears)
            case TurnSignal.OVER:
                turn.is_decided = True
                self._commit_if_over()
            case TurnSignal.RESUMED:
                self._go_on(ears)
            case TurnSignal.MUTTERED:
                self._recognise(sound, is_mutter=True)

    def _go_on(self, ears: SpeechSegmenter) -> None:
        turn = self._turn
        turn.is_paused = turn.is_asked = turn.is_decided = False
        self._listener.doubt()
        if ears.turn_seconds > _SETTLE_SECONDS and turn.text:
            turn.settled, turn.text, turn.covers = turn.whole_text, "", -1
            ears.drop_sound()

    def _recognise(self, sound: Samples, *, is_mutter: bool = False) -> None:
        """Start a recognition, unless one runs: its end starts what is still wanted."""
        turn, ears, settings = self._turn, self._ears, self._settings
        if turn.is_recognising or ears is None or settings is None:
            return
        turn.is_recognising = True
        covers = ears.last_voiced

        async def recognise() -> None:
            text = ""
            began = asyncio.get_running_loop().time()
            try:
                text = await self._understanding.transcribe(sound, settings.key_terms)
            except SpeechError as error:
                self._listener.post(Failed(error.message))
            ended = asyncio.get_running_loop().time()
            turn.partial_at = ended + _PARTIAL_REST * (ended - began)
            self._inbox.put_nowait(_Recognised(turn, covers, text, is_mutter))

        self._start(recognise)

    def _note_text(self, done: _Recognised) -> None:
        turn = done.turn
        turn.is_recognising = False
        if done.is_mutter:
            if turn is self._turn:
                self._interrupt_with(done.text)
            return
        if turn is not self._turn or self._ears is None:
            return
        turn.text, turn.covers = done.text, done.covers
        if turn.whole_text and turn.whole_text != turn.shown:
            turn.shown = turn.whole_text
            self._listener.post(PartialTranscript(turn.whole_text))
        if not turn.is_paused:
            return
        if not self._is_covered(turn.covers):
            self._recognise(self._ears.sound())
            return
        if turn.whole_text:
            self._listener.suppose(turn.whole_text)
        self._judge_if_asked(self._ears)
        self._commit_if_over()

    def _interrupt_with(self, text: str) -> None:
        if is_stop_phrase(text) and self._listener.yields:
            self._listener.post(SpeechStarted())
            self._listener.mark_end(0.0)
            self._listener.post(TurnCommitted(text))

    def _judge_if_asked(self, ears: SpeechSegmenter) -> None:
        """Judge the pause, but not beside a recognition: both would only be slower,
        and the mind waits for the words."""
        turn = self._turn
        if not turn.is_asked or turn.is_recognising:
            return
        turn.is_asked = False
        sound, covers = ears.sound(), ears.last_voiced

        async def judge() -> None:
            try:
                is_complete = await self._understanding.is_complete(sound)
            except SpeechError as error:
                self._listener.post(Failed(error.message))
                return  # the longest silence ends the turn
            self._inbox.put_nowait(_Judged(turn, covers, is_complete))

        self._start(judge)

    def _commit_if_over(self) -> None:
        turn, ears = self._turn, self._ears
        if ears is None or not turn.is_decided or not self._is_covered(turn.covers):
            return
        self._listener.mark_end(ears.detector.silence_seconds)
        self._listener.post(TurnCommitted(turn.whole_text))
        self._start_turn(ears)

    def _start_turn(self, ears: SpeechSegmenter) -> None:
        ears.next_turn()
        self._turn = TurnInProgress()

    def _is_covered(self, covers: int) -> bool:
        return self._ears is not None and covers == self._ears.last_voiced

    def _start(self, work: Callable[[], Coroutine[None, None, None]]) -> None:
        job = asyncio.create_task(work())
        self._jobs.add(job)
        job.add_done_callback(self._jobs.discard)
