"""What a session knows about its connection, over all drops of it."""

from __future__ import annotations

from dataclasses import dataclass

FRESH_TRIES = 4  # how often a session that never became ready is tried
RESUME_WINDOW_SECONDS = 30.0  # the service keeps a dropped session this long
# How long after a drop a call is worth taking up again, in a fresh session if need be.
OUTAGE_SECONDS = 60.0
BACKOFF_SECONDS = 0.25  # doubles with every try
BACKOFF_LIMIT_SECONDS = 5.0


@dataclass(slots=True)
class ConnectionState:
    """The session that the service holds for us, and how long it has been out of reach.

    `session_id` is empty when there is nothing to resume. `dropped_at` is when the line
    was lost, None while it stands.
    """

    session_id: str = ""
    resume_token: str = ""
    was_ready: bool = False  # whether a session has ever stood on this line
    dropped_at: float | None = None
    why: str = ""  # what ended the connection that stood
    tries: int = 0  # since it was lost, or since the beginning
    # What was lost: sound of the microphone while nothing stood, and how often and for
    # how many seconds that was.
    unsent_bytes: int = 0
    drops: int = 0
    outage_seconds: float = 0.0

    @property
    def is_tired(self) -> bool:
        """Whether no further try is due: the session was never ready."""
        return not self.was_ready and self.tries + 1 >= FRESH_TRIES

    def stand(self, session_id: str, resume_token: str, now: float) -> float | None:
        """Note that the session is ready; return how long the line was gone."""
        gone = None if self.dropped_at is None else now - self.dropped_at
        self.session_id, self.resume_token = session_id, resume_token
        self.was_ready = True
        self.outage_seconds += gone or 0.0
        self.dropped_at, self.why, self.tries = None, "", 0
        return gone

    def drop(self, why: str, now: float) -> bool:
        """Note that the line is gone; return whether that is news."""
        if self.dropped_at is not None or not self.was_ready:
            return False
        self.dropped_at, self.why = now, why
        self.drops += 1
        return True

    def forget(self, why: str) -> None:
        """Note that the session cannot be had any more; a fresh one is needed."""
        if self.session_id:
            self.session_id, self.why = "", why

    def pause(self, jitter: float) -> float:
        """Return the seconds until the next try; `jitter` is from 0 to 1."""
        pause = BACKOFF_SECONDS * (1 << min(self.tries, 8)) * (1 + jitter / 2)
        self.tries += 1
        return min(BACKOFF_LIMIT_SECONDS, pause)

    def can_resume(self, now: float) -> bool:
        """Whether the service may still hold the session."""
        if not self.session_id or self.dropped_at is None:
            return False
        return now - self.dropped_at <= RESUME_WINDOW_SECONDS

    def is_given_up(self, now: float) -> bool:
        """Whether the line has been gone for too long."""
        return self.dropped_at is not None and now - self.dropped_at > OUTAGE_SECONDS
