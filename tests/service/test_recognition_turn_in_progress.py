"""A turn's text."""

from __future__ import annotations

from runner.service.recognition import TurnInProgress


def test_what_was_settled_comes_before_what_is_still_heard() -> None:
    assert TurnInProgress().whole_text == ""
    assert TurnInProgress(text="Hello.").whole_text == "Hello."
    assert TurnInProgress(settled="Well.", text="Hello.").whole_text == "Well. Hello."
