"""`vagent models`: list, fetch, find and remove the weights of local speech."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Annotated

import typer

from runner.cli.output import print_table

if TYPE_CHECKING:
    from rich.progress import Progress as RichProgress
    from rich.progress import TaskID

    from runner.speech.downloads import Progress
    from runner.speech.manifest import Model
    from runner.speech.models import ModelStatus, ModelStore


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
    from runner.speech.models import open_model_store

    weights = open_model_store()
    rows = [(m, weights.status(m.name)) for m in weights.manifest.models.values()]
    if as_json:
        for model, standing in rows:
            typer.echo(json.dumps(_as_object(model, standing)))
        return
    cells = [_as_cells(model, standing) for model, standing in rows]
    print_table(("model", "what for", "size", "", "license"), cells)
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
    from runner.speech.models import needed_models, open_model_store

    weights = open_model_store()
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
    from runner.speech.models import open_model_store

    standing = open_model_store().status(name)
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
    from runner.speech.models import open_model_store

    weights = open_model_store()
    for model in [weights.manifest[name] for name in names]:
        freed = weights.remove(model.name)
        done = f"removed, {megabytes(freed)} freed" if freed else "was not here"
        typer.echo(f"{model.name}: {done}", err=True)


def fetch_models(weights: ModelStore, names: list[str]) -> None:
    """Fetch these models with their progress on stderr; says so when all are here."""

    absent = [name for name in names if not weights.status(name).present]
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


def _name_the_better_brain(weights: ModelStore) -> None:

    if weights.status(_BETTER_BRAIN).present or os.environ.get("VAGENT_LOCAL_LLM"):
        return
    size = megabytes(weights.manifest[_BETTER_BRAIN].size)
    typer.echo(
        f"a better language model ({size}, wants 4 GB of free memory): "
        f"vagent models fetch {_BETTER_BRAIN}",
        err=True,
    )


def _as_object(model: Model, standing: ModelStatus) -> dict[str, object]:
    return {
        "type": "vagent.model",
        "name": model.name,
        "part": model.part,
        "purpose": model.purpose,
        "bytes": model.size,
        "license": model.license,
        "upstream": model.upstream,
        "present": standing.present,
        "path": str(standing.path),
        "problem": standing.problem,
    }


def _as_cells(model: Model, standing: ModelStatus) -> tuple[str, ...]:

    here = "here" if standing.present else standing.problem or "not here"
    return model.name, model.purpose, megabytes(model.size), here, model.license


# Shows a fetch of weights on stderr: bars on a terminal, plain lines elsewhere.


_QUARTER = 0.25


@contextmanager
def showing_progress() -> Iterator[Progress]:
    """Yield what suits stderr: it may be a terminal, a file or a pipe."""
    if not sys.stderr.isatty():
        yield PlainProgress()
        return
    from rich.console import Console
    from rich.progress import (
        BarColumn,
        DownloadColumn,
        TextColumn,
        TimeRemainingColumn,
        TransferSpeedColumn,
    )
    from rich.progress import Progress as RichProgress

    with RichProgress(
        TextColumn("{task.description}", markup=False),
        BarColumn(),
        DownloadColumn(),
        TransferSpeedColumn(),
        TimeRemainingColumn(),
        console=Console(stderr=True),
    ) as bars:
        yield ProgressBars(bars)


class ProgressBars:
    """A bar for each file, with sizes, speed and time left."""

    def __init__(self, bars: RichProgress) -> None:
        self._bars = bars
        self._task: TaskID | None = None

    def begin(self, label: str, size: int, done: int) -> None:
        self._task = self._bars.add_task(label, total=size, completed=done)

    def advance(self, done: int) -> None:
        if self._task is not None:
            self._bars.update(self._task, completed=done)

    def end(self) -> None:
        self._task = None

    def say(self, text: str) -> None:
        self._bars.console.print(text, markup=False, highlight=False, soft_wrap=True)


class PlainProgress:
    """A line at the beginning, at each quarter of a big file and at the end."""

    def __init__(self) -> None:
        self._label = ""
        self._size = 0
        self._shown = 0.0  # share of the file that was said last, 0 to 1

    def begin(self, label: str, size: int, done: int) -> None:
        self._label, self._size = label, size
        self._shown = done / size
        begun = f", {megabytes(done)} of it are here" if done else ""
        self.say(f"{label}: {megabytes(size)}{begun}")

    def advance(self, done: int) -> None:
        share = done / self._size
        if share >= min(1.0, self._shown + _QUARTER) and share > self._shown:
            self._shown = share
            self.say(f"{self._label}: {int(100 * share)}%")

    def end(self) -> None: ...

    def say(self, text: str) -> None:
        typer.echo(text, err=True)


def megabytes(size: float) -> str:
    """Write a size as people read it: decimal, like disks and downloads."""
    if size < 1e5:
        return f"{size / 1e3:,.1f} kB"
    return f"{size / 1e6:,.1f} MB" if size < 1e8 else f"{size / 1e6:,.0f} MB"
