"""The life of a client session as data: all transitions between phases stand here.

An event is first read as a `Trigger`; the table says which phase follows. What the
table does not list leaves the phase alone. Entering a phase emits its lifecycle
actions (`session.py`), nothing else does.
"""

from __future__ import annotations

from enum import Enum, auto


class Phase(Enum):
    """Where a session is in its life."""

    CONNECTING = auto()  # a connection is being made for a fresh session
    CONFIGURING = auto()  # session.update is sent, session.ready is awaited
    LIVE = auto()
    DRAINING = auto()  # the last words are still being played, then ENDING
    WAITING = auto()  # the line is gone; a pause before the next try
    RESUMING = auto()  # a connection is being made for the dropped session
    ENDING = auto()  # session.end is sent, session.ended is awaited
    CLOSED = auto()


class Trigger(Enum):
    """What an event means for the phase."""

    CONNECTED = auto()
    READY = auto()  # session.ready
    ENDED = auto()  # session.ended
    LOST = auto()  # the connection is gone, and another try is allowed
    GAVE_UP = auto()  # no further try is allowed, or an error is fatal
    STALE = auto()  # the dropped session cannot be taken up again
    HANG_UP = auto()  # end now
    FAREWELL = auto()  # end when the speaker is done
    DRAINED = auto()
    SPOKE_ON = auto()  # the caller spoke before the farewell was over
    RETRY_RESUME = auto()  # the pause is over, the session may still be there
    RETRY_FRESH = auto()  # the pause is over, the session is gone
    TIMED_OUT = auto()  # what this phase waits for did not come


P, T = Phase, Trigger

TRANSITIONS: dict[tuple[Phase, Trigger], Phase] = {
    (P.CONNECTING, T.CONNECTED): P.CONFIGURING,
    (P.CONNECTING, T.LOST): P.WAITING,
    (P.CONNECTING, T.GAVE_UP): P.CLOSED,
    (P.CONNECTING, T.HANG_UP): P.CLOSED,
    (P.CONNECTING, T.FAREWELL): P.CLOSED,
    (P.CONNECTING, T.TIMED_OUT): P.CLOSED,
    (P.CONFIGURING, T.READY): P.LIVE,
    (P.CONFIGURING, T.ENDED): P.CLOSED,
    (P.CONFIGURING, T.LOST): P.WAITING,
    (P.CONFIGURING, T.GAVE_UP): P.CLOSED,
    (P.CONFIGURING, T.HANG_UP): P.ENDING,
    (P.CONFIGURING, T.FAREWELL): P.ENDING,
    (P.CONFIGURING, T.TIMED_OUT): P.CLOSED,
    (P.LIVE, T.ENDED): P.CLOSED,
    (P.LIVE, T.LOST): P.WAITING,
    (P.LIVE, T.GAVE_UP): P.CLOSED,
    (P.LIVE, T.STALE): P.WAITING,
    (P.LIVE, T.HANG_UP): P.ENDING,
    (P.LIVE, T.FAREWELL): P.DRAINING,
    (P.DRAINING, T.DRAINED): P.ENDING,
    (P.DRAINING, T.SPOKE_ON): P.LIVE,
    (P.DRAINING, T.ENDED): P.CLOSED,
    (P.DRAINING, T.LOST): P.CLOSED,
    (P.DRAINING, T.GAVE_UP): P.CLOSED,
    (P.DRAINING, T.STALE): P.CLOSED,
    (P.DRAINING, T.HANG_UP): P.ENDING,
    (P.DRAINING, T.TIMED_OUT): P.ENDING,
    (P.WAITING, T.RETRY_RESUME): P.RESUMING,
    (P.WAITING, T.RETRY_FRESH): P.CONNECTING,
    (P.WAITING, T.TIMED_OUT): P.CLOSED,
    (P.WAITING, T.HANG_UP): P.CLOSED,
    (P.WAITING, T.FAREWELL): P.CLOSED,
    (P.RESUMING, T.READY): P.LIVE,
    (P.RESUMING, T.ENDED): P.CLOSED,
    (P.RESUMING, T.LOST): P.WAITING,
    (P.RESUMING, T.GAVE_UP): P.CLOSED,
    (P.RESUMING, T.STALE): P.CONNECTING,
    (P.RESUMING, T.HANG_UP): P.CLOSED,
    (P.RESUMING, T.FAREWELL): P.CLOSED,
    (P.RESUMING, T.TIMED_OUT): P.WAITING,
    (P.ENDING, T.ENDED): P.CLOSED,
    (P.ENDING, T.LOST): P.CLOSED,
    (P.ENDING, T.GAVE_UP): P.CLOSED,
    (P.ENDING, T.STALE): P.CLOSED,
    (P.ENDING, T.TIMED_OUT): P.CLOSED,
}
