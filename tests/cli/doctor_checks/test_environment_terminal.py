from __future__ import annotations

import pytest

from runner.cli.doctor_checks.environment import (
    can_show,
    has_color,
    has_marks,
    judge_terminal,
    view_of,
)
from runner.cli.doctor_checks.model import Platform, State, TerminalInfo

LINUX = Platform("linux")
TERMINAL = TerminalInfo(is_terminal=True, columns=120)
XTERM = {"TERM": "xterm-256color"}


def test_a_terminal_is_described() -> None:
    result = judge_terminal(TERMINAL, {**XTERM, "SSH_CONNECTION": "1"}, LINUX)

    assert result.state is State.OK
    assert result.detail == (
        "120 columns, xterm-256color, utf-8, colors, over ssh, "
        "so calls are shown as chat"
    )


def test_a_file_is_not_a_failure() -> None:
    assert judge_terminal(TerminalInfo(), XTERM, LINUX).state is State.SKIPPED


def test_a_dumb_terminal_gets_plain_lines_and_no_marks() -> None:
    dumb = {"TERM": "dumb"}

    assert judge_terminal(TERMINAL, dumb, LINUX).detail.endswith("shown as wire")
    assert not has_marks(TERMINAL, dumb)
    assert not has_color(TERMINAL, dumb)


@pytest.mark.parametrize("encoding", ["ascii", "cp1252", "latin-1", "no-such-encoding"])
def test_an_encoding_without_the_marks_gets_words(encoding: str) -> None:
    narrow = TerminalInfo(is_terminal=True, encoding=encoding)

    assert not has_marks(narrow, XTERM)
    result = judge_terminal(narrow, XTERM, LINUX)
    assert (result.state, result.fix) == (State.FAILED, "export LANG=C.UTF-8")


def test_no_color_removes_colors_and_keeps_marks() -> None:
    bare = {**XTERM, "NO_COLOR": "1"}

    assert has_marks(TERMINAL, bare)
    assert not has_color(TERMINAL, bare)


def test_a_narrow_terminal_has_no_chat() -> None:
    assert view_of(TerminalInfo(is_terminal=True, columns=40), XTERM) == "chat"
    assert view_of(TerminalInfo(is_terminal=True, columns=39), XTERM) == "wire"


def test_an_encoding_shows_its_characters() -> None:
    assert can_show("é", "latin-1")
    assert not can_show("✓", "latin-1")
