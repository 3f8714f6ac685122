"""Whether to write in colour: asked for, forbidden, or a terminal that can show it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    from collections.abc import Mapping


def wants_colour(
    wanted: Literal["auto", "always", "never"],
    environment: Mapping[str, str],
    *,
    is_terminal: bool,
) -> bool:
    """Decide by the option, then by the customs of the environment.

    That is NO_COLOR (no-color.org: set and not empty), then FORCE_COLOR and
    CLICOLOR_FORCE (not empty and not 0), then whether it is a terminal, and no dumb
    one.
    """
    if wanted != "auto":
        return wanted == "always"
    if environment.get("NO_COLOR"):
        return False
    for name in ("FORCE_COLOR", "CLICOLOR_FORCE"):
        if environment.get(name, "0") not in ("", "0"):
            return True
    return is_terminal and environment.get("TERM") != "dumb"
