"""Minds for an agent: a model in this process, an endpoint, or plain rules."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Protocol

from runner.config.model import LlmConfig
from runner.errors import ModelMissing
from runner.speech.parts import Brain

# Best first; the words are those of `vagent models`.
MODELS = ("qwen-1.5b", "qwen-0.5b")
OWN_MODEL = "VAGENT_LOCAL_LLM"
FindWeights = Callable[[str], Path | None]


class ClosableBrain(Brain, Protocol):
    """A mind that holds memory or connections."""

    def close(self) -> None:
        """Let go of them; the mind cannot think any more."""
        ...


def load_brain(
    config: LlmConfig,
    find_weights: FindWeights,
    environment: Mapping[str, str] = os.environ,
) -> ClosableBrain:
    """Load the mind that the agent asks for; this may take seconds.

    `find_weights` returns the file (or the folder that holds it) of a model by its
    name, None when it is not in the cache. Raises `ModelMissing` when the weights are
    not there and `SpeechError` when they cannot be loaded, each with a hint.
    """
    if config.url is not None:
        from runner.speech.brain.endpoint import EndpointBrain

        return EndpointBrain(config.url, model=config.model, key=config.key)
    if config.name == "rules":
        from runner.speech.brain.rules import RulesBrain

        return RulesBrain()
    from runner.speech.brain.llama import LlamaModel
    from runner.speech.brain.model import ModelBrain

    name, path = _choose(config.name, find_weights, environment.get(OWN_MODEL))
    return ModelBrain(LlamaModel(path, name=name))


def _choose(
    name: str, find_weights: FindWeights, own_model: str | None
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
