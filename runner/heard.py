"""How much of each reply was really heard."""

from __future__ import annotations

from collections import deque

from runner.audio.pcm import duration_ms
from runner.protocol.client.events import PlaybackCut

# Replies that may wait in a speaker at once: the one that is heard, and what follows.
_MOST_REPLIES = 8


class PlaybackTracker:
    """Keeps account of what was handed to the speaker, reply by reply."""

    def __init__(self) -> None:
        self._handed: deque[tuple[str, float]] = deque(maxlen=_MOST_REPLIES)

    def play(self, reply_id: str, pcm: bytes) -> None:
        """Note sound of a reply that goes to the speaker."""
        handed = 0.0
        if self._handed and self._handed[-1][0] == reply_id:
            handed = self._handed.pop()[1]
        self._handed.append((reply_id, handed + duration_ms(pcm)))

    def cut(self, dropped_ms: float) -> list[PlaybackCut]:
        """Return what became of the replies that this much of was thrown away.

        The newest was to be heard last, and so went first.
        """
        cuts: list[PlaybackCut] = []
        while dropped_ms > 0 and self._handed:
            reply_id, handed = self._handed.pop()
            dropped = min(dropped_ms, handed)
            dropped_ms -= dropped
            played, dropped = round(handed - dropped, 3), round(dropped, 3)
            cuts.append(PlaybackCut(reply_id, played, dropped))
        return cuts[::-1]
