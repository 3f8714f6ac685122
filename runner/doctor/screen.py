"""What the terminal can show, and so which view a call would get."""

from __future__ import annotations

import codecs
from collections.abc import Iterator, Mapping

from runner.checking.colours import wants_colour
from runner.doctor.findings import Finding, failed, passed, skipped
from runner.doctor.platforms import Platform, this_platform
from runner.doctor.wishes import Screen, Wishes

_MARKS = "✓✗–→"
_NARROWEST_CHAT = 40  # columns


def check_screen(wishes: Wishes) -> Iterator[Finding]:
    """Look at the terminal that the command was called in."""
    yield judge_screen(wishes.screen, wishes.environment, this_platform())


def judge_screen(
    screen: Screen, environment: Mapping[str, str], platform: Platform
) -> Finding:
    """Judge what stdout is; only a terminal that cannot show the words fails."""
    if not screen.is_terminal:
        return skipped("terminal", "stdout is no terminal: plain lines, no colours")
    kind = environment.get("TERM") or "no TERM"
    colour = "colours" if has_colour(screen, environment) else "no colours"
    parts = [f"{screen.columns} columns", kind, screen.encoding, colour]
    if environment.get("SSH_CONNECTION"):
        parts.append("over ssh")
    parts.append(f"so calls are shown as {view_of(screen, environment)}")
    detail = ", ".join(parts)
    if not can_show(_MARKS, screen.encoding):
        return failed(
            "terminal",
            f"{detail}: cannot show every character",
            platform.write_unicode(),
        )
    return passed("terminal", detail)


def view_of(screen: Screen, environment: Mapping[str, str]) -> str:
    """Return the view that `vagent run` takes by itself on such a terminal."""
    is_bare = environment.get("TERM", "") in ("dumb", "unknown")
    has_room = screen.columns >= _NARROWEST_CHAT
    return "chat" if screen.is_terminal and has_room and not is_bare else "wire"


def has_colour(screen: Screen, environment: Mapping[str, str]) -> bool:
    """Whether lines are to be coloured, by the customs of the environment."""
    return wants_colour("auto", environment, is_terminal=screen.is_terminal)


def has_marks(screen: Screen, environment: Mapping[str, str]) -> bool:
    """Whether lines may begin with ✓ and ✗ instead of words of ASCII."""
    return environment.get("TERM") != "dumb" and can_show(_MARKS, screen.encoding)


def can_show(text: str, encoding: str) -> bool:
    """Whether an encoding has all these characters; an unknown one has none."""
    try:
        codecs.encode(text, encoding)
    except (LookupError, UnicodeError):
        return False
    return True
