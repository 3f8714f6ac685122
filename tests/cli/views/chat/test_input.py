"""Keys as bytes, and the edited line."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from runner.cli.views.chat.input import EndOfInput, Key, KeyDecoder, LineEditor
from runner.engine.controls import Mute, PushToTalk, SayText, ToggleMute, VolumeStep


def typed(data: bytes, *, is_push_to_talk: bool = False) -> tuple[list[object], str]:
    draft = LineEditor(is_push_to_talk)
    done = [draft.press(key) for key in KeyDecoder().feed(data)]
    return [each for each in done if each is not None], draft.text


@pytest.mark.parametrize(
    ("data", "wanted", "left"),
    [
        (b"hello\r", [SayText("hello")], ""),
        (b"hel\x7flo", [], "helo"),
        (b"one two\x17three", [], "one three"),
        (b"one two\x15three", [], "three"),
        (b"/mute\n", [Mute(True)], ""),
        (b"\x14", [ToggleMute()], ""),
        (b"\x1b[A\x1bOB", [VolumeStep(10), VolumeStep(-10)], ""),
        (b"a\x1b[A", [], "a"),
        (b"\x04", [EndOfInput()], ""),
        (b"a\x04", [], "a"),
        (b" a", [], "a"),
        (b"\x1b[200~two\r\nlines\x1b[201~", [], "two  lines"),
        (b"\x1b[1;5Ca\x1bx", [], "a"),
        ("é日".encode(), [], "é日"),
        (b"\r\r", [], ""),
    ],
)
def test_keys_make_a_line(data: bytes, wanted: list[object], left: str) -> None:
    assert typed(data) == (wanted, left)


def test_space_on_an_empty_line_is_push_to_talk_only_where_that_was_asked_for() -> None:
    assert typed(b" ", is_push_to_talk=True) == ([PushToTalk()], "")
    assert typed(b"a b", is_push_to_talk=True) == ([], "a b")
    assert typed(b" ") == ([], "")


@given(st.binary(max_size=60), st.integers(0, 60))
def test_keys_are_the_same_wherever_the_bytes_are_parted(data: bytes, at: int) -> None:
    parted = KeyDecoder()

    keys = parted.feed(data[:at]) + parted.feed(data[at:])

    assert keys == KeyDecoder().feed(data)
    assert all(isinstance(key, Key) or key.isprintable() for key in keys)
