"""Versions of the agent file format: the one that is read, and the ways to it.

A change of the format that would break files that are right today gets a version of
its own: raise `FORMAT.current` (and the schema's), and add the migration from the
version before. `validate` then offers it as a fix; nothing is migrated behind anyone's
back, so that findings and the file that people look at are about the same text.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any, TypeAlias

# Turns the text of a file of one version into that of the next one, version line
# included. It edits the text: comments and layout are the author's.
Migration: TypeAlias = Callable[[str], str]


@dataclass(frozen=True, slots=True)
class Format:
    """A version that is read, and the migrations to it by the version they begin at."""

    current: int
    migrations: Mapping[int, Migration] = field(
        default_factory=lambda: MappingProxyType({})
    )

    def __post_init__(self) -> None:
        known = sorted(self.migrations)
        if known != list(range(self.current - len(known), self.current)):
            raise ValueError(f"migrations from {known} do not lead to {self.current}")

    def is_later(self, version: Any) -> bool:
        """Whether a file of this version is newer than what is known here."""
        number = _number(version)
        return number is not None and number > self.current

    def is_outdated(self, version: Any) -> bool:
        """Whether there is a way from this version to the one that is read."""
        return _number(version) in self.migrations

    def migrate(self, text: str, version: int) -> str:
        """Return the text of a file of an older version as one of the current one."""
        for step in range(version, self.current):
            text = self.migrations[step](text)
        return text

    def explain(self, version: Any) -> tuple[str, str]:
        """Say of a file of a later or an outdated version what it is; and what to do.

        A pair of message and help.
        """
        if self.is_later(version):
            help_ = "a newer vagent may read it"
        else:
            help_ = "`vagent validate --fix` rewrites it"
        message = (
            f"the file is of version {_number(version)}; "
            f"this vagent reads version {self.current}"
        )
        return message, help_


def _number(version: Any) -> int | None:
    """Return the version that was meant, be it in quotes; None where there is none."""
    if isinstance(version, bool):
        return None
    if isinstance(version, str):
        # Longer ones are no versions, and slow to read.
        return int(version) if version.isdecimal() and len(version) < 10 else None
    if isinstance(version, float):
        return int(version) if version.is_integer() else None
    return version if isinstance(version, int) else None


FORMAT = Format(current=1)
