"""Secrets kept out of what a call shows and leaves behind."""

from __future__ import annotations

from runner.tools.failures import Masking

# Shorter values are words and numbers that may just as well be meant to be seen.
_SHORTEST_SECRET = 6


class Secrets:
    """Hides secrets in texts; more become known as the agent file is edited."""

    def __init__(self) -> None:
        self._known: frozenset[str] = frozenset()
        self._mask = Masking((), shortest=_SHORTEST_SECRET)

    def hide(self, secrets: frozenset[str]) -> None:
        """Hide these from now on; what is hidden stays hidden."""
        self._known |= secrets
        self._mask = Masking(self._known, shortest=_SHORTEST_SECRET)

    def __call__(self, text: str) -> str:
        return self._mask(text)
