"""Suggests the intended name for a misspelled, foreign or renamed one."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable


# difflib's ratio; guesses below it confuse more than they help.
_MIN_SIMILARITY = 0.7
# Shorter names are one typing error away from too many others.
_MIN_LENGTH = 3
# One typing error per this number of letters leaves no doubt.
_LETTERS_PER_TYPO = 4
_MAX_LENGTH = 80  # of a compared name: the time grows with its square


def snake(name: str) -> str:
    """Returns a name in snake case: `max_duration` for `maxDuration`."""
    parted = re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "_", name)
    return parted.lower().replace("-", "_").replace(" ", "_")


def nearest(name: str, known: Iterable[str]) -> str | None:
    """Returns the known name that `name` resembles, None if there is none."""
    choices = list(known)
    same = _same(name, choices)
    if same is not None:
        return same
    plain = snake(name)[:_MAX_LENGTH]
    if len(plain) >= _MIN_LENGTH:
        near = [
            each
            for each in choices
            if abs(len(each) - len(plain)) <= 1 and _edit_distance(plain, each) == 1
        ]
        if len(near) == 1:
            return near[0]
    from difflib import get_close_matches  # 3 ms to import, for misspelled files only

    found = get_close_matches(plain, choices, n=1, cutoff=_MIN_SIMILARITY)
    return found[0] if found else None


def nearest_choice(value: str, choices: list[str]) -> str | None:
    """Returns the choice that a value was meant to be; `en-US` means `en`."""
    if re.fullmatch(r"[A-Za-z]{2}[-_][A-Za-z]{2,4}", value):
        return value[:2].lower() if value[:2].lower() in choices else None
    return nearest(value, choices)


def is_certain_guess(name: str, guess: str) -> bool:
    """True if `name` means `guess` without doubt.

    True for another spelling or an alias, and for few typing errors in a long word.
    """
    if _same(name, [guess]) is not None:
        return True
    plain, meant = snake(name)[:_MAX_LENGTH], snake(guess)
    return _edit_distance(plain, meant) <= max(1, len(meant) // _LETTERS_PER_TYPO)


def _same(name: str, choices: list[str]) -> str | None:
    """Returns the choice that equals `name` in another spelling or as an alias."""
    plain = snake(name)
    base, _ = unit_of(plain)
    written = {snake(each): each for each in choices}
    for each in (plain, *ALIASES.get(plain, ()), base, *ALIASES.get(base, ())):
        if each in written:
            return written[each]
    return None


def _edit_distance(one: str, other: str) -> int:
    """Returns the optimal string alignment distance.

    It counts letters to insert, remove, replace or swap with their neighbor.
    """
    before: list[int] = []
    last = list(range(len(other) + 1))
    for i, letter in enumerate(one, 1):
        row = [i]
        for j, wanted in enumerate(other, 1):
            cost = min(last[j] + 1, row[-1] + 1, last[j - 1] + (letter != wanted))
            if i > 1 and j > 1 and letter == other[j - 2] and one[i - 2] == wanted:
                cost = min(cost, before[j - 2] + 1)
            row.append(cost)
        before, last = last, row
    return last[-1]


# Names of the wire, of other tools and of everyday language, in snake case, with the
# names in agent files in the order of preference; the first one that is allowed at the
# place is used. Sources: the wire and AssemblyAI's older messages, the OpenAI realtime
# API, Vapi, Retell, ElevenLabs, LiveKit, Pipecat, users of JSON Schema.

ALIASES: dict[str, tuple[str, ...]] = {
    # prompts
    "system_prompt": ("prompt",),
    "system_message": ("prompt",),
    "system_instruction": ("prompt",),
    "system_instructions": ("prompt",),
    "system": ("prompt",),
    "instruction": ("prompt",),
    "instructions": ("prompt",),
    "general_prompt": ("prompt",),
    "agent_prompt": ("prompt",),
    "prompt_path": ("prompt_file",),
    "instructions_file": ("prompt_file",),
    "first_message": ("greeting",),
    "first_sentence": ("greeting",),
    "begin_message": ("greeting",),
    "welcome_message": ("greeting",),
    "initial_message": ("greeting",),
    "opening": ("greeting",),
    "filler": ("announce",),
    "filler_message": ("announce",),
    "execution_message": ("announce",),
    "execution_message_description": ("announce",),
    # voice
    "voice_id": ("voice", "name"),
    "voice_name": ("voice", "name"),
    "tts_voice": ("voice",),
    "speaker": ("voice",),
    "speaker_id": ("voice", "name"),
    "gain": ("volume",),
    # speech recognition
    "keyterms": ("key_terms",),
    "keyterms_prompt": ("key_terms",),
    "keyterm": ("key_terms",),
    "keywords": ("key_terms",),
    "boosted_keywords": ("key_terms",),
    "word_boost": ("key_terms",),
    "vocabulary": ("key_terms",),
    "hints": ("key_terms",),
    "language": ("languages",),
    "language_code": ("languages",),
    "language_codes": ("languages",),
    "locale": ("languages",),
    "asr": ("stt",),
    "transcriber": ("stt",),
    "synthesizer": ("tts",),
    # turns
    "turn_taking": ("turn_detection",),
    "endpointing": ("turn_detection",),
    "threshold": ("vad_threshold",),
    "activation_threshold": ("vad_threshold",),
    "vad_confidence": ("vad_threshold",),
    "silence_duration": ("min_silence",),
    "min_turn_silence": ("min_silence",),
    "min_end_of_turn_silence": ("min_silence",),
    "min_end_of_turn_silence_when_confident": ("min_silence",),
    "end_utterance_silence_threshold": ("min_silence",),
    "min_endpointing_delay": ("min_silence",),
    "stop_secs": ("min_silence",),
    "max_turn_silence": ("max_silence",),
    "max_end_of_turn_silence": ("max_silence",),
    "max_endpointing_delay": ("max_silence",),
    "interrupt_response": ("interruptible",),
    "allow_interruptions": ("interruptible",),
    "interruptions_enabled": ("interruptible",),
    "min_interruption_duration": ("interruption_delay",),
    # tools
    "functions": ("tools",),
    "tool_definitions": ("tools",),
    "function": ("python",),
    "webhook": ("http",),
    "timeout_seconds": ("timeout",),
    "response_timeout": ("timeout",),
    "arguments": ("parameters",),
    "input_schema": ("parameters",),
    "params": ("parameters",),
    "endpoint": ("url",),
    "server_url": ("url",),
    "uri": ("url",),
    "api_url": ("url",),
    "base_url": ("url",),
    "api_key": ("key",),
    "request_headers": ("headers",),
    "query_params": ("query",),
    "verb": ("method",),
    # sessions
    "max_call_duration": ("max_duration",),
    "max_session_duration": ("max_duration",),
    "silence_timeout": ("end_after",),
    "end_call_after_silence": ("end_after",),
    "reminder_trigger": ("nudge_after",),
    # values
    "low_latency": ("min_latency",),
    "high_accuracy": ("max_accuracy",),
    "accurate": ("max_accuracy",),
    "str": ("string",),
    "text": ("string",),
    "int": ("integer",),
    "float": ("number",),
    "double": ("number",),
    "bool": ("boolean",),
    "dict": ("object",),
    "map": ("object",),
    "list": ("array",),
    "english": ("en",),
    "spanish": ("es",),
    "german": ("de",),
    "french": ("fr",),
    "portuguese": ("pt",),
    "italian": ("it",),
    "turkish": ("tr",),
    "dutch": ("nl",),
    "swedish": ("sv",),
    "norwegian": ("no",),
    "nb": ("no",),
    "danish": ("da",),
    "finnish": ("fi",),
    "hindi": ("hi",),
    "vietnamese": ("vi",),
    "arabic": ("ar",),
    "hebrew": ("he",),
    "japanese": ("ja",),
    "chinese": ("zh",),
    "mandarin": ("zh",),
}

# Units at the end of names, and the units of durations.
_SUFFIXES = {
    "ms": "ms",
    "msec": "ms",
    "millis": "ms",
    "milliseconds": "ms",
    "s": "s",
    "sec": "s",
    "secs": "s",
    "seconds": "s",
    "min": "m",
    "mins": "m",
    "minutes": "m",
}
# Units of names without a unit.
_UNITS = {
    "min_turn_silence": "ms",
    "max_turn_silence": "ms",
    "min_end_of_turn_silence_when_confident": "ms",
    "end_utterance_silence_threshold": "ms",
    "min_endpointing_delay": "s",
    "max_endpointing_delay": "s",
    "min_interruption_duration": "s",
}

# Keys of agent and scenario files with another name in earlier versions of vagent. The
# new name is used only where the schema allows it.
RENAMED: dict[str, str] = {
    "recognizer": "stt",
    "brain": "llm",
    "voice": "tts",
    "call": "tool_call",
    "calls": "tool_calls",
    "line": "connection",
    "hears": "user_says",
}
# Renamed keys below a renamed one. They change in one fix: the schema does not check
# the value of an unknown key, and renaming only the key would cause more errors.
RENAMED_BELOW: dict[str, dict[str, str]] = {
    "brain": {"hears": "user_says", "calls": "tool_calls"},
}

# The place of misplaced keys: of agent files, and of the wire and other tools.
HOMES: dict[str, str] = {
    **dict.fromkeys(
        (
            "vad_threshold",
            "min_silence",
            "max_silence",
            "interruptible",
            "interruption_delay",
        ),
        "turn_detection",
    ),
    **dict.fromkeys(
        ("max_duration", "one_minute_left", "idle", "carry_over", "tool_results"),
        "session",
    ),
    **dict.fromkeys(("nudge_after", "end_after", "say"), "session: {idle: …}"),
    **dict.fromkeys(("stt", "llm", "tts"), "local"),
    **dict.fromkeys(
        (
            "python",
            "http",
            "plugin",
            "parameters",
            "effect",
            "on_interrupt",
            "announce",
        ),
        "tools, in the entry that it is about",
    ),
    **dict.fromkeys(
        ("headers", "query", "body", "retries", "method", "allow_private"), "http"
    ),
    "volume": "voice",
    "timeout": "tools, in the entry that it is about",
    "description": "tools or variables, in the entry that it is about",
    "transcription_mode": "transcription: {mode: …}",
    "transcription_prompt": "transcription: {prompt: …}",
    "default": "variables, in the entry that it is about",
}


def unit_of(name: str) -> tuple[str, str | None]:
    """Splits a name in snake case into the name and its unit, if there is one."""
    if name in _UNITS:
        return name, _UNITS[name]
    base, _, last = name.rpartition("_")
    if base and last in _SUFFIXES:
        return base if name not in ALIASES else name, _SUFFIXES[last]
    return name, None
