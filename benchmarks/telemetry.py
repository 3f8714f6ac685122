"""What seeing inside a call costs.

    python benchmarks/telemetry.py [--rounds 5] [--seconds 10] [--warm-up 1.5]

Needs Linux. Holds calls of `vagent run`, by turns without anything, with --metrics,
with a log, with a log of every message, and with --otel, with a service that speaks in
pieces of 10 ms as the service does. With -v every message is also printed, hence a row
of its own. Prints the CPU of a second of a call, and its ratio to a call without.
Metrics are scraped every second, ten to fifteen times as often as usual; the collector
is one that takes everything, in this process.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import os
import re
import statistics
import sys
import tempfile
import threading
from collections.abc import AsyncIterator, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import httpx

sys.path.insert(0, str(Path(__file__).parents[1]))

from benchmarks.clients import WARM_UP_SECONDS
from benchmarks.kills import far_end
from benchmarks.recording import cpu_ms, write_agent

WISHES = {
    "nothing": (),
    "nothing, -v": ("-v",),
    "metrics": ("--metrics", "0"),
    "log": ("--log-format", "json", "--log-file", "{folder}/log"),
    "log, -v": ("--log-format", "json", "--log-file", "{folder}/log", "-v"),
    "otel": ("--otel",),
}


class Collector(BaseHTTPRequestHandler):
    """Takes every span and forgets it."""

    def do_POST(self) -> None:
        self.rfile.read(int(self.headers["Content-Length"]))
        self.send_response(200)
        self.send_header("Content-Length", "0")
        self.end_headers()

    def log_message(self, format: str, *args: object) -> None:
        """Say nothing."""


@contextlib.contextmanager
def collector() -> Iterator[str]:
    """Yield the address of a collector."""
    with ThreadingHTTPServer(("127.0.0.1", 0), Collector) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_address[1]}"
        server.shutdown()


async def cpu_of_call(
    wish: str, seconds: float, warm_up: float, collecting: str
) -> float:
    """Return the CPU that a process of `vagent run` uses in a call, in ms a second."""
    with tempfile.TemporaryDirectory() as folder:
        agent = write_agent(Path(folder))
        options = [each.format(folder=folder) for each in WISHES[wish]]
        if "-v" not in options:
            options.append("--quiet")
        async with far_end(seconds + 10, piece=0.01) as (end, url):
            process = await asyncio.create_subprocess_exec(
                *(sys.executable, "-m", "runner", "run", agent, "--service", url),
                *("--input", "none", "--output", "null", "--no-record", *options),
                stdout=asyncio.subprocess.DEVNULL,
                stderr=asyncio.subprocess.PIPE,
                env={**os.environ, "OTEL_EXPORTER_OTLP_ENDPOINT": collecting},
            )
            assert process.stderr is not None
            try:
                async with scraped(process.stderr if wish == "metrics" else None):
                    await end.is_live.wait()
                    await asyncio.sleep(warm_up)
                    before = cpu_ms(process.pid)
                    await asyncio.sleep(seconds)
                    return (cpu_ms(process.pid) - before) / seconds
            finally:
                process.kill()
                await process.communicate()


@contextlib.asynccontextmanager
async def scraped(stderr: asyncio.StreamReader | None) -> AsyncIterator[None]:
    """Scrape every second the metrics whose address is on stderr, if there is one."""
    if stderr is None:
        yield
        return
    found = re.search(r"http://\S+", (await stderr.readline()).decode())
    assert found is not None

    async def scrape(url: str) -> None:
        async with httpx.AsyncClient() as client:
            while True:
                (await client.get(url)).raise_for_status()
                await asyncio.sleep(1.0)

    scraping = asyncio.create_task(scrape(found[0]))
    try:
        yield
    finally:
        scraping.cancel()


async def price(rounds: int, seconds: float, warm_up: float) -> None:
    """Print a row for each option."""
    found: dict[str, list[float]] = {wish: [] for wish in WISHES}
    with collector() as url:
        for _ in range(rounds):
            for wish, costs in found.items():
                costs.append(await cpu_of_call(wish, seconds, warm_up, url))
    print(f"{rounds} calls of {seconds:g} s each, CPU in ms a second")
    print(f"{'with':20}{'median':>8}{'least':>8}{'ratio':>8}  from - to")
    for wish, costs in found.items():
        ratios = [b / a for a, b in zip(found["nothing"], costs, strict=True)]
        print(
            f"{wish:20}{statistics.median(costs):8.2f}{min(costs):8.2f}"
            f"{statistics.median(ratios):8.2f}  {min(ratios):.2f} - {max(ratios):.2f}"
        )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--seconds", type=float, default=10.0)
    parser.add_argument("--warm-up", type=float, default=WARM_UP_SECONDS)
    options = parser.parse_args()
    asyncio.run(price(options.rounds, options.seconds, options.warm_up))


if __name__ == "__main__":
    main()
