"""What is to be examined, and the surroundings in which the command was called."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from runner.config.environment import load_environment
from runner.errors import FileUnreadable


@dataclass(frozen=True, slots=True)
class Screen:
    """What stdout is; examined where it still is that, in the command itself."""

    is_terminal: bool = False
    columns: int = 80
    encoding: str = "utf-8"


@dataclass(frozen=True, slots=True)
class Wishes:
    """What the command line asks for.

    `environment` is the process's own, `folder` where a `.env` is looked for, and
    `ports` are those that should be free. Without `sound` nothing is played, and a
    machine without a sound card is fine.
    """

    environment: Mapping[str, str] = field(repr=False)
    folder: Path
    agent: Path | None = None
    service: str | None = None
    variables: Mapping[str, str] = field(default_factory=dict)
    online: bool = False
    sound: bool = True
    input_device: str | None = None
    output_device: str | None = None
    ports: tuple[int, ...] = ()
    screen: Screen = Screen()

    def effective_environment(self) -> Mapping[str, str]:
        """Return what a run would see; without a `.env` that cannot be read."""
        try:
            return load_environment(self.folder, self.environment)
        except (FileUnreadable, ImportError):  # what reads it may be what is broken
            return self.environment
