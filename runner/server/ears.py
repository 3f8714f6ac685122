"""The caller's sound on its way from the wire to the recognizer: decoded, resampled,
cut into frames, and kept for as long as the turn lasts."""

from __future__ import annotations

from collections import deque

import numpy as np

from runner.audio.pcm import decode_alaw, decode_mulaw, to_samples
from runner.audio.resampler import Resampler
from runner.protocol.server.limits import RATES
from runner.service.endpointing import FRAME_SECONDS, Timing, TurnDetector, TurnSignal
from runner.speech.interfaces import SPEECH_RATE, VAD_FRAME, Samples, Vad

# The first consonant is often quieter than the threshold.
_LEAD_FRAMES = 10
# What recognizers take at most; of a longer stretch without a pause the end is kept.
_LONGEST_FRAMES = int(29 / FRAME_SECONDS)


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
        self._turn: deque[Samples] = deque(maxlen=_LONGEST_FRAMES)

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
        self._turn = deque(list(self._turn)[-_LEAD_FRAMES:], maxlen=_LONGEST_FRAMES)

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
