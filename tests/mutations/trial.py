"""What the checker says about a mutation, and whether it says it at the right place."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

from runner.config.diagnostics import Diagnostic
from runner.config.loader import check_file
from tests.mutations.table import FOLDERS, Mutation


@dataclass(frozen=True, slots=True)
class Trial:
    """One mutation and what the checker said about it."""

    mutation: Mutation
    found: list[Diagnostic]
    failure: str | None = None

    @property
    def on_line(self) -> bool:
        lines = {line for line, _ in self.mutation.places}
        return any(each.line in lines for each in self.found)

    @property
    def at_column(self) -> bool:
        if not self.mutation.exact:
            return self.on_line
        return any(
            (each.line, each.column) in self.mutation.places for each in self.found
        )


class Range:
    """Copies of the valid files, with the files that they name, to mutate and check."""

    def __init__(self, folder: Path) -> None:
        self._homes = {each: folder / each.name for each in FOLDERS}
        for source, home in self._homes.items():
            shutil.copytree(source, home)

    def try_out(self, mutation: Mutation) -> Trial:
        """Check one mutation."""
        path = self._homes[mutation.path.parent] / mutation.path.name
        path.write_bytes(mutation.text.encode())
        try:
            found = check_file(path, environment=mutation.environment)
        except Exception as error:  # counting them is what this is for
            return Trial(mutation, [], f"{type(error).__name__}: {error}")
        finally:
            path.write_bytes(mutation.path.read_bytes())
        return Trial(mutation, found)


def try_out(several: Iterable[Mutation]) -> Iterator[Trial]:
    """Check mutations in a folder of their own."""
    with tempfile.TemporaryDirectory() as folder:
        home = Range(Path(folder))
        for each in several:
            yield home.try_out(each)
