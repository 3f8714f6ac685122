"""Changes to a running session: what may change, when it holds, what if refused.

A change waits until no reply is under way and no call is open, goes out as
`session.update`, and holds once the service has acknowledged it; only then are the new
tools used. A change that the service refuses leaves everything as it was. One that was
under way when the line dropped is sent again.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from runner.protocol.client.tool_calls import ToolPolicy
from runner.protocol.messages import JsonObject, SessionError

_FULL_VOLUME = 100
_REFUSALS = {
    "invalid_value",
    "invalid_format",
    "invalid_config",
    "immutable_field",
    "agent_id_not_first",
}


@dataclass(frozen=True, slots=True)
class Configuration:
    """The session object of session.update, and how its tools are treated."""

    session: JsonObject
    tools: Mapping[str, ToolPolicy]


class ConfigChanges:
    """What the service has of the configuration, and what it is yet to get."""

    def __init__(self, configuration: Configuration) -> None:
        self.current = configuration
        self._wanted: Configuration | None = None  # not sent yet
        self._sent: Configuration | None = None  # not acknowledged yet
        self._is_unsure = False  # whether what was sent last arrived

    @property
    def is_due(self) -> bool:
        """Whether a change waits to be sent."""
        return self._wanted is not None and self._sent is None

    @property
    def latest(self) -> Configuration:
        """The configuration as the person wants it now."""
        return self._wanted or self._sent or self.current

    def want(self, configuration: Configuration) -> list[str]:
        """Take a change; return what of it a running session cannot take."""
        before, self._wanted = self.latest, configuration
        return fixed_changes(before.session, configuration.session)

    def first(self, *, greets: bool) -> JsonObject:
        """Return the session object that opens a session, as it is wanted now."""
        session = dict(self._take().session)
        if not greets:
            session.pop("greeting", None)
        return session

    def send(self) -> JsonObject:
        """Return the fields to be sent of the change that is due; perhaps none."""
        before = {} if self._is_unsure else self.current.session
        return changed_fields(before, self._take().session)

    def settle(self) -> bool:
        """The service has what was sent; return whether that changes anything here."""
        if self._sent is None:
            return False
        is_news = self._sent is not self.current
        self.current, self._sent, self._is_unsure = self._sent, None, False
        return is_news

    def lose(self) -> None:
        """The line is gone: whether what was sent arrived is unknown."""
        if self._sent is not None:
            self._wanted = self.latest
            self._sent, self._is_unsure = None, True

    def refuse(self, error: SessionError) -> bool:
        """Give a change up if this error is its refusal; return whether it was."""
        if self._sent is None or error.code.lower() not in _REFUSALS:
            return False
        self._sent = None
        return True

    def _take(self) -> Configuration:
        self._sent, self._wanted = self.latest, None
        return self._sent


def changed_fields(old: JsonObject, new: JsonObject) -> dict[str, Any]:
    """Return what a session.update has to say for a running session to follow."""
    fields: dict[str, Any] = {}
    if new.get("system_prompt") != old.get("system_prompt"):
        fields["system_prompt"] = new.get("system_prompt", "")
    if new.get("tools", []) != old.get("tools", []):
        fields["tools"] = new.get("tools", [])
    before, after = old.get("input", {}), new.get("input", {})
    heard = {key: value for key, value in after.items() if before.get(key) != value}
    if "keyterms" in before and "keyterms" not in after:
        heard["keyterms"] = []
    if heard:
        fields["input"] = heard
    volume = new.get("output", {}).get("volume")
    if volume != old.get("output", {}).get("volume"):
        fields["output"] = {"volume": _FULL_VOLUME if volume is None else volume}
    return fields


def fixed_changes(old: JsonObject, new: JsonObject) -> list[str]:
    """Return the names of what differs and stays until the next session."""
    fixed = []
    if new.get("greeting") != old.get("greeting"):
        fixed.append("the greeting")
    if _without_volume(new) != _without_volume(old):
        fixed.append("the voice")
    fixed += _taken_back(old.get("input", {}), new.get("input", {}))
    return fixed


def _taken_back(old: JsonObject, new: JsonObject) -> list[str]:
    """Return what has no value any more; the wire has no word for "as at first"."""
    names = [key for key in old if key not in new and key != "keyterms"]
    for key, value in old.items():
        if isinstance(value, Mapping) and isinstance(new.get(key), Mapping):
            names += _taken_back(value, new[key])
    return names


def _without_volume(session: JsonObject) -> dict[str, Any]:
    output = session.get("output", {})
    return {key: value for key, value in output.items() if key != "volume"}
