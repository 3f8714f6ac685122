"""Who the ears report to, so that they can be tested without a conversation."""

from __future__ import annotations

from typing import Protocol

from runner.protocol.server.events import ServerEvent


class Listener(Protocol):
    """Who wants to know what the caller says; asked and told on the event loop."""

    @property
    def agent_sounds(self) -> bool:
        """Whether the caller hears the agent now."""
        ...

    @property
    def yields(self) -> bool:
        """Whether the caller may take the floor now."""
        ...

    def post(self, event: ServerEvent) -> None:
        """Take what was heard."""
        ...

    def suppose(self, text: str) -> None:
        """Think ahead: this may be all that the caller says."""
        ...

    def doubt(self) -> None:
        """It was not: the caller goes on."""
        ...

    def mark_end(self, silence_seconds: float) -> None:
        """The turn is over; the caller fell silent so long ago."""
        ...
