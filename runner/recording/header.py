"""The first line of a recording: what ran, where, and with what configuration."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any

from runner.errors import VagentError
from runner.protocol.client.config import ClientConfig, IdlePolicy, Timeouts
from runner.protocol.client.tool_calls import ToolPolicy
from runner.protocol.messages import JsonObject

# Raised when a reader of this version would misread what a later one writes. What is
# only added (a key, a kind of line) does not raise it: readers ignore what they don't
# know.
FORMAT_VERSION = 1


class InvalidRecording(VagentError):
    """A folder without a recording, or one that this version cannot read."""


@dataclass(frozen=True, slots=True)
class RecordedAgent:
    """The agent file of a call; a copy of its text lies beside as agent.yaml."""

    name: str
    path: str  # as it was given
    sha256: str


@dataclass(frozen=True, slots=True)
class Header:
    """Everything that a replay needs besides what happened.

    `started` is ISO 8601 with a time zone. `seed` is that of the session's own lots
    (the jitter of its pauses before it connects again). `config` is the client
    session's, secrets masked.
    """

    agent: RecordedAgent
    service: str
    config: ClientConfig
    seed: int
    started: str
    vagent: str
    python: str
    platform: str
    variables: Mapping[str, str] = field(default_factory=dict)
    has_sound: bool = True
    is_redacted: bool = False
    version: int = FORMAT_VERSION


def write_header(header: Header) -> dict[str, Any]:
    """Return the first line as JSON data."""
    return {"type": "vagent.recording", **asdict(header)}


def read_header(line: Any) -> Header:
    """Read the first line.

    Raises:
        NotARecording: it is none, or of a version that this one cannot read.
    """
    if not isinstance(line, dict) or line.get("type") != "vagent.recording":
        raise InvalidRecording("this is no recording of vagent's")
    version = line.get("version")
    if not isinstance(version, int) or version > FORMAT_VERSION:
        raise InvalidRecording(
            f"this recording has format {version}, and this vagent reads up to "
            f"{FORMAT_VERSION}",
            hint="use the vagent that made it, or a newer one",
        )
    try:
        header = Header(
            agent=RecordedAgent(**_known(RecordedAgent, line["agent"])),
            config=read_config(line["config"]),
            **{
                key: value
                for key, value in _known(Header, line).items()
                if key not in ("agent", "config")
            },
        )
        _check_texts(header)
        _check_texts(header.agent)
    except (KeyError, TypeError, AttributeError) as error:
        raise InvalidRecording(
            f"the header of this recording is broken: {error}"
        ) from None
    return header


def read_config(value: JsonObject) -> ClientConfig:
    """Read a client session's configuration."""
    known = _known(ClientConfig, value)
    return ClientConfig(
        **{
            **known,
            "tools": {
                name: ToolPolicy(**_known(ToolPolicy, rules))
                for name, rules in value["tools"].items()
            },
            "idle": IdlePolicy(**_known(IdlePolicy, value["idle"])),
            "patience": Timeouts(**_known(Timeouts, value["patience"])),
        }
    )


def _check_texts(value: Header | RecordedAgent) -> None:
    for name, each in value.__dataclass_fields__.items():
        if each.type == "str" and not isinstance(getattr(value, name), str):
            raise TypeError(f"'{name}' is no text")


def _known(kind: Any, value: Mapping[str, Any]) -> dict[str, Any]:
    """Leave out what a later version has added."""
    return {key: value[key] for key in kind.__dataclass_fields__ if key in value}
