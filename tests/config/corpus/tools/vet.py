"""How urgent an animal's trouble is, and notes for the morning."""

import os
import sys
from datetime import datetime, timezone
from typing import Annotated, Literal

try:
    import tomllib
except ImportError:  # Python 3.10
    tomllib = None

NOTES_FOLDER = os.environ.get("CLINIC_NOTES", "notes")
URGENT = {"bloat", "poison", "bleeding", "seizure", "cannot breathe"}

Animal = Literal["dog", "cat", "rabbit", "bird", "other"]

if sys.version_info >= (3, 11):  # noqa: UP036 - the clinic still has a Python 3.10
    from datetime import UTC
else:
    UTC = timezone.utc  # noqa: UP017 - what the line above has for newer Pythons


def triage(
    animal: Annotated[Animal, "Which animal"],
    signs: Annotated[list[str], "What the owner sees", {"examples": [["bloat"]]}],
) -> Literal["now", "morning"]:
    """Judge whether an animal must be seen now or can wait until the morning."""
    if animal == "rabbit" and "not eating" in signs:
        return "now"
    return "now" if URGENT & set(signs) else "morning"


if tomllib is None:

    def leave_note(owner: str, phone: str, note: str) -> str:
        """Leave a note for the vets, once the owner has confirmed it."""
        return f"{owner} ({phone}): {note}"

else:

    def leave_note(
        owner: Annotated[str, "The owner's name", {"examples": ["Sam Okafor"]}],
        phone: Annotated[
            str,
            "Where to call back",
            {"pattern": r"\+?[0-9]{7,14}", "examples": ["07700900118"]},
        ],
        note: Annotated[str, "One sentence"],
    ) -> str:
        """Leave a note for the vets, once the owner has confirmed it."""
        return f"{datetime.now(UTC):%H:%M} {owner} ({phone}): {note}"
