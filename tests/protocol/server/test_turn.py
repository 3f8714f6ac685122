"""Why a reply is wanted."""

from __future__ import annotations

import pytest

from runner.protocol.messages import ReplyCreate
from runner.protocol.server.turn import Wanted


@pytest.mark.parametrize(
    "wanted",
    [Wanted(create=ReplyCreate()), Wanted(results=True), Wanted(lost=True)],
)
def test_any_reason_makes_a_reply_wanted(wanted: Wanted) -> None:
    assert wanted


def test_without_a_reason_none_is_wanted() -> None:
    assert not Wanted()
