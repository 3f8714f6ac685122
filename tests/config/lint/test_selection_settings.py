from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from runner.cli.reports import FORMATS
from runner.cli.reports.common import all_rules
from runner.config.lint.selection import Settings
from runner.config.lint.selection import load_settings as load
from runner.errors import FileUnreadable, UsageError

ALL = """
select = ["VA1", "VA2"]
ignore = ["unknown-key"]
strict = true
format = "concise"
exclude = ["old"]
[per-file-ignores]
"drafts/*.yaml" = ["VA301"]
"""
EXPECTED: dict[str, Any] = {
    "select": ("VA1", "VA2"),
    "ignore": ("unknown-key",),
    "strict": True,
    "format": "concise",
    "exclude": ("old",),
    "per_file_ignores": {"drafts/*.yaml": ("VA301",)},
}


def load_settings(start: Path) -> Settings:
    return load(start, all_rules, list(FORMATS))


@pytest.fixture(autouse=True)
def _end_of_the_search(tmp_path: Path) -> None:
    (tmp_path / ".git").mkdir()


def test_all_settings_of_an_own_file_are_read(tmp_path: Path) -> None:
    (tmp_path / "vagent.toml").write_text(ALL)
    assert load_settings(tmp_path) == Settings(**EXPECTED, folder=tmp_path)


def test_all_settings_of_the_shared_file_are_read(tmp_path: Path) -> None:
    text = "[tool.vagent]" + ALL.replace("[per", "[tool.vagent.per")
    (tmp_path / "pyproject.toml").write_text(text)
    assert load_settings(tmp_path) == Settings(**EXPECTED, folder=tmp_path)


def test_without_a_file_nothing_is_settled(tmp_path: Path) -> None:
    assert load_settings(tmp_path) == Settings(folder=tmp_path)


def test_the_nearest_file_with_settings_counts(tmp_path: Path) -> None:
    inner = tmp_path / "a" / "b"
    inner.mkdir(parents=True)
    (tmp_path / "vagent.toml").write_text("strict = true")
    (tmp_path / "a" / "pyproject.toml").write_text("[tool.other]\nname = 'vagent'")
    found = load_settings(inner)
    assert (found.strict, found.folder) == (True, tmp_path)
    (inner / "pyproject.toml").write_text("[tool]\nvagent = {}")
    assert load_settings(inner).folder == inner


def test_the_own_file_goes_before_the_shared_one(tmp_path: Path) -> None:
    (tmp_path / "pyproject.toml").write_text("[tool.vagent]\nstrict = true")
    (tmp_path / "vagent.toml").write_text("")
    assert not load_settings(tmp_path).strict


def test_the_search_ends_at_the_root_of_a_repository(tmp_path: Path) -> None:
    inner = tmp_path / "a"
    (inner / ".git").mkdir(parents=True)
    (tmp_path / "vagent.toml").write_text("strict = true")
    assert not load_settings(inner).strict


def test_a_pyproject_that_says_nothing_about_vagent_may_be_broken(
    tmp_path: Path,
) -> None:
    (tmp_path / "pyproject.toml").write_text("= no toml")
    assert load_settings(tmp_path) == Settings(folder=tmp_path)


@pytest.mark.parametrize(
    ("text", "message", "hint"),
    [
        ("selct = []", "unknown setting `selct`", "did you mean `select`?"),
        ("per_file_ignores = {}", "`per_file_ignores`", "`per-file-ignores`?"),
        ("qqq = 1", "unknown setting `qqq`", "the settings are: exclude, format,"),
        ("folder = 'x'", "unknown setting `folder`", None),
        ("select = 'VA1'", "`select` is a list of texts, not 'VA1'", None),
        ("ignore = [1]", "`ignore` is a list of texts", None),
        ("ignore = ['VA9']", "`ignore`: unknown rule 'VA9'", None),
        ("select = ['unknwn-key']", "unknown rule 'unknwn-key'", "unknown-key?"),
        ("strict = 1", "`strict` must be true or false, not 1", None),
        ("format = 'xml'", "there is no `format` 'xml'", "one of auto, text, "),
        ("exclude = 'a'", "`exclude` is a list", None),
        ("per-file-ignores = []", "`per-file-ignores` is a table", None),
        ("per-file-ignores = {'a*' = 'x'}", "`per-file-ignores.a*` is a list", None),
        ("per-file-ignores = {'a*' = ['x']}", "unknown rule 'x'", None),
        ("= 1", "is not valid TOML: ", None),
    ],
)
def test_a_wrong_setting_is_reported_with_its_file_and_key(
    tmp_path: Path, text: str, message: str, hint: str | None
) -> None:
    path = tmp_path / "vagent.toml"
    path.write_text(text)
    with pytest.raises(UsageError) as caught:
        load_settings(tmp_path)
    assert caught.value.message.startswith(str(path))
    assert message in caught.value.message
    assert hint is None or hint in (caught.value.hint or "")


def test_settings_of_the_shared_file_are_a_table(tmp_path: Path) -> None:
    (tmp_path / "pyproject.toml").write_text("[tool]\nvagent = 1")
    with pytest.raises(UsageError, match=r"`tool\.vagent` is not a table"):
        load_settings(tmp_path)


def test_a_file_that_is_not_text_is_reported(tmp_path: Path) -> None:
    (tmp_path / "vagent.toml").write_bytes(b"\xff")
    with pytest.raises(UsageError, match="is not valid TOML"):
        load_settings(tmp_path)


def test_a_file_that_cannot_be_read_is_reported(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "vagent.toml").write_text("")

    def refuse(path: Path) -> bytes:
        raise PermissionError(13, "Permission denied", str(path))

    monkeypatch.setattr(Path, "read_bytes", refuse)  # root may read everything
    with pytest.raises(FileUnreadable, match="cannot be read: permission denied"):
        load_settings(tmp_path)
