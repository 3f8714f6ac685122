"""What recording a call costs.

    python benchmarks/recording.py [--rounds 10] [--seconds 10] [--warm-up 1.5]
    python benchmarks/recording.py --sessions 1 10

Needs Linux. Holds calls of `vagent run`, by turns without and with a recording, with a
service that speaks in pieces of 10 ms as the service does, and prints the CPU of both
and their ratio. With `--sessions` it does so with the bare engines of `sessions.py`, so
many in one process. What a kill leaves is reported by `kills.py`.
"""

from __future__ import annotations

import argparse
import asyncio
import statistics
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))

from benchmarks.clients import WARM_UP_SECONDS
from benchmarks.kills import far_end
from benchmarks.sessions import run, streamer

CLIENTS = ("vagent", "vagent+fast")


async def price(rounds: int, seconds: float, warm_up: float) -> None:
    """Print what a second of a call costs, without and with a recording."""
    without, recorded = [], []
    for _ in range(rounds):
        without.append(await cpu_of_call(seconds, warm_up, is_recorded=False))
        recorded.append(await cpu_of_call(seconds, warm_up, is_recorded=True))
    ratios = [b / a for a, b in zip(without, recorded, strict=True)]
    quarters = statistics.quantiles(ratios, n=4)
    print(f"{rounds} calls of {seconds:g} s each, CPU in ms a second: median, least")
    for name, found in (("without", without), ("with", recorded)):
        print(f"  {name:8}{statistics.median(found):8.2f}{min(found):8.2f}")
    # Other programs on the machine only ever add.
    print(
        f"  ratio   {statistics.median(ratios):8.2f}{min(recorded) / min(without):8.2f}"
        f"   half of all {quarters[0]:.2f} - {quarters[2]:.2f}"
    )


async def cpu_of_call(seconds: float, warm_up: float, *, is_recorded: bool) -> float:
    """Return the CPU that a process of `vagent run` uses in a call, in ms a second."""
    with tempfile.TemporaryDirectory() as folder:
        agent = write_agent(Path(folder))
        wish = ("--record", folder) if is_recorded else ("--no-record",)
        async with far_end(seconds + 10, piece=0.01) as (end, url):
            process = await asyncio.create_subprocess_exec(
                *(sys.executable, "-m", "runner", "run", agent, "--service", url),
                *("--input", "none", "--output", "null", "--quiet", *wish),
                stderr=asyncio.subprocess.DEVNULL,
            )
            try:
                await end.is_live.wait()
                await asyncio.sleep(warm_up)
                before = cpu_ms(process.pid)
                await asyncio.sleep(seconds)
                return (cpu_ms(process.pid) - before) / seconds
            finally:
                process.kill()
                await process.wait()


def write_agent(folder: Path) -> Path:
    """Return an agent file without tools."""
    path = folder / "agent.yaml"
    path.write_text("version: 1\nname: bench\nprompt: Be brief.\n", "utf-8")
    return path


def cpu_ms(pid: int) -> float:
    """Return what all threads of a process have used so far, as the kernel counts."""
    threads = Path("/proc", str(pid), "task").glob("*/schedstat")
    return sum(int(each.read_text().split()[0]) for each in threads) / 1e6


def compare(
    sessions: Sequence[int], rounds: int, seconds: float, warm_up: float
) -> None:
    """Print a row for each client and number of sessions."""
    print(f"{'client':14}{'sessions':>9}{'without':>9}{'with':>9}{'ratio':>8}  spread")
    for client in CLIENTS:
        for count in sessions:
            options = (
                *("--sessions", str(count), "--seconds", str(seconds)),
                *("--warm-up", str(warm_up)),
            )
            found: dict[str, list[float]] = {client: [], f"{client}+recording": []}
            for _ in range(rounds):
                for name, costs in found.items():
                    with streamer() as url:
                        costs.append(run(name, url, *options)["cpu_ms"])
            without, recorded = found.values()
            ratios = [b / a for a, b in zip(without, recorded, strict=True)]
            print(
                f"{client:14}{count:9}{statistics.median(without):9.2f}"
                f"{statistics.median(recorded):9.2f}{statistics.median(ratios):8.2f}"
                f"  {min(ratios):.2f} - {max(ratios):.2f}",
                flush=True,
            )
    print("CPU in ms for a second of one session")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=10)
    parser.add_argument("--seconds", type=float, default=10.0)
    parser.add_argument("--warm-up", type=float, default=WARM_UP_SECONDS)
    parser.add_argument("--sessions", type=int, nargs="+")
    options = parser.parse_args()
    if options.sessions:
        compare(options.sessions, options.rounds, options.seconds, options.warm_up)
    else:
        asyncio.run(price(options.rounds, options.seconds, options.warm_up))


if __name__ == "__main__":
    main()
