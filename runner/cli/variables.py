"""`--var NAME=VALUE`, as several commands take it."""

from __future__ import annotations

import sys

from runner.errors import UsageError


def parse_variables(pairs: list[str]) -> dict[str, str]:
    """Return the variables; raises `UsageError` for what is no pair."""
    variables: dict[str, str] = {}
    for pair in pairs:
        name, equals, value = pair.partition("=")
        if not equals or not name:
            raise UsageError(
                f"--var '{pair}' sets nothing", hint="write --var NAME=VALUE"
            )
        variables[name] = value
    return variables


def write_any_character() -> None:
    """Let output quote any character, whatever the encoding of stdout."""
    reconfigure = getattr(sys.stdout, "reconfigure", None)  # only a text file has it
    if reconfigure is not None:
        reconfigure(errors="backslashreplace")
