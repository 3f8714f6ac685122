"""What an examination comes to, line by line."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from enum import Enum


class State(Enum):
    """How it is with a thing; the value is what `--json` says."""

    OK = "ok"
    FAILED = "failed"
    SKIPPED = "skipped"  # not asked for, or it does not matter here


@dataclass(frozen=True, slots=True)
class Finding:
    """One line of a report.

    `fix` is the command that mends it on this machine, or what else to do; also of what
    was skipped, where there is a way to have it.
    """

    name: str
    state: State
    detail: str
    fix: str | None = None

    def masked(self, mask: Callable[[str], str]) -> Finding:
        """Return it with what is secret taken out."""
        fix = None if self.fix is None else mask(self.fix)
        return Finding(self.name, self.state, mask(self.detail), fix)

    def as_object(self) -> Mapping[str, str | None]:
        """Return what `--json` writes; its fields stay as they are."""
        return {
            "type": "vagent.check",
            "name": self.name,
            "state": self.state.value,
            "detail": self.detail,
            "fix": self.fix,
        }


def passed(name: str, detail: str) -> Finding:
    """Return the line of what is as it should be."""
    return Finding(name, State.OK, detail)


def failed(name: str, detail: str, fix: str | None) -> Finding:
    """Return the line of what has to be mended, and how."""
    return Finding(name, State.FAILED, detail, fix)


def skipped(name: str, detail: str, fix: str | None = None) -> Finding:
    """Return the line of what was not asked, or is not needed."""
    return Finding(name, State.SKIPPED, detail, fix)
