from __future__ import annotations

import pytest

from runner.config.source import Lines

TEXT = "a: 1\r\n\r\n# note\n  - b: 2\rc: 3"


def test_lines_end_as_editors_end_them() -> None:
    lines = Lines(TEXT)
    assert [lines[number] for number in range(5)] == [
        "a: 1",
        "",
        "# note",
        "  - b: 2",
        "c: 3",
    ]


@pytest.mark.parametrize(("offset", "number"), [(0, 0), (4, 0), (6, 1), (8, 2)])
def test_a_character_is_in_its_line(offset: int, number: int) -> None:
    assert Lines(TEXT).at(offset) == number


def test_empty_lines_and_comments_say_nothing() -> None:
    lines = Lines(TEXT)
    assert lines.above(3) == 0
    assert lines.below(0) == 3
    assert lines.above(0) is None
    assert lines.below(4) is None
    assert list(lines.content_above(4)) == [3, 0]


def test_blanks_and_tabs_indent() -> None:
    assert Lines(" \t a: 1").indent(0) == 3
