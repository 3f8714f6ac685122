"""`vagent show`: an agent as a call would use it, or a call as it was recorded."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from runner.cli.output import write_any_character
from runner.cli.variables import parse_variables
from runner.errors import UsageError

if TYPE_CHECKING:
    from runner.config.provenance import Origin
    from runner.resolution import ResolvedAgent

FORMATS = ("yaml", "json", "wire")


def show(
    agent: Annotated[
        Path,
        typer.Argument(
            metavar="AGENT|RECORDING",
            help="Agent file, recorded call, or folder of recorded calls.",
        ),
    ],
    format: Annotated[
        str | None,
        typer.Option(
            metavar="yaml|json|wire|text",
            help="Format. yaml: with the origin of each value. json: the same as JSON. "
            "wire: the session.update message. text: a recorded call on one page.",
            show_default="yaml, and text for a recording",
        ),
    ] = None,
    var: Annotated[
        list[str] | None,
        typer.Option(
            metavar="NAME=VALUE", help="Set a variable of the agent file. Repeatable."
        ),
    ] = None,
    html: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE",
            help="Write a recorded call, including audio, as one HTML file; - "
            "for stdout.",
        ),
    ] = None,
) -> None:
    """Show an agent with all values resolved, or a recorded call.

    An agent is shown with variables, prompt file, tools and defaults resolved. This
    imports its Python files. Values from the environment are redacted. An unset
    variable is not an error, and a tool that does not load is shown with its problem.

    A recorded call (vagent run … --record FOLDER) is shown with both voices, turns,
    tool calls, latencies, interruptions and losses; a folder of recordings with one
    line for each.

    Exits with 0; 1 when the file has errors or a tool does not load; 2 for wrong usage;
    3 when the file cannot be read.
    """
    write_any_character()  # a prompt may have any
    if agent.is_dir() or (agent.name == "session.jsonl" and agent.is_file()):
        from runner.cli.recordings.show import show_recordings

        if var:
            raise UsageError("--var is for agent files, and this is a recording")
        show_recordings(agent, format or "text", html)
        return
    if html is not None:
        raise UsageError(
            f"--html shows a recorded call, and '{agent}' is an agent file",
            hint="vagent run … --record FOLDER records one",
        )
    show_agent(agent, format or FORMATS[0], var or [])


def show_agent(path: Path, format: str, variables: list[str]) -> None:
    """Print what an agent file comes to; raises `typer.Exit` for problems."""
    import os
    import sys

    from runner.config.environment import load_environment

    if format not in FORMATS:
        raise UsageError(
            f"there is no format '{format}'", hint=f"one of: {', '.join(FORMATS)}"
        )
    from runner.resolution import resolve

    environment = load_environment(Path(), os.environ)
    resolution = resolve(path, parse_variables(variables), environment)
    is_coloured = sys.stdout.isatty() and not os.environ.get("NO_COLOR")
    typer.echo(write(resolution, format, is_coloured=is_coloured), nl=False)
    for name in resolution.unset:
        typer.echo(f"vagent: ${{{name}}} is not set: a call would not start", err=True)
    for problem in resolution.problems:
        typer.echo(f"vagent: {problem}", err=True)
    if resolution.problems:
        raise typer.Exit(1)


def write(resolution: ResolvedAgent, format: str, *, is_coloured: bool = False) -> str:
    """Return a resolution in one of `FORMATS`, with the end of its last line."""
    import json

    if format == "wire":
        from runner.protocol.codec import encode

        message = json.loads(encode(resolution.update))
        return json.dumps(message, indent=2, ensure_ascii=False) + "\n"
    if format == "json":
        return json.dumps(_report(resolution), indent=2, ensure_ascii=False) + "\n"
    from runner.cli.annotated import annotate
    from runner.resolution import posix_path

    dim = partial(typer.style, dim=True) if is_coloured else str
    lines = annotate(resolution.traced, dim)
    return "\n".join([f"# {posix_path(resolution.path)}", *lines, ""])


def _report(resolution: ResolvedAgent) -> dict[str, Any]:
    """Return the one object of `--format json`; keys may be added, none goes away."""
    from runner.resolution import posix_path

    return {
        "type": "vagent.show",
        "path": posix_path(resolution.path),
        "agent": resolution.traced.values,
        "origins": {
            _pointer(path): _origin(origin) for path, origin in resolution.origins()
        },
        "unset": list(resolution.unset),
        "problems": list(resolution.problems),
    }


def _pointer(path: tuple[str | int, ...]) -> str:
    """Return a JSON pointer (RFC 6901)."""
    parts = (str(each).replace("~", "~0").replace("/", "~1") for each in path)
    return "".join(f"/{part}" for part in parts)


def _origin(origin: Origin) -> dict[str, Any]:
    said: dict[str, Any] = {"kind": origin.kind}
    for key in ("file", "line", "column", "detail"):
        if getattr(origin, key):
            said[key] = getattr(origin, key)
    if origin.uses:
        said["uses"] = [
            {
                "name": use.name,
                "kind": use.origin,
                **({"line": use.line} if use.line else {}),
            }
            for use in origin.uses
        ]
    return said
