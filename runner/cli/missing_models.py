"""What local speech lacks on this machine, reported once before a call."""

from __future__ import annotations

import importlib.util
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import typer

from runner.errors import ModelMissing, SpeechError, VagentError

if TYPE_CHECKING:
    from runner.config.model import AgentConfig, LocalConfig
    from runner.engine.compose import CallOptions
    from runner.speech.models import ModelStore

# The engines of the `local` extra, by the name of their import.
_ENGINES = ("ctranslate2", "onnxruntime", "piper", "xllamacpp")
_HEARING_ENGINES = ("ctranslate2", "onnxruntime")
_HEARING = ("stt", "vad", "endpointing")  # parts
_VOICE_ENGINE = "piper"


@dataclass(frozen=True, slots=True)
class MissingSpeech:
    """The models and engines that are not on this machine."""

    models: Sequence[str]
    bytes: int
    engines: Sequence[str] = ()
    has_default_models: bool = True  # `vagent models fetch` without names gets them

    def __bool__(self) -> bool:
        return bool(self.models or self.engines)

    @property
    def command(self) -> str:
        """The one command that installs and downloads all of it."""
        from runner.speech.loader import INSTALL

        names = "" if self.has_default_models else f" {' '.join(self.models)}"
        fetch = [f"vagent models fetch{names}"] if self.models else []
        return " && ".join([*([INSTALL] if self.engines else []), *fetch])

    def describe(self) -> str:
        """Returns one line with the names and the size of the download."""
        from runner.cli.models import megabytes

        parts = [f"{name} (package)" for name in self.engines]
        parts += self.models
        size = f" ({megabytes(self.bytes)})" if self.models else ""
        return f"missing for local speech: {', '.join(parts)}{size}"


def find_missing(
    local: LocalConfig, store: ModelStore, *, is_typed: bool = False
) -> MissingSpeech:
    """Returns what the local service lacks for an agent with these settings.

    If the caller's input `is_typed`, nothing is missing that only hears.
    """
    from runner.speech.models import needed_models

    engines = [name for name in _ENGINES if importlib.util.find_spec(name) is None]
    if local.llm.url is not None or local.llm.name == "rules":
        engines = [name for name in engines if name != "xllamacpp"]
    if is_typed:
        engines = [name for name in engines if name not in _HEARING_ENGINES]
    absent = [
        name
        for name in needed_models(store, local)
        if not store.status(name).present
        and not (is_typed and store.manifest[name].part in _HEARING)
    ]
    size = sum(store.manifest[name].size for name in absent)
    is_default = set(absent) <= set(needed_models(store))
    return MissingSpeech(absent, size, engines, is_default)


def prepare_speech(
    options: CallOptions, environment: Mapping[str, str], *, can_ask: bool
) -> bool:
    """Reports what a call lacks, once; returns True if anything is missing.

    On a terminal it asks whether to download the models now. Raises ModelMissing or
    SpeechError if the caller's lines cannot be spoken: such a call would only greet.
    """
    agent = _read_agent(options, environment)
    if agent is None:
        return False  # the call reports why
    from runner.engine.services import choose_service
    from runner.speech.models import open_model_store

    service = choose_service(options.service, agent.service_url, environment)
    is_embedded = service.url is None
    if not (is_embedded or options.lines):
        return False
    store = open_model_store()
    is_typed = options.input == "text"
    if is_embedded:
        missing = find_missing(agent.local, store, is_typed=is_typed)
        if missing:
            _report(missing, store, can_ask=can_ask)
    if options.lines:
        check_voice(agent.local, store)
    return is_embedded and bool(find_missing(agent.local, store))


def report_missing_models() -> None:
    """Reports what the local service lacks for agents without settings of their own."""
    from runner.config.model import LocalConfig
    from runner.speech.models import open_model_store

    store = open_model_store()
    if missing := find_missing(LocalConfig(), store):
        _report(missing, store, can_ask=False)


def check_voice(local: LocalConfig, store: ModelStore) -> None:
    """Raises ModelMissing or SpeechError if the caller's lines cannot be spoken."""
    from runner.speech.loader import INSTALL
    from runner.speech.models import DEFAULT_VOICE

    name = local.tts or DEFAULT_VOICE
    if name in store.manifest and not store.status(name).present:
        raise ModelMissing(
            f"--say needs the voice '{name}', which is not downloaded",
            hint=f"vagent models fetch {name}",
        )
    if importlib.util.find_spec(_VOICE_ENGINE) is None:
        raise SpeechError(
            f"--say needs the package '{_VOICE_ENGINE}', which is not installed",
            hint=INSTALL,
        )


def _report(missing: MissingSpeech, store: ModelStore, *, can_ask: bool) -> None:
    """Prints what is missing; downloads it if the user wants to."""
    typer.echo(missing.describe(), err=True)
    if can_ask and missing.models and not missing.engines:
        from runner.cli.models import fetch_models

        if typer.confirm("download now?", default=True, err=True):
            fetch_models(store, list(missing.models))
            return
    typer.echo(f"  hint: {missing.command}", err=True)


def _read_agent(
    options: CallOptions, environment: Mapping[str, str]
) -> AgentConfig | None:
    from runner.config.loader import load_agent
    from runner.tools.plugins import installed_kinds

    try:
        return load_agent(
            options.agent,
            environment=environment,
            variables=options.variables,
            kinds={key: kind.schema for key, kind in installed_kinds().items()},
        )
    except VagentError:
        return None


def is_interactive() -> bool:
    """True if a question can be asked: stdin and stderr are a terminal."""
    return sys.stdin.isatty() and sys.stderr.isatty()
