"""Rules VA521 to VA523: who speaks, in which language, and with what."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from runner.config.diagnostics import Edit, Finding, Fix, replacement
from runner.config.rules.rule import rule
from runner.config.spelling import nearest
from runner.config.voices import AS_OF, DEFAULT, LANGUAGES, RETIRED, VOICES, speakers

if TYPE_CHECKING:
    from collections.abc import Iterator

    from runner.config.lint.catalog import Part
    from runner.config.lint.context import RuleContext
    from runner.config.yaml.nodes import Pointer

_SERVICE = "assemblyai.com"
_PARTS: tuple[Part, ...] = ("stt", "llm", "tts")
_NOUNS: dict[Part, str] = {
    "stt": "speech recognition model",
    "llm": "language model",
    "tts": "speech synthesis voice",
}
# Values of `llm` that need no model file.
_NO_MODEL = ("auto", "rules")


@rule("VA521", "voice-unknown", "warning")
def voice_unknown(inspection: RuleContext) -> Iterator[Finding]:
    """The service has no such voice, or has it no longer.

    It refuses the session, and with it the call. The list is that of 2026-09-24 and the
    service adds voices, so this is never an error. Where `service.url` leads to another
    service, nothing is said.

    Bad:
        voice: ivy

    Good:
        voice: alba
    """
    voice = _voice(inspection)
    if voice is None:
        return
    name, path = voice
    if name in VOICES or "${" in name or not _is_ours(inspection):
        return
    place = inspection.value(path)
    if name.lower() in RETIRED:
        message = f"the service no longer has the voice `{name}`"
        help_ = f"on {AS_OF} it had {', '.join(sorted(VOICES))}"
        yield Finding(place, message, help_)
        return
    message = f"the service had no voice `{name}` on {AS_OF}"
    guess = nearest(name, VOICES)
    help_, fix = f"it had {', '.join(sorted(VOICES))}", None
    if guess:
        help_ = f"did you mean `{guess}`?"
        fix = replacement(place, name, guess)
        if fix is not None and name.lower() != guess:
            # It may be new: then another voice would speak.
            start, end = place.span
            fix = Fix(fix.title, (Edit(start, end, guess),), is_safe=False)
    yield Finding(place, message, help_, fix)


@rule("VA522", "language-not-spoken", "warning")
def language_not_spoken(inspection: RuleContext) -> Iterator[Finding]:
    """Callers may speak a language that the voice does not.

    The agent understands them and answers with a voice that was made for another
    language. Each voice speaks its own language and English. Where no voice is set, the
    service takes `alba`, which speaks English alone; nothing is said then as long as
    English is among the languages.

    Bad:
        voice: alba
        languages: [de]

    Good:
        voice: juergen
        languages: [de, en]
    """
    languages = inspection.get(("languages",), list)
    if not languages or not _is_ours(inspection):
        return
    voice = _voice(inspection)
    name = voice[0] if voice else DEFAULT
    if voice is None:
        has_other = {"voice", "local"} & inspection.document.value.keys()
        if "en" in languages or has_other or not inspection.is_sound(("voice",)):
            return
    spoken = VOICES.get(name)
    for index, code in enumerate(languages):
        path = ("languages", index)
        if spoken is None or inspection.get(path, str) is None or code in spoken:
            continue
        language = LANGUAGES.get(code, code)
        who = f"the voice `{name}`" if voice else f"no voice is set, and `{name}`"
        others = ", ".join(f"`{each}`" for each in speakers(code))
        help_ = f"{others} does" if others else "no voice of the service speaks it"
        message = f"{who} does not speak {language}"
        yield Finding(inspection.value(path), message, help_)


@rule("VA523", "local-choice", "warning")
def local_choice(inspection: RuleContext) -> Iterator[Finding]:
    """A model for the local service is unknown or not installed.

    The service then uses a fallback: tones for speech synthesis, rules for the language
    model, typed text for speech recognition. `vagent models list` shows the models, and
    `pip install 'vagent[local]'` installs the engines that run them.

    Bad:
        local: {tts: jo}

    Good:
        local: {llm: rules}
    """
    for part in _PARTS:
        path = ("local", part)
        name = inspection.get(path, str)
        if name is None or "${" in name or (part == "llm" and name in _NO_MODEL):
            continue
        finding = _judge_choice(inspection, part, name, path)
        if finding is not None:
            yield finding


def _judge_choice(
    inspection: RuleContext, part: Part, name: str, path: Pointer
) -> Finding | None:
    from runner.config.lint.catalog import known_models, missing_modules

    place = inspection.value(path)
    if part == "llm" and name.lower().endswith(".gguf"):
        # As the server opens it: from the folder where vagent is started.
        if not Path(name).expanduser().is_file():
            return Finding(place, f"there is no file `{name}`", "see `vagent models`")
    else:
        models = known_models(part)
        if name not in models:
            choices = [*models, *(_NO_MODEL if part == "llm" else ())]
            guess = nearest(name, choices)
            help_ = f"there is {', '.join(f'`{each}`' for each in choices)}"
            help_ = f"did you mean `{guess}`?" if guess else help_
            fix = replacement(place, name, guess) if guess else None
            return Finding(place, f"unknown {_NOUNS[part]} `{name}`", help_, fix)
    missing = missing_modules(part)
    if missing:
        message = f"`{name}` needs {' and '.join(missing)}, not installed here"
        return Finding(place, message, "pip install 'vagent[local]'")
    return None


def _voice(inspection: RuleContext) -> tuple[str, Pointer] | None:
    """Return the name of the voice and where it stands."""
    for path in (("voice",), ("voice", "name")):
        name = inspection.get(path, str)
        if name is not None:
            return name, path
    return None


def _is_ours(inspection: RuleContext) -> bool:
    """Whether the agent talks to the service whose voices are known."""
    service = inspection.document.value.get("service")
    url = inspection.get(("service", "url"), str)
    return service is None or (url is not None and _SERVICE in url)
