"""`vagent schema`: the JSON Schemas of our files, for editors and other checkers."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from runner.config.modeline import AGENT_SCHEMA, SUITE_SCHEMA
from runner.errors import FileUnreadable, UsageError

if TYPE_CHECKING:
    from runner.config.model import Kinds


def schema(
    place: Annotated[
        Path | None,
        typer.Argument(
            metavar="[PATH]",
            help="With --write: a folder, or a .json file. Default: the current "
            "folder.",
            show_default=False,
        ),
    ] = None,
    scenario: Annotated[
        bool,
        typer.Option("--scenario", help="Print the schema of scenario files."),
    ] = False,
    write: Annotated[
        bool,
        typer.Option(
            "--write", help=f"Write the files {AGENT_SCHEMA} and {SUITE_SCHEMA}."
        ),
    ] = False,
    vscode: Annotated[
        bool,
        typer.Option(
            "--vscode",
            help="With --write: also add the schemas to .vscode/settings.json.",
        ),
    ] = False,
) -> None:
    """Print the JSON Schema of agent or scenario files.

    The schema includes the tool kinds that plugins add. `vagent schema --write agents`
    writes both schemas into the folder of the agents, where editors find them by the
    first line of a file (# yaml-language-server: $schema=./agent.schema.json). If PATH
    is a .json file, one schema is written.
    """
    if not write:
        if vscode or place is not None:
            raise UsageError(
                "only what is written has a place", hint="vagent schema --write agents"
            )
        typer.echo(_text(SUITE_SCHEMA if scenario else AGENT_SCHEMA), nl=False)
        return
    targets = _targets(place or Path(), scenario=scenario)
    associations = [_association(*each) for each in targets.items()] if vscode else []
    for target, name in targets.items():
        _write(target, _text(name))
    told = [_associate(*each) for each in associations if each is not None]
    if not all(told):
        raise typer.Exit(1)


def schema_texts() -> dict[str, str]:
    """Return both schemas, as the files that lie beside agents and scenarios."""
    return {name: _text(name) for name in (AGENT_SCHEMA, SUITE_SCHEMA)}


def _text(name: str) -> str:
    """Return a schema as a file: as packaged, unless plugins add kinds of tools."""
    if name == SUITE_SCHEMA:
        from runner.scenarios import packaged

        return packaged.packaged_text()
    from runner.config.packaged import packaged_schema, packaged_text
    from runner.config.schema import agent_schema

    composed = agent_schema(_installed_schemas())
    if composed == packaged_schema():
        return packaged_text()
    return json.dumps(composed, indent=2, ensure_ascii=False) + "\n"


def _installed_schemas() -> Kinds:
    from runner.tools.plugin import installed_kinds

    return {key: kind.schema for key, kind in installed_kinds().items()}


def _targets(place: Path, *, scenario: bool) -> dict[Path, str]:
    """Return the files to write, and which schema each is."""
    if place.is_dir():
        names = [SUITE_SCHEMA] if scenario else [AGENT_SCHEMA, SUITE_SCHEMA]
        return {place / name: name for name in names}
    if place.suffix.lower() == ".json":
        return {place: SUITE_SCHEMA if scenario else AGENT_SCHEMA}
    raise UsageError(
        f"there is no folder {str(place)!r}", hint="name a folder, or a .json file"
    )


def _write(target: Path, text: str) -> None:
    from runner.writing import write_all

    content = text.encode()
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


def _association(target: Path, schema: str) -> tuple[str, list[str]] | None:
    """Return the schema and the files it is for, as seen from this folder.

    None where there are no scenarios yet to name.
    """
    try:
        place = target.resolve().relative_to(Path().resolve())
    except ValueError:
        raise UsageError(
            f"{target} is not below this folder, whose settings VS Code reads",
            hint="run it in the folder that you open in VS Code",
        ) from None
    folder = place.parent.as_posix()
    shown = f"./{place.as_posix()}"
    if folder != ".":
        tests = [f"{folder}/*.test.yaml", f"{folder}/*.test.yml"]
        if schema == SUITE_SCHEMA:
            return shown, tests
        # Editors that do not know exclusions go by the first line of the file.
        agents = [f"{folder}/*.yaml", f"{folder}/*.yml"]
        return shown, agents + [f"!{each}" for each in tests]
    # A pattern for this folder would claim every YAML file of every folder.
    names = _files_here(schema)
    if not names and schema == SUITE_SCHEMA:
        return None
    if not names:
        raise UsageError(
            "there are no agent files in this folder to name in VS Code's settings",
            hint="vagent new writes one; its first line names the schema too",
        )
    return shown, names


def _files_here(schema: str) -> list[str]:
    from runner.config.reading import read_agent_file

    found = [*Path().glob("*.yaml"), *Path().glob("*.yml")]
    readings = [read_agent_file(each) for each in found if each.is_file()]
    return sorted(
        each.path.name
        for each in readings
        if (each.is_suite if schema == SUITE_SCHEMA else each.is_agent)
    )


def _read(path: Path) -> str | None:
    try:
        return path.read_bytes().decode()
    except FileNotFoundError:
        return None
    except (OSError, UnicodeDecodeError) as error:
        raise FileUnreadable(f"{path} cannot be read: {error}") from error
