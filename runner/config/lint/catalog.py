"""Models of the local service that a file can choose, and the modules they need."""

from __future__ import annotations

import importlib.util
import json
from importlib import resources
from typing import Literal

Part = Literal["stt", "llm", "tts"]

# Modules of the extra `local` that a part runs on.
_ENGINES: dict[Part, tuple[str, ...]] = {
    "stt": ("ctranslate2", "tokenizers"),
    "llm": ("xllamacpp",),
    "tts": ("piper",),
}


def known_models(part: Part) -> list[str]:
    """Return the names of the models for a part.

    Read as data: the code beside the list loads numpy and more, and is not needed.
    """
    file = resources.files("runner") / "speech" / "manifest.json"
    models = json.loads(file.read_text("utf-8"))["models"]
    return [each["name"] for each in models if each["part"] == part]


def missing_modules(part: Part) -> list[str]:
    """Return the modules that a part runs on and that are not installed."""
    return [each for each in _ENGINES[part] if importlib.util.find_spec(each) is None]
