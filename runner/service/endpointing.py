"""When the caller's turn begins, pauses and ends, told from speech probabilities.

Time is counted in frames of sound, never on a clock: fed a recording at once, it says
the same as in real time.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum, auto

from runner.protocol.server.config import TurnDetection

FRAME_SECONDS = 0.032  # 512 samples at 16 kHz, what the detector of speech takes
# A click or a breath is shorter than four frames.
_ONSET_FRAMES = 4
# Syllables of one word are closer together than this.
_ONSET_GAP_FRAMES = 8
# Said while the agent speaks and too short to interrupt it: worth a look at the words.
_MUTTER_FRAMES = 8
# Recognition starts this early in a pause, long before it is known to be the end.
_PAUSE_FRAMES = 3
_GROWTH_FRAMES = 16  # 512 ms between partial transcripts
# Silence after which a complete sentence is an end, and any sentence is.
_ASK_SECONDS = 0.2
_OVER_SECONDS = 0.8
# With no judge of completeness, silence alone decides.
_UNJUDGED_SECONDS = 0.5
# Speech that has begun goes on until it is clearly over, not at the first weak frame.
_HYSTERESIS = 0.15


class TurnSignal(Enum):
    """What a frame of sound has decided."""

    STARTED = auto()  # the caller speaks
    GREW = auto()  # half a second more of it
    PAUSED = auto()  # perhaps the end: worth recognising
    ASK = auto()  # long enough to ask whether it sounds complete
    RESUMED = auto()  # it was not the end
    OVER = auto()  # it is the end, complete or not
    MUTTERED = auto()  # a short sound under the agent's voice that did not interrupt


class _State(Enum):
    QUIET = auto()
    ONSET = auto()
    SPEECH = auto()
    PAUSE = auto()


@dataclass(frozen=True, slots=True)
class Timing:
    """The limits of one session, in frames; `threshold` is a probability."""

    threshold: float = 0.5
    ask: int = round(_ASK_SECONDS / FRAME_SECONDS)
    over: int = round(_OVER_SECONDS / FRAME_SECONDS)
    interrupt: int = round(0.5 / FRAME_SECONDS)

    @classmethod
    def from_settings(cls, wanted: TurnDetection, *, is_judged: bool) -> Timing:
        """Return what the client asked for; `is_judged`: completeness can be told."""
        ask = _ASK_SECONDS if wanted.min_silence is None else wanted.min_silence
        over = wanted.max_silence
        if over is None:
            over = max(ask, _OVER_SECONDS if is_judged else _UNJUDGED_SECONDS)
        return cls(
            threshold=wanted.vad_threshold,
            ask=_frames(min(ask, over)),
            over=_frames(over),
            interrupt=max(_ONSET_FRAMES, _frames(wanted.interruption_delay)),
        )


class TurnDetector:
    """Follows one caller, one frame at a time."""

    def __init__(self, timing: Timing | None = None) -> None:
        self.timing = timing or Timing()
        self._state = _State.QUIET
        self._voiced = 0  # frames of speech since the onset
        self._silent = 0  # frames of silence since the last of speech
        self._returning = 0  # frames of speech within a pause
        self._grown = 0
        self._last = TurnSignal.PAUSED  # what was said last of the pause that goes on

    @property
    def is_quiet(self) -> bool:
        """Whether nothing has been heard that could become a turn."""
        return self._state is _State.QUIET

    @property
    def silence_seconds(self) -> float:
        """How long ago the last speech was."""
        return self._silent * FRAME_SECONDS

    def reset(self) -> None:
        """Wait for the next turn."""
        self._state = _State.QUIET
        self._voiced = self._silent = self._returning = self._grown = 0

    def hear(
        self, probability: float, *, agent_speaks: bool = False, may_start: bool = True
    ) -> TurnSignal | None:
        """Take the next frame's probability of speech.

        While the agent speaks it takes more speech to count as a turn; while the caller
        may not start at all, speech waits for the moment when they may.
        """
        begun = self._state in (_State.SPEECH, _State.PAUSE)
        threshold = self.timing.threshold - (_HYSTERESIS if begun else 0)
        is_voiced = probability >= max(threshold, 0.01)
        match self._state:
            case _State.QUIET | _State.ONSET:
                return self._hear_onset(is_voiced, agent_speaks, may_start)
            case _State.SPEECH:
                return self._hear_speech(is_voiced)
            case _State.PAUSE:
                return self._hear_pause(is_voiced)

    def _hear_onset(
        self, is_voiced: bool, agent_speaks: bool, may_start: bool
    ) -> TurnSignal | None:
        if is_voiced:
            self._state = _State.ONSET
            self._silent = 0
            self._voiced += 1
            needed = self.timing.interrupt if agent_speaks else _ONSET_FRAMES
            if may_start and self._voiced >= needed:
                self._state = _State.SPEECH
                self._grown = self._voiced
                return TurnSignal.STARTED
            return None
        self._silent += 1
        if self._state is _State.ONSET and self._silent > _ONSET_GAP_FRAMES:
            was_long = agent_speaks and may_start and self._voiced >= _MUTTER_FRAMES
            self.reset()
            return TurnSignal.MUTTERED if was_long else None
        return None

    def _hear_speech(self, is_voiced: bool) -> TurnSignal | None:
        self._grown += 1
        if not is_voiced:
            self._silent += 1
            if self._silent >= min(_PAUSE_FRAMES, self.timing.ask):
                self._state = _State.PAUSE
                self._returning = 0
                self._last = TurnSignal.PAUSED
                return TurnSignal.PAUSED
            return None
        self._silent = 0
        if self._grown >= _GROWTH_FRAMES:
            self._grown = 0
            return TurnSignal.GREW
        return None

    def _hear_pause(self, is_voiced: bool) -> TurnSignal | None:
        if is_voiced:
            self._returning += 1
            if self._returning >= 2:  # one frame alone is a click
                self._state = _State.SPEECH
                self._silent = 0
                return TurnSignal.RESUMED
            return None
        self._returning = 0
        self._silent += 1
        if self._silent >= self.timing.over and self._last is not TurnSignal.OVER:
            self._last = TurnSignal.OVER
            return TurnSignal.OVER
        if self._silent >= self.timing.ask and self._last is TurnSignal.PAUSED:
            self._last = TurnSignal.ASK
            return TurnSignal.ASK
        return None


def _frames(seconds: float) -> int:
    return max(1, round(seconds / FRAME_SECONDS))
