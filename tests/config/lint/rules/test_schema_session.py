from __future__ import annotations

from pathlib import Path

import pytest

from runner.config.loader import check_file

HEAD = "version: 1\nname: a\nprompt: p\n"

RULES = {"VA209", "VA310", "VA311", "VA312", "VA406"}


def rules_of(folder: Path, text: str) -> list[str]:
    path = folder / "agent.yaml"
    path.write_text(HEAD + text, encoding="utf-8")
    (folder / "t.py").write_text("def f(): ...\ndef g(): ...\n", encoding="utf-8")
    found = check_file(path, environment={})
    return [each.rule for each in found if each.rule in RULES]


@pytest.mark.parametrize(
    ("text", "rules"),
    [
        ("turn_detection: {min_silence: 50ms, max_silence: 10s}", []),
        ("turn_detection: {min_silence: 49ms}", ["VA209"]),
        ("turn_detection: {max_silence: 10.1s}", ["VA209"]),
        ("turn_detection: {interruption_delay: 0ms}", []),
        ("turn_detection: {interruption_delay: 1001ms}", ["VA209"]),
        ("session: {max_duration: 180m}", []),
        ("session: {max_duration: 181m}", ["VA209"]),
        ("session: {max_duration: 0s}", ["VA209"]),
        ("session: {idle: {nudge_after: 20s, say: Hi?, end_after: 60s}}", []),
        ("session: {idle: {end_after: 60s}}", []),
        ("session: {idle: {nudge_after: 20s, end_after: 20s}}", ["VA311"]),
        ("session: {idle: {say: Hello?}}", ["VA311"]),
        ("session: {idle: {nudge_after: 0s}}", ["VA209"]),
        ("session: {max_duration: 61s, one_minute_left: Soon.}", []),
        ("session: {max_duration: 1m, one_minute_left: Soon.}", ["VA312"]),
        ("session: {one_minute_left: Soon.}", ["VA312"]),
        ("tools: [{plugin: a, timeout: 300s}]", []),
        ("tools: [{plugin: a, timeout: 301s}]", ["VA209"]),
        ("tools: [{plugin: a, timeout: 0s}]", ["VA209"]),
        ("turn_detection: {min_silence: 1s, max_silence: 1000ms}", ["VA310"]),
        ("turn_detection: {min_silence: 999ms, max_silence: 1s}", []),
        ("turn_detection: {min_silence: 20s, max_silence: 1s}", ["VA209"]),
        ("tools: [{python: 't.py:f'}, {python: 't.py:g'}]", []),
        ("tools: [{python: 't.py:f'}, {python: 't.py:f'}]", ["VA406"]),
        ("tools: [{python: 't.py:f'}, {python: 't.py:f', name: other}]", []),
        ("tools: [{plugin: f}, {plugin: {name: f, a: 1}}]", ["VA406"]),
        ("tools: [{plugin: f}, {plugin: f}, {plugin: f}]", ["VA406", "VA406"]),
    ],
)
def test_what_must_hold_beyond_the_schema(
    tmp_path: Path, text: str, rules: list[str]
) -> None:
    assert rules_of(tmp_path, text + "\n") == rules
