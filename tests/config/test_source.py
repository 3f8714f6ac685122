from __future__ import annotations

import os
import socket
from pathlib import Path

import pytest

from runner.config.source import MAX_BYTES, Source, SourceError, read_source
from runner.errors import FileUnreadable


def test_lines_end_where_editors_end_them() -> None:
    source = Source("f", "a\r\nbc\rd\ne\u2028f")
    assert [source.point(i) for i in (0, 3, 4, 6, 8, 10)] == [
        (1, 1),
        (2, 1),
        (2, 2),
        (3, 1),
        (4, 1),
        (4, 3),
    ]
    assert [source.line(n) for n in (1, 2, 3, 4)] == ["a", "bc", "d", "e\u2028f"]


def test_columns_count_characters_not_bytes() -> None:
    assert Source("f", "é😀x").point(2) == (1, 3)


def test_the_end_of_the_text_has_a_place() -> None:
    assert Source("f", "").point(0) == (1, 1)
    assert Source("f", "a\n").point(2) == (2, 1)
    assert Source("f", "a\n").line(2) == ""


def test_a_byte_order_mark_is_not_part_of_the_text(tmp_path: Path) -> None:
    path = tmp_path / "a.yaml"
    path.write_bytes(b"\xef\xbb\xbfname: a\n")
    assert read_source(path).text == "name: a\n"


def test_a_missing_file_is_unreadable(tmp_path: Path) -> None:
    with pytest.raises(FileUnreadable, match="does not exist"):
        read_source(tmp_path / "none.yaml")


def test_a_folder_is_unreadable(tmp_path: Path) -> None:
    with pytest.raises(FileUnreadable, match="is a folder"):
        read_source(tmp_path)


def test_a_name_that_no_file_can_have_is_unreadable() -> None:
    with pytest.raises(FileUnreadable, match="cannot be read"):
        read_source(Path("a\0b"))


def test_a_file_of_fifty_megabytes_is_refused_by_its_size(tmp_path: Path) -> None:
    path = tmp_path / "big.yaml"
    with path.open("wb") as stream:
        stream.truncate(50_000_000)
    with pytest.raises(SourceError, match="larger than 1 MB") as caught:
        read_source(path)
    assert caught.value.rule == "VA109"


def test_a_file_of_just_the_limit_is_read(tmp_path: Path) -> None:
    path = tmp_path / "a.yaml"
    path.write_bytes(b"#" * MAX_BYTES)
    assert len(read_source(path).text) == MAX_BYTES


def test_binary_is_refused_at_its_first_odd_character(tmp_path: Path) -> None:
    path = tmp_path / "a.yaml"
    path.write_bytes(b"ab\n\x00\x01")
    with pytest.raises(SourceError, match=r"U\+0000") as caught:
        read_source(path)
    assert caught.value.source.point(caught.value.span.start) == (2, 1)


def test_what_is_not_utf8_is_refused_at_its_first_odd_byte(tmp_path: Path) -> None:
    path = tmp_path / "a.yaml"
    path.write_bytes("é\nab".encode() + b"\xff")
    with pytest.raises(SourceError, match="0xff") as caught:
        read_source(path)
    assert caught.value.source.point(caught.value.span.start) == (2, 3)


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="no pipes with a name there")
def test_a_pipe_a_socket_and_a_device_are_refused_before_they_are_opened(
    tmp_path: Path,
) -> None:
    os.mkfifo(tmp_path / "pipe")
    server = socket.socket(socket.AF_UNIX)
    server.bind(str(tmp_path / "socket"))
    (tmp_path / "link").symlink_to("pipe")
    for name, what in (
        (tmp_path / "pipe", "a pipe"),
        (tmp_path / "socket", "a socket"),
        (tmp_path / "link", "a pipe"),
        (Path("/dev/zero"), "a device"),
    ):
        with pytest.raises(FileUnreadable, match=f"is {what}, not a file"):
            read_source(name)
    server.close()
