"""Why a reply is wanted."""

from __future__ import annotations

import pytest

from runner.protocol.messages import ReplyCreate
from runner.protocol.server.turn_taking import ReplyRequest


@pytest.mark.parametrize(
    "wanted",
    [
        ReplyRequest(create=ReplyCreate()),
        ReplyRequest(results=True),
        ReplyRequest(lost=True),
    ],
)
def test_any_reason_makes_a_reply_wanted(wanted: ReplyRequest) -> None:
    assert wanted


def test_without_a_reason_none_is_wanted() -> None:
    assert not ReplyRequest()
