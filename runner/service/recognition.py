"""Speech recognition of one session: VAD, transcription, end of turn.

Transcription starts at the first sign of a pause. When the turn has ended, its text is
there and the language model is already generating a reply. If the caller continues,
text and reply are discarded.
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
    Vad,
)

# The recognizer takes at most 30 s at once. The text of a longer turn becomes final at
# a pause, and transcription continues from there.
_MAX_OPEN_SECONDS = 15.0
_STEP_MS = 100
# Partial transcripts take at most a third of the time, also on a slow machine: the
# final transcript must not wait for them.
_PARTIAL_REST = 2.0

_Work = Callable[[], Coroutine[None, None, None]]


class TurnListener(Protocol):
    """Receives the turns of a caller; called on the event loop."""

    @property
    def agent_is_speaking(self) -> bool:
        """True while audio of the agent plays."""
        ...

    @property
    def is_interruptible(self) -> bool:
        """True if the caller may start a turn now."""
        ...

    def post(self, event: ServerEvent) -> None:
        """Takes an event of the pipeline."""
        ...

    def speculate(self, text: str) -> None:
        """Starts a reply to `text`, which may be the complete turn."""
        ...

    def cancel_speculation(self) -> None:
        """Discards the speculative reply: the caller continues."""
        ...

    def mark_turn_end(self, silence_seconds: float) -> None:
        """Notes that the turn has ended, with the silence since its last speech."""
        ...


class SpeechPipeline:
    """Recognizes the speech of one session; `run` lives as long as the session."""

    def __init__(
        self,
        speech: SpeechStack,
        workers: Workers,
        listener: TurnListener,
        warn: Callable[[str], None] = lambda message: None,
    ) -> None:
        self._workers = workers
        self._warn = warn
        self._has_warned = False
        self._analyzer = SpeechAnalyzer(speech, workers)
        self._listener = listener
        self._inbox: asyncio.Queue[_Work] = asyncio.Queue()
        self._segmenter: SpeechSegmenter | None = None
        self._settings: Settings | None = None
        self._turn = TurnInProgress()
        self._has_endpointer = True  # until the end-of-turn model is known to be absent
        self._jobs: set[asyncio.Task[None]] = set()

    def listen(self, pcm: bytes) -> None:
        """Adds audio in the session's input encoding; kept while the models load."""
        self._inbox.put_nowait(lambda: self._process_audio(pcm))

    def configure(self, settings: Settings) -> None:
        """Applies `settings` to the audio that follows."""
        self._inbox.put_nowait(lambda: self._apply(settings))

    def reset(self) -> None:
        """Discards the current turn, after the connection was lost."""
        self._inbox.put_nowait(self._discard_turn)

    async def run(self) -> None:
        """Processes audio until cancelled."""
        try:
            while True:
                work = await self._inbox.get()
                try:
                    await work()
                except SpeechError as error:
                    self._listener.post(Failed(error.message))
        finally:
            for job in self._jobs:
                job.cancel()

    async def _discard_turn(self) -> None:
        if self._segmenter is not None:
            self._start_turn(self._segmenter)
        self._listener.cancel_speculation()

    async def _apply(self, settings: Settings) -> None:
        before, self._settings = self._settings, settings
        if before is None:
            self._start(self._detect_endpointer)
        if before is None or before.input_encoding != settings.input_encoding:
            vad = await self._analyzer.make_vad()
            self._segmenter = SpeechSegmenter(vad, settings.input_encoding)
        self._set_timing()

    async def _detect_endpointer(self) -> None:
        """Adapts the timing once the end-of-turn model has loaded, or failed to."""
        try:
            self._has_endpointer = await self._analyzer.has_endpointer()
        except SpeechError:
            self._has_endpointer = False
        self._set_timing()

    def _set_timing(self) -> None:
        if self._segmenter is not None and self._settings is not None:
            self._segmenter.detector.timing = Timing.from_settings(
                self._settings.turn_detection, has_endpointer=self._has_endpointer
            )

    async def _process_audio(self, pcm: bytes) -> None:
        segmenter, settings = self._segmenter, self._settings
        if segmenter is None or settings is None:
            return  # no VAD could be created, which was reported
        # What a signal changes must apply to the next audio, also if a client sends
        # seconds of it in one message.
        step = int(_STEP_MS * bytes_per_ms(settings.input_encoding))
        for start in range(0, len(pcm), step):
            await self._process_step(segmenter, pcm[start : start + step])

    async def _process_step(self, segmenter: SpeechSegmenter, pcm: bytes) -> None:
        agent_is_speaking = self._listener.agent_is_speaking
        may_start = self._listener.is_interruptible
        signals = await self._workers.run(
            "the speech detector",
            lambda: segmenter.process(
                pcm, agent_is_speaking=agent_is_speaking, may_start=may_start
            ),
        )
        for signal, audio in signals:
            self._handle_signal(signal, audio, segmenter)

    def _handle_signal(
        self, signal: TurnSignal, audio: Samples, segmenter: SpeechSegmenter
    ) -> None:
        turn = self._turn
        match signal:
            case TurnSignal.STARTED:
                self._turn = TurnInProgress()
                self._listener.post(SpeechStarted())
            case TurnSignal.CONTINUED:
                if asyncio.get_running_loop().time() >= turn.next_partial_at:
                    self._transcribe(audio)
            case TurnSignal.PAUSED:
                turn.is_paused = True
                self._transcribe(audio)
            case TurnSignal.MAYBE_ENDED:
                turn.needs_check = True
                self._check_completeness(segmenter)
            case TurnSignal.ENDED:
                turn.has_ended = True
                self._commit_if_ended()
            case TurnSignal.RESUMED:
                self._resume_turn(segmenter)
            case TurnSignal.BACKCHANNEL:
                self._transcribe(audio, is_backchannel=True)

    def _resume_turn(self, segmenter: SpeechSegmenter) -> None:
        turn = self._turn
        turn.is_paused = turn.needs_check = turn.has_ended = False
        self._listener.cancel_speculation()
        if segmenter.turn_seconds > _MAX_OPEN_SECONDS and turn.text:
            turn.final_text, turn.text, turn.covered_until = turn.whole_text, "", -1
            segmenter.drop_audio()

    def _transcribe(self, audio: Samples, *, is_backchannel: bool = False) -> None:
        """Starts a transcription unless one runs, which starts the next at its end."""
        turn, segmenter, settings = self._turn, self._segmenter, self._settings
        if turn.is_transcribing or segmenter is None or settings is None:
            return
        turn.is_transcribing = True
        covered_until = segmenter.last_voiced

        async def transcribe() -> None:
            text = ""
            began = asyncio.get_running_loop().time()
            try:
                text = await self._analyzer.transcribe(audio, settings.key_terms)
                await self._warn_without_recognizer()
            except SpeechError as error:
                self._listener.post(Failed(error.message))
            ended = asyncio.get_running_loop().time()
            turn.next_partial_at = ended + _PARTIAL_REST * (ended - began)
            if is_backchannel:
                self._inbox.put_nowait(lambda: self._handle_backchannel(turn, text))
            else:
                self._inbox.put_nowait(
                    lambda: self._handle_text(turn, covered_until, text)
                )

        self._start(transcribe)

    async def _warn_without_recognizer(self) -> None:
        """Reports once that the detected speech has no text."""
        if self._has_warned or await self._analyzer.has_recognizer():
            return
        self._has_warned = True
        self._warn(
            "speech was detected, but there is no speech recognition: "
            "the caller is not understood"
        )

    async def _handle_text(
        self, turn: TurnInProgress, covered_until: int, text: str
    ) -> None:
        turn.is_transcribing = False
        if turn is not self._turn or self._segmenter is None:
            return
        turn.text, turn.covered_until = text, covered_until
        if turn.whole_text and turn.whole_text != turn.last_partial:
            turn.last_partial = turn.whole_text
            self._listener.post(PartialTranscript(turn.whole_text))
        if not turn.is_paused:
            return
        if not self._is_covered(covered_until):
            self._transcribe(self._segmenter.audio())
            return
        if turn.whole_text:
            self._listener.speculate(turn.whole_text)
        self._check_completeness(self._segmenter)
        self._commit_if_ended()

    async def _handle_backchannel(self, turn: TurnInProgress, text: str) -> None:
        """Lets a stop phrase interrupt the agent; ignores any other text."""
        turn.is_transcribing = False
        is_current = turn is self._turn
        if is_current and is_stop_phrase(text) and self._listener.is_interruptible:
            self._listener.post(SpeechStarted())
            self._listener.mark_turn_end(0.0)
            self._listener.post(TurnCommitted(text))

    def _check_completeness(self, segmenter: SpeechSegmenter) -> None:
        """Starts the end-of-turn model for the current pause if it is due."""
        # Not during a transcription: both would be slower, and the language model
        # waits for the text.
        turn = self._turn
        if not turn.needs_check or turn.is_transcribing:
            return
        turn.needs_check = False
        audio, covered_until = segmenter.audio(), segmenter.last_voiced

        async def check() -> None:
            try:
                is_complete = await self._analyzer.is_complete(audio)
            except SpeechError as error:
                self._listener.post(Failed(error.message))
                return  # the maximum silence ends the turn
            if is_complete:
                self._inbox.put_nowait(lambda: self._end_turn(turn, covered_until))

        self._start(check)

    async def _end_turn(self, turn: TurnInProgress, covered_until: int) -> None:
        if turn is self._turn and turn.is_paused:
            turn.has_ended = turn.has_ended or self._is_covered(covered_until)
            self._commit_if_ended()

    def _commit_if_ended(self) -> None:
        turn, segmenter = self._turn, self._segmenter
        if segmenter is None or not turn.has_ended:
            return
        if self._is_covered(turn.covered_until):
            self._listener.mark_turn_end(segmenter.detector.silence_seconds)
            self._listener.post(TurnCommitted(turn.whole_text))
            self._start_turn(segmenter)

    def _start_turn(self, segmenter: SpeechSegmenter) -> None:
        segmenter.reset_turn()
        self._turn = TurnInProgress()

    def _is_covered(self, covered_until: int) -> bool:
        return (
            self._segmenter is not None and covered_until == self._segmenter.last_voiced
        )

    def _start(self, work: _Work) -> None:
        job = asyncio.create_task(work())
        self._jobs.add(job)
        job.add_done_callback(self._jobs.discard)


@dataclass(slots=True)
class TurnInProgress:
    """A turn of the caller from its start to its commit, kept by `SpeechPipeline`."""

    final_text: str = ""  # of audio that was dropped
    text: str = ""  # of the audio that is kept
    covered_until: int = -1  # the frame up to which `text` covers the speech
    last_partial: str = ""
    is_transcribing: bool = False
    next_partial_at: float = 0.0  # on the loop's clock
    is_paused: bool = False
    needs_check: bool = False  # of completeness, once no transcription runs
    has_ended: bool = False  # committed as soon as the text covers all speech

    @property
    def whole_text(self) -> str:
        return f"{self.final_text} {self.text}".strip()


# The first consonant is often quieter than the threshold.
_LEAD_FRAMES = 10
# Recognizers take 30 s; of a longer stretch without a pause the end is kept.
_MAX_TURN_FRAMES = int(29 / FRAME_SECONDS)


class SpeechSegmenter:
    """Decodes and resamples a caller's audio, detects speech and keeps the turn's
    audio. Use from one thread at a time."""

    def __init__(self, vad: Vad, encoding: str) -> None:
        self.detector = TurnDetector()
        self.frames = 0  # of the whole session
        self.last_voiced = 0  # number of the last frame with speech
        self._vad = vad
        self._encoding = encoding
        self._resampler = Resampler(RATES[encoding], SPEECH_RATE)
        self._half_sample = b""
        self._rest: Samples = np.zeros(0, np.float32)
        self._lead: deque[Samples] = deque(maxlen=_LEAD_FRAMES)
        self._turn: deque[Samples] = deque(maxlen=_MAX_TURN_FRAMES)

    @property
    def turn_seconds(self) -> float:
        """The length of the current turn's audio."""
        return len(self._turn) * FRAME_SECONDS

    def process(
        self, pcm: bytes, *, agent_is_speaking: bool = False, may_start: bool = True
    ) -> list[tuple[TurnSignal, Samples]]:
        """Returns the signals in `pcm`, each with the turn's audio up to it.

        `pcm` may be cut anywhere, also within a sample.
        """
        samples = self._resampler.process(self._decode(pcm))
        self._rest = np.concatenate((self._rest, samples))
        signals: list[tuple[TurnSignal, Samples]] = []
        while len(self._rest) >= VAD_FRAME:
            frame, self._rest = self._rest[:VAD_FRAME], self._rest[VAD_FRAME:]
            signal = self._process_frame(frame, agent_is_speaking, may_start)
            if signal is not None:
                signals.append((signal, self.audio()))
            if signal is TurnSignal.BACKCHANNEL:
                self._turn.clear()
        return signals

    def audio(self) -> Samples:
        """Returns the audio of the current turn, from shortly before its onset."""
        if not self._turn:
            return np.zeros(0, np.float32)
        return np.concatenate(self._turn)

    def drop_audio(self) -> None:
        """Drops the audio of the current turn except for its last frames."""
        self._turn = deque(list(self._turn)[-_LEAD_FRAMES:], maxlen=_MAX_TURN_FRAMES)

    def reset_turn(self) -> None:
        """Drops the current turn and waits for the next."""
        self._turn.clear()
        self.detector.reset()

    def _process_frame(
        self, frame: Samples, agent_is_speaking: bool, may_start: bool
    ) -> TurnSignal | None:
        was_quiet = self.detector.is_quiet
        signal = self.detector.process(
            self._vad.probability(frame),
            agent_is_speaking=agent_is_speaking,
            may_start=may_start,
        )
        self.frames += 1
        if not self.detector.is_quiet and self.detector.silence_seconds == 0:
            self.last_voiced = self.frames
        if was_quiet and not self.detector.is_quiet:
            self._turn.clear()
            self._turn.extend(self._lead)
        if not self.detector.is_quiet:
            self._turn.append(frame)
        elif signal is None:
            self._turn.clear()
        self._lead.append(frame)
        return signal

    def _decode(self, pcm: bytes) -> Samples:
        if self._encoding == "audio/pcmu":
            return to_samples(decode_mulaw(pcm))
        if self._encoding == "audio/pcma":
            return to_samples(decode_alaw(pcm))
        pcm = self._half_sample + pcm
        whole = len(pcm) // 2 * 2
        self._half_sample = pcm[whole:]
        return to_samples(pcm[:whole])


_COMPLETE = 0.5
# Short words that are meant to interrupt. Any other short utterance while the agent
# speaks ("mhm", a cough) is ignored.
_STOP = "stop wait no hold hang pause enough cancel hey sorry"


class SpeechAnalyzer:
    """Runs recognizer and end-of-turn model in threads; raises SpeechError."""

    def __init__(self, speech: SpeechStack, workers: Workers) -> None:
        self._speech = speech
        self._workers = workers

    async def make_vad(self) -> Vad:
        """Returns a new VAD for one session."""
        return await self._workers.run("the speech detector", self._speech.vad)

    async def has_recognizer(self) -> bool:
        """Returns True if there is a recognizer, once it has loaded."""
        return await self._workers.run(
            "loading", lambda: self._speech.recognizer() is not None
        )

    async def has_endpointer(self) -> bool:
        """Returns True if there is an end-of-turn model; waits until it is loaded."""
        task = "the end-of-turn model"
        return await self._workers.run(task, self._speech.endpointer) is not None

    async def is_complete(self, audio: Samples) -> bool:
        """Returns True if the end-of-turn model finds the turn complete."""

        def work() -> float:
            endpointer = self._speech.endpointer()
            return 0.0 if endpointer is None else endpointer.completeness(audio)

        return await self._workers.run("the end-of-turn model", work) >= _COMPLETE

    async def transcribe(self, audio: Samples, key_terms: Sequence[str]) -> str:
        """Returns the text of the audio, empty if it has no speech."""

        def work() -> str:
            recognizer = self._speech.recognizer()
            if recognizer is None:
                return ""  # reported at the start; text input works
            return recognizer.transcribe(audio, key_terms=key_terms)

        return (await self._workers.run("speech recognition", work)).strip()


def is_stop_phrase(text: str) -> bool:
    """Returns True if a short utterance asks the agent to stop speaking."""
    words = {word.strip(".,!?").lower() for word in text.split()}
    return not words.isdisjoint(_STOP.split())
