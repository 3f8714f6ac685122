"""Language models of an agent: a local model, an endpoint, or rules."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from pathlib import Path

from runner.config.model import LlmConfig
from runner.errors import ModelMissing
from runner.speech.interfaces import LanguageModel

# Names in the manifest, best first.
MODELS = ("qwen-1.5b", "qwen-0.5b")
MODEL_VARIABLE = "VAGENT_LOCAL_LLM"
FindModel = Callable[[str], Path | None]


def load_llm(
    config: LlmConfig,
    find_model: FindModel,
    environment: Mapping[str, str] = os.environ,
) -> LanguageModel:
    """Loads the language model that `config` names; may take seconds.

    `find_model` returns the file or folder of a model by its name, None if it is not in
    the cache. Raises ModelMissing if it is not there, SpeechError if it cannot be
    loaded.
    """
    if config.url is not None:
        from runner.speech.llm.openai import OpenAiCompatibleModel

        return OpenAiCompatibleModel(config.url, model=config.model, key=config.key)
    if config.name == "rules":
        from runner.speech.llm.rule_based import RuleBasedModel

        return RuleBasedModel()
    from runner.speech.llm.llama import LlamaModel
    from runner.speech.llm.small_model import SmallModelPolicy

    name, path = _choose(config.name, find_model, environment.get(MODEL_VARIABLE))
    return SmallModelPolicy(LlamaModel(path, name=name))


def _choose(
    name: str, find_model: FindModel, own_model: str | None
) -> tuple[str, Path]:
    if name == "auto" and own_model:
        return _user_file(own_model)
    if name == "auto":
        for candidate in MODELS:
            if (found := find_model(candidate)) is not None:
                return candidate, _model_file(found)
        raise ModelMissing(
            "no language model in the cache",
            hint=f"vagent models fetch {MODELS[-1]}",
        )
    if name in MODELS:
        if (found := find_model(name)) is not None:
            return name, _model_file(found)
        raise ModelMissing(
            f"language model {name!r} is not in the cache",
            hint=f"vagent models fetch {name}",
        )
    return _user_file(name)


def _user_file(name: str) -> tuple[str, Path]:
    path = Path(name).expanduser()
    if path.suffix.lower() == ".gguf" and path.is_file():
        return path.stem, path
    raise ModelMissing(
        f"unknown language model {name!r}",
        hint=f"use auto, rules, {', '.join(MODELS)}, or the path of a .gguf file",
    )


def _model_file(found: Path) -> Path:
    if not found.is_dir():
        return found
    return next(iter(sorted(found.glob("*.gguf"))), found)
