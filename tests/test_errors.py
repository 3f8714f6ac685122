from __future__ import annotations

import pytest

from runner.errors import FileUnreadable, UsageError, counted, os_error_text


@pytest.mark.parametrize(
    ("error", "text"),
    [
        (FileNotFoundError(2, "No such file", "/secret/path"), "no such file"),
        (OSError("Broken"), "broken"),
        (ValueError("Embedded null byte"), "Embedded null byte"),
    ],
)
def test_the_reason_of_a_system_error_has_no_path(error: Exception, text: str) -> None:
    assert os_error_text(error) == text


def test_an_error_about_a_path_says_what_failed_and_why() -> None:
    error = FileUnreadable.from_os_error("a.yaml", "read", OSError(13, "Denied"))

    assert isinstance(error, FileUnreadable)
    assert str(error) == "a.yaml cannot be read: denied"


def test_a_hint_follows_the_message_in_parentheses() -> None:
    assert UsageError("no", hint="write yes").with_hint == "no (write yes)"
    assert UsageError("no").with_hint == "no"


def test_numbers_are_counted_with_their_nouns() -> None:
    assert counted(1, "error") == "1 error"
    assert counted(0, "error") == "0 errors"
    assert counted(2, "reply", "replies") == "2 replies"
