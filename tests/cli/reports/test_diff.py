"""A comparison in words: bounded, and with everything from outside escaped."""

from __future__ import annotations

import html
import json
from dataclasses import replace
from pathlib import Path

from runner.cli.reports.diff import Comparison, write_json, write_markdown, write_text
from runner.testing.diff import Change, ScenarioChange
from runner.testing.results import CallSeen, ScenarioResult, Status
from tests.testing.builders import scenario

RESULT = ScenarioResult(
    scenario(Path("a.yaml")),
    "script",
    Status.PASSED,
    said=(("agent", "Hello\x1b[2J | there"),),
    calls=(CallSeen("lookup", {"id": "1"}),),
    waits=(0.5,),
)
WORSE = replace(RESULT, status=Status.ERROR, error="no\nmore", waits=(1.5,), said=())
CHANGES = (
    Change("prompt", "changed", "Be brief.", "Be <b>long</b>."),
    Change("voice.name", "removed", "alba", None),
    Change("tools", "added", None, "a|b", "a note"),
)
BOTH = Comparison("old.yaml", "new.yaml", CHANGES, [ScenarioChange("s", RESULT, WORSE)])


def test_what_differs_in_a_scenario_is_named() -> None:
    assert ScenarioChange("s", RESULT, RESULT).parts == []
    assert ScenarioChange("s", RESULT, WORSE).parts == ["result", "words", "latency"]
    slower = replace(RESULT, waits=(0.6,))
    assert ScenarioChange("s", RESULT, slower).parts == []


def test_text_has_no_control_characters() -> None:
    text = write_text(BOTH)

    assert "\x1b" not in text
    assert text.splitlines() == [
        "old.yaml → new.yaml: 3 values change, 1 of 1 scenarios have different results",
        "  prompt changed",
        "    Be [-brief.-]{+<b>long</b>.+}",
        "  voice.name removed",
        "    - alba",
        "  tools added (a note)",
        "    + a|b",
        "  s: result, words, latency",
        '    - passed; calls lookup({"id": "1"}); last reply “Hello\ufffd[2J | there”',
        '    + error; no; calls lookup({"id": "1"})',
    ]


def test_markdown_keeps_its_tables_whole() -> None:
    text = write_markdown(BOTH)

    assert "<b>" not in text
    assert "| tools | added |  | a&#124;b | a note |" in text
    assert "Be <del>brief.</del><ins>&lt;b&gt;long&lt;/b&gt;.</ins>" in text


def test_markdown_fits_into_a_comment() -> None:
    many = [Change(f"variables.v{n}", "added", None, "x" * 200) for n in range(1000)]

    text = write_markdown(Comparison("a", "b", many, []))

    assert 50_000 < len(text) < 65_536
    assert text.endswith(
        "cut to fit a comment; run `vagent diff` for the full report\n"
    )


def test_json_has_both_sides() -> None:
    content = json.loads(write_json(BOTH))

    assert content["config"][1]["old"] == "alba"
    assert content["scenarios"][0]["new"]["status"] == "error"


def test_an_empty_comparison_has_no_differences() -> None:
    assert Comparison("a", "b", (), ()).headline == "no differences"


HOSTILE = (
    "```\n</details>\n# Heading\n![pixel](https://evil.example/p.png)\n\n- item\n"
    "[link](https://evil.example) <https://evil.example> www.evil.example\n"
    "@octocat #1 :+1: **bold** __bold__ ~~gone~~ $x$ | cell |\n    code\n1. one\n"
)


def test_markdown_shows_the_text_of_a_prompt_as_it_is() -> None:
    changes = [
        Change("prompt", "changed", HOSTILE, HOSTILE + "more"),
        Change("voice", "changed", HOSTILE, "amy"),
    ]

    text = write_markdown(Comparison("old.yaml", "`new` @octocat", changes, []))

    for mark in ("```", "](", "![", "**bold", "__bold", "~~", "://", "www.", ":+1:"):
        assert mark not in text
    assert "</details>" not in text.replace("\n</details>\n", "", 1)
    assert "@octocat" not in html.unescape(text)
    assert "#1" not in html.unescape(text)
    # No line of the prompt begins a block, and none is empty.
    (body,) = [
        part for part in text.split("\n\n") if "Heading" in part and "ins>" in part
    ]
    assert all(line.startswith("&#8203;") for line in body.splitlines())


def test_markdown_keeps_the_names_of_values_readable() -> None:
    changes = [Change("tools.look_up.timeout", "changed", "5s", "6s")]

    text = write_markdown(Comparison("old.yaml", "new.yaml", changes, []))

    assert "| tools.look_up.timeout | changed | 5s | 6s |  |" in text
