from __future__ import annotations

from pathlib import Path

import pytest

from runner.config.diagnostics import Diagnostic
from runner.config.loader import check_file

HEAD = "version: 1\nname: a\n"


def check(folder: Path, text: str) -> list[Diagnostic]:
    path = folder / "agent.yaml"
    path.write_bytes(text.encode())
    found = check_file(path, environment={"SET": "x"})
    return [each for each in found if not each.rule.startswith("VA5")]


def marked(found: Diagnostic) -> str:
    """What the carets stand under."""
    return found.excerpt[found.column - 1 : found.end_column - 1]


@pytest.mark.parametrize(
    "prompt",
    [
        "prompt: Hi ${x}.\n",
        "prompt: 'It''s ${x}.'\n",
        'prompt: "Hi \\u263a ${x}."\n',
        "prompt: |\n  Hello,\n  hi ${x}.\n",
        "prompt: >-\n  Hello,\n  hi ${x}.\n",
        "prompt: | # not ${y}\n  hi ${x}.\n",
        "prompt: |2-\n    hi ${x}.\n",
        "prompt: one\n  two ${x}\n  three\n",
        "prompt: |\r\n  Hello,\r\n  hi 😀 ${x}.\r\n",
        "prompt: &p !!str Hi ${x}.\n",
        "prompt: |\n\t\n  hi\t${x}.\n".replace("\n\t\n", "\n\n"),
    ],
)
def test_a_placeholder_is_found_in_every_kind_of_scalar(
    tmp_path: Path, prompt: str
) -> None:
    (found,) = check(tmp_path, HEAD + prompt)
    assert found.rule == "VA301"
    assert marked(found) == "${x}"


def test_where_escapes_hide_a_placeholder_the_whole_text_is_marked(
    tmp_path: Path,
) -> None:
    (found,) = check(tmp_path, HEAD + 'prompt: "\\x24{x}"\n')
    assert marked(found) == '"\\x24{x}"'


def test_of_two_equal_placeholders_each_has_its_place(tmp_path: Path) -> None:
    found = check(tmp_path, HEAD + "prompt: ${x} ${x}\n")
    assert [each.column for each in found] == [9, 14]


def test_the_environment_may_not_be_spoken(tmp_path: Path) -> None:
    text = (
        HEAD + "prompt: ${env:SET}\ngreeting: ${env:SET}\nkey_terms: ['${env:SET}']\n"
    )
    assert [each.rule for each in check(tmp_path, text)] == ["VA604"] * 3


def test_the_environment_may_be_in_a_url(tmp_path: Path) -> None:
    assert (
        check(tmp_path, HEAD + "prompt: p\nservice: {url: 'wss://${env:SET}'}\n") == []
    )


def test_an_escaped_placeholder_needs_no_variable(tmp_path: Path) -> None:
    assert check(tmp_path, HEAD + "prompt: Say $${x}.\n") == []


def test_a_finding_in_the_prompt_file_names_that_file(tmp_path: Path) -> None:
    (tmp_path / "p.md").write_text("Hello,\n${x}\n", encoding="utf-8")
    (found,) = check(tmp_path, HEAD + "prompt_file: p.md\n")
    assert (found.path, found.line, found.column) == (str(tmp_path / "p.md"), 2, 1)


def test_a_prompt_file_that_is_not_text_is_reported_there(tmp_path: Path) -> None:
    (tmp_path / "p.md").write_bytes(b"a\n\xff")
    (found,) = check(tmp_path, HEAD + "prompt_file: p.md\n")
    assert (found.rule, found.path) == ("VA307", str(tmp_path / "p.md"))
    assert (found.line, found.column) == (2, 1)


def test_a_text_full_of_mistakes_is_given_up_on(tmp_path: Path) -> None:
    found = check(tmp_path, HEAD + "prompt: '" + "${x}" * 5000 + "'\n")
    assert len(found) == 200


@pytest.mark.parametrize("name", ["p" * 5_000, "a/" * 3_000, "a\\0b"])
def test_a_name_that_no_file_can_have_is_not_there(tmp_path: Path, name: str) -> None:
    found = check(tmp_path, f'{HEAD}prompt_file: "{name}"\n')
    assert [each.rule for each in found] in (["VA306"], ["VA601"])

    found = check(
        tmp_path, f'{HEAD}prompt: x\ntools:\n  - name: x\n    python: "{name}.py:x"\n'
    )
    assert found
