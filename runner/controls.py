"""What a person can do to a running call besides speaking."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from runner.caller import Notice
from runner.commands import Help, Mistake, Mute, Volume, describe_commands
from runner.engine import Engine
from runner.protocol.client.calls import CallRules
from runner.protocol.messages import JsonObject


@dataclass(slots=True)
class Controls:
    """Performs commands and changes of the agent; driven by the near end and `--watch`.

    A volume that was typed holds until the agent file names another one.
    """

    engine: Engine
    notice: Notice
    file_session: JsonObject  # as the agent file has it
    _typed_volume: float | None = None

    def perform(self, command: Mute | Volume | Help | Mistake) -> None:
        """Do what a command says, and say what was done."""
        match command:
            case Mute(is_muted):
                self.engine.is_muted = is_muted
                self.notice(
                    "muted: the far end hears silence until /unmute"
                    if is_muted
                    else "not muted: the far end hears you"
                )
            case Volume(percent):
                self._set_volume(percent)
            case Help():
                for line in describe_commands():
                    self.notice(line)
            case Mistake(text):
                self.notice(text)

    def reconfigure(self, session: JsonObject, rules: Mapping[str, CallRules]) -> None:
        """Let the running session follow an agent file that has changed."""
        if _volume(self.file_session) != _volume(session):
            self._typed_volume = None
        self.file_session = session
        self.engine.reconfigure(self._with_volume(session), rules)

    def _set_volume(self, percent: int) -> None:
        latest = self.engine.session.conversation.changes.latest
        self._typed_volume = percent
        self.engine.reconfigure(self._with_volume(latest.session), latest.tools)
        self.notice(f"volume {percent}, from the agent's next reply on")

    def _with_volume(self, session: JsonObject) -> JsonObject:
        if self._typed_volume is None:
            return session
        output: dict[str, Any] = {
            **session.get("output", {}),
            "volume": self._typed_volume,
        }
        return {**session, "output": output}


def _volume(session: JsonObject) -> float | None:
    volume: float | None = session.get("output", {}).get("volume")
    return volume
