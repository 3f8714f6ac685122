"""Every kind of mutation, and files that are spoiled by them in turn."""

from __future__ import annotations

import inspect
import re
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from random import Random
from types import ModuleType

from tests.mutations import (
    craft,
    keys,
    layout,
    punctuation,
    references,
    tools,
    values,
)
from tests.mutations.subject import Mutator, Subject, point

ROOT = Path(__file__).parents[2]
# Folders of valid files; the files that a file names are in its folder.
FOLDERS = (ROOT / "agents", ROOT / "tests" / "config" / "corpus")

_SECURITY = {
    "secret_in_header",
    "plain_http",
    "private_host",
    "leaked_key",
    "unconfirmed_write",
}


@dataclass(frozen=True, slots=True)
class Kind:
    """One way to spoil a file."""

    name: str
    family: str
    apply: Mutator


@dataclass(frozen=True, slots=True)
class Mutation:
    """A file with one fault.

    `places` are line and column (from 1) where a finding should stand, the best first;
    without `exact` only their lines count.
    """

    kind: Kind
    path: Path
    text: str
    places: tuple[tuple[int, int], ...]
    exact: bool

    @property
    def environment(self) -> dict[str, str]:
        """What the valid file needs to be set, and the key of the service."""
        valid = self.path.read_text("utf-8")
        names = re.findall(r"\$\{env:(\w+)\}", valid)
        return dict.fromkeys([*names, "ASSEMBLYAI_API_KEY"], "set")


def _kinds(module: ModuleType, family: str) -> Iterator[Kind]:
    for name, function in inspect.getmembers(module, inspect.isfunction):
        if function.__module__ == module.__name__ and not name.startswith("_"):
            yield Kind(name, "security" if name in _SECURITY else family, function)


KINDS: tuple[Kind, ...] = (
    *_kinds(layout, "yaml"),
    *_kinds(punctuation, "yaml"),
    *_kinds(keys, "schema"),
    *_kinds(values, "schema"),
    *_kinds(references, "references"),
    *_kinds(tools, "tools"),
    *_kinds(craft, "craft"),
)


@cache
def subjects() -> tuple[Subject, ...]:
    """Return every valid file, by name."""
    paths = [path for folder in FOLDERS for path in sorted(folder.glob("*.yaml"))]
    return tuple(Subject(path) for path in paths)


def mutations(seed: int, kinds: tuple[Kind, ...] = KINDS) -> Iterator[Mutation]:
    """Yield mutations without end: each kind in turn, each time of another file.

    The same seed gives the same ones.
    """
    draw = Random(seed)
    while True:
        several = [_draw(kind, draw) for kind in kinds]
        found = [each for each in several if each is not None]
        assert found, f"no file can be spoiled by {[kind.name for kind in kinds]}"
        yield from found


def _draw(kind: Kind, draw: Random) -> Mutation | None:
    valid = subjects()
    for subject in draw.sample(valid, len(valid)):
        change = kind.apply(subject, draw)
        if change is not None and change.text != subject.text:
            places = tuple(
                dict.fromkeys(point(change.text, each) for each in change.offsets)
            )
            return Mutation(kind, subject.path, change.text, places, change.exact)
    return None
