"""`vagent models`: list, fetch, find and remove the weights of local speech."""

from __future__ import annotations

import json
import os
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from runner.speech.manifest import Model
    from runner.speech.weights import Standing, Weights

models_app = typer.Typer(
    name="models",
    help="List, download, locate and remove the models of the local service.",
    no_args_is_help=True,
    rich_markup_mode=None,
)

_BETTER_BRAIN = "qwen-1.5b"


@models_app.command("list")
def list_models(
    as_json: Annotated[
        bool, typer.Option("--json", help="Write one JSON object per line to stdout.")
    ] = False,
) -> None:
    """List the models with purpose, size, license and state."""
    from runner.speech.weights import open_weights

    weights = open_weights()
    rows = [(m, weights.standing(m.name)) for m in weights.manifest.models.values()]
    if as_json:
        for model, standing in rows:
            typer.echo(json.dumps(_as_object(model, standing)))
        return
    _print_table([_as_cells(model, standing) for model, standing in rows])
    typer.echo(f"\nin {weights.folder}", err=True)


@models_app.command("fetch")
def fetch(
    names: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="[NAME]...",
            help="Models to download. Default: those that `vagent run` needs.",
        ),
    ] = None,
    everything: Annotated[
        bool, typer.Option("--all", help="Download every model.")
    ] = False,
) -> None:
    """Download models; an interrupted download is resumed."""
    from runner.errors import UsageError
    from runner.speech.needs import needed_models
    from runner.speech.weights import open_weights

    weights = open_weights()
    if everything and names:
        raise UsageError("--all and names of models exclude each other")
    if everything:
        wanted = list(weights.manifest.models)
    else:
        wanted = names or needed_models(weights)
    fetch_models(weights, wanted)
    if not everything and not names:
        _name_the_better_brain(weights)


@models_app.command("path")
def path(
    name: Annotated[str, typer.Argument(help="Name of a model in the list.")],
) -> None:
    """Print the path of a model."""
    from runner.errors import ModelMissing
    from runner.speech.weights import open_weights

    standing = open_weights().standing(name)
    if not standing.present:
        raise ModelMissing(
            f"{name} is not here: {standing.problem}",
            hint=f"vagent models fetch {name}",
        )
    typer.echo(str(standing.path))


@models_app.command("remove")
def remove(
    names: Annotated[
        list[str],
        typer.Argument(metavar="NAME...", help="Names of models in the list."),
    ],
) -> None:
    """Delete models and partial downloads."""
    from runner.cli.progress import megabytes
    from runner.speech.weights import open_weights

    weights = open_weights()
    for model in [weights.manifest[name] for name in names]:
        freed = weights.remove(model.name)
        done = f"removed, {megabytes(freed)} freed" if freed else "was not here"
        typer.echo(f"{model.name}: {done}", err=True)


def fetch_models(weights: Weights, names: list[str]) -> None:
    """Fetch these models with their progress on stderr; says so when all are here."""
    from runner.cli.progress import megabytes, showing_progress

    absent = [name for name in names if not weights.standing(name).present]
    if not absent:
        typer.echo(f"all here already, in {weights.folder}", err=True)
        return
    size = sum(weights.manifest[name].size for name in absent)
    typer.echo(
        f"fetching {', '.join(absent)} ({megabytes(size)}) into {weights.folder}",
        err=True,
    )
    with showing_progress() as progress:
        weights.fetch(*absent, progress=progress)


def _name_the_better_brain(weights: Weights) -> None:
    from runner.cli.progress import megabytes

    if weights.standing(_BETTER_BRAIN).present or os.environ.get("VAGENT_LOCAL_LLM"):
        return
    size = megabytes(weights.manifest[_BETTER_BRAIN].size)
    typer.echo(
        f"a better language model ({size}, wants 4 GB of free memory): "
        f"vagent models fetch {_BETTER_BRAIN}",
        err=True,
    )


def _as_object(model: Model, standing: Standing) -> dict[str, object]:
    return {
        "type": "vagent.model",
        "name": model.name,
        "part": model.part,
        "purpose": model.purpose,
        "bytes": model.size,
        "license": model.licence,
        "upstream": model.upstream,
        "present": standing.present,
        "path": str(standing.path),
        "problem": standing.problem,
    }


def _as_cells(model: Model, standing: Standing) -> tuple[str, ...]:
    from runner.cli.progress import megabytes

    here = "here" if standing.present else standing.problem or "not here"
    return model.name, model.purpose, megabytes(model.size), here, model.licence


def _print_table(rows: list[tuple[str, ...]]) -> None:
    table = [("model", "what for", "size", "", "license"), *rows]
    widths = [max(map(len, column)) for column in zip(*table, strict=True)]
    for row in table:
        cells = (cell.ljust(width) for cell, width in zip(row, widths, strict=True))
        typer.echo("  ".join(cells).rstrip())
