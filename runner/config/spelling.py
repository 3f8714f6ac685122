"""Which name a misspelt one was meant to be."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable


# Below this likeness (difflib's ratio) a guess confuses more than it helps.
_LIKENESS = 0.7
# One slip makes any other word of a shorter one.
_SHORTEST = 3
# One slip of the fingers in so many letters leaves no doubt.
_LETTERS_PER_SLIP = 4
_LONGEST = 80  # of a name that is compared: the time grows with its square


def snake(name: str) -> str:
    """Write a name as ours are written: `maxDuration` as `max_duration`."""
    parted = re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "_", name)
    return parted.lower().replace("-", "_").replace(" ", "_")


def nearest(name: str, known: Iterable[str]) -> str | None:
    """Return the known name that `name` looks like, None when none does."""
    choices = list(known)
    same = _same(name, choices)
    if same is not None:
        return same
    plain = snake(name)[:_LONGEST]
    if len(plain) >= _SHORTEST:
        near = [
            each
            for each in choices
            if abs(len(each) - len(plain)) <= 1 and _slips(plain, each) == 1
        ]
        if len(near) == 1:
            return near[0]
    from difflib import get_close_matches  # 3 ms to import, for misspelt files only

    found = get_close_matches(plain, choices, n=1, cutoff=_LIKENESS)
    return found[0] if found else None


def nearest_choice(value: str, choices: list[str]) -> str | None:
    """Return the choice that a value was meant to be; `en-US` is a kind of `en`."""
    if re.fullmatch(r"[A-Za-z]{2}[-_][A-Za-z]{2,4}", value):
        return value[:2].lower() if value[:2].lower() in choices else None
    return nearest(value, choices)


def is_surely(name: str, guess: str) -> bool:
    """Whether `name` cannot mean anything but `guess`.

    That is so for another way to write it, for what others call it, and for a slip or
    two in a word that is long enough.
    """
    if _same(name, [guess]) is not None:
        return True
    plain, meant = snake(name)[:_LONGEST], snake(guess)
    return _slips(plain, meant) <= max(1, len(meant) // _LETTERS_PER_SLIP)


def _same(name: str, choices: list[str]) -> str | None:
    """Return the choice that is the same name, in other letters or in other words."""

    plain = snake(name)
    base, _ = unit_of(plain)
    written = {snake(each): each for each in choices}
    for each in (plain, *ALIASES.get(plain, ()), base, *ALIASES.get(base, ())):
        if each in written:
            return written[each]
    return None


def _slips(one: str, other: str) -> int:
    """Count the letters to insert, remove, replace or swap with their neighbour.

    The optimal string alignment distance.
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


# What the wire, neighbouring tools and everyday speech call the words of our files.
#
# No spelling leads from one to the other, so they are listed: names in snake case, and
# what they may be here, in the order of preference. Which of these is meant is decided
# by what is known at the place. Sources: the wire and AssemblyAI's older messages, the
# OpenAI realtime API, Vapi, Retell, ElevenLabs, LiveKit, Pipecat, JSON Schema's
# readers.


ALIASES: dict[str, tuple[str, ...]] = {
    # what is said
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
    # hearing
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

# The unit that a name says at its end, and what our durations call it.
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
# The unit of names that do not say it.
_UNITS = {
    "min_turn_silence": "ms",
    "max_turn_silence": "ms",
    "min_end_of_turn_silence_when_confident": "ms",
    "end_utterance_silence_threshold": "ms",
    "min_endpointing_delay": "s",
    "max_endpointing_delay": "s",
    "min_interruption_duration": "s",
}

# Keys that had another name in earlier versions of vagent, in agent and in scenario
# files. The new name counts only where the schema knows it.
RENAMED: dict[str, str] = {
    "recognizer": "stt",
    "brain": "llm",
    "voice": "tts",
    "call": "tool_call",
    "calls": "tool_calls",
    "line": "connection",
    "hears": "user_says",
}
# Renamed keys below a renamed one. They change in one fix: the schema finds nothing
# below a key that it does not know, and the new one alone would bring more errors.
RENAMED_BELOW: dict[str, dict[str, str]] = {
    "brain": {"hears": "user_says", "calls": "tool_calls"},
}

# Where a key belongs that somebody has put elsewhere: our own, and others' that became
# part of a mapping here.
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
    """Split a name in snake case into what it names and the unit that it says."""
    if name in _UNITS:
        return name, _UNITS[name]
    base, _, last = name.rpartition("_")
    if base and last in _SUFFIXES:
        return base if name not in ALIASES else name, _SUFFIXES[last]
    return name, None
