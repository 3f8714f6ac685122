"""What many sessions at once cost, next to a bare client.

    python benchmarks/sessions.py [--count 1 10 50 200] [--rounds 3] [--seconds 5]
                                  [--warm-up 1.5]
    python benchmarks/sessions.py --memory 1000

Each session sends 50 ms of audio twenty times a second and receives as much, from one
server in another process. The clients take turns, so that a machine that slows down
slows all of them; shown are medians, and the ratio to the bare client of the same round
with its spread. "silence" is the time from the server's word that the caller speaks to
an empty playback buffer. `--memory` holds sessions one after another instead.
"""

from __future__ import annotations

import argparse
import importlib.util
import json
import statistics
import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parents[1]))

from benchmarks.clients import WARM_UP_SECONDS

HERE = Path(__file__).parent
CLIENTS = ["bare", "vagent"]
FAST = ["vagent+uvloop", "vagent+picows", "vagent+fast"]


@contextmanager
def streamer() -> Iterator[str]:
    """Run the service; gives its address."""
    with subprocess.Popen(
        [sys.executable, str(HERE / "streamer.py")], stdout=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout is not None
        try:
            yield f"ws://127.0.0.1:{process.stdout.readline().strip()}/"
        finally:
            process.terminate()


def run(client: str, url: str, *options: str) -> dict[str, Any]:
    """Run one client in a process of its own; return what it found."""
    command = [sys.executable, str(HERE / "clients.py"), client, url, *options]
    done = subprocess.run(command, check=True, capture_output=True, text=True)
    found: dict[str, Any] = json.loads(done.stdout)
    return found


def compare(
    counts: Sequence[int],
    clients: list[str],
    rounds: int,
    seconds: float,
    warm_up: float,
) -> None:
    """Print a table for each number of sessions."""
    for count in counts:
        found: dict[str, list[dict[str, Any]]] = {client: [] for client in clients}
        for _ in range(rounds):
            for client in clients:
                options = (
                    *("--sessions", str(count), "--seconds", str(seconds)),
                    *("--warm-up", str(warm_up)),
                )
                with streamer() as url:
                    found[client].append(run(client, url, *options))
        print(f"\n{count} sessions, {rounds} rounds of {seconds:g} s")
        print(f"{'client':15}{'CPU ms/s':>9}{'x bare':>8}{'spread':>13}", end="")
        print(f"{'RSS MB':>8}{'silence p50, p99 ms':>21}")
        for client in clients:
            print_row(client, found[client], found["bare"])


def print_row(
    client: str, found: list[dict[str, Any]], bare: list[dict[str, Any]]
) -> None:
    """Print what one client cost in all rounds."""
    cpu = statistics.median(each["cpu_ms"] for each in found)
    ratios = [
        mine["cpu_ms"] / other["cpu_ms"]
        for mine, other in zip(found, bare, strict=True)
    ]
    spread = f"{min(ratios):.2f} - {max(ratios):.2f}"
    rss = statistics.median(each["rss_mb"] for each in found)
    delays = sorted(delay for each in found for delay in each["delays_ms"])
    print(f"{client:15}{cpu:9.2f}{statistics.median(ratios):8.2f}{spread:>13}", end="")
    print(f"{rss:8.1f}", end="")
    if delays:
        p99 = delays[int(0.99 * (len(delays) - 1))]
        print(f"{statistics.median(delays):12.2f}{p99:9.2f}", end="")
    print(flush=True)


def remember(sessions: int, clients: list[str]) -> None:
    """Print how memory grows over sessions one after another."""
    print(f"{sessions} sessions one after another, the first fifth to warm up")
    print(f"{'client':15}{'MB before':>10}{'MB after':>10}{'kB a session':>14}")
    for client in clients:
        with streamer() as url:
            grown = run(client, url, "--memory", str(sessions))["grown_mb"]
        warm = [(number, mb) for number, mb in grown if number > sessions / 5]
        slope = statistics.linear_regression(*zip(*warm, strict=True)).slope
        print(f"{client:15}{warm[0][1]:10.1f}{warm[-1][1]:10.1f}", end="")
        print(f"{slope * 1000:14.2f}", flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--count", type=int, nargs="+", default=[1, 10, 50, 200])
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--seconds", type=float, default=5.0)
    parser.add_argument("--warm-up", type=float, default=WARM_UP_SECONDS)
    parser.add_argument("--memory", type=int)
    options = parser.parse_args()
    clients = list(CLIENTS)
    if all(importlib.util.find_spec(name) for name in ("picows", "uvloop")):
        clients += FAST
    if options.memory:
        remember(options.memory, [each for each in clients if each != "vagent+uvloop"])
    else:
        compare(
            options.count, clients, options.rounds, options.seconds, options.warm_up
        )


if __name__ == "__main__":
    main()
