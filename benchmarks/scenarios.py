"""What scenarios on the scripted service cost, and whether they are always the same.

    python benchmarks/scenarios.py [--count 200] [--runs 20]

Writes so many scenarios (interruptions, tools, lost lines among them), runs
`vagent test` on them with one process and with one for each core, start included, and
then again and again with other hash seeds and a busy neighbour: the JSON must be equal,
byte for byte.
"""

from __future__ import annotations

import argparse
import json
import multiprocessing
import os
import resource
import subprocess
import sys
import time
from pathlib import Path
from tempfile import TemporaryDirectory

AGENT = """\
version: 1
name: shop
prompt: You tell callers where their orders are.
greeting: Hello, this is the shop. How can I help you today?
tools:
  - name: lookup_order
    description: Look up the state of an order by its number.
    parameters:
      type: object
      properties: {order_id: {type: string, pattern: "[0-9]{4}", description: It}}
      required: [order_id]
    http: {url: "https://shop.example/{order_id}"}
  - plugin: end_call
"""
SCENARIO = """\
  - name: call {number}
    turns:
      - agent: How can I help
      - user: Where is my order {order}?
      - tool_call: {{tool: lookup_order, arguments: {{order_id: "{order}"}}}}
      - agent: shipped
{middle}
      - user: Thanks, goodbye
      - end: {{by: agent}}
"""
MIDDLES = (
    "      - user: Where is my order 1111?\n      - agent: shipped",
    "      - user: What can you do?\n"
    "      - user: {says: Stop, interrupts: {after: 400ms}}\n"
    "      - expect: {interruptions: 1, silence_within: 100ms}",
    "      - connection: {drops: 2s}\n      - wait: 4s\n"
    "      - expect: {resumed: true}",
)


def write(folder: Path, count: int) -> None:
    """Write an agent and its scenarios."""
    (folder / "shop.yaml").write_text(AGENT, "utf-8")
    scenarios = "".join(
        SCENARIO.format(
            number=number, order=1000 + number, middle=MIDDLES[number % len(MIDDLES)]
        )
        for number in range(count)
    )
    head = "agent: shop.yaml\nmock: {lookup_order: {returns: {status: shipped}}}\n"
    text = f"{head}scenarios:\n{scenarios}"
    (folder / "shop.test.yaml").write_text(text, "utf-8")


def run(folder: Path, jobs: str, seed: str = "0") -> tuple[bytes, float, float]:
    """Return what a run wrote, its seconds on the clock, and its seconds of CPU."""
    environment = {**os.environ, "PYTHONHASHSEED": seed}
    environment.pop("PYTHONDONTWRITEBYTECODE", None)
    before, began = _cpu(), time.monotonic()
    done = subprocess.run(
        [sys.executable, "-m", "runner", "test", "--format", "json", "--jobs", jobs],
        cwd=folder,
        env={**environment, "PYTHONPATH": os.getcwd()},
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        check=True,
    )
    return done.stdout, time.monotonic() - began, _cpu() - before


def _cpu() -> float:
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def burn() -> None:
    """Keep a core busy."""
    while True:
        sum(range(10_000))


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--count", type=int, default=200)
    parser.add_argument("--runs", type=int, default=20)
    wanted = parser.parse_args()
    with TemporaryDirectory() as name:
        folder = Path(name)
        write(folder, wanted.count)
        run(folder, "1")  # the byte code, and the disk's cache
        for jobs in ("1", "auto"):
            output, clock, cpu = run(folder, jobs)
            content = json.loads(output)
            talked = sum(each["seconds"] for each in content["results"])
            print(
                f"{wanted.count} scenarios, --jobs {jobs}: {clock:.1f} s, {cpu:.1f} s "
                f"of CPU for {talked:.0f} s of calls: {talked / clock:.0f} times real "
                f"time, {talked / cpu:.0f} a core; {content['counts']}"
            )
        outputs = set()
        neighbour = multiprocessing.Process(target=burn, daemon=True)
        for number in range(wanted.runs):
            if number == wanted.runs // 2:
                neighbour.start()
            jobs = ("1", "2", "auto")[number % 3]
            outputs.add(run(folder, jobs, str(number * 7919 + 1))[0])
        neighbour.terminate()
        print(
            f"{wanted.runs} runs, half of them beside a busy core: "
            + (
                "all equal"
                if len(outputs) == 1
                else f"{len(outputs)} different outputs"
            )
        )


if __name__ == "__main__":
    main()
