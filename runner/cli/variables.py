"""`--var NAME=VALUE`, as several commands take it."""

from __future__ import annotations

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
