"""Which weights a spoken call needs on this machine."""

from __future__ import annotations

import os

from runner.config.model import LocalConfig
from runner.speech.brain import MODELS, OWN_MODEL
from runner.speech.manifest import Model
from runner.speech.weights import Weights

_TURN_MODELS = ("silero-vad", "smart-turn")
_DEFAULT_TTS, _DEFAULT_STT = "joe", "whisper-base"
# Room for the engines beside the weights: with the better brain the whole server was
# measured at 2.31 GB for 1.34 GB of files, with the small one at 1.07 GB for 0.71 GB.
_ROOM = 1.75


def needed_models(weights: Weights, local: LocalConfig | None = None) -> list[str]:
    """Return the models that a spoken call needs: VAD, endpointing, TTS, STT and LLM.

    What `local` names by a path of the user's own is not among them.
    """
    local = local or LocalConfig()
    tts = local.tts or _DEFAULT_TTS
    stt = local.stt or _DEFAULT_STT
    named = [*_TURN_MODELS, tts, stt, *_llm(weights, local)]
    return [name for name in named if name in weights.manifest]


def memory_for(models: list[Model]) -> int:
    """Return about how many bytes of memory a server takes with these models."""
    return round(_ROOM * sum(model.size for model in models))


def _llm(weights: Weights, local: LocalConfig) -> list[str]:
    if local.llm.url is not None or local.llm.name == "rules":
        return []
    if local.llm.name != "auto":
        return [local.llm.name]
    if os.environ.get(OWN_MODEL):
        return []
    present = [name for name in MODELS if weights.standing(name).present]
    return [present[0] if present else MODELS[-1]]  # they are listed best first
