"""Places as other programs want them: paths, URIs, edits by line, fingerprints."""

from __future__ import annotations

import hashlib
import os
from dataclasses import dataclass
from pathlib import Path, PurePath
from typing import TYPE_CHECKING

from runner.config.source import SourceError, read_source
from runner.errors import FileUnreadable

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from runner.config.diagnostics import Diagnostic
    from runner.config.lint.results import CheckedFile


@dataclass(frozen=True, slots=True)
class PlacedEdit:
    """A replacement by lines and columns (from 1, in characters, end exclusive)."""

    line: int
    column: int
    end_line: int
    end_column: int
    text: str


def placed_edits(file: CheckedFile, found: Diagnostic) -> list[PlacedEdit] | None:
    """Return the edits of a finding's fix; None when it has none to offer.

    A finding about another file than the agent's is placed by that file's text.
    """
    if found.fix is None:
        return None
    source = file.source
    if found.path != source.path:
        try:
            source = read_source(Path(found.path))
        except (FileUnreadable, SourceError):  # gone or changed since it was checked
            return None
    return [
        PlacedEdit(*source.point(each.start), *source.point(each.end), each.text)
        for each in sorted(found.fix.edits)
    ]


def shown_path(path: PurePath, root: PurePath) -> str:
    """Spell a path with `/`, from `root` where it lies below it."""
    if path.is_absolute() and path.is_relative_to(root):
        path = path.relative_to(root)
    return path.as_posix()


def uri(path: PurePath, root: PurePath) -> tuple[str, bool]:
    """Return the URI of a file, and whether it is relative to `root` (RFC 3986)."""
    from urllib.parse import quote_from_bytes

    full = path if path.is_absolute() else root / path.as_posix()
    # Names that the operating system has and Unicode has not are kept by their bytes.
    parts = os.path.normpath(full) if isinstance(full, Path) else str(full)
    full = type(full)(parts)
    if full.is_relative_to(root):
        inside = full.relative_to(root).as_posix()
        return quote_from_bytes(os.fsencode(inside), safe="/"), True
    return full.as_uri(), False


def with_fingerprints(
    root: PurePath, findings: Iterable[Diagnostic]
) -> Iterator[tuple[Diagnostic, str]]:
    """Give each finding a name of its own that lines added above it do not change.

    It is made from the file, the rule, the message and the source line; what is the
    same in all of these is numbered.
    """
    seen: dict[str, int] = {}
    for found in findings:
        path = shown_path(PurePath(found.path), root)
        line = " ".join(found.excerpt.split())
        what = "\0".join((path, found.rule, found.message, line))
        seen[what] = seen.get(what, 0) + 1
        data = f"{what}\0{seen[what]}".encode("utf-8", "surrogatepass")
        yield found, hashlib.sha256(data).hexdigest()[:32]
