"""Agent files of today and of other revisions: `HEAD~1:agents/support.yaml`."""

from __future__ import annotations

import contextlib
import subprocess
import tarfile
from collections.abc import Iterator
from io import BytesIO
from pathlib import Path, PurePosixPath
from tempfile import TemporaryDirectory

from runner.errors import FileUnreadable, UsageError


@contextlib.contextmanager
def agent_file(text: str) -> Iterator[Path]:
    """Yield the path of an agent file, of a revision with its whole tree around it.

    Raises:
        UsageError: there is no such file, revision, repository or git.
    """
    revision, colon, inside = text.partition(":")
    if Path(text).exists() or not colon or not inside:
        if not Path(text).exists():
            hint = "a file, or REVISION:PATH such as HEAD~1:agents/support.yaml"
            raise UsageError(f"there is no {text}", hint=hint)
        yield Path(text)
        return
    path = _in_repository(inside)
    with TemporaryDirectory(prefix="vagent-") as folder:
        _unpack(revision, Path(folder))
        found = Path(folder, *path.parts)
        if not found.is_file():
            raise UsageError(f"there is no {path} in {revision}")
        yield found


def committed(path: Path) -> str:
    """Return how a file of today is called in the last commit."""
    resolved = path.resolve()
    top = Path(_git("rev-parse", "--show-toplevel", folder=resolved.parent).strip())
    try:
        inside = resolved.relative_to(top.resolve())
    except ValueError:
        raise UsageError(f"{path} is in no repository") from None
    return f"HEAD:{inside.as_posix()}"


def _in_repository(inside: str) -> PurePosixPath:
    """Return a path from the top of the repository, as git takes `REV:PATH`."""
    if inside.startswith("./"):
        return PurePosixPath(_git("rev-parse", "--show-prefix").strip(), inside)
    return PurePosixPath(inside)


def _unpack(revision: str, folder: Path) -> None:
    top = Path(_git("rev-parse", "--show-toplevel").strip())
    if revision.startswith("-"):
        raise UsageError(f"'{revision}' is not a revision")
    data = _run(["git", "archive", "--format=tar", revision], top)
    with tarfile.open(fileobj=BytesIO(data)) as archive:
        # The first releases of 3.11 have no filters; it is git's own archive.
        if hasattr(tarfile, "data_filter"):
            archive.extractall(folder, filter="data")
        else:
            archive.extractall(folder)


def _git(*arguments: str, folder: Path | None = None) -> str:
    return _run(["git", *arguments], folder).decode("utf-8", "replace")


def _run(command: list[str], folder: Path | None) -> bytes:
    try:
        done = subprocess.run(command, cwd=folder, capture_output=True, check=False)
    except FileNotFoundError:
        raise UsageError("git is not installed, and a revision was asked for") from None
    except OSError as error:
        raise FileUnreadable(f"git cannot be run: {error}") from error
    if done.returncode:
        said = done.stderr.decode("utf-8", "replace").strip().splitlines()
        reason = said[-1] if said else f"exit code {done.returncode}"
        raise UsageError(f"git says: {reason.removeprefix('fatal: ')}")
    return done.stdout
