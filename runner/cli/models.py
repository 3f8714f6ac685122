"""`vagent models`: lists, downloads, locates and removes local models."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Annotated

import typer

from runner.cli.output import print_table
from runner.errors import counted

if TYPE_CHECKING:
    from rich.progress import Progress as RichProgress
    from rich.progress import TaskID

    from runner.speech.downloads import Progress
    from runner.speech.manifest import Model
    from runner.speech.models import ModelStatus, ModelStore


models_app = typer.Typer(
    name="models",
    help="List, download, locate and remove local models.",
    no_args_is_help=True,
    rich_markup_mode=None,
)

_BETTER_LLM = "qwen-1.5b"


@models_app.command("list")
def list_models(
    as_json: Annotated[
        bool, typer.Option("--json", help="Write one JSON object per line to stdout.")
    ] = False,
) -> None:
    """List the models with purpose, size, license and state."""
    from runner.speech.models import open_model_store

    store = open_model_store()
    rows = [(m, store.status(m.name)) for m in store.manifest.models.values()]
    if as_json:
        for model, status in rows:
            typer.echo(json.dumps(_as_object(model, status)))
        return
    cells = [_as_cells(model, status) for model, status in rows]
    print_table(("model", "purpose", "size", "state", "license"), cells)
    typer.echo(f"\nin {store.folder}", err=True)


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

    store = open_model_store()
    if everything and names:
        raise UsageError("--all and names of models contradict each other")
    if everything:
        wanted = list(store.manifest.models)
    else:
        wanted = names or needed_models(store)
    fetch_models(store, wanted)
    if not everything and not names:
        _suggest_better_llm(store)


@models_app.command("path")
def path(
    name: Annotated[str, typer.Argument(help="Name of a model in the list.")],
) -> None:
    """Print the path of a model."""
    from runner.errors import ModelMissing
    from runner.speech.models import open_model_store

    status = open_model_store().status(name)
    if not status.present:
        raise ModelMissing(
            f"model '{name}' is not downloaded: {status.problem}",
            hint=f"vagent models fetch {name}",
        )
    typer.echo(str(status.path))


@models_app.command("remove")
def remove(
    names: Annotated[
        list[str],
        typer.Argument(metavar="NAME...", help="Names of models in the list."),
    ],
) -> None:
    """Delete models and partial downloads."""
    from runner.speech.models import open_model_store

    store = open_model_store()
    for model in [store.manifest[name] for name in names]:
        freed = store.remove(model.name)
        done = f"removed, {megabytes(freed)} freed" if freed else "was not downloaded"
        typer.echo(f"{model.name}: {done}", err=True)


def fetch_models(store: ModelStore, names: list[str]) -> None:
    """Downloads the models that are missing, with progress on stderr."""
    absent = [name for name in names if not store.status(name).present]
    if not absent:
        typer.echo(f"all models are downloaded already, in {store.folder}", err=True)
        return
    size = sum(store.manifest[name].size for name in absent)
    typer.echo(
        f"downloading {', '.join(absent)} ({megabytes(size)}) into {store.folder}",
        err=True,
    )
    with show_progress() as progress:
        store.fetch(*absent, progress=progress)
    typer.echo(f"done: {counted(len(absent), 'model')} downloaded", err=True)


def _suggest_better_llm(store: ModelStore) -> None:
    if store.status(_BETTER_LLM).present or os.environ.get("VAGENT_LOCAL_LLM"):
        return
    size = megabytes(store.manifest[_BETTER_LLM].size)
    typer.echo(
        f"a better language model ({size}, needs 4 GB of free memory): "
        f"vagent models fetch {_BETTER_LLM}",
        err=True,
    )


def _as_object(model: Model, status: ModelStatus) -> dict[str, object]:
    return {
        "type": "vagent.model",
        "name": model.name,
        "part": model.part,
        "purpose": model.purpose,
        "bytes": model.size,
        "license": model.license,
        "upstream": model.upstream,
        "present": status.present,
        "path": str(status.path),
        "problem": status.problem,
    }


def _as_cells(model: Model, status: ModelStatus) -> tuple[str, ...]:
    state = "downloaded" if status.present else status.problem or "missing"
    return model.name, model.purpose, megabytes(model.size), state, model.license


_PROGRESS_STEP = 0.25  # share of a file between two lines of plain progress


@contextmanager
def show_progress() -> Iterator[Progress]:
    """Yields progress bars if stderr is a terminal, else plain lines."""
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
    """Shows a bar for each file, with size, speed and remaining time."""

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
    """Prints a line at the beginning of a file and at each quarter of it."""

    def __init__(self) -> None:
        self._label = ""
        self._size = 0
        self._shown = 0.0  # share of the file in the last line, 0 to 1

    def begin(self, label: str, size: int, done: int) -> None:
        self._label, self._size = label, size
        self._shown = done / size
        already = f", {megabytes(done)} of it downloaded already" if done else ""
        self.say(f"{label}: {megabytes(size)}{already}")

    def advance(self, done: int) -> None:
        share = done / self._size
        if share >= min(1.0, self._shown + _PROGRESS_STEP) and share > self._shown:
            self._shown = share
            self.say(f"{self._label}: {int(100 * share)}%")

    def end(self) -> None: ...

    def say(self, text: str) -> None:
        typer.echo(text, err=True)


def megabytes(size: float) -> str:
    """Returns a size in bytes as kB or MB, decimal as for disks and downloads."""
    if size < 1e5:
        return f"{size / 1e3:,.1f} kB"
    return f"{size / 1e6:,.1f} MB" if size < 1e8 else f"{size / 1e6:,.0f} MB"
