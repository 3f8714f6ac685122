"""Fixes of broken files: the text before and the text after."""

from __future__ import annotations

from pathlib import Path

import pytest

from runner.config.files import read_agent_text
from runner.config.lint.fixes import FixedFile, fix_content
from runner.config.loader import check_reading

HEAD = "version: 1\nname: a\n"
PROMPT = HEAD + "prompt: p\n"
TOOL = "tools:\n  - name: t\n    plugin: end_call\n"


def fixed(text: str, *, unsafe: bool = False) -> FixedFile:
    return fix_content(
        text.encode(),
        "a.yaml",
        lambda data: check_reading(
            read_agent_text(data, Path("a.yaml")), environment={}
        ),
        unsafe=unsafe,
        chosen=lambda found: found.rule[:3] == "VA2",
    )


def apply_fixes(text: str, *, unsafe: bool = False) -> str:
    done = fixed(text, unsafe=unsafe)
    assert fixed(done.after.decode(), unsafe=unsafe).after == done.after
    return done.after.decode()


SAFE = [
    # keys: slips, other ways to write them, other people's names
    ("voise: alba", "voice: alba"),
    ("Greeting: Hi", "greeting: Hi"),
    ("keyTerms: [a]", "key_terms: [a]"),
    ("'voise': alba", "'voice': alba"),
    ('"voi\\u0073e": alba', '"voi\\u0073e": alba'),  # not written letter by letter
    ("first_message: Hi", "greeting: Hi"),
    ("voice_id: alba", "voice: alba"),
    ("voice: {voice_id: alba}", "voice: {name: alba}"),
    ("language: en-US", "languages: [en]"),
    ("keyterms: [Acme]", "key_terms: [Acme]"),
    ("turn_detection: {threshold: 0.5}", "turn_detection: {vad_threshold: 0.5}"),
    (
        "turn_detection: {minSilence: 600ms}",
        "turn_detection: {min_silence: 600ms}",
    ),
    (
        "turn_detection: {min_end_of_turn_silence_ms: 600}",
        "turn_detection: {min_silence: 600ms}",
    ),
    (
        "turn_detection: {max_turn_silence: 1500 } # x",
        "turn_detection: {max_silence: 1500ms } # x",
    ),
    (
        "turn_detection: {min_endpointing_delay: 0.5}",
        "turn_detection: {min_silence: 0.5s}",
    ),
    (
        "turn_detection: {silence_duration_ms: 500}",
        "turn_detection: {min_silence: 500ms}",
    ),
    (
        "turn_detection: {allow_interruptions: yes}",
        "turn_detection: {interruptible: true}",
    ),
    ("session: {max_duration_seconds: 600}", "session: {max_duration: 600s}"),
    ("session: {max_duration_minutes: 30}", "session: {max_duration: 30m}"),
    (TOOL + "    timeout_seconds: 5", TOOL + "    timeout: 5s"),
    (TOOL + "    response_timeout_secs: 20", TOOL + "    timeout: 20s"),
    # values
    ("transcription: {mode: balancd}", "transcription: {mode: balanced}"),
    ("transcription: {mode: 'Balanced'}", "transcription: {mode: 'balanced'}"),
    ("transcription: {mode: min-latency}", "transcription: {mode: min_latency}"),
    ("languages: [english, de_AT]", "languages: [en, de]"),
    ("turn_detection: {interruptible: yes}", "turn_detection: {interruptible: true}"),
    ("turn_detection: {interruptible: OFF}", "turn_detection: {interruptible: false}"),
    (
        'turn_detection: {interruptible: "true"}',
        "turn_detection: {interruptible: true}",
    ),
    ("greeting: 24", 'greeting: "24"'),
    ("greeting: 012", 'greeting: "012"'),
    ("greeting: true", 'greeting: "true"'),
    ("key_terms: [Acme, 4711]", 'key_terms: [Acme, "4711"]'),
    ("voice: {volume: '80'}", "voice: {volume: 80}"),
    ('turn_detection: {vad_threshold: "0.5"}', "turn_detection: {vad_threshold: 0.5}"),
    ("session: {max_duration: 1800}", "session: {max_duration: 1800s}"),
    ("session: {max_duration: 30 minutes}", "session: {max_duration: 30m}"),
    ("session: {max_duration: 1h}", "session: {max_duration: 60m}"),
    ("session: {max_duration: 1h 30min}", "session: {max_duration: 90m}"),
    ("session: {max_duration: 1m30s}", "session: {max_duration: 90s}"),
    ("session: {max_duration: '5 Min'}", "session: {max_duration: '5m'}"),
    ("turn_detection: {min_silence: 600}", "turn_detection: {min_silence: 600ms}"),
    ("turn_detection: {min_silence: 0.6}", "turn_detection: {min_silence: 0.6s}"),
    ('turn_detection: {min_silence: "600"}', 'turn_detection: {min_silence: "600ms"}'),
    (TOOL + "    timeout: 8", TOOL + "    timeout: 8s"),
    (TOOL + "    timeout: 8sec  # long", TOOL + "    timeout: 8s  # long"),
    ("languages: en", "languages: [en]"),
    ("key_terms: 'Da Vinci'", "key_terms: ['Da Vinci']"),
    ("languages: [en, es, en]", "languages: [en, es]"),
    ("languages:\n  - en\n  - es\n  - en\n", "languages:\n  - en\n  - es\n"),
    (
        "variables: {a: Acme, b: 5}",
        'variables: {a: {default: Acme}, b: {default: "5"}}',
    ),
    ("variables:\n  a: 'it, is'  # x", "variables:\n  a: {default: 'it, is'}  # x"),
    ("tools: [end_call]", "tools: [{plugin: end_call}]"),
    (
        "tools:\n  - name: t\n    description: T.\n    http: {url: 'https://a.example'"
        ", method: post}",
        "tools:\n  - name: t\n    description: T.\n    http: {url: 'https://a.example'"
        ", method: POST}",
    ),
]


@pytest.mark.parametrize(("before", "after"), SAFE)
def test_a_clear_mistake_is_fixed(before: str, after: str) -> None:
    assert apply_fixes(PROMPT + before) == PROMPT + after


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ("session: {max_duration: 30}", "session: {max_duration: 30s}"),
        (TOOL + "    timeout: 500", TOOL + "    timeout: 500ms"),
        ("key_terms: Acme, SKU", "key_terms: [Acme, SKU]"),
        (
            "service: {url: 'https://a.example/ws'}",
            "service: {url: 'wss://a.example/ws'}",
        ),
        (
            TOOL.replace("name: t", "name: hang up"),
            TOOL.replace("name: t", "name: hang_up"),
        ),
    ],
)
def test_a_likely_mistake_is_fixed_only_on_request(before: str, after: str) -> None:
    assert apply_fixes(PROMPT + before) == PROMPT + before
    assert apply_fixes(PROMPT + before, unsafe=True) == PROMPT + after


@pytest.mark.parametrize(
    "text",
    [
        "session: {max_duration: 30}",  # seconds or minutes
        "key_terms: Acme, SKU",
        "service: {url: 'https://a.example/ws'}",
        "description: An agent.",  # it belongs to a tool
        "min_silence: 600ms",
        "transcription_mode: balanced",
        "greeting: Hi\ngreting: Ho",  # the right one is there
        "languages: [klingon]",
        "session: {max_duration: half an hour}",
        "session: {max_duration: 3 apples}",
        "turn_detection: {interruptible: maybe}",
        "turn_detection: {interruptible: 1}",
        "voice: {volume: loud}",
        "greeting: [Hi]",
        "greeting:",
        "greeting: 24 \n  25",
        'greeting: ""',
        "voise: [1]",
        "key_terms: |\n  a\n  b",
        'transcription: {mode: "bal\\u0061ncd"}',
        'session: {max_duration: "3\\u0030 minutes"}',
    ],
)
def test_what_is_not_clear_is_left(text: str) -> None:
    assert apply_fixes(PROMPT + text) == PROMPT + text


@pytest.mark.parametrize(
    "text",
    [
        "greeting: &x Hi\ntranscription: &t {mode: balancd}\nlocal: {tts: *x}",
    ],
)
def test_an_anchored_value_is_fixed_at_its_anchor(text: str) -> None:
    assert apply_fixes(PROMPT + text) == PROMPT + text.replace("balancd", "balanced")


@pytest.mark.parametrize(
    "text",
    [
        # The anchor's own place is right; what it is used for is not.
        "key_terms: [&n '5']\nvoice: {volume: *n}",
        "variables:\n  a: &v {default: x}\nturn_detection:\n  <<: *v\nkey_terms: [a]",
        "voice: &v {name: alba}\nlocal:\n  <<: *v",
    ],
)
def test_nothing_is_fixed_through_an_alias_or_a_merge(text: str) -> None:
    assert apply_fixes(PROMPT + text, unsafe=True) == PROMPT + text


def test_what_is_used_elsewhere_too_is_left() -> None:
    text = PROMPT + "voice: {volume: &n '80'}\ngreeting: *n\n"
    assert apply_fixes(text) == text


def test_a_misspelt_key_whose_value_hides_more_errors_is_left() -> None:
    text = PROMPT + "trun_detection: {vad_threshold: 5, min_silence: 20ms}\n"
    assert fixed(text).after.decode() == text


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ("python: tools\\shop.py:look", "python: tools/shop.py:look"),
        ("python: tools/shop.py::look", "python: tools/shop.py:look"),
    ],
)
def test_a_reference_is_written_as_ours_are(
    before: str, after: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("tools").mkdir()
    Path("tools/shop.py").write_text('def look() -> str:\n    "Look up the shop."\n')
    head = PROMPT + "tools:\n  - "
    assert apply_fixes(head + before) == head + after


def test_the_type_of_a_parameter_is_fixed() -> None:
    head = PROMPT + (
        "tools:\n  - name: t\n    description: T.\n"
        "    http: {url: 'https://a.example/'}\n"
        "    parameters:\n      type: object\n      properties:\n"
    )
    done = fix_content(
        (head + "        n: {type: int}\n        s: {type: strnig}\n").encode(),
        "a.yaml",
        lambda data: check_reading(
            read_agent_text(data, Path("a.yaml")), environment={}
        ),
        chosen=lambda found: found.rule == "VA408",
    )
    assert done.after.decode() == (
        head + "        n: {type: integer}\n        s: {type: string}\n"
    )
