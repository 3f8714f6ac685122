"""Models of the local service that a file can choose, and the modules they need."""

from __future__ import annotations

import importlib.util
import json
from typing import Literal

from runner.config.schema import read_packaged

Part = Literal["stt", "llm", "tts"]

# Modules of the extra `local` that a part runs on.
_ENGINES: dict[Part, tuple[str, ...]] = {
    "stt": ("ctranslate2", "tokenizers"),
    "llm": ("xllamacpp",),
    "tts": ("piper",),
}


def known_models(part: Part) -> list[str]:
    """Returns the names of the models for a part.

    Read as data: importing the module of the list would load numpy and more.
    """
    models = json.loads(read_packaged("runner", "speech/manifest.json"))["models"]
    return [each["name"] for each in models if each["part"] == part]


def missing_modules(part: Part) -> list[str]:
    """Returns the modules that a part runs on and that are not installed."""
    return [each for each in _ENGINES[part] if importlib.util.find_spec(each) is None]


# The voices of the service and what they speak, as known on 2026-09-24.
#
# The service's own list, from what it answers to a name that it does not know; the
# languages from its documentation of September 2026. It changes: nothing here is ever
# an error.


AS_OF = "2026-09-24"
DEFAULT = "alba"

# Voices of another language also speak English. None: the languages are not known.
VOICES: dict[str, frozenset[str] | None] = {
    **dict.fromkeys(
        ("alba", "anna", "charles", "eve", "george", "jane", "jean", "mary"),
        frozenset({"en"}),
    ),
    **dict.fromkeys(("michael", "paul", "vera"), frozenset({"en"})),
    "estelle": frozenset({"fr", "en"}),
    "giovanni": frozenset({"it", "en"}),
    "juergen": frozenset({"de", "en"}),
    "lola": frozenset({"es", "en"}),
    "rafael": frozenset({"pt", "en"}),
    "iris": None,
    "reid": None,
}

# Names that the service once took and refuses today.
RETIRED = frozenset(
    {
        *("ivy", "james", "tyler", "winter", "bella", "david", "kyle", "helen"),
        *("martha", "river", "emma", "victor", "eleanor", "arjun", "dmitri"),
        *("pierre", "giulia", "luca", "lucia", "mateo", "diego", "sam", "mia"),
        *("jack", "sophie", "oliver", "ethan", "mei", "lukas", "lena", "mina"),
        *("joon", "ren", "hana", "claire", "dawn", "josh", "grace", "pete", "autumn"),
    }
)

LANGUAGES = {
    "ar": "Arabic",
    "da": "Danish",
    "de": "German",
    "en": "English",
    "es": "Spanish",
    "fi": "Finnish",
    "fr": "French",
    "he": "Hebrew",
    "hi": "Hindi",
    "it": "Italian",
    "ja": "Japanese",
    "nl": "Dutch",
    "no": "Norwegian",
    "pt": "Portuguese",
    "sv": "Swedish",
    "tr": "Turkish",
    "vi": "Vietnamese",
    "zh": "Chinese",
}


def speakers(language: str) -> list[str]:
    """Returns the voices whose own language this is (for English: those of English)."""
    own = frozenset({language, "en"})
    return sorted(name for name, spoken in VOICES.items() if spoken == own)
