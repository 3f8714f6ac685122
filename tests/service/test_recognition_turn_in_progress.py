"""A turn's text."""

from __future__ import annotations

from runner.service.recognition import TurnInProgress


def test_final_text_comes_before_the_text_of_the_kept_audio() -> None:
    assert TurnInProgress().whole_text == ""
    assert TurnInProgress(text="Hello.").whole_text == "Hello."
    assert (
        TurnInProgress(final_text="Well.", text="Hello.").whole_text == "Well. Hello."
    )
