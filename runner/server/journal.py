"""What a server tells its operator of a session: that it opened, how fast it answered,
that it closed. Never what was said."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from typing import Any

Report = Callable[[str, Mapping[str, Any]], None]


class SessionLog:
    """Measures one session and reports it; told by its conversation."""

    def __init__(self, report: Report, session_id: str) -> None:
        self._report = report
        self._session_id = session_id
        self._opened_at: float | None = None
        self._turns = 0
        # When the caller fell silent, of the turn that is being answered.
        self._silent_since: float | None = None
        self._decided_after = 0.0
        self._was_guessed = False

    def open(self) -> None:
        """The session has been configured; said once."""
        if self._opened_at is None:
            self._opened_at = time.monotonic()
            self._tell("vagent.session.opened")

    def end_turn(self, silence_seconds: float) -> None:
        """The caller's turn was found to be over, so long after its last sound."""
        self._silent_since = time.monotonic() - silence_seconds
        self._decided_after = silence_seconds

    def start_reply(self, *, was_guessed: bool) -> None:
        """A reply begins; `was_guessed`: it had been thought ahead."""
        self._was_guessed = was_guessed

    def sound(self) -> None:
        """Sound goes out; the first after a turn is what the caller waited for."""
        if self._silent_since is None:
            return
        self._turns += 1
        self._tell(
            "vagent.turn",
            endpointing_ms=round(self._decided_after * 1000),
            first_audio_ms=round((time.monotonic() - self._silent_since) * 1000),
            speculative=self._was_guessed,
        )
        self._silent_since = None

    def close(self) -> None:
        """The session is over for good."""
        if self._opened_at is not None:
            seconds = round(time.monotonic() - self._opened_at, 3)
            self._tell("vagent.session.closed", seconds=seconds, turns=self._turns)

    def _tell(self, kind: str, **facts: Any) -> None:
        self._report(kind, {"session_id": self._session_id, **facts})
