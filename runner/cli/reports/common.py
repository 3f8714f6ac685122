"""Helpers of reports: color, XML, workflow commands, locations and fingerprints."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path, PurePath
from typing import TYPE_CHECKING, Literal

from runner.config.lint.context import Rule
from runner.config.lint.discovery import shown_path
from runner.config.lint.rules import RULES
from runner.config.source import SourceError, read_source
from runner.errors import FileUnreadable

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from xml.etree.ElementTree import Element

    from runner.config.diagnostics import Diagnostic
    from runner.config.lint.results import CheckedFile


def wants_color(
    wanted: Literal["auto", "always", "never"],
    environment: Mapping[str, str],
    *,
    is_terminal: bool,
) -> bool:
    """Returns True if output is colored, by the option or else by the environment.

    Checks NO_COLOR (no-color.org: set and not empty), then FORCE_COLOR and
    CLICOLOR_FORCE (not empty and not 0), then for a terminal that is not dumb.
    """
    if wanted != "auto":
        return wanted == "always"
    if environment.get("NO_COLOR"):
        return False
    for name in ("FORCE_COLOR", "CLICOLOR_FORCE"):
        if environment.get(name, "0") not in ("", "0"):
            return True
    return is_terminal and environment.get("TERM") != "dumb"


# Characters that XML 1.0 does not allow (production 2).
_NO_XML = re.compile("[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")


def xml_text(text: str) -> str:
    """Replaces characters that XML does not allow by U+FFFD."""
    return _NO_XML.sub("\ufffd", text)


def xml_document(root: Element) -> str:
    """Returns an indented XML document in ASCII, valid in any encoding."""
    from xml.etree.ElementTree import indent, tostring  # for XML reports only

    indent(root)
    data: bytes = tostring(root, encoding="us-ascii", xml_declaration=True)
    return data.decode("ascii") + "\n"


def workflow_command(kind: str, properties: Mapping[str, object], message: str) -> str:
    """Returns a workflow command of GitHub Actions: `::error file=…::…`."""
    shown = ",".join(
        f"{key}={_data(str(value)).replace(':', '%3A').replace(',', '%2C')}"
        for key, value in properties.items()
    )
    return f"::{kind} {shown}::{_data(message)}"


def _data(text: str) -> str:
    return text.replace("%", "%25").replace("\r", "%0D").replace("\n", "%0A")


@dataclass(frozen=True, slots=True)
class PlacedEdit:
    """A replacement by lines and columns (from 1, in characters, end exclusive)."""

    line: int
    column: int
    end_line: int
    end_column: int
    text: str


def placed_edits(file: CheckedFile, found: Diagnostic) -> list[PlacedEdit] | None:
    """Returns the edits of a finding's fix; None without a fix.

    Positions in a file other than the agent file are computed from that file's text.
    """
    if found.fix is None:
        return None
    source = file.source
    if found.path != source.path:
        try:
            source = read_source(Path(found.path))
        except (FileUnreadable, SourceError):  # deleted or changed since the check
            return None
    return [
        PlacedEdit(*source.point(each.start), *source.point(each.end), each.text)
        for each in sorted(found.fix.edits)
    ]


def uri(path: PurePath, root: PurePath) -> tuple[str, bool]:
    """Returns the URI of a file, and whether it is relative to `root` (RFC 3986)."""
    from urllib.parse import quote_from_bytes

    full = path if path.is_absolute() else root / path.as_posix()
    # File names that are not valid Unicode are kept as bytes.
    parts = os.path.normpath(full) if isinstance(full, Path) else str(full)
    full = type(full)(parts)
    if full.is_relative_to(root):
        inside = full.relative_to(root).as_posix()
        return quote_from_bytes(os.fsencode(inside), safe="/"), True
    return full.as_uri(), False


def with_fingerprints(
    root: PurePath, findings: Iterable[Diagnostic]
) -> Iterator[tuple[Diagnostic, str]]:
    """Yields each finding with a fingerprint that does not depend on its line number.

    It is computed from the path, the rule, the message and the source line, and a
    number for findings that are equal in all of these.
    """
    import hashlib  # for reports that keep track of findings only

    seen: dict[str, int] = {}
    for found in findings:
        path = shown_path(PurePath(found.path), root)
        line = " ".join(found.excerpt.split())
        key = "\0".join((path, found.rule, found.message, line))
        seen[key] = seen.get(key, 0) + 1
        data = f"{key}\0{seen[key]}".encode("utf-8", "surrogatepass")
        yield found, hashlib.sha256(data).hexdigest()[:32]


def find_rule(identifier: str) -> Rule:
    """Returns the rule of a finding."""
    return RULES[identifier] if identifier in RULES else all_rules()[identifier]


def all_rules() -> dict[str, Rule]:
    """Returns all rules by id, those for agent files first."""
    # A report about agent files does not load the rules for scenarios.
    from runner.testing.scenarios.rules import RULES as SCENARIO_RULES

    return {**RULES, **SCENARIO_RULES}
