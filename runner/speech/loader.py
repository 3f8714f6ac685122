"""Loads the speech components of this machine in the background.

A component that cannot be loaded is replaced by a fallback and reported with the
command to install it.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import Any, TypeVar

from runner.config.model import LlmConfig, LocalConfig
from runner.errors import ModelMissing, SpeechError, VagentError
from runner.speech.interfaces import (
    Endpointer,
    LanguageModel,
    MissingComponent,
    Recognizer,
    SpeechStack,
    Synthesizer,
    Vad,
)
from runner.speech.models import (
    DEFAULT_RECOGNIZER,
    DEFAULT_VOICE,
    ModelStore,
    open_model_store,
)
from runner.speech.threads import count_threads

INSTALL = "pip install 'vagent[local]'"
_RULES = LlmConfig(name="rules")

_PARTS = ("stt", "llm", "tts", "vad", "endpointing")  # in the order of reports

P = TypeVar("P")


def load_speech(
    local: LocalConfig,
    *,
    threads: int | None = None,
    fallbacks_only: bool = False,
    store: ModelStore | None = None,
) -> SpeechStack:
    """Starts loading the components that `local` names; returns immediately.

    `threads` is the number of threads per model (None: see `count_threads`). With
    `fallbacks_only` only the fallbacks are loaded (energy gate, no recognizer, rules,
    tones) and nothing counts as missing.
    """
    return LoadedSpeechStack(
        local,
        store or open_model_store(),
        threads or count_threads(),
        fallbacks_only=fallbacks_only,
    )


def load_synthesizer(
    local: LocalConfig, *, threads: int | None = None, store: ModelStore | None = None
) -> Synthesizer:
    """Loads only the synthesizer, to speak the lines of a caller.

    Raises ModelMissing without the model files, SpeechError without the engine.
    """
    # No fallback: a recognizer does not understand tones.
    store = store or open_model_store()
    try:
        return _load_voice(local, store, threads or count_threads())
    except ImportError as error:
        raise SpeechError(
            f"cannot load the local voice: {_import_problem(error)}", hint=INSTALL
        ) from error


class LoadedSpeechStack:
    """Speech components that load in the background; created by `load_speech`."""

    def __init__(
        self,
        local: LocalConfig,
        store: ModelStore,
        threads: int,
        *,
        fallbacks_only: bool,
    ) -> None:
        self._local = local
        self._store = store
        self._threads = threads
        self._fallbacks_only = fallbacks_only
        self._missing: dict[str, MissingComponent] = {}
        # Two at a time: reading from disk and initialization overlap well. They start
        # in this order; the greeting needs the first two.
        self._pool = ThreadPoolExecutor(2, thread_name_prefix="load-speech")
        self._vad = self._pool.submit(self._load_vad)
        self._synthesizer = self._pool.submit(self._load_synthesizer)
        self._recognizer = self._pool.submit(self._load_recognizer)
        self._language_model = self._pool.submit(self._load_language_model)
        self._endpointer = self._pool.submit(self._load_endpointer)
        self._parts: tuple[Future[Any], ...] = (
            self._vad,
            self._synthesizer,
            self._recognizer,
            self._language_model,
            self._endpointer,
        )

    def vad(self) -> Vad:
        return self._vad.result()()

    def endpointer(self) -> Endpointer | None:
        return self._endpointer.result()

    def recognizer(self) -> Recognizer | None:
        return self._recognizer.result()

    def language_model(self) -> LanguageModel:
        return self._language_model.result()

    def synthesizer(self) -> Synthesizer:
        return self._synthesizer.result()

    def missing(self) -> Sequence[MissingComponent]:
        for loading in self._parts:
            loading.result()
        return [self._missing[part] for part in _PARTS if part in self._missing]

    def close(self) -> None:
        """Stops loading and closes the language model, which has most of the memory;
        the rest is freed with the last session that uses it."""
        self._pool.shutdown(wait=False, cancel_futures=True)
        self._language_model.add_done_callback(_close_llm)

    def _load_vad(self) -> Callable[[], Vad]:
        from runner.speech.vad import EnergyVad, load_silero

        fallback: Callable[[], Vad] = EnergyVad
        return self._try(
            "vad",
            lambda: load_silero(_model_path(self._store, "silero-vad")),
            fallback,
            "an energy gate: more false starts, a longer silence at the end of a turn",
        )

    def _load_endpointer(self) -> Endpointer | None:
        from runner.speech.vad import load_smart_turn

        return self._try(
            "endpointing",
            lambda: load_smart_turn(_model_path(self._store, "smart-turn")),
            None,
            "a fixed silence of 500 ms ends a turn",
        )

    def _load_recognizer(self) -> Recognizer | None:
        from runner.speech.recognizer import load_whisper

        name = self._local.stt or DEFAULT_RECOGNIZER
        return self._try(
            "stt",
            lambda: load_whisper(_model_path(self._store, name), threads=self._threads),
            None,
            "text input only",
        )

    def _load_synthesizer(self) -> Synthesizer:
        from runner.speech.synthesizer import ToneSynthesizer

        fallback: Synthesizer = ToneSynthesizer()
        return self._try(
            "tts",
            lambda: _load_voice(self._local, self._store, self._threads),
            fallback,
            "the transcript, and tones",
        )

    def _load_language_model(self) -> LanguageModel:
        from runner.speech.llm import load_llm

        find = self._store.find
        return self._try(
            "llm",
            lambda: load_llm(self._local.llm, find),
            load_llm(_RULES, find),
            "the agent's own rules: a script, not a language model",
        )

    def _try(self, part: str, load: Callable[[], P], fallback: P, instead: str) -> P:
        """Returns the component, or its fallback and notes that it is missing."""
        if self._fallbacks_only:
            return fallback
        try:
            return load()
        except (ImportError, OSError) as error:
            # OSError: a system library of the wheel is missing.
            reason, command = _import_problem(error), INSTALL
        except VagentError as error:
            reason, command = error.message, error.hint or "vagent models list"
        self._missing[part] = MissingComponent(part, reason, instead, command)
        return fallback


def _model_path(store: ModelStore, name: str) -> Path:
    """Returns the path of a model of the manifest, or a path given by the user."""
    if name in store.manifest:
        status = store.status(name)
        if status.present:
            return status.path
        raise ModelMissing(
            f"model '{name}' is not usable: {status.problem}",
            hint=f"vagent models fetch {name}",
        )
    if (path := Path(name).expanduser()).exists():
        return path
    raise ModelMissing(
        f"'{name}' is neither a model name nor a path",
        hint="vagent models list",
    )


def _load_voice(local: LocalConfig, store: ModelStore, threads: int) -> Synthesizer:
    from runner.speech.synthesizer import load_piper

    return load_piper(_model_path(store, local.tts or DEFAULT_VOICE), threads=threads)


def _close_llm(loaded: Future[LanguageModel]) -> None:
    if not loaded.cancelled() and not loaded.exception():
        loaded.result().close()


def _import_problem(error: ImportError | OSError) -> str:
    name = getattr(error, "name", None)
    return f"the engine '{name}' is not installed" if name else str(error)
