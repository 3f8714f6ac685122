"""Words that are dictated to the agent: a form of `reply.create` that both ends know.

    Say exactly these words and nothing else, and call no tool: "One moment, please."

A model follows such instructions more or less. A server that knows the form needs no
model for it: `Say exactly`, anything without a colon or a quote, a colon, and the words
in double quotes, which end the instructions.
"""

from __future__ import annotations

import re

_FORM = re.compile(r'Say exactly[^:"]*:?\s*"(.+)"', re.DOTALL)


def say_verbatim(text: str) -> str:
    """Return the instructions to say a text as it stands, and to do nothing else."""
    return f'Say exactly these words and nothing else, and call no tool: "{text}"'


def parse_verbatim(instructions: str | None) -> str | None:
    """Return the words that are dictated by instructions, None when none are."""
    found = _FORM.fullmatch((instructions or "").strip())
    return found[1] if found else None
