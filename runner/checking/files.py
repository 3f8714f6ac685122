"""Fixes made in files: read, mended, shown as a difference or written back whole."""

from __future__ import annotations

import os
import tempfile
from codecs import BOM_UTF8
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from runner.config.credentials import find_credentials, hide
from runner.config.lint.fixes import FixResult, apply_fixes
from runner.config.source import read_content
from runner.errors import FileUnreadable

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from runner.config.diagnostics import Diagnostic
    from runner.config.lint.fixes import Choice


@dataclass(frozen=True, slots=True)
class FixedFile:
    """What became of one file's content; nothing is written yet.

    `shown` is the path as the person gave it, `before` and `after` are bytes as they
    lie on the disk.
    """

    shown: str
    before: bytes
    after: bytes
    mending: FixResult

    @property
    def is_changed(self) -> bool:
        """Whether a fix was made."""
        return self.before != self.after

    def difference(self) -> bytes:
        """Return the change as a unified diff, with the line ends of the file.

        Keys that stand in the file in clear are masked in it: it may be a log's.
        """
        import difflib  # for --diff only

        name = self.shown.encode("utf-8", "surrogateescape")
        lines = difflib.diff_bytes(
            difflib.unified_diff, _lines(self.before), _lines(self.after), name, name
        )
        written = b"".join(
            each if each.endswith(b"\n") else each + b"\n\\ No newline at end of file\n"
            for each in lines
        )
        return _masked(written)


def _masked(written: bytes) -> bytes:
    """Mask keys of published formats; other bytes stay as they are."""
    text = written.decode("utf-8", "surrogateescape")
    secrets = [text[slice(*each.span)] for each in find_credentials(text)]
    return hide(text, secrets).encode("utf-8", "surrogateescape")


def fix_content(
    data: bytes,
    shown: str,
    check: Callable[[bytes], Sequence[Diagnostic]],
    *,
    unsafe: bool = False,
    chosen: Choice | None = None,
) -> FixedFile:
    """Make the fixes in the content of a file that is shown as `shown`.

    `check` returns the sorted findings about a content; only those that `chosen` lets
    through are mended, and only in this file, not in those it refers to. A byte order
    mark, line ends and a missing one at the end stay as they are.
    """
    mark = BOM_UTF8 if data.startswith(BOM_UTF8) else b""
    try:
        text = data[len(mark) :].decode()
    except UnicodeDecodeError:
        findings = tuple(check(data))  # it says why; there is no text to mend
        return FixedFile(shown, data, data, FixResult("", (), (), findings))

    def allows(found: Diagnostic) -> bool:
        return (
            found.path == shown
            and found.fix is not None
            and (unsafe or found.fix.is_safe)
            and (chosen is None or chosen(found))
        )

    done = apply_fixes(text, lambda new: check(mark + new.encode()), allows=allows)
    return FixedFile(shown, data, mark + done.text.encode(), done)


def write_back(path: Path, done: FixedFile) -> None:
    """Put the new content in the place of the old one, at once or not at all.

    A link stays a link: what it points at is written. Raises `FileUnreadable` when the
    file is not what it was, or cannot be written.
    """
    if not done.is_changed:
        return
    target = Path(os.path.realpath(path))
    if read_content(target) != done.before:
        raise FileUnreadable(
            f"{path} has changed meanwhile and was left alone",
            hint="run it again",
        )
    try:
        _replace(target, done.after)
    except OSError as error:
        raise FileUnreadable.from_os_error(path, "written", error) from error


def _replace(target: Path, data: bytes) -> None:
    if not os.access(target, os.W_OK):  # else replacing would get round it
        raise PermissionError(13, "Permission denied")
    handle, name = tempfile.mkstemp(
        prefix=f".{target.name}.", suffix=".tmp", dir=target.parent
    )
    try:
        with os.fdopen(handle, "wb") as stream:
            stream.write(data)
            stream.flush()
            os.fsync(stream.fileno())
        os.chmod(name, target.stat().st_mode & 0o7777)
        os.replace(name, target)
    except BaseException:
        with suppress(OSError):
            os.unlink(name)
        raise


def _lines(data: bytes) -> list[bytes]:
    """Split at line feeds only, as diff and patch do."""
    lines = [each + b"\n" for each in data.split(b"\n")]
    last = lines.pop()[:-1]
    return [*lines, last] if last else lines
