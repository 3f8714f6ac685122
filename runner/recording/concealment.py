"""Keeps secrets out of a recording: by value, wherever they turn up."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from runner.protocol.client.actions import Action
from runner.protocol.client.events import Event, Received
from runner.protocol.messages import SessionReady
from runner.tools.failures import Masking

_HIDDEN = "***"
# Tokens of a session that are keys for as long as it can be resumed.
_TOKEN_KEYS = frozenset({"resume_token"})
_SHORTEST_TOKEN = 6


class Concealment:
    """Masks the texts of a line; what is secret becomes known as the call goes on."""

    def __init__(self, mask: Callable[[str], str]) -> None:
        """`mask` hides in a text what is known to be secret when it is called."""
        self._mask = mask
        self._tokens: frozenset[str] = frozenset()
        self._mask_tokens = Masking((), shortest=_SHORTEST_TOKEN)

    def learn(self, what: Event | Action) -> None:
        """Remember a token that the service gave."""
        match what:
            case Received(SessionReady(resume_token=token)) if token:
                self._tokens |= {token}
                self._mask_tokens = Masking(self._tokens, shortest=_SHORTEST_TOKEN)

    def text(self, text: str) -> str:
        """Return a text without secrets."""
        return self._mask_tokens(self._mask(text))

    def tree(self, value: Any) -> Any:
        """Return a value of JSON's data model without secrets, keys included.

        A number that is a secret becomes text.
        """
        if isinstance(value, str):
            return self.text(value)
        if isinstance(value, dict):
            return {
                self.text(key): _HIDDEN
                if key in _TOKEN_KEYS and each
                else self.tree(each)
                for key, each in value.items()
            }
        if isinstance(value, list | tuple):
            return [self.tree(each) for each in value]
        if isinstance(value, int | float) and not isinstance(value, bool):
            text = str(value)
            return value if self.text(text) == text else _HIDDEN
        return value
