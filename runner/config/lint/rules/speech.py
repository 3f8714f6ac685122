"""Rules VA515 to VA523: turn detection, transcription, voices and local models."""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING

from runner.config.diagnostics import Edit, Finding, Fix, replacement
from runner.config.durations import parse_duration
from runner.config.lint.catalog import (
    AS_OF,
    DEFAULT,
    LANGUAGES,
    RETIRED,
    VOICES,
    speakers,
)
from runner.config.lint.context import rule
from runner.config.lint.spoken_text import SpokenText
from runner.config.spelling import nearest

if TYPE_CHECKING:
    from collections.abc import Iterator

    from runner.config.lint.catalog import Part
    from runner.config.lint.context import RuleContext
    from runner.config.yaml.nodes import Pointer


_TURNS = "turn_detection"
_MAX_WORDS = 6  # of a key term
_MARKUP = r"\*\*|__|`|^\s*[-*#]+\s|https?://|[<>{}|]|\]\("
# Beginnings of instructions; descriptions of callers begin otherwise.
_INSTRUCTION = (
    r"(?:^|(?<=[.!?]\s)|(?<=\n))[ \t]*(?P<what>you are an?\b|you['’]re an?\b|act as\b|"
    r"be (?:brief|concise|polite|friendly|helpful|short|patient|kind)\b|"
    r"(?:always |never )?(?:answer|respond|reply|greet|apologi[sz]e)\b|"
    r"your (?:role|task|job|goal) is\b|help (?:the )?(?:caller|customer|user)s?\b)"
)


@rule("VA515", "silences-fixed", "warning")
def silences_fixed(inspection: RuleContext) -> Iterator[Finding]:
    """Both silences are set, so the service adapts neither to the caller.

    By default it waits longer for slow speakers and dictated numbers, and less for
    quick speakers. Each silence that is set turns this off for the session: set only
    one, or none.

    Bad:
        turn_detection: {min_silence: 400ms, max_silence: 1200ms}

    Good:
        turn_detection: {max_silence: 4s}
    """
    texts = {}
    for name in ("min_silence", "max_silence"):
        text = inspection.get((_TURNS, name), str)
        if text is None:
            return
        texts[name] = parse_duration(text)
    if texts["min_silence"] >= texts["max_silence"]:
        return  # VA310 reports it
    turns = inspection.get((_TURNS,), dict) or {}
    second = [name for name in turns if name in texts][-1]
    message = "with both silences set, the service no longer adapts to the caller"
    help_ = "remove one of them, or both to follow how the caller speaks"
    yield Finding(inspection.key((_TURNS, second)), message, help_)


@rule("VA516", "delay-without-effect", "warning")
def delay_without_effect(inspection: RuleContext) -> Iterator[Finding]:
    """`interruption_delay` is set for an agent that cannot be interrupted.

    The delay then has no effect.

    Bad:
        turn_detection: {interruptible: false, interruption_delay: 300ms}

    Good:
        turn_detection: {interruptible: true, interruption_delay: 300ms}
    """
    path = (_TURNS, "interruption_delay")
    can = inspection.get((_TURNS, "interruptible"), bool)
    if can is False and inspection.get(path, str) is not None:
        message = "`interruption_delay` has no effect while `interruptible` is false"
        yield Finding(inspection.key(path), message, "remove one of the two")


@rule("VA517", "threshold-at-its-end", "warning")
def threshold_at_its_end(inspection: RuleContext) -> Iterator[Finding]:
    """`vad_threshold` is 0 or 1.

    At 0 every noise counts as speech, at 1 nothing does.

    Bad:
        turn_detection: {vad_threshold: 1}

    Good:
        turn_detection: {vad_threshold: 0.7}
    """
    path = (_TURNS, "vad_threshold")
    value: float | None = inspection.get(path, float)
    value = inspection.get(path, int) if value is None else value
    if value in (0, 1):
        what = "nothing counts as speech" if value else "every noise counts as speech"
        help_ = "use 0.5 (the default), 0.3 for quiet callers or 0.7 for noisy places"
        yield Finding(inspection.value(path), f"at {value:g} {what}", help_)


@rule("VA518", "key-term-twice", "warning")
def key_term_twice(inspection: RuleContext) -> Iterator[Finding]:
    """A key term is listed twice, in another spelling of capitals or spaces.

    The second one counts toward the limit of 100 and has no effect.

    Bad:
        key_terms: [Acme, Olaplex, acme]

    Good:
        key_terms: [Acme, Acme Pro, Olaplex]
    """
    seen: dict[str, str] = {}
    for path, term in _key_terms(inspection):
        plain = " ".join(term.casefold().split())
        if plain in seen and term != seen[plain]:
            message = f"`{term}` is listed already, as `{seen[plain]}`"
            yield Finding(inspection.value(path), message, "remove one")
        seen.setdefault(plain, term)


@rule("VA519", "key-term-no-term", "warning")
def key_term_no_term(inspection: RuleContext) -> Iterator[Finding]:
    """A key term is a sentence, several terms, or contains markup.

    Key terms are names and rare words as they are spoken, one to six words each.

    Bad:
        key_terms: ["balayage, keratin, Olaplex"]

    Good:
        key_terms: [balayage, keratin, Olaplex]
    """
    for path, term in _key_terms(inspection):
        bare = SpokenText(term, path).bare
        words = len(bare.split())
        if re.search(_MARKUP, bare):
            message, help_ = "a key term contains markup", "write it as it is spoken"
        elif re.search(r"[;,]\s", bare.strip()):
            message = "a key term contains several terms"
            help_ = "list each one separately: `[one, other]`"
        elif words > _MAX_WORDS:
            message = f"a key term has {words} words"
            help_ = "use only names and rare words"
        else:
            continue
        yield Finding(inspection.value(path), message, help_)


@rule("VA520", "transcription-behavior", "warning")
def transcription_behavior(inspection: RuleContext) -> Iterator[Finding]:
    """`transcription.prompt` contains instructions for the agent.

    Only speech recognition reads it. Describe there what callers talk about and how
    they say it; put instructions for the agent into `prompt`.

    Bad:
        transcription:
          prompt: You are a friendly clerk. Be brief.

    Good:
        transcription:
          prompt: Callers give order numbers of four digits. You may hear an echo.
    """
    path = ("transcription", "prompt")
    text = inspection.get(path, str)
    found = re.search(_INSTRUCTION, text, re.IGNORECASE) if text else None
    if found:
        place = inspection.part(path, *found.span("what"))
        message = "the transcription prompt contains instructions for the agent"
        help_ = "move them to `prompt`; describe here what callers talk about"
        yield Finding(place, message, help_)


def _key_terms(inspection: RuleContext) -> Iterator[tuple[Pointer, str]]:
    for index in range(len(inspection.get(("key_terms",), list) or ())):
        path: Pointer = ("key_terms", index)
        term = inspection.get(path, str)
        if term is not None:
            yield path, term


# Rules VA521 to VA523: voices, languages and local models.


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
    """The service does not have the voice.

    It refuses the session, and the call fails. The list of voices is that of 2026-09-24
    and the service adds voices, so this is never an error. Other services
    (`service.url`) are not checked.

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
            # The name may be a new voice, so the fix is not safe.
            start, end = place.span
            fix = Fix(fix.title, (Edit(start, end, guess),), is_safe=False)
    yield Finding(place, message, help_, fix)


@rule("VA522", "language-not-spoken", "warning")
def language_not_spoken(inspection: RuleContext) -> Iterator[Finding]:
    """`languages` has a language that the voice does not speak.

    The agent understands them and answers with a voice that was made for another
    language. Each voice speaks its own language and English. Where no voice is set, the
    service takes `alba`, which speaks only English; then nothing is reported as long as
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
        if "en" in languages or has_other or not inspection.is_valid(("voice",)):
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
        finding = _check_choice(inspection, part, name, path)
        if finding is not None:
            yield finding


def _check_choice(
    inspection: RuleContext, part: Part, name: str, path: Pointer
) -> Finding | None:
    from runner.config.lint.catalog import known_models, missing_modules

    place = inspection.value(path)
    if part == "llm" and name.lower().endswith(".gguf"):
        # As the server opens it: from the folder where vagent is started.
        if not Path(name).expanduser().is_file():
            return Finding(
                place, f"the file `{name}` does not exist", "see `vagent models`"
            )
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
    """Returns the name of the voice and its path."""
    for path in (("voice",), ("voice", "name")):
        name = inspection.get(path, str)
        if name is not None:
            return name, path
    return None


def _is_ours(inspection: RuleContext) -> bool:
    """True if the agent uses the service whose voices are known."""
    service = inspection.document.value.get("service")
    url = inspection.get(("service", "url"), str)
    return service is None or (url is not None and _SERVICE in url)
