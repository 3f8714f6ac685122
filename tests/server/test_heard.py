"""A turn's text."""

from __future__ import annotations

from runner.server.heard import HeardTurn


def test_what_was_settled_comes_before_what_is_still_heard() -> None:
    assert HeardTurn().whole_text == ""
    assert HeardTurn(text="Hello.").whole_text == "Hello."
    assert HeardTurn(settled="Well.", text="Hello.").whole_text == "Well. Hello."
