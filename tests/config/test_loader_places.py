"""Where findings stand: no way of writing a file may move them."""

from __future__ import annotations

from pathlib import Path

import pytest

from runner.config.diagnostics import Diagnostic
from runner.config.files import read_agent_text
from runner.config.loader import check_reading

HEAD = "version: 1\nname: a\nprompt: p\n"


def findings(data: bytes) -> list[Diagnostic]:
    found = check_reading(read_agent_text(data, Path("a.yaml")), environment={})
    return [each for each in found if each.rule[:3] not in ("VA5", "VA1")]


def marked(found: Diagnostic) -> str:
    """What the carets stand under."""
    assert found.line == found.end_line
    return found.excerpt[found.column - 1 : found.end_column - 1]


# Each contains one mistake; the part to mark is between the signs.
LAYOUTS = [
    # keys and values, in blocks and in flow style
    "«voise»: alba",
    "voice: {name: alba, «volum»: 80}",
    "voice: {name: alba,\n  volume: «800»}",
    "voice:\n  volume:   «800»   # loud",
    "voice:\n  volume:\n    «800»",
    "? «voise»\n: alba",
    "voice: ! {volume: !!int «800»}",
    "'voice': {\"volume\": «800»}",
    "languages:\n- en\n- «xx»\n",
    "languages: [en,«xx»]",
    "languages: [\n  en,\n  «xx»,\n]",
    "transcription: {mode: «'fast'»}",
    'transcription: {mode: «"f\\u0061st"»}',
    "transcription:\n  mode: «f»\n",
    # something missing: the first key of the mapping, or its brace
    "tools:\n  - «http»: {url: 'https://a.example/'}",
    "tools: [«{»http: {url: 'https://a.example/'}}]",
    "tools:\n  -   # a comment\n    «name»: look\n",
    # something twice: the second
    "key_terms: [a, b, «a»]",
    "tools: [{plugin: end_call}, {plugin: «end_call»}]",
    # in texts
    "greeting: Hi «${x}», 😀",
    "greeting: 😀😀 你好 «${x}»",
    "greeting: 'it''s «${x}»'",
    'greeting: "tab\\there «${x}»"',
    "greeting: |\n  one\n\n  two «${x}»\n",
    "greeting: |2-\n    indented «${x}»\n",
    "greeting: >-\n  folded\n  «${x}»\n",
    "greeting: several\n  lines «${x}»\n",
    # wide, combining and tabs
    "greeting: 👨‍👩‍👧 «${x}»",
    "greeting: e\u0301te\u0301 «${x}»",
    "voice:\t{volume:\t«800»}",
    "key_terms: [😀, 你好]\n«voise»: 👍",
    # anchors: the value, not its name
    "voice: &v {volume: «800»}",
    "greeting: &g Hi «${x}»",
    "transcription: {mode: &m «fast»}",
    "transcription: &t\n  mode: «fast»\n",
]
ENCODINGS = {
    "as it is": lambda text: text.encode(),
    "with a byte order mark": lambda text: b"\xef\xbb\xbf" + text.encode(),
    "with CRLF": lambda text: text.replace("\n", "\r\n").encode(),
    "with CR": lambda text: text.replace("\n", "\r").encode(),
    "after a directive": lambda text: b"%YAML 1.2\n---\n" + text.encode(),
    "after comments": lambda text: "# 😀\n\n# 你好\n".encode() + text.encode(),
}


@pytest.mark.parametrize("encoding", ENCODINGS)
@pytest.mark.parametrize("layout", LAYOUTS)
def test_no_layout_moves_a_finding(layout: str, encoding: str) -> None:
    before, _, rest = layout.partition("«")
    wanted, _, after = rest.partition("»")
    (found,) = findings(ENCODINGS[encoding](HEAD + before + wanted + after))
    line = (HEAD + before).count("\n") + 1
    shift = {"after a directive": 2, "after comments": 3}.get(encoding, 0)
    assert (found.line - shift, marked(found)) == (line, wanted)
    column = len((HEAD + before).rpartition("\n")[2]) + 1
    assert found.column == column


def places(found: Diagnostic) -> list[tuple[int, str]]:
    return [(each.line, each.message) for each in found.related]


def test_through_an_alias_both_places_are_named() -> None:
    (found,) = findings(
        (HEAD + "key_terms: [&long 'fast']\ntranscription: {mode: *long}\n").encode()
    )
    assert (found.line, marked(found)) == (5, "*long")
    assert places(found) == [(4, "defined here")]


def test_through_a_merge_both_places_are_named() -> None:
    text = HEAD + "variables:\n  v: &v {default: x}\nvoice:\n  <<: *v\n  name: ${v}\n"
    (found,) = findings(text.encode())
    assert (found.line, marked(found)) == (7, "<<")
    assert places(found) == [(5, "defined here")]


@pytest.mark.parametrize(
    ("text", "rules"),
    [
        # one broken mapping, used three times
        (
            "tools:\n  - &t {plugin: end_call, timeout: 8}\n  - {<<: *t, name: b}\n"
            "  - {<<: *t, name: c}\n",
            ["VA201"],
        ),
        ("key_terms: [&k 5]\ngreeting: *k\n", ["VA201"]),
        (
            "turn_detection: &d {vad_threshold: 7}\nvoice: {volume: 1}\n",
            ["VA202"],
        ),
        (
            "tools:\n  - &a {plugin: end_call, timeot: 8s}\n  - {<<: *a, name: b}\n",
            ["VA203"],
        ),
        (
            "greeting: &g Hi ${x}\nsession: {one_minute_left: *g, max_duration: 5m}\n",
            ["VA301"],
        ),
    ],
)
def test_one_broken_thing_is_one_finding_however_often_it_is_used(
    text: str, rules: list[str]
) -> None:
    assert [each.rule for each in findings((HEAD + text).encode())] == rules
