"""Requests for a reply."""

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
def test_any_reason_requests_a_reply(wanted: ReplyRequest) -> None:
    assert wanted


def test_without_a_reason_no_reply_is_requested() -> None:
    assert not ReplyRequest()
