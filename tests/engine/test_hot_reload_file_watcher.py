"""Files that are edited, and when an edit counts as one."""

from __future__ import annotations

import os
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from runner.engine.hot_reload import AgentFileWatcher, Marks, watch_changes

A, B = Path("a"), Path("b")


async def seen(previous: Marks, looks: list[Marks]) -> list[frozenset[Path]]:
    """Return what is yielded over these looks, one after each pause."""
    rest = iter(looks)

    async def poll() -> Marks:
        return next(rest)

    class Over(Exception):
        pass

    left = len(looks)

    async def pause() -> None:
        nonlocal left
        left -= 1
        if left < 0:
            raise Over

    found: list[frozenset[Path]] = []
    watch: AsyncIterator[frozenset[Path]] = watch_changes(previous, poll, pause)
    with pytest.raises(Over):
        async for changed in watch:
            found.append(changed)
    return found


OLD, NEW, NEWER = (1, 1, 1), (1, 2, 1), (1, 3, 1)


async def test_a_change_counts_when_two_looks_agree() -> None:
    assert await seen({A: OLD}, [{A: NEW}]) == []
    assert await seen({A: OLD}, [{A: NEW}, {A: NEW}]) == [{A}]


async def test_a_file_that_is_being_written_is_waited_for() -> None:
    looks: list[Marks] = [{A: None}, {A: NEW}, {A: NEWER}, {A: NEWER}, {A: NEWER}]

    assert await seen({A: OLD}, looks) == [{A}]


async def test_what_comes_back_as_it_was_is_not_a_change() -> None:
    assert await seen({A: OLD}, [{A: None}, {A: OLD}, {A: OLD}]) == []


async def test_files_that_come_and_go_are_changes() -> None:
    looks: list[Marks] = [{A: OLD, B: NEW}] * 2 + [{A: None, B: NEW}] * 2

    assert await seen({A: OLD}, looks) == [{B}, {A}]


AGENT = """\
version: 1
name: x
prompt_file: prompts/{prompt}.md
tools:
  - python: tools/t.py:f
"""


def write(path: Path, text: str) -> None:
    """Replace a file as editors do: a new one in the old one's place."""
    new = path.with_name(f"{path.name}.new")
    new.write_text(text, "utf-8")
    os.replace(new, path)


@pytest.fixture
def agent(tmp_path: Path) -> Path:
    for folder in ("prompts", "tools"):
        (tmp_path / folder).mkdir()
    for name in ("tools/t.py", "tools/beside.py", "tools/notes.txt", "prompts/a.md"):
        (tmp_path / name).write_text("x", "utf-8")
    path = tmp_path / "agent.yaml"
    write(path, AGENT.format(prompt="a"))
    return path


def names(marks: Marks, agent: Path) -> set[str]:
    return {each.relative_to(agent.parent).as_posix() for each in marks}


def test_an_agent_is_its_file_its_prompt_and_the_python_next_to_its_tools(
    agent: Path,
) -> None:
    files = AgentFileWatcher(agent)

    assert names(files.poll(), agent) == {
        "agent.yaml",
        "prompts/a.md",
        "tools/t.py",
        "tools/beside.py",
    }


def test_a_new_prompt_file_is_watched_before_it_is_there(agent: Path) -> None:
    files = AgentFileWatcher(agent)
    files.poll()
    write(agent, AGENT.format(prompt="b"))

    marks = files.poll()

    assert "prompts/b.md" in names(marks, agent)
    assert marks[agent.parent / "prompts/b.md"] is None


def test_a_file_that_is_broken_for_a_while_keeps_what_it_drew_on(agent: Path) -> None:
    files = AgentFileWatcher(agent)
    previous = names(files.poll(), agent)
    write(agent, "prompt: [")

    assert names(files.poll(), agent) == previous


def test_a_python_file_that_comes_later_is_watched_too(agent: Path) -> None:
    files = AgentFileWatcher(agent)
    files.poll()
    files.poll()
    write(agent.parent / "tools/new.py", "N = 1")

    assert "tools/new.py" in names(files.poll(), agent)


@pytest.mark.parametrize("name", ["agent.yaml", "tools/beside.py", "prompts/a.md"])
def test_a_file_that_is_replaced_looks_different(agent: Path, name: str) -> None:
    files = AgentFileWatcher(agent)
    previous = files.poll()
    write(agent.parent / name, (agent.parent / name).read_text("utf-8") + "# new\n")

    assert files.poll() != previous
