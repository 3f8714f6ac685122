"""Puts one machine's speech together from what is installed and fetched.

Loading goes on in the background, what the greeting needs first. A part that cannot be
loaded is replaced by its light stand-in and reported with the command that mends it.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Generic, TypeVar

from runner.config.model import LlmConfig, LocalConfig
from runner.errors import ModelMissing, SpeechError, VagentError
from runner.speech.parts import (
    Brain,
    Endpointer,
    MissingPart,
    Recognizer,
    Speech,
    Vad,
    Voice,
)
from runner.speech.weights import Weights, open_weights

if TYPE_CHECKING:
    from runner.speech.brain import ClosableBrain

DEFAULT_RECOGNIZER = "whisper-base"
DEFAULT_VOICE = "joe"
INSTALL = "pip install 'vagent[local]'"
_RULES = LlmConfig(name="rules")

# More threads than these gain nothing on models as small as ours.
_MOST_THREADS = 4

P = TypeVar("P")


@dataclass(frozen=True, slots=True)
class _Tried(Generic[P]):
    """What came of loading a part: itself or its stand-in, and then why."""

    part: P
    missing: MissingPart | None = None


def load_speech(
    local: LocalConfig,
    *,
    threads: int | None = None,
    stand_ins: bool = False,
    weights: Weights | None = None,
) -> Speech:
    """Begin to load the speech that `local` asks for and return at once.

    `threads` is how many cores each model may use (None: those of this machine, at most
    four). With `stand_ins` nothing heavy is loaded: an energy gate, no recognizer, the
    agent's own rules, tones; and nothing counts as missing.
    """
    loader = _Loader(local, weights or open_weights(), threads or available_cores())
    return LoadedSpeech(_StandIns() if stand_ins else loader)


def load_voice(
    local: LocalConfig, *, threads: int | None = None, weights: Weights | None = None
) -> Voice:
    """Load the voice alone, for whoever speaks a caller's lines.

    Raises ModelMissing where the weights are not there, SpeechError where the engine is
    not: nobody understands tones, so there is no stand-in here.
    """
    loader = _Loader(local, weights or open_weights(), threads or available_cores())
    try:
        return loader.open_voice()
    except ImportError as error:
        raise SpeechError(
            f"no local voice: {_not_installed(error)}", hint=INSTALL
        ) from error


def available_cores() -> int:
    """Return how many cores a model should use here."""
    # A container's share is smaller than the machine; only some systems tell.
    ours = getattr(os, "sched_getaffinity", None)
    cores = len(ours(0)) if ours else os.cpu_count() or 1
    return min(cores, _MOST_THREADS)


class LoadedSpeech:
    """Speech whose parts come up in the background; made by `load_speech`."""

    def __init__(self, loader: _Loader | _StandIns) -> None:
        # Two at a time: reading from the disk and setting up overlap well. They start
        # in this order; the first two are needed for the greeting.
        self._pool = ThreadPoolExecutor(2, thread_name_prefix="load-speech")
        self._vad = self._pool.submit(loader.vad)
        self._voice = self._pool.submit(loader.voice)
        self._recognizer = self._pool.submit(loader.recognizer)
        self._brain = self._pool.submit(loader.brain)
        self._endpointer = self._pool.submit(loader.endpointer)

    def vad(self) -> Vad:
        return self._vad.result().part()

    def endpointer(self) -> Endpointer | None:
        return self._endpointer.result().part

    def recognizer(self) -> Recognizer | None:
        return self._recognizer.result().part

    def brain(self) -> Brain:
        return self._brain.result().part

    def voice(self) -> Voice:
        return self._voice.result().part

    def missing(self) -> Sequence[MissingPart]:
        return [
            missing
            for missing in (
                self._recognizer.result().missing,
                self._brain.result().missing,
                self._voice.result().missing,
                self._vad.result().missing,
                self._endpointer.result().missing,
            )
            if missing
        ]

    def close(self) -> None:
        """Load nothing more, and close the brain, which holds most of the memory; the
        rest goes with the last session that uses it."""
        self._pool.shutdown(wait=False, cancel_futures=True)
        self._brain.add_done_callback(_close_brain)


class _Loader:
    """Loads each part, or names what is missing."""

    def __init__(self, local: LocalConfig, weights: Weights, threads: int) -> None:
        self._local = local
        self._weights = weights
        self._threads = threads

    def vad(self) -> _Tried[Callable[[], Vad]]:
        from runner.speech.vad import EnergyVad, load_silero

        def energy() -> Vad:
            return EnergyVad()

        return self._try(
            "vad",
            lambda: load_silero(self._path("silero-vad")),
            energy,
            "an energy gate: more false starts, a longer silence at the end of a turn",
        )

    def endpointer(self) -> _Tried[Endpointer | None]:
        from runner.speech.endpointing import load_smart_turn

        return self._try(
            "endpointing",
            lambda: load_smart_turn(self._path("smart-turn")),
            None,
            "a fixed silence of 500 ms ends a turn",
        )

    def recognizer(self) -> _Tried[Recognizer | None]:
        from runner.speech.recognizer import load_whisper

        wanted = self._local.stt or DEFAULT_RECOGNIZER
        return self._try(
            "stt",
            lambda: load_whisper(self._path(wanted), threads=self._threads),
            None,
            "text input only",
        )

    def voice(self) -> _Tried[Voice]:
        from runner.speech.voice import ToneVoice

        return self._try(
            "tts", self.open_voice, ToneVoice(), "the transcript, and tones"
        )

    def brain(self) -> _Tried[ClosableBrain]:
        from runner.speech.brain import load_brain

        return self._try(
            "llm",
            lambda: load_brain(self._local.llm, self._weights.find),
            load_brain(_RULES, self._weights.find),
            "the agent's own rules: a script, not a language model",
        )

    def open_voice(self) -> Voice:
        from runner.speech.voice import load_piper

        wanted = self._local.tts or DEFAULT_VOICE
        return load_piper(self._path(wanted), threads=self._threads)

    def _path(self, wanted: str) -> Path:
        """Return where the weights of a named model are, or a path of the user's."""
        if wanted in self._weights.manifest:
            standing = self._weights.standing(wanted)
            if standing.present:
                return standing.path
            raise ModelMissing(
                f"the weights of {wanted} are not usable: {standing.problem}",
                hint=f"vagent models fetch {wanted}",
            )
        if (path := Path(wanted).expanduser()).exists():
            return path
        raise ModelMissing(
            f"'{wanted}' is neither the name of a model nor a path to one",
            hint="vagent models list",
        )

    @staticmethod
    def _try(part: str, load: Callable[[], P], stand_in: P, instead: str) -> _Tried[P]:
        try:
            return _Tried(load())
        except (ImportError, OSError) as error:
            # A wheel whose system library is missing raises OSError.
            reason, command = _not_installed(error), INSTALL
        except VagentError as error:
            reason, command = error.message, error.hint or "vagent models list"
        return _Tried(stand_in, MissingPart(part, reason, instead, command))


class _StandIns:
    """Gives the light parts only, with nothing missing: that is what was asked for."""

    def vad(self) -> _Tried[Callable[[], Vad]]:
        from runner.speech.vad import EnergyVad

        return _Tried(EnergyVad)

    def endpointer(self) -> _Tried[Endpointer | None]:
        return _Tried(None)

    def recognizer(self) -> _Tried[Recognizer | None]:
        return _Tried(None)

    def brain(self) -> _Tried[ClosableBrain]:
        from runner.speech.brain import load_brain

        return _Tried(load_brain(_RULES, lambda _name: None))

    def voice(self) -> _Tried[Voice]:
        from runner.speech.voice import ToneVoice

        return _Tried(ToneVoice())


def _close_brain(loaded: Future[_Tried[ClosableBrain]]) -> None:
    if not loaded.cancelled() and not loaded.exception():
        loaded.result().part.close()


def _not_installed(error: ImportError | OSError) -> str:
    name = getattr(error, "name", None)
    return f"the engine '{name}' is not installed" if name else str(error)
