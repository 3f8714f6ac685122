"""`vagent serve`: the name is reserved for serving agents to browsers and phones."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from runner.errors import UsageError


def serve(
    agents: Annotated[
        list[Path] | None,
        typer.Argument(metavar="[AGENT]...", help="Agent files."),
    ] = None,
) -> None:
    """Serve agents to browsers and phones (not available yet).

    `vagent service` runs the local service. Exits with 2.
    """
    if not agents:
        raise UsageError(
            "`vagent serve` takes agent files, and serving them is not available yet",
            hint="run the local service with `vagent service`",
        )
    raise UsageError(
        "serving agents to browsers and phones is not available yet",
        hint="hold a call with `vagent run`; run the local service with "
        "`vagent service`",
    )
