from __future__ import annotations

import os
import stat
import sys
from collections.abc import Sequence
from pathlib import Path

import pytest

from runner.config.diagnostics import Diagnostic, Edit, Fix, diagnose
from runner.config.files import read_agent_text
from runner.config.lint.fixes import FixedFile, fix_content, write_back
from runner.config.loader import check_reading
from runner.config.source import MAX_BYTES, Source, Span, read_content
from runner.errors import FileUnreadable

BROKEN = b"version: 1\nname: a\nprompt: p  # caf\xc3\xa9\nvoise: alba\n"
MENDED = BROKEN.replace(b"voise", b"voice")
SHOWN = "nowhere/a.yaml"


def check(data: bytes) -> Sequence[Diagnostic]:
    return check_reading(read_agent_text(data, Path(SHOWN)), environment={})


def fixed(data: bytes) -> FixedFile:
    return fix_content(data, str(Path(SHOWN)), check)


@pytest.mark.parametrize(
    "before",
    [
        BROKEN,
        b"\xef\xbb\xbf" + BROKEN,
        BROKEN.replace(b"\n", b"\r\n"),
        b"\xef\xbb\xbf" + BROKEN.replace(b"\n", b"\r\n"),
        BROKEN.rstrip(),
        b"%YAML 1.2\n--- # \xf0\x9f\x98\x80\n" + BROKEN + b"...\n",
        BROKEN + b"\n\n  # the end  \n \n",
        BROKEN.replace(b"\n", b"\r"),
    ],
)
def test_only_fixed_text_changes(before: bytes) -> None:
    done = fixed(before)
    assert done.after == before.replace(b"voise", b"voice")
    assert done.is_changed
    assert not fixed(done.after).is_changed


@pytest.mark.parametrize("data", [b"", b"\xff\xfe", b"\xef\xbb\xbf", b"a: \x07", b"[1"])
def test_a_file_that_is_not_an_agent_is_not_changed(data: bytes) -> None:
    done = fixed(data)
    assert done.after == data
    assert done.mending.findings != ()


def test_a_file_that_is_too_large_is_left_as_it_is() -> None:
    data = b"#" * (MAX_BYTES + 1)
    assert not fixed(data).is_changed


def both(data: bytes) -> list[Diagnostic]:
    text = data.decode()
    if "x" not in text:
        return []
    source = Source("a", text)
    unsafe = Fix("replace it", (Edit(0, 1, "y"),), is_safe=False)
    elsewhere = Fix("replace it", (Edit(0, 1, "z"),))
    return [
        diagnose(source, Span(0, 1), "VA203", "odd", fix=unsafe),
        diagnose(Source("prompt.md", text), Span(0, 1), "VA301", "odd", fix=elsewhere),
    ]


def test_an_unsafe_fix_is_made_only_when_asked_for() -> None:
    assert fix_content(b"x", "a", both).after == b"x"
    assert fix_content(b"x", "a", both, unsafe=True).after == b"y"


def test_a_finding_about_another_file_changes_nothing_here() -> None:
    done = fix_content(b"x", "b", both, unsafe=True)
    assert not done.is_changed


def test_only_chosen_findings_are_fixed() -> None:
    done = fix_content(
        b"x", "a", both, unsafe=True, chosen=lambda each: each.rule != "VA203"
    )
    assert not done.is_changed


def test_the_difference_is_one_that_patch_understands() -> None:
    assert fixed(BROKEN).difference() == (
        f"--- {Path(SHOWN)}\n+++ {Path(SHOWN)}\n".encode()
        + b"@@ -1,4 +1,4 @@\n version: 1\n name: a\n prompt: p  # caf\xc3\xa9\n"
        b"-voise: alba\n+voice: alba\n"
    )


def test_the_diff_shows_a_missing_line_end() -> None:
    text = fixed(BROKEN.rstrip()).difference()
    assert text.endswith(
        b"-voise: alba\n\\ No newline at end of file\n"
        b"+voice: alba\n\\ No newline at end of file\n"
    )


def test_the_difference_keeps_the_line_ends_of_the_file() -> None:
    text = fixed(BROKEN.replace(b"\n", b"\r\n")).difference()
    assert b"\n-voise: alba\r\n+voice: alba\r\n" in text


def test_without_a_change_the_diff_is_empty() -> None:
    assert fixed(MENDED).difference() == b""


def on_disk(folder: Path) -> tuple[Path, FixedFile]:
    path = folder / "a.yaml"
    path.write_bytes(BROKEN)
    return path, fixed(BROKEN)


def test_a_file_is_written_whole(tmp_path: Path) -> None:
    path, done = on_disk(tmp_path)
    write_back(path, done)
    assert read_content(path) == MENDED
    assert [each.name for each in tmp_path.iterdir()] == ["a.yaml"]


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no such modes")
def test_permissions_are_kept(tmp_path: Path) -> None:
    path, done = on_disk(tmp_path)
    path.chmod(0o640)
    write_back(path, done)
    assert stat.S_IMODE(path.stat().st_mode) == 0o640


@pytest.mark.skipif(sys.platform == "win32", reason="links need a privilege there")
def test_nothing_is_written_through_a_link(tmp_path: Path) -> None:
    path, done = on_disk(tmp_path)
    link = tmp_path / "link.yaml"
    link.symlink_to("a.yaml")
    with pytest.raises(FileUnreadable, match="it is a symbolic link") as caught:
        write_back(link, done)
    assert caught.value.hint == "name the file or folder that the link points to"
    assert link.is_symlink()
    assert path.read_bytes() == BROKEN


def test_a_file_that_changed_meanwhile_is_left_alone(tmp_path: Path) -> None:
    path, done = on_disk(tmp_path)
    path.write_bytes(BROKEN + b"greeting: Hi.\n")
    with pytest.raises(FileUnreadable, match="has changed meanwhile"):
        write_back(path, done)
    assert path.read_bytes() == BROKEN + b"greeting: Hi.\n"


def test_what_is_not_changed_is_not_written(tmp_path: Path) -> None:
    path = tmp_path / "a.yaml"
    write_back(path, fixed(MENDED))
    assert not path.exists()


@pytest.mark.skipif(
    sys.platform == "win32" or os.geteuid() == 0, reason="everything may be written"
)
def test_a_file_that_may_not_be_written_is_left_alone(tmp_path: Path) -> None:
    path, done = on_disk(tmp_path)
    path.chmod(0o444)
    with pytest.raises(FileUnreadable, match="cannot be written: permission denied"):
        write_back(path, done)
    assert path.read_bytes() == BROKEN


@pytest.mark.parametrize("name", [".", "none.yaml", "a\0b"])
def test_an_unreadable_file_is_reported(tmp_path: Path, name: str) -> None:
    with pytest.raises(FileUnreadable):
        read_content(tmp_path / name)


def test_a_key_in_clear_is_not_shown_by_the_difference() -> None:
    key = "sk-proj-Jq3vT8mZc1LwX7rN5kYdB2sHfG9aQeU4"
    before = f"version: 1\nname: a\nprompt: {key}\nvoise: alba\n".encode()
    done = fixed(before)
    shown = done.difference().decode()
    assert "+voice: alba" in shown
    assert key[8:] not in shown
    assert key.encode() in done.after


NESTED = b"""version: 1
name: oa
prompt: You are a helper on the phone.
tools:
  - type: function
    function:
      name: get_weather
      description: Get the weather at a place.
      parameters: {type: object, properties: {location: {type: string}}}
"""


@pytest.mark.parametrize(
    "data",
    [
        NESTED,
        NESTED.replace(b"prompt", b"instructions"),
        NESTED.replace(b"function:", b"webhook:"),
        NESTED.replace(b"tools", b"functions"),
    ],
)
def test_the_fixed_file_has_fewer_findings_or_is_unchanged(data: bytes) -> None:
    done = fixed(data)
    before, after = check(data), check(done.after)
    assert b"python:" not in done.after
    assert done.after == data or len(after) < len(before)
