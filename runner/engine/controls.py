"""What a person can do to a running call besides speaking."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from runner.commands import (
    FULL_VOLUME,
    Control,
    Help,
    InvalidCommand,
    Mute,
    PushToTalk,
    ToggleMute,
    Volume,
    VolumeStep,
    describe_commands,
)
from runner.engine.caller import Notice
from runner.engine.engine import Engine
from runner.protocol.client.tool_calls import ToolPolicy
from runner.protocol.messages import JsonObject


@dataclass(frozen=True, slots=True)
class ControlState:
    """How a person has set a call; `volume` is None while nobody has named one."""

    is_muted: bool = False
    volume: float | None = None
    is_push_to_talk: bool = False


@dataclass(slots=True)
class Controls:
    """Performs commands and changes of the agent; driven by the near end and `--watch`.

    A volume that was typed holds until the agent file names another one. `report` is
    told how the call is set whenever that changes; without it, by notices only.
    """

    engine: Engine
    notice: Notice
    file_session: JsonObject  # as the agent file has it
    is_push_to_talk: bool = False  # muted unless a person has pressed to talk
    report: Callable[[ControlState], None] | None = None
    _typed_volume: float | None = None

    def __post_init__(self) -> None:
        if self.is_push_to_talk:
            self.engine.is_muted = True

    @property
    def standing(self) -> ControlState:
        """How the call is set now."""
        volume = self._typed_volume
        if volume is None:
            volume = _volume(self.file_session)
        return ControlState(self.engine.is_muted, volume, self.is_push_to_talk)

    def perform(self, command: Control) -> None:
        """Do what a command says, and say what was done."""
        match command:
            case Mute(is_muted):
                self._mute(is_muted)
            case ToggleMute():
                self._mute(not self.engine.is_muted)
            case PushToTalk():
                self._talk()
            case Volume(percent):
                self._set_volume(percent)
            case VolumeStep(percent):
                volume = self.standing.volume
                volume = FULL_VOLUME if volume is None else round(volume)
                self._set_volume(max(0, min(FULL_VOLUME, volume + percent)))
            case Help():
                for line in describe_commands():
                    self.notice(line)
            case InvalidCommand(text):
                self.notice(text)

    def reconfigure(self, session: JsonObject, rules: Mapping[str, ToolPolicy]) -> None:
        """Let the running session follow an agent file that has changed."""
        if _volume(self.file_session) != _volume(session):
            self._typed_volume = None
        self.file_session = session
        self.engine.reconfigure(self._with_volume(session), rules)

    def _mute(self, is_muted: bool) -> None:
        self.engine.is_muted = is_muted
        self.notice(
            "muted: the far end hears silence until /unmute"
            if is_muted
            else "not muted: the far end hears you"
        )
        self._report()

    def _talk(self) -> None:
        self.engine.is_muted = not self.engine.is_muted
        if self.report is None:  # else it is seen, and too frequent to be told
            self.notice(
                "not heard until /talk"
                if self.engine.is_muted
                else "the far end hears you until /talk"
            )
        self._report()

    def _report(self) -> None:
        if self.report is not None:
            self.report(self.standing)

    def _set_volume(self, percent: int) -> None:
        if self._typed_volume == percent:
            self.notice(f"volume {percent} already")
            return
        latest = self.engine.session.conversation.changes.latest
        self._typed_volume = percent
        self.engine.reconfigure(self._with_volume(latest.session), latest.tools)
        self.notice(f"volume {percent}, from the agent's next reply on")
        self._report()

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
