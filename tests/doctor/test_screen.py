from __future__ import annotations

import pytest

from runner.doctor.findings import State
from runner.doctor.platforms import Platform
from runner.doctor.screen import can_show, has_colour, has_marks, judge_screen, view_of
from runner.doctor.wishes import Screen

LINUX = Platform("linux")
TERMINAL = Screen(is_terminal=True, columns=120)
XTERM = {"TERM": "xterm-256color"}


def test_a_terminal_is_described() -> None:
    finding = judge_screen(TERMINAL, {**XTERM, "SSH_CONNECTION": "1"}, LINUX)

    assert finding.state is State.OK
    assert finding.detail == (
        "120 columns, xterm-256color, utf-8, colours, over ssh, "
        "so calls are shown as chat"
    )


def test_a_file_is_no_fault() -> None:
    assert judge_screen(Screen(), XTERM, LINUX).state is State.SKIPPED


def test_a_dumb_terminal_gets_plain_lines_and_no_marks() -> None:
    dumb = {"TERM": "dumb"}

    assert judge_screen(TERMINAL, dumb, LINUX).detail.endswith("shown as wire")
    assert not has_marks(TERMINAL, dumb)
    assert not has_colour(TERMINAL, dumb)


@pytest.mark.parametrize("encoding", ["ascii", "cp1252", "latin-1", "no-such-encoding"])
def test_an_encoding_without_the_marks_gets_words(encoding: str) -> None:
    narrow = Screen(is_terminal=True, encoding=encoding)

    assert not has_marks(narrow, XTERM)
    finding = judge_screen(narrow, XTERM, LINUX)
    assert (finding.state, finding.fix) == (State.FAILED, "export LANG=C.UTF-8")


def test_no_color_takes_the_colours_and_leaves_the_marks() -> None:
    bare = {**XTERM, "NO_COLOR": "1"}

    assert has_marks(TERMINAL, bare)
    assert not has_colour(TERMINAL, bare)


def test_a_narrow_terminal_has_no_room_for_a_chat() -> None:
    assert view_of(Screen(is_terminal=True, columns=40), XTERM) == "chat"
    assert view_of(Screen(is_terminal=True, columns=39), XTERM) == "wire"


def test_an_encoding_shows_what_it_has() -> None:
    assert can_show("é", "latin-1")
    assert not can_show("✓", "latin-1")
