"""A reply that is awaited: how long, and what is done when it does not come.

A reply that is owed (to typed words, to results, to a request of ours) is asked for
once more with `reply.create`. One that only may come, because the caller made a sound,
is not: it may have been a cough. Nor is an announcement: it would come too late.
"""

from __future__ import annotations

from runner.protocol.client.actions import Action, Notify, Send
from runner.protocol.client.config import Timeouts
from runner.protocol.client.timers import Timer, Timers
from runner.protocol.messages import ReplyCreate

# How long after the caller's turn a reply may take before the floor counts as free.
FLOOR_SECONDS = 10.0
# How long a session that is back may take to begin the reply that it owed.
TAKEN_UP_SECONDS = 3.0
# How long an announcement may take to begin: results that come meanwhile wait for it.
ANNOUNCEMENT_SECONDS = 3.0


class PendingReply:
    """At most one awaited reply; owned by the dialogue."""

    def __init__(self, timers: Timers, patience: Timeouts) -> None:
        self.is_open = False
        self.is_owed = False  # whether it has been asked for
        self.is_announcement = False  # whether it is asked for to announce a call
        self.was_asked_again = False  # once is enough, until something is heard
        self._timers = timers
        self._patience = patience

    def expect(self, now: float, *, owed: bool = False) -> None:
        """Await a reply from now on."""
        self.is_open = True
        self.is_owed, self.is_announcement = owed, False
        wait = self._patience.reply if owed else FLOOR_SECONDS
        self._timers.set(Timer.FLOOR, now + wait)

    def expect_announcement(self, now: float) -> None:
        """Await the announcement of a call; results wait for its end."""
        self.expect(now)
        self.is_announcement = True
        self._timers.set(Timer.FLOOR, now + ANNOUNCEMENT_SECONDS)

    def take_up(self, now: float) -> None:
        """A session is back that owed a reply when it was lost.

        What asked for the reply may have been lost with the line, so the reply is
        asked for again soon.
        """
        self.expect(now, owed=True)
        self._timers.set(Timer.FLOOR, now + min(TAKEN_UP_SECONDS, self._patience.reply))

    def close(self) -> None:
        """Await nothing: the reply has begun, or somebody else has the word."""
        self.is_open = self.is_owed = self.is_announcement = False
        self._timers.clear(Timer.FLOOR)

    def hear(self) -> None:
        """The agent is heard, or the caller: whatever failed before is over."""
        self.was_asked_again = False

    def expire(self, now: float) -> list[Action] | None:
        """The reply did not come: ask for it, or (None) there is nothing to ask."""
        if self.is_owed and not self.was_asked_again:
            return self.ask_again("no answer came", now)
        return None

    def give_up(self) -> list[Action]:
        """Await it no longer."""
        was_owed = self.is_owed
        self.close()
        return [Notify("the agent does not answer")] if was_owed else []

    def ask_again(self, why: str, now: float) -> list[Action]:
        """Ask for a reply once more."""
        self.was_asked_again = True
        self.expect(now, owed=True)
        return [Notify(f"{why}: asking once more"), Send(ReplyCreate())]
