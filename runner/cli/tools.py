"""`vagent tools`: lists the tools of an agent as the model sees them, or runs one."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from runner.cli.options import parse_variables
from runner.cli.output import escape_controls

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from runner.tools.registry import ToolRegistry
    from runner.tools.tool import ToolDefinition, ToolOutcome


def tools(
    agent: Annotated[
        Path, typer.Argument(help="Agent file, or a folder with one agent file.")
    ],
    action: Annotated[
        str | None,
        typer.Argument(
            metavar="[call]", help="`call` runs a tool.", show_default=False
        ),
    ] = None,
    name: Annotated[
        str | None,
        typer.Argument(
            metavar="[NAME]", help="Name of the tool to run.", show_default=False
        ),
    ] = None,
    arguments: Annotated[
        str,
        typer.Argument(
            metavar="[JSON]", help="Arguments of the tool, as a JSON object."
        ),
    ] = "{}",
    as_json: Annotated[
        bool,
        typer.Option("--json", help="Write one JSON object per tool and line."),
    ] = False,
    var: Annotated[
        list[str] | None,
        typer.Option(
            metavar="NAME=VALUE", help="Set a variable of the agent file. Repeatable."
        ),
    ] = None,
) -> None:
    """List the tools of an agent, or run one.

    The list has the tools as the model sees them. It needs no secrets and no values
    of variables.

    vagent tools AGENT call NAME '{"city": "Tokyo"}' runs a tool as in a call, writes
    its result to stdout, and exits with 1 when the tool failed.
    """
    import json

    from runner.config.files import resolve_agent
    from runner.errors import UsageError
    from runner.event_loop import run_async

    agent = resolve_agent(agent)
    if action not in (None, "call"):
        raise UsageError(f"unknown action {action!r}", hint="leave it out, or use call")
    if action == "call" and name is None:
        raise UsageError(
            "call needs the name of a tool",
            hint='vagent tools AGENT call NAME \'{"argument": "value"}\'',
        )
    parsed: object = None
    if action == "call":
        try:
            parsed = json.loads(arguments)
        except (ValueError, RecursionError) as error:
            raise UsageError(
                f"the arguments are not JSON: {error}",
                hint='pass an object in single quotes, such as \'{"city": "Tokyo"}\'',
            ) from error
    variables = parse_variables(var or [])
    if name is None:
        _list_tools(agent, variables, as_json=as_json)
        return
    registry = _load(agent, variables)
    outcome = run_async(_call(registry, name, parsed))
    typer.echo(escape_controls(outcome.text))
    if outcome.is_error:
        if outcome.detail:
            typer.echo(escape_controls(f"vagent: {outcome.detail}"), err=True)
        raise typer.Exit(1)


def _load(path: Path, variables: Mapping[str, str]) -> ToolRegistry:
    import os

    from runner.config.files import load_environment
    from runner.engine.agent import load_agent_and_tools

    environment = load_environment(path.parent, os.environ)
    _, registry = load_agent_and_tools(path, variables, environment)
    return registry


def _list_tools(path: Path, variables: Mapping[str, str], *, as_json: bool) -> None:
    """Prints the tools; values that a call needs may be missing.

    Raises ToolError after the list if a tool cannot be loaded.
    """
    import os

    from runner.config.files import load_environment
    from runner.engine.agent import resolve
    from runner.errors import ToolError

    agent = resolve(path, variables, load_environment(Path(), os.environ))
    _show(agent.definitions, as_json=as_json, is_all=not agent.problems)
    for name in agent.unset:
        typer.echo(f"vagent: ${{{name}}} is not set, so calls cannot start", err=True)
    for text in agent.left_out:
        typer.echo(escape_controls(f"vagent: not listed: {text}"), err=True)
    if agent.problems:
        raise ToolError("\n  ".join(agent.problems))


async def _call(registry: ToolRegistry, name: str, arguments: object) -> ToolOutcome:
    try:
        return await registry.run(name, arguments)
    finally:
        await registry.close()


def _show(
    definitions: Sequence[ToolDefinition], *, as_json: bool, is_all: bool
) -> None:
    import json

    from runner.tools.registry import wire_definition

    for number, definition in enumerate(definitions):
        if as_json:
            fields = {
                "type": "vagent.tool",
                "name": definition.name,
                "effect": definition.effect,
                "on_interrupt": definition.on_interrupt,
                "timeout": definition.timeout,
                "announce": definition.announce,
                "wire": wire_definition(definition),
            }
            typer.echo(escape_controls(json.dumps(fields, ensure_ascii=False)))
        else:
            if number:
                typer.echo()
            for line in _describe(definition):
                typer.echo(escape_controls(line))
    if not definitions and is_all and not as_json:
        typer.echo("this agent has no tools", err=True)


def _describe(definition: ToolDefinition) -> Iterator[str]:
    yield (
        f"{definition.name}  ({definition.effect}, {definition.timeout:g} s, "
        f"{definition.on_interrupt} when interrupted)"
    )
    for line in (definition.description or "no description").splitlines():
        yield f"  {line}".rstrip()
    properties = definition.parameters.get("properties") or {}
    required = definition.parameters.get("required") or ()
    width = max((len(name) for name in properties), default=0)
    for name, described in properties.items():
        schema = described if isinstance(described, dict) else {}
        facts = [_kind(schema), "required" if name in required else "optional"]
        facts += [
            f"{key} {schema[key]}"
            for key in ("pattern", "format", "minimum", "maximum", "default")
            if key in schema
        ]
        text = str(schema.get("description", ""))
        yield f"    {name:<{width}}  {', '.join(facts)}  {text}".rstrip()
    if definition.announce:
        yield f"  announces: {definition.announce}"


def _kind(schema: Mapping[str, Any]) -> str:
    if "enum" in schema:
        return " | ".join(str(choice) for choice in schema["enum"])
    kind = schema.get("type", "anything")
    return " or ".join(kind) if isinstance(kind, list) else str(kind)
