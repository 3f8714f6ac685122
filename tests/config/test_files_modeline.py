from __future__ import annotations

import sys
from pathlib import Path

import pytest

from runner.config.files import find_modeline, find_schema, read_agent_text
from runner.config.lint.fixes import FixedFile, fix_content
from runner.config.loader import check_reading
from runner.config.source import Source
from runner.config.yaml.parser import parse_document

AGENT = "version: 1\nname: a\nprompt: p\n"
LINE = "# yaml-language-server: $schema=./agent.schema.json"


def fixed(folder: Path, data: bytes) -> FixedFile:
    path = folder / "a.yaml"
    return fix_content(
        data,
        str(path),
        lambda new: check_reading(read_agent_text(new, path), environment={}),
        chosen=lambda found: found.rule in ("VA115", "VA117"),
    )


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "agent.schema.json").write_text("{}")
    return tmp_path


@pytest.mark.parametrize(
    ("before", "after"),
    [
        (AGENT, LINE + "\n" + AGENT),
        ("# mine\n" + AGENT, LINE + "\n# mine\n" + AGENT),
        ("\ufeff" + AGENT, "\ufeff" + LINE + "\n" + AGENT),
        (
            AGENT.replace("\n", "\r\n"),
            LINE + "\r\n" + AGENT.replace("\n", "\r\n"),
        ),
        ("%YAML 1.2\n---\n" + AGENT, "%YAML 1.2\n" + LINE + "\n---\n" + AGENT),
        ("---\n" + AGENT, LINE + "\n---\n" + AGENT),
        (LINE.replace("./", "../") + "\n" + AGENT, LINE + "\n" + AGENT),
        (
            "{version: 1, name: a, prompt: p}",
            LINE + "\n{version: 1, name: a, prompt: p}",
        ),
    ],
)
def test_the_line_is_put_at_the_top_once(folder: Path, before: str, after: str) -> None:
    done = fixed(folder, before.encode())
    assert done.after.decode() == after
    assert not fixed(folder, done.after).is_changed
    assert parse_document(Source("a", after.lstrip("\ufeff")))[0] is not None


@pytest.mark.parametrize(
    "text",
    [
        LINE + "\n" + AGENT,
        "# mine\n#yaml-language-server : $schema=agent.schema.json\n" + AGENT,
        "# $schema: ./agent.schema.json\n" + AGENT,
        "# yaml-language-server: $schema=https://example.com/x.json\n" + AGENT,
        "# yaml-language-server: $schema=file:///x/y.json\n" + AGENT,
    ],
)
def test_a_file_that_names_a_schema_is_left(folder: Path, text: str) -> None:
    assert not fixed(folder, text.encode()).is_changed


def test_a_broken_modeline_has_no_fix_without_a_schema(
    tmp_path: Path,
) -> None:
    done = fixed(tmp_path, (LINE + "\n" + AGENT).encode())
    assert not done.is_changed
    assert "VA117" in {each.rule for each in done.mending.findings}


def test_without_a_schema_nearby_no_line_is_missing(tmp_path: Path) -> None:
    assert not fixed(tmp_path, AGENT.encode()).is_changed


@pytest.mark.parametrize(
    ("schema", "root", "reference"),
    [
        ("a/b/c/d", None, "./agent.schema.json"),
        ("a/b/c", "a", "../agent.schema.json"),
        ("a/b", "a/b", "../../agent.schema.json"),
        ("a", "", "../../../agent.schema.json"),
        ("", "", None),  # too far up
        ("a/b", None, None),  # in no repository
        ("a/b", "a/b/c", None),  # in another one
    ],
)
def test_the_schema_is_looked_for_within_the_repository(
    tmp_path: Path, schema: str, root: str | None, reference: str | None
) -> None:
    deep = tmp_path / "a" / "b" / "c" / "d"
    deep.mkdir(parents=True)
    (tmp_path / schema / "agent.schema.json").write_text("{}")
    if root is not None:
        (tmp_path / root / ".git").mkdir()
    assert find_schema(deep) == reference


@pytest.mark.skipif(sys.platform != "win32", reason="drives are Windows's")
def test_a_drive_letter_is_not_a_url(tmp_path: Path) -> None:
    line = f"# yaml-language-server: $schema={tmp_path}\\none.json\n"
    done = fixed(tmp_path, (line + AGENT).encode())
    assert "VA117" in {each.rule for each in done.mending.findings}


def test_a_text_that_only_speaks_of_it_has_no_modeline() -> None:
    assert find_modeline("prompt: yaml-language-server has a $schema= line\n") is None
