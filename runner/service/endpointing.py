"""Turn detection: start, pauses and end of the caller's turn by speech probabilities.

Time is counted in audio frames, not on a clock: a recording processed at once gives the
same result as in real time.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum, auto

from runner.protocol.server.config import TurnDetection

FRAME_SECONDS = 0.032  # 512 samples at 16 kHz, as the VAD takes them
# A click or a breath is shorter than four frames.
_ONSET_FRAMES = 4
# Syllables of one word are closer together than this.
_ONSET_GAP_FRAMES = 8
# Minimum length of a backchannel: its text may be a stop phrase.
_BACKCHANNEL_FRAMES = 8
# Transcription starts this early in a pause, before the turn is known to have ended.
_PAUSE_FRAMES = 3
_PARTIAL_FRAMES = 16  # 512 ms between partial transcripts
# Silence after which a complete sentence ends the turn, and after which any does.
_MIN_SILENCE_SECONDS = 0.2
_MAX_SILENCE_SECONDS = 0.8
# Without an end-of-turn model, silence alone decides.
_SILENCE_ONLY_SECONDS = 0.5
# Subtracted from the threshold once speech has started: one weak frame does not end it.
_HYSTERESIS = 0.15


class TurnSignal(Enum):
    """A decision about the caller's turn."""

    STARTED = auto()  # the caller speaks
    CONTINUED = auto()  # for another half second
    PAUSED = auto()  # long enough a pause to transcribe the turn
    MAYBE_ENDED = auto()  # long enough a pause to run the end-of-turn model
    RESUMED = auto()  # after a pause
    ENDED = auto()  # complete or not
    BACKCHANNEL = auto()  # a short utterance that did not interrupt the agent


class _State(Enum):
    QUIET = auto()
    ONSET = auto()
    SPEECH = auto()
    PAUSE = auto()


@dataclass(frozen=True, slots=True)
class Timing:
    """The limits of one session in frames; `threshold` is a probability."""

    threshold: float = 0.5
    min_silence: int = round(_MIN_SILENCE_SECONDS / FRAME_SECONDS)
    max_silence: int = round(_MAX_SILENCE_SECONDS / FRAME_SECONDS)
    interrupt: int = round(0.5 / FRAME_SECONDS)

    @classmethod
    def from_settings(cls, options: TurnDetection, *, has_endpointer: bool) -> Timing:
        """Returns the limits for the options of `session.update`."""
        min_silence = (
            _MIN_SILENCE_SECONDS if options.min_silence is None else options.min_silence
        )
        max_silence = options.max_silence
        if max_silence is None:
            usual = _MAX_SILENCE_SECONDS if has_endpointer else _SILENCE_ONLY_SECONDS
            max_silence = max(min_silence, usual)
        return cls(
            threshold=options.vad_threshold,
            min_silence=_frames(min(min_silence, max_silence)),
            max_silence=_frames(max_silence),
            interrupt=max(_ONSET_FRAMES, _frames(options.interruption_delay)),
        )


class TurnDetector:
    """Detects the turns of one caller, one frame at a time."""

    def __init__(self, timing: Timing | None = None) -> None:
        self.timing = timing or Timing()
        self._state = _State.QUIET
        self._voiced = 0  # frames of speech since the onset
        self._silent = 0  # frames of silence since the last of speech
        self._returning = 0  # frames of speech within a pause
        self._since_partial = 0  # frames
        self._last = TurnSignal.PAUSED  # the last signal of the current pause

    @property
    def is_quiet(self) -> bool:
        """True if the audio so far cannot become a turn."""
        return self._state is _State.QUIET

    @property
    def silence_seconds(self) -> float:
        """The silence since the last speech."""
        return self._silent * FRAME_SECONDS

    def reset(self) -> None:
        """Drops the current turn and waits for the next."""
        self._state = _State.QUIET
        self._voiced = self._silent = self._returning = self._since_partial = 0

    def process(
        self,
        probability: float,
        *,
        agent_is_speaking: bool = False,
        may_start: bool = True,
    ) -> TurnSignal | None:
        """Processes the speech probability of the next frame.

        With `agent_is_speaking`, more speech is needed to start a turn. Without
        `may_start`, speech starts a turn once it is allowed.
        """
        has_started = self._state in (_State.SPEECH, _State.PAUSE)
        threshold = self.timing.threshold - (_HYSTERESIS if has_started else 0)
        is_voiced = probability >= max(threshold, 0.01)
        match self._state:
            case _State.QUIET | _State.ONSET:
                return self._process_onset(is_voiced, agent_is_speaking, may_start)
            case _State.SPEECH:
                return self._process_speech(is_voiced)
            case _State.PAUSE:
                return self._process_pause(is_voiced)

    def _process_onset(
        self, is_voiced: bool, agent_is_speaking: bool, may_start: bool
    ) -> TurnSignal | None:
        if is_voiced:
            self._state = _State.ONSET
            self._silent = 0
            self._voiced += 1
            needed = self.timing.interrupt if agent_is_speaking else _ONSET_FRAMES
            if may_start and self._voiced >= needed:
                self._state = _State.SPEECH
                self._since_partial = self._voiced
                return TurnSignal.STARTED
            return None
        self._silent += 1
        if self._state is _State.ONSET and self._silent > _ONSET_GAP_FRAMES:
            was_long = (
                agent_is_speaking and may_start and self._voiced >= _BACKCHANNEL_FRAMES
            )
            self.reset()
            return TurnSignal.BACKCHANNEL if was_long else None
        return None

    def _process_speech(self, is_voiced: bool) -> TurnSignal | None:
        self._since_partial += 1
        if not is_voiced:
            self._silent += 1
            if self._silent >= min(_PAUSE_FRAMES, self.timing.min_silence):
                self._state = _State.PAUSE
                self._returning = 0
                self._last = TurnSignal.PAUSED
                return TurnSignal.PAUSED
            return None
        self._silent = 0
        if self._since_partial >= _PARTIAL_FRAMES:
            self._since_partial = 0
            return TurnSignal.CONTINUED
        return None

    def _process_pause(self, is_voiced: bool) -> TurnSignal | None:
        if is_voiced:
            self._returning += 1
            if self._returning >= 2:  # one frame alone is a click
                self._state = _State.SPEECH
                self._silent = 0
                return TurnSignal.RESUMED
            return None
        self._returning = 0
        self._silent += 1
        if (
            self._silent >= self.timing.max_silence
            and self._last is not TurnSignal.ENDED
        ):
            self._last = TurnSignal.ENDED
            return TurnSignal.ENDED
        if self._silent >= self.timing.min_silence and self._last is TurnSignal.PAUSED:
            self._last = TurnSignal.MAYBE_ENDED
            return TurnSignal.MAYBE_ENDED
        return None


def _frames(seconds: float) -> int:
    return max(1, round(seconds / FRAME_SECONDS))
