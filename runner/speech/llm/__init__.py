"""Minds for an agent: a model in this process, an endpoint, or plain rules."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Protocol

from runner.config.model import BrainConfig
from runner.errors import ModelMissing
from runner.speech.interfaces import LanguageModel

# Best first; the words are those of `vagent models`.
MODELS = ("qwen-1.5b", "qwen-0.5b")
MODEL_VARIABLE = "VAGENT_LOCAL_LLM"
FindModel = Callable[[str], Path | None]


class ClosableLanguageModel(LanguageModel, Protocol):
    """A mind that holds memory or connections."""

    def close(self) -> None:
        """Let go of them; the mind cannot think any more."""
        ...


def load_llm(
    config: BrainConfig,
    find_weights: FindModel,
    environment: Mapping[str, str] = os.environ,
) -> ClosableLanguageModel:
    """Load the mind that the agent asks for; this may take seconds.

    `find_weights` returns the file (or the folder that holds it) of a model by its
    name, None when it is not in the cache. Raises `ModelMissing` when the weights are
    not there and `SpeechError` when they cannot be loaded, each with a hint.
    """
    if config.url is not None:
        from runner.speech.llm.openai import OpenAiCompatibleModel

        return OpenAiCompatibleModel(config.url, model=config.model, key=config.key)
    if config.name == "rules":
        from runner.speech.llm.rule_based import RuleBasedModel

        return RuleBasedModel()
    from runner.speech.llm.llama import LlamaModel
    from runner.speech.llm.small_model import SmallModelPolicy

    name, path = _choose(config.name, find_weights, environment.get(MODEL_VARIABLE))
    return SmallModelPolicy(LlamaModel(path, name=name))


def _choose(
    name: str, find_weights: FindModel, own_model: str | None
) -> tuple[str, Path]:
    if name == "auto" and own_model:
        return _own(own_model)
    if name == "auto":
        for candidate in MODELS:
            if (found := find_weights(candidate)) is not None:
                return candidate, _weights_file(found)
        raise ModelMissing(
            "no language model is in the cache",
            hint=f"vagent models fetch {MODELS[-1]}",
        )
    if name in MODELS:
        if (found := find_weights(name)) is not None:
            return name, _weights_file(found)
        raise ModelMissing(
            f"the language model {name!r} is not in the cache",
            hint=f"vagent models fetch {name}",
        )
    return _own(name)


def _own(name: str) -> tuple[str, Path]:
    path = Path(name).expanduser()
    if path.suffix.lower() == ".gguf" and path.is_file():
        return path.stem, path
    raise ModelMissing(
        f"there is no language model {name!r}",
        hint=f"use auto, rules, {', '.join(MODELS)}, or the path of a .gguf file",
    )


def _weights_file(found: Path) -> Path:
    if not found.is_dir():
        return found
    return next(iter(sorted(found.glob("*.gguf"))), found)
