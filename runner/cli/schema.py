"""`vagent schema`: the JSON Schema of agent files, for editors and other checkers."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from runner.errors import FileUnreadable, UsageError

if TYPE_CHECKING:
    from runner.config.model import Kinds

# What the modeline of an agent file beside it names.
SCHEMA_FILE = "agent.schema.json"


def schema(
    place: Annotated[
        Path | None,
        typer.Argument(
            metavar="[PLACE]",
            help="With --write: a folder, or a .json file. Default: this folder.",
            show_default=False,
        ),
    ] = None,
    write: Annotated[
        bool,
        typer.Option("--write", help=f"Write it to a file, {SCHEMA_FILE}."),
    ] = False,
    vscode: Annotated[
        bool,
        typer.Option(
            "--vscode",
            help="With --write: also tell VS Code, in .vscode/settings.json.",
        ),
    ] = False,
) -> None:
    """Print the JSON Schema of agent files, with the tool kinds that plugins add.

    `vagent schema --write agents` puts it beside the agents there, where their first
    line (# yaml-language-server: $schema=./agent.schema.json) finds it.
    """
    if not write:
        if vscode or place is not None:
            raise UsageError(
                "only what is written has a place", hint="vagent schema --write agents"
            )
        typer.echo(composed_text(), nl=False)
        return
    target = _target(place or Path())
    association = _association(target) if vscode else None
    _write(target)
    if association is not None and not _associate(*association):
        raise typer.Exit(1)


def composed_text() -> str:
    """Return the schema as a file: as packaged, unless plugins add kinds of tools."""
    from runner.config.packaged import packaged_schema, packaged_text
    from runner.config.schema import agent_schema

    composed = agent_schema(_installed_schemas())
    if composed == packaged_schema():
        return packaged_text()
    return json.dumps(composed, indent=2, ensure_ascii=False) + "\n"


def _installed_schemas() -> Kinds:
    from runner.tools.plugin import installed_kinds

    return {key: kind.schema for key, kind in installed_kinds().items()}


def _target(place: Path) -> Path:
    if place.is_dir():
        return place / SCHEMA_FILE
    if place.suffix.lower() == ".json":
        return place
    raise UsageError(
        f"there is no folder {str(place)!r}", hint="name a folder, or a .json file"
    )


def _write(target: Path) -> None:
    from runner.writing import write_all

    content = composed_text().encode()
    if target.is_file() and target.read_bytes() == content:
        typer.echo(f"unchanged {target}")
        return
    write_all({target: content}, overwrite=True)
    typer.echo(f"wrote {target}")


def _associate(schema: str, patterns: list[str]) -> bool:
    """Name the schema in VS Code's settings; False, with the reason said, if not."""
    from runner.association import NotEditable, associate
    from runner.writing import write_all

    settings = Path(".vscode", "settings.json")
    before = _read(settings)
    try:
        after = associate(before or "", schema, patterns)
    except NotEditable as problem:
        typer.echo(
            f"vagent: {settings} was left alone: {problem}\n"
            f"  add this line to it: {problem.entry}",
            err=True,
        )
        return False
    if after == before:
        typer.echo(f"unchanged {settings}")
    else:
        write_all({settings: after.encode()}, overwrite=True)
        typer.echo(f"wrote {settings}")
    return True


def _association(target: Path) -> tuple[str, list[str]]:
    """Return the schema and the files it is for, as seen from this folder."""
    try:
        place = target.resolve().relative_to(Path().resolve())
    except ValueError:
        raise UsageError(
            f"{target} is not below this folder, whose settings VS Code reads",
            hint="run it in the folder that you open in VS Code",
        ) from None
    folder = place.parent.as_posix()
    if folder != ".":
        return f"./{place.as_posix()}", [f"{folder}/*.yaml", f"{folder}/*.yml"]
    # A pattern for this folder would claim every YAML file of every folder.
    names = _agents_here()
    if not names:
        raise UsageError(
            "there are no agent files in this folder to name in VS Code's settings",
            hint="vagent new writes one; its first line names the schema too",
        )
    return f"./{place.as_posix()}", names


def _agents_here() -> list[str]:
    from runner.config.reading import read_agent_file

    found = [*Path().glob("*.yaml"), *Path().glob("*.yml")]
    return sorted(
        each.name for each in found if each.is_file() and read_agent_file(each).is_agent
    )


def _read(path: Path) -> str | None:
    try:
        return path.read_bytes().decode()
    except FileNotFoundError:
        return None
    except (OSError, UnicodeDecodeError) as error:
        raise FileUnreadable(f"{path} cannot be read: {error}") from error
