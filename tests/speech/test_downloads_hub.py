"""Downloads from a real HTTP server on loopback, well-behaved or not."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from runner.speech.downloads import (
    HubSource,
    NullProgress,
    SourceFailed,
    SourceStillUnavailable,
)
from runner.speech.manifest import ModelFile

BODY = bytes(range(256)) * 400  # 102,400 bytes
Answer = Callable[["Handler"], None]


class Hub(ThreadingHTTPServer):
    """Answers as the test defines and records the Range of every request."""

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.answer: Answer = whole_or_rest
        self.ranges: list[str | None] = []
        self.let_go = threading.Event()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_port}/model.bin"


class Handler(BaseHTTPRequestHandler):
    server: Hub
    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        self.server.ranges.append(self.headers.get("Range"))
        self.server.answer(self)

    def log_message(self, format: str, *args: object) -> None:
        """Logs nothing."""

    def start(self) -> int:
        given = self.headers.get("Range") or "bytes=0-"
        return int(given.removeprefix("bytes=").removesuffix("-"))

    def begin(self, status: int, **headers: object) -> None:
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name.replace("_", "-"), str(value))
        self.end_headers()

    def begin_rest(self) -> bytes:
        rest = BODY[self.start() :]
        if len(rest) == len(BODY):
            self.begin(200, Content_Length=len(BODY))
        else:
            span = f"bytes {self.start()}-{len(BODY) - 1}/{len(BODY)}"
            self.begin(206, Content_Length=len(rest), Content_Range=span)
        return rest


def whole_or_rest(request: Handler) -> None:
    request.wfile.write(request.begin_rest())


def ignore_range(request: Handler) -> None:
    request.begin(200, Content_Length=len(BODY))
    request.wfile.write(BODY)


def die_after(count: int) -> Answer:
    def answer(request: Handler) -> None:
        request.wfile.write(request.begin_rest()[:count])
        request.close_connection = True

    return answer


def not_found(request: Handler) -> None:
    request.begin(404, Content_Length=0)


def hang(request: Handler) -> None:
    request.server.let_go.wait(30)
    request.close_connection = True


def other_length(request: Handler) -> None:
    request.begin(200, Content_Length=5)
    request.wfile.write(b"hello")


def endless(request: Handler) -> None:
    request.close_connection = True
    request.begin(200, Connection="close")
    request.wfile.write(BODY + b"and more")


def another_range(request: Handler) -> None:
    span = f"bytes 0-{len(BODY) - 1}/{len(BODY)}"
    request.begin(206, Content_Length=len(BODY), Content_Range=span)
    request.wfile.write(BODY)


@pytest.fixture
def hub() -> Iterator[Hub]:
    with Hub() as hub:
        thread = threading.Thread(target=hub.serve_forever, args=(0.01,))
        thread.start()
        yield hub
        hub.let_go.set()
        hub.shutdown()
        thread.join()


@pytest.fixture
def source() -> Iterator[HubSource]:
    source = HubSource(connect_timeout=2.0, read_timeout=0.3)
    yield source
    source.close()


@pytest.fixture
def part(tmp_path: Path) -> Path:
    return tmp_path / "model.bin.part"


def file_at(url: str) -> ModelFile:
    return ModelFile("model.bin", len(BODY), "", url, ())


def test_a_file_is_downloaded(hub: Hub, source: HubSource, part: Path) -> None:
    source.complete(file_at(hub.url), part, NullProgress())

    assert part.read_bytes() == BODY
    assert hub.ranges == [None]


def test_only_missing_bytes_are_requested(
    hub: Hub, source: HubSource, part: Path
) -> None:
    part.write_bytes(BODY[:70_000])

    source.complete(file_at(hub.url), part, NullProgress())

    assert part.read_bytes() == BODY
    assert hub.ranges == ["bytes=70000-"]


def test_a_server_that_ignores_range_is_read_from_the_start(
    hub: Hub, source: HubSource, part: Path
) -> None:
    hub.answer = ignore_range
    part.write_bytes(BODY[:70_000])

    source.complete(file_at(hub.url), part, NullProgress())

    assert part.read_bytes() == BODY


def test_a_lost_connection_is_resumed(hub: Hub, source: HubSource, part: Path) -> None:
    hub.answer = die_after(30_000)

    source.complete(file_at(hub.url), part, NullProgress())

    assert part.read_bytes() == BODY
    assert len(hub.ranges) == 4


def test_bytes_before_a_stall_are_kept(hub: Hub, source: HubSource, part: Path) -> None:
    part.write_bytes(BODY[:50_000])
    hub.answer = die_after(0)

    with pytest.raises(SourceFailed):
        source.complete(file_at(hub.url), part, NullProgress())

    assert part.read_bytes() == BODY[:50_000]
    assert len(hub.ranges) == 2


def test_a_missing_file_is_reported_with_404(
    hub: Hub, source: HubSource, part: Path
) -> None:
    hub.answer = not_found

    with pytest.raises(SourceFailed, match=r"127\.0\.0\.1 answered HTTP 404"):
        source.complete(file_at(hub.url), part, NullProgress())

    assert not part.exists()


def test_a_server_that_hangs_is_not_contacted_again(
    hub: Hub, source: HubSource, part: Path
) -> None:
    hub.answer = hang
    with pytest.raises(SourceFailed, match="no answer"):
        source.complete(file_at(hub.url), part, NullProgress())

    with pytest.raises(SourceStillUnavailable, match="no answer"):
        source.complete(file_at(hub.url), part, NullProgress())

    assert len(hub.ranges) == 1


def test_a_refusing_host_is_not_contacted_again(source: HubSource, part: Path) -> None:
    with Hub() as gone:
        pass
    with pytest.raises(SourceFailed, match="cannot reach"):
        source.complete(file_at(gone.url), part, NullProgress())

    with pytest.raises(SourceStillUnavailable):
        source.complete(file_at(gone.url), part, NullProgress())


def test_a_different_file_at_the_address_is_rejected(
    hub: Hub, source: HubSource, part: Path
) -> None:
    hub.answer = other_length
    part.write_bytes(BODY[:50_000])

    with pytest.raises(SourceFailed, match="another file: 5 bytes, not 102,400"):
        source.complete(file_at(hub.url), part, NullProgress())

    assert part.read_bytes() == BODY[:50_000]


def test_an_endless_body_is_rejected(hub: Hub, source: HubSource, part: Path) -> None:
    hub.answer = endless

    with pytest.raises(SourceFailed, match="more than 102,400 bytes"):
        source.complete(file_at(hub.url), part, NullProgress())

    assert part.stat().st_size <= len(BODY)


def test_a_range_that_was_not_requested_is_rejected(
    hub: Hub, source: HubSource, part: Path
) -> None:
    hub.answer = another_range
    part.write_bytes(BODY[:50_000])

    with pytest.raises(SourceFailed, match="not requested"):
        source.complete(file_at(hub.url), part, NullProgress())

    assert part.read_bytes() == BODY[:50_000]


def test_a_redirect_is_followed_to_the_rest(
    hub: Hub, source: HubSource, part: Path
) -> None:
    def redirect(request: Handler) -> None:
        if request.path == "/model.bin":
            request.begin(302, Location="/elsewhere", Content_Length=0)
        else:
            whole_or_rest(request)

    hub.answer = redirect
    part.write_bytes(BODY[:50_000])

    source.complete(file_at(hub.url), part, NullProgress())

    assert part.read_bytes() == BODY
    assert hub.ranges == ["bytes=50000-", "bytes=50000-"]


def test_progress_ends_at_the_size_of_the_file(
    hub: Hub, source: HubSource, part: Path
) -> None:
    class Watcher(NullProgress):
        def __init__(self) -> None:
            self.seen: list[int] = []

        def advance(self, done: int) -> None:
            self.seen.append(done)

    watcher = Watcher()

    source.complete(file_at(hub.url), part, watcher)

    assert watcher.seen == sorted(watcher.seen)
    assert watcher.seen[-1] == len(BODY)
