"""Which files an agent file draws on."""

from __future__ import annotations

from pathlib import Path

import pytest

from runner.config.files import referenced_files


def found(folder: Path, text: str) -> set[str]:
    path = folder / "agent.yaml"
    path.write_text(text, "utf-8")
    return {each.relative_to(folder).as_posix() for each in referenced_files(path)}


def test_files_are_named_whether_they_are_there_or_not(tmp_path: Path) -> None:
    text = "prompt_file: p.md\ntools: [{python: 'tools/a.py:f'}, {plugin: end_call}]\n"

    assert found(tmp_path, text) == {"p.md", "tools/a.py"}


def test_files_outside_the_folder_are_left_out(tmp_path: Path) -> None:
    text = "prompt_file: ../p.md\ntools: [{python: '/etc/a.py:f'}]\n"

    assert found(tmp_path, text) == set()


@pytest.mark.parametrize(
    "text",
    [
        "",
        "[",
        "- a",
        "prompt_file: 1\ntools: 2\n",
        "tools: [1, {python: 3}, {python: nothing}]\n",
        "\x00",
    ],
)
def test_a_broken_file_names_nothing(tmp_path: Path, text: str) -> None:
    assert found(tmp_path, text) == set()


def test_a_missing_file_names_nothing(tmp_path: Path) -> None:
    assert referenced_files(tmp_path / "none.yaml") == frozenset()


def test_scenarios_draw_on_their_agents_and_what_those_draw_on(tmp_path: Path) -> None:
    (tmp_path / "tests").mkdir()
    suite = tmp_path / "tests" / "a.test.yaml"
    suite.write_text(
        "agent: ../a.yaml\nscenarios:\n- agent: ../none.yaml\n- {agent: 5}\n- x\n",
        "utf-8",
    )
    (tmp_path / "a.yaml").write_text("prompt_file: a.md\n", "utf-8")
    above = suite.parent / ".."
    assert referenced_files(suite) == {
        *(above / "a.yaml", above / "none.yaml", above / "a.md"),
    }
