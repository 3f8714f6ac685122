"""File access that a hostile folder cannot misuse: links, pipes and permissions.

A cloned repository can contain symbolic links, and an unpacked recording can contain
pipes and devices. Writing does not follow links, and reading takes regular files only.
"""

from __future__ import annotations

import errno
import os
import stat
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import BinaryIO

# Not all of them exist on Windows.
_NO_FOLLOW = getattr(os, "O_NOFOLLOW", 0)
_NO_BLOCK = getattr(os, "O_NONBLOCK", 0)
_COMMON = getattr(os, "O_CLOEXEC", 0) | getattr(os, "O_BINARY", 0)
# Links that the system itself provides: /dev/stdout, /dev/fd/63.
_SYSTEM_FOLDERS = ("/dev/", "/proc/")

# For files and folders with what callers said.
PRIVATE_FILE, PRIVATE_FOLDER = 0o600, 0o700


class LinkRefused(OSError):
    """A path leads through a symbolic link and must not be written."""


def refuse_links(path: Path) -> None:
    """Raises `LinkRefused` if writing to this path would follow a symbolic link.

    Checked are the last part and, in the current folder, every part below it. Links
    above the current folder belong to the machine: /tmp is one on macOS.
    """
    if _is_of_system(path):
        return
    for each in _checked_parts(path):
        if each.is_symlink():
            what = "it is" if each == path else f"'{each}' is"
            raise LinkRefused(errno.ELOOP, f"{what} a symbolic link", str(path))


def open_new(path: str | os.PathLike[str], flags: int) -> int:
    """Opens a file to write it; an `opener`. Raises OSError, for a link as well."""
    return _open(path, flags, 0o666)


def open_private(path: str | os.PathLike[str], flags: int) -> int:
    """Opens a file like `open_new`; only its owner can read a new one."""
    return _open(path, flags, PRIVATE_FILE)


def write_file(
    path: Path,
    data: bytes,
    *,
    opener: Callable[[str | os.PathLike[str], int], int] = open_new,
    is_new: bool = False,
) -> None:
    """Writes a file; raises OSError, with `is_new` also if it exists."""
    with open(path, "xb" if is_new else "wb", opener=opener) as file:
        file.write(data)


def replace_file(path: Path, data: bytes) -> None:
    """Puts new content in the place of a file, completely or not at all.

    Keeps its permissions; a new file is private. Raises OSError.
    """
    refuse_links(path)
    if path.exists() and not os.access(path, os.W_OK):  # else it would be got round
        raise PermissionError(errno.EACCES, "Permission denied")
    # A random name that must not exist: a planted link is not followed.
    from tempfile import mkstemp  # 2 ms to import, for files that are written

    handle, name = mkstemp(prefix=f".{path.name}.", suffix=".tmp", dir=path.parent)
    try:
        with os.fdopen(handle, "wb") as stream:
            stream.write(data)
            stream.flush()
            os.fsync(stream.fileno())
        with suppress(FileNotFoundError):
            os.chmod(name, path.stat().st_mode & 0o7777)
        os.replace(name, path)
    except BaseException:
        with suppress(OSError):
            os.unlink(name)
        raise


def make_private_folders(folder: Path) -> None:
    """Creates a folder and its parents where missing, for their owner only.

    Raises OSError, for a link as well.
    """
    refuse_links(folder)
    missing = []
    while not os.path.lexists(folder):
        missing.append(folder)
        folder = folder.parent
    for each in reversed(missing):
        each.mkdir(mode=PRIVATE_FOLDER, exist_ok=True)
    if not folder.is_dir():
        raise NotADirectoryError(errno.ENOTDIR, os.strerror(errno.ENOTDIR), str(folder))


def open_regular(path: Path) -> BinaryIO:
    """Opens a regular file for reading; raises OSError for anything else.

    Opening a pipe would wait for its writer, and reading a device never ends.
    """
    handle = os.open(path, os.O_RDONLY | _NO_BLOCK | _COMMON)
    try:
        kind = stat.S_IFMT(os.fstat(handle).st_mode)
        if kind != stat.S_IFREG:
            reason = _KINDS.get(kind, "not a regular file")
            raise OSError(errno.EINVAL, f"it is {reason}", str(path))
        return os.fdopen(handle, "rb")
    except BaseException:
        os.close(handle)
        raise


_KINDS = {stat.S_IFDIR: "a folder", stat.S_IFIFO: "a pipe", stat.S_IFCHR: "a device"}


def _open(path: str | os.PathLike[str], flags: int, mode: int) -> int:
    place = Path(path)
    refuse_links(place)
    follow = 0 if _is_of_system(place) else _NO_FOLLOW
    return os.open(path, flags | follow | _COMMON, mode)


def _is_of_system(path: Path) -> bool:
    return path.as_posix().startswith(_SYSTEM_FOLDERS)


def _checked_parts(path: Path) -> Iterator[Path]:
    """Yields the path, then its parents below the current folder."""
    yield path
    here = Path.cwd()
    for each in path.parents:
        absolute = here / each
        if absolute == here or not absolute.is_relative_to(here):
            return
        yield each
