"""`vagent token`: makes a token that lets one caller hold one call."""

from __future__ import annotations

import os
import time
from typing import Annotated

import typer

from runner.cli.options import parse_variables
from runner.errors import UsageError


def token(
    agent: Annotated[str, typer.Argument(help="Name of the agent.")],
    subject: Annotated[
        str,
        typer.Option(
            "--for",
            metavar="CALLER",
            help="Who calls, for limits: an account, not a name.",
        ),
    ],
    ttl: Annotated[
        str,
        typer.Option(metavar="DURATION", help="Time to begin the call: 1s to 10m."),
    ] = "60s",
    max_duration: Annotated[
        str | None,
        typer.Option(metavar="DURATION", help="Longest call. Default: as served."),
    ] = None,
    var: Annotated[
        list[str] | None,
        typer.Option(
            metavar="NAME=VALUE",
            help="Set a variable of the call (`source: call`). Repeatable.",
        ),
    ] = None,
) -> None:
    """Make a token for one call with an agent of `vagent serve`.

    The key is in the environment variable VAGENT_TOKEN_KEY, as for `vagent serve`. The
    token goes to stdout; a page or a client passes it as `?token=` to /v1/ws.
    """
    from runner.hosting.tokens import KEY_VARIABLE, mint, read_token_key

    key = read_token_key(os.environ)
    if key is None:
        raise UsageError(
            f"{KEY_VARIABLE} is not set", hint="set it as for `vagent serve`"
        )
    duration = None if max_duration is None else _seconds("max-duration", max_duration)
    seconds = _seconds("ttl", ttl)
    try:
        made = mint(
            key,
            agent,
            subject,
            now=time.time(),
            ttl=seconds,
            max_duration=duration,
            variables=parse_variables(var or []),
        )
    except ValueError as error:
        raise UsageError(str(error)) from error
    typer.echo(made)


def _seconds(option: str, text: str) -> float:
    from runner.config.durations import parse_duration, suggest_duration

    try:
        return parse_duration(text)
    except ValueError as error:
        raise UsageError(
            f"--{option} '{text}' is not a duration",
            hint=suggest_duration(option, text),
        ) from error
