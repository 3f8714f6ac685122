"""How long a session lives: a limit while live, a grace while its line is down."""

from __future__ import annotations

# How long a dropped session can be taken up again.
GRACE_SECONDS = 30.0
# The documented lifetime of a session.
LIFETIME_SECONDS = 10_800.0


class SessionExpiry:
    """One session's clock; it reads none itself."""

    def __init__(self) -> None:
        self.ends: float | None = None  # None before the beginning and after the end
        self._began: float | None = None

    def begin(self, now: float) -> None:
        """The session is live from now on."""
        self._began = now
        self.ends = now + LIFETIME_SECONDS

    def drop(self, now: float) -> None:
        """The line is down: the grace runs."""
        self.ends = now + GRACE_SECONDS

    def resume(self) -> None:
        """The line is up again: the first limit holds, the outage counts."""
        if self._began is not None:
            self.ends = self._began + LIFETIME_SECONDS

    def end(self) -> None:
        """The session is over."""
        self.ends = None

    def is_over(self, now: float) -> bool:
        """Whether the limit or the grace has passed."""
        return self.ends is not None and now >= self.ends

    def age(self, now: float) -> float:
        """Return how long the session has lived, in seconds; 0 before it began."""
        return 0.0 if self._began is None else now - self._began
