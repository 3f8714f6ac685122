from __future__ import annotations

from typing import Literal

import pytest

from runner.cli.reports.common import wants_color


@pytest.mark.parametrize(
    ("wanted", "environment", "is_terminal", "expected"),
    [
        ("auto", {}, True, True),
        ("auto", {}, False, False),
        ("auto", {"TERM": "dumb"}, True, False),
        ("auto", {"NO_COLOR": "1"}, True, False),
        ("auto", {"NO_COLOR": ""}, True, True),
        ("auto", {"NO_COLOR": "1", "FORCE_COLOR": "1"}, True, False),
        ("auto", {"FORCE_COLOR": "1"}, False, True),
        ("auto", {"FORCE_COLOR": "0"}, False, False),
        ("auto", {"CLICOLOR_FORCE": "1", "TERM": "dumb"}, False, True),
        ("always", {"NO_COLOR": "1"}, False, True),
        ("never", {"FORCE_COLOR": "1"}, True, False),
    ],
)
def test_the_option_goes_before_the_environment_and_that_before_the_terminal(
    wanted: Literal["auto", "always", "never"],
    environment: dict[str, str],
    is_terminal: bool,
    expected: bool,
) -> None:
    assert wants_color(wanted, environment, is_terminal=is_terminal) is expected
