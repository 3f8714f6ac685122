"""Gets weight files from their upstream by HTTP, going on where it was cut off."""

from __future__ import annotations

from pathlib import Path
from typing import BinaryIO

import httpx

from runner.speech.manifest import WeightFile
from runner.speech.sources import (
    Progress,
    SourceFailed,
    StillFailing,
    length,
    naming_disk_errors,
)

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

    def offers(self, file: WeightFile) -> bool:
        return file.url is not None

    def complete(self, file: WeightFile, part: Path, progress: Progress) -> None:
        url = httpx.URL(file.url or "")
        if url.netloc in self._dead:
            raise StillFailing(self._dead[url.netloc])
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
