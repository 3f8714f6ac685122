"""Each row of the table of phases, by an event that a driver would feed."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from runner.protocol.client.config import ClientConfig
from runner.protocol.client.events import (
    Connected,
    Disconnected,
    Event,
    HangUp,
    PlaybackDrained,
    Received,
    Tick,
)
from runner.protocol.client.session import ClientSession
from runner.protocol.client.state import Phase
from runner.protocol.messages import SessionEnded, SessionError, SessionReady

READY = Received(SessionReady("s1", resume_token="t"))
LOST = Disconnected("lost", 1006)
WAYS: dict[Phase, list[Event]] = {
    Phase.CONNECTING: [],
    Phase.CONFIGURING: [Connected()],
    Phase.LIVE: [Connected(), READY],
    Phase.DRAINING: [Connected(), READY, HangUp("enough", True)],
    Phase.WAITING: [Connected(), READY, LOST],
    Phase.RESUMING: [Connected(), READY, LOST, Tick()],
    Phase.ENDING: [Connected(), READY, HangUp("enough")],
}
EVENTS: dict[str, Event] = {
    "connected": Connected(),
    "ready": READY,
    "ended": Received(SessionEnded(1.0)),
    "lost": LOST,
    "rejected": Received(SessionError("unauthorized", "no")),
    "expired": Received(SessionError("session_expired", "gone")),
    "hang_up": HangUp("enough"),
    "farewell": HangUp("enough", True),
    "drained": PlaybackDrained(),
    "time": Tick(),
}


def session_in(phase: Phase) -> tuple[ClientSession, float]:
    session, now = ClientSession(ClientConfig()), 0.0
    session.start(now)
    for event in WAYS[phase]:
        if isinstance(event, Tick):
            assert session.deadline is not None
            now = session.deadline
        session.feed(event, now)
    assert session.phase is phase
    return session, now


# Where each event leads; a dot where it leaves the phase alone. A first connection that
# fails is a wrong address; one that is refused on a resume may be had with the key.
TABLE = """
            CONNECTING  CONFIGURING LIVE     DRAINING WAITING  RESUMING   ENDING
connected   CONFIGURING .           .        .        .        .          .
ready       .           LIVE        .        .        .        LIVE       .
ended       .           CLOSED      CLOSED   CLOSED   .        CLOSED     CLOSED
lost        CLOSED      WAITING     WAITING  CLOSED   .        WAITING    CLOSED
rejected    CLOSED      CLOSED      CLOSED   .        .        CONNECTING .
expired     WAITING     WAITING     WAITING  .        .        CONNECTING .
hang_up     CLOSED      ENDING      ENDING   ENDING   CLOSED   CLOSED     .
farewell    CLOSED      ENDING      DRAINING .        CLOSED   CLOSED     .
drained     .           .           .        ENDING   .        .          .
time        CLOSED      CLOSED      .        ENDING   RESUMING WAITING    CLOSED
"""


def rows() -> Iterator[tuple[Phase, str, Phase]]:
    header, *lines = [line.split() for line in TABLE.strip().splitlines()]
    for event, *targets in lines:
        for name, target in zip(header, targets, strict=True):
            phase = Phase[name]
            yield phase, event, phase if target == "." else Phase[target]


@pytest.mark.parametrize(("phase", "event", "after"), list(rows()))
def test_an_event_leads_where_the_table_says(
    phase: Phase, event: str, after: Phase
) -> None:
    session, now = session_in(phase)
    if event == "time" and session.deadline is not None:
        now = session.deadline

    session.feed(EVENTS[event], now)

    assert session.phase is after
