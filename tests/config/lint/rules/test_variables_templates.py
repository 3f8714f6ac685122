from __future__ import annotations

from pathlib import Path

import pytest

from runner.config.files import read_agent_text
from runner.config.lint.fixes import FixedFile, fix_content
from runner.config.loader import check_reading

HEAD = "version: 1\nname: a\nvariables: {company: {default: A}}\n"
RULES = ("VA301", "VA303", "VA308", "VA309")


def fixed(text: str, *, unsafe: bool = False, folder: Path | None = None) -> FixedFile:
    path = (folder or Path()) / "a.yaml"
    return fix_content(
        text.encode(),
        str(path),
        lambda new: check_reading(read_agent_text(new, path), environment={"X": ""}),
        unsafe=unsafe,
        chosen=lambda found: found.rule in RULES,
    )


def left(done: FixedFile) -> list[str]:
    return [each.rule for each in done.mending.findings if each.rule in RULES]


@pytest.mark.parametrize(
    "written",
    [
        "{{company}}",
        "{{ company }}",
        "{{Company}}",
        "{company}",
        "$company",
        "${ company }",
        "${{ company }}",
        "${compny}",
    ],
)
@pytest.mark.parametrize(
    "prompt",
    ["prompt: Hi {}!\n", "prompt: |\n  Hi\n  there, {}!\n", 'prompt: "Hi {}"\n'],
)
def test_a_placeholder_is_written_as_ours_are(written: str, prompt: str) -> None:
    before = HEAD + prompt.replace("{}", written)
    done = fixed(before)
    assert done.after.decode() == HEAD + prompt.replace("{}", "${company}")
    assert left(done) == []


@pytest.mark.parametrize(
    "written", ["${env.X}", "${ env:X }", "${ENV:X}", "${{env.X}}"]
)
def test_the_environment_is_written_as_ours_is(written: str) -> None:
    text = HEAD + "prompt: $" + "{company}\nservice: {url: 'wss://WHERE'}\n"
    done = fixed(text.replace("WHERE", written))
    assert done.after.decode() == text.replace("WHERE", "${env:X}")


def test_what_looks_like_the_environment_may_be_meant() -> None:
    text = HEAD + "prompt: $" + "{company}\nservice: {url: 'wss://${X}'}\n"
    assert not fixed(text).is_changed
    assert b"'wss://${env:X}'" in fixed(text, unsafe=True).after


@pytest.mark.parametrize(
    "prompt",
    [
        "It costs $90 or $usd.",
        'Answer {"company": "A"} or {{"company": 1}}.',
        "Set {nothing} and {} and {{}}.",
        "Say $${company} and $$company.",
        "100 % {sure}.",
    ],
)
def test_ordinary_text_is_left(prompt: str) -> None:
    done = fixed(HEAD + "greeting: $" + "{company}\nprompt: |\n  " + prompt + "\n")
    assert not done.is_changed
    assert left(done) == []


def test_an_undeclared_name_is_reported_and_not_fixed() -> None:
    text = HEAD + "prompt: Hi {{caller}} of ${company}.\n"
    done = fixed(text)
    assert not done.is_changed
    assert left(done) == ["VA309"]


def test_another_variable_is_not_a_misspelling() -> None:
    text = HEAD.replace("company", "last_name") + "prompt: Hi ${first_name}.\n"
    assert not fixed(text).is_changed
    assert b"${last_name}" in fixed(text, unsafe=True).after


def test_arguments_of_a_url_are_not_meant() -> None:
    text = HEAD + (
        "prompt: ${company}\ntools:\n  - name: t\n    description: T.\n"
        "    parameters: {type: object, properties: {company: {type: string}}, "
        "required: [company]}\n    http: {url: 'https://a.example/{company}'}\n"
    )
    assert left(fixed(text)) == []


def test_a_prompt_file_is_looked_at_but_not_edited(tmp_path: Path) -> None:
    (tmp_path / "p.md").write_text("Hi {{company}}.\n")
    done = fixed(HEAD + "prompt_file: p.md\n", folder=tmp_path)
    assert left(done) == ["VA309"]
    assert not done.is_changed
    assert (tmp_path / "p.md").read_text() == "Hi {{company}}.\n"


@pytest.mark.parametrize(
    ("text", "after"),
    [
        ("greeting: &g Hi {{company}}\nprompt: *g\n", None),
        ('prompt: "\\u007b\\u007bcompany}}"\n', None),
        ("prompt: >-\n  Hi\n  {{company}}\n", "prompt: >-\n  Hi\n  ${company}\n"),
    ],
)
def test_only_literal_text_is_fixed(text: str, after: str | None) -> None:
    done = fixed(HEAD + text)
    if after is None:
        after = text.replace("{{company}}", "${company}")  # at the anchor, if at all
    assert done.after.decode() == HEAD + after
