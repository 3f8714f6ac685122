"""From the caller's sound to what they said: detection, recognition, end of turn.

One inbox, one pump, like every driver here. Recognition starts at the first hint of a
pause; when the turn turns out to be over, its text is there already, and the mind has
been thinking about it. When the caller goes on, all that is thrown away.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable, Coroutine, Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np

from runner.audio.pcm import decode_alaw, decode_mulaw, to_samples
from runner.audio.resampler import Resampler
from runner.errors import SpeechError
from runner.protocol.server.config import RATES, Settings, bytes_per_ms
from runner.protocol.server.events import (
    Failed,
    PartialTranscript,
    ServerEvent,
    SpeechStarted,
    TurnCommitted,
)
from runner.service.endpointing import FRAME_SECONDS, Timing, TurnDetector, TurnSignal
from runner.service.workers import Workers
from runner.speech.interfaces import (
    SPEECH_RATE,
    VAD_FRAME,
    Samples,
    SpeechStack,
    Transcript,
    Vad,
)

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
    """Recognizes the speech of one session; `run` lives as long as the session."""

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


# The caller's sound on its way from the wire to the recognizer: decoded, resampled,
# cut into frames, and kept for as long as the turn lasts.


# The first consonant is often quieter than the threshold.
_LEAD_FRAMES = 10
# What recognizers take at most; of a longer stretch without a pause the end is kept.
_MAX_TURN_FRAMES = int(29 / FRAME_SECONDS)


class SpeechSegmenter:
    """Hears one caller; fed by one thread at a time."""

    def __init__(self, vad: Vad, encoding: str) -> None:
        self.detector = TurnDetector()
        self.heard_frames = 0  # of the whole session
        self.last_voiced = 0  # the frame in which speech was last heard
        self._vad = vad
        self._encoding = encoding
        self._resampler = Resampler(RATES[encoding], SPEECH_RATE)
        self._half_sample = b""
        self._rest: Samples = np.zeros(0, np.float32)
        self._lead: deque[Samples] = deque(maxlen=_LEAD_FRAMES)
        self._turn: deque[Samples] = deque(maxlen=_MAX_TURN_FRAMES)

    @property
    def turn_seconds(self) -> float:
        """How much of the current turn is kept."""
        return len(self._turn) * FRAME_SECONDS

    def use(self, timing: Timing) -> None:
        """Follow these limits from now on."""
        self.detector.timing = timing

    def hear(
        self, pcm: bytes, *, agent_speaks: bool = False, may_start: bool = True
    ) -> list[tuple[TurnSignal, Samples]]:
        """Take sound as it came; return each decision with the turn's sound so far."""
        samples = self._resampler.process(self._decode(pcm))
        self._rest = np.concatenate((self._rest, samples))
        signs: list[tuple[TurnSignal, Samples]] = []
        while len(self._rest) >= VAD_FRAME:
            frame, self._rest = self._rest[:VAD_FRAME], self._rest[VAD_FRAME:]
            sign = self._hear_frame(frame, agent_speaks, may_start)
            if sign is not None:
                signs.append((sign, self.sound()))
            if sign is TurnSignal.MUTTERED:
                self._turn.clear()
        return signs

    def sound(self) -> Samples:
        """Return the sound of the current turn, a little before its onset included."""
        if not self._turn:
            return np.zeros(0, np.float32)
        return np.concatenate(self._turn)

    def drop_sound(self) -> None:
        """Let go of what has been recognised for good, up to the last onset."""
        self._turn = deque(list(self._turn)[-_LEAD_FRAMES:], maxlen=_MAX_TURN_FRAMES)

    def next_turn(self) -> None:
        """The turn is over: listen for another."""
        self._turn.clear()
        self.detector.reset()

    def _hear_frame(
        self, frame: Samples, agent_speaks: bool, may_start: bool
    ) -> TurnSignal | None:
        was_quiet = self.detector.is_quiet
        sign = self.detector.hear(
            self._vad.probability(frame), agent_speaks=agent_speaks, may_start=may_start
        )
        self.heard_frames += 1
        if not self.detector.is_quiet and self.detector.silence_seconds == 0:
            self.last_voiced = self.heard_frames
        if was_quiet and not self.detector.is_quiet:
            self._turn.clear()
            self._turn.extend(self._lead)
        if not self.detector.is_quiet:
            self._turn.append(frame)
        elif sign is None:
            self._turn.clear()
        self._lead.append(frame)
        return sign

    def _decode(self, pcm: bytes) -> Samples:
        if self._encoding == "audio/pcmu":
            return to_samples(decode_mulaw(pcm))
        if self._encoding == "audio/pcma":
            return to_samples(decode_alaw(pcm))
        # Clients may cut anywhere, also in the middle of a sample.
        pcm = self._half_sample + pcm
        whole = len(pcm) // 2 * 2
        self._half_sample = pcm[whole:]
        return to_samples(pcm[:whole])


# What is known of the caller's turn that is going on.


@dataclass(slots=True)
class TurnInProgress:
    """A turn of the caller from its start to its commit, kept by `SpeechPipeline`."""

    settled: str = ""  # recognised for good, its sound is gone
    text: str = ""  # of the sound that is kept
    covers: int = -1  # the text covers speech up to this frame
    shown: str = ""
    is_recognising: bool = False
    partial_at: float = 0.0  # no further partial before this, on the loop's clock
    is_paused: bool = False
    is_asked: bool = False  # long enough a pause to judge, once the models are free
    is_decided: bool = False  # over, as soon as the text covers all of it

    @property
    def whole_text(self) -> str:
        return f"{self.settled} {self.text}".strip()


# What the models make of a stretch of the caller's sound: words, and whether the turn
# is complete.


# Recognizers invent words for noise; above this nobody spoke (measured for Whisper).
_MAX_NO_SPEECH = 0.6
_COMPLETE = 0.5
# Short words that are meant to interrupt; any other short sound under the agent's
# voice ("mhm", a cough) is let pass.
_STOP = "stop wait no hold hang pause enough cancel hey sorry"


class Understanding:
    """Asks recognizer and end-of-turn model, in threads; raises SpeechError."""

    def __init__(self, speech: SpeechStack, workers: Workers) -> None:
        self._speech = speech
        self._workers = workers

    async def make_vad(self) -> Vad:
        """Return a fresh detector of speech for one session."""
        return await self._workers.run("the speech detector", self._speech.vad)

    async def can_judge(self) -> bool:
        """Whether a model tells complete turns; waits until it is loaded."""
        task = "the end-of-turn model"
        return await self._workers.run(task, self._speech.endpointer) is not None

    async def is_complete(self, sound: Samples) -> bool:
        """True if the turn that ends here sounds complete."""

        def work() -> float:
            endpointer = self._speech.endpointer()
            return 0.0 if endpointer is None else endpointer.completeness(sound)

        return await self._workers.run("the end-of-turn model", work) >= _COMPLETE

    async def transcribe(self, sound: Samples, key_terms: Sequence[str]) -> str:
        """Return what was said, or nothing where nobody spoke."""

        def work() -> Transcript:
            recognizer = self._speech.recognizer()
            if recognizer is None:
                return Transcript("")  # said at the start; messages still work
            return recognizer.transcribe(sound, key_terms=key_terms)

        transcript = await self._workers.run("speech recognition", work)
        return "" if transcript.no_speech > _MAX_NO_SPEECH else transcript.text.strip()


def is_stop_phrase(text: str) -> bool:
    """Whether so short an utterance wants the agent to be silent."""
    words = {word.strip(".,!?").lower() for word in text.split()}
    return not words.isdisjoint(_STOP.split())


# Who the ears report to, so that they can be tested without a conversation.


class Listener(Protocol):
    """Who wants to know what the caller says; asked and told on the event loop."""

    @property
    def agent_sounds(self) -> bool:
        """True if the caller hears the agent now."""
        ...

    @property
    def yields(self) -> bool:
        """True if the caller may take the floor now."""
        ...

    def post(self, event: ServerEvent) -> None:
        """Take what was heard."""
        ...

    def suppose(self, text: str) -> None:
        """Think ahead: this may be all that the caller says."""
        ...

    def doubt(self) -> None:
        """It was not: the caller goes on."""
        ...

    def mark_end(self, silence_seconds: float) -> None:
        """The turn is over; the caller fell silent so long ago."""
        ...
