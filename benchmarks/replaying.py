"""How long an hour's recording takes to be replayed, and how much memory.

    python benchmarks/replaying.py [--minutes 60]

The call is made up: every 12 seconds the caller speaks, a tool is called, the agent
answers for five seconds, and the microphone is open all the while. The time and the
memory of only reading the recording stand next to it. Memory is the peak of what Python
allocates, measured in a second run, since measuring takes time itself.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
import time
import tracemalloc
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parents[1]))

from runner.protocol.client.actions import (
    Close,
    Connect,
    Outcome,
    RunTool,
    Send,
    StopPlayback,
)
from runner.protocol.client.config import ClientConfig
from runner.protocol.client.events import (
    Connected,
    HangUp,
    Received,
    ToolFinished,
)
from runner.protocol.codec import dumps
from runner.protocol.messages import (
    InputSpeechStarted,
    InputSpeechStopped,
    ReplyDone,
    ReplyStarted,
    SessionEnd,
    SessionEnded,
    SessionReady,
    SessionUpdate,
    ToolCall,
    ToolResult,
    TranscriptAgent,
    TranscriptUser,
)
from runner.recording.format import (
    AudioSummary,
    Entry,
    Header,
    RecordedAgent,
    write_header,
    write_line,
)
from runner.recording.reader import SESSION_FILE, read_recording
from runner.testing.replay import replay
from runner.testing.replay_result import find_difference

TURN_SECONDS = 12.0
REPLY_SECONDS = 5.0
BYTES_A_SECOND = 48_000


def make_call(seconds: float) -> Iterator[tuple[float, Entry]]:
    """Yield everything that happens in such a call."""
    yield 0.0, Connect()
    yield 0.0, Connected()
    yield 0.0, Send(SessionUpdate({}))
    yield 0.2, Received(SessionReady("sess_1"))
    turns = int(seconds / TURN_SECONDS)
    for number in range(turns):
        yield from _turn(1.0 + number * TURN_SECONDS, str(number))
    end, reason = 1.0 + turns * TURN_SECONDS, "the caller hung up"
    yield end, HangUp(reason)
    yield end, StopPlayback()
    yield end, Send(SessionEnd())
    yield end, Received(SessionEnded(end))
    yield end, Close(Outcome.CLEAN, reason, drain=True)


def _turn(at: float, number: str) -> Iterator[tuple[float, Entry]]:
    reply_id, call_id = f"resp_{number}", f"call_{number}"
    call = ToolCall(call_id, "lookup_order", {"order_id": "1234"})
    start, done = at + 3.0, at + 3.0 + REPLY_SECONDS
    result = '{"status":"shipped"}'
    yield at, Received(InputSpeechStarted())
    yield at, StopPlayback()
    yield from _audio(at, at + 2.0, "")
    yield at + 2.0, Received(InputSpeechStopped())
    yield at + 2.2, Received(TranscriptUser("Where is my order?", f"msg_{number}"))
    yield at + 2.3, Received(call)
    yield at + 2.3, RunTool(call)
    yield at + 2.6, ToolFinished(call_id, result)
    # The call came outside a reply, so its result is sent at once.
    yield at + 2.6, Send(ToolResult(call_id, result))
    yield start, Received(ReplyStarted(reply_id))
    yield from _audio(start, done, reply_id)
    yield done, Received(TranscriptAgent("It was shipped.", reply_id))
    yield done, Received(ReplyDone(reply_id, "completed"))
    yield done + 0.1, Received(ReplyStarted(f"{reply_id}_2"))
    yield done + 0.1, Received(ReplyDone(f"{reply_id}_2", "completed"))
    yield from _audio(done + 0.1, at + TURN_SECONDS, "")


def _audio(since: float, until: float, reply_id: str) -> Iterator[tuple[float, Entry]]:
    for number in range(round((until - since) * 10) - 1):
        at, size = since + 0.01 + number / 10, BYTES_A_SECOND // 10
        heard = size if reply_id else 0
        yield (
            at,
            AudioSummary(
                at + 0.05,
                mic=size,
                sent=size,
                received=heard,
                audible=heard,
                played=heard,
                reply_id=reply_id,
            ),
        )


def make_recording(folder: Path, seconds: float) -> None:
    """Write a recording of such a call."""
    header = Header(
        RecordedAgent("orders", "orders.yaml", ""),
        "made up",
        ClientConfig(),
        0,
        "2026-01-01T12:00:00.000+00:00",
        *("1", "3", "any"),
    )
    lines = [write_line(at, entry) for at, entry in make_call(seconds)]
    text = "".join(f"{dumps(line)}\n" for line in [write_header(header), *lines])
    (folder / SESSION_FILE).write_text(f'{text}{{"at":0,"end":true}}\n', "utf-8")


def measure(work: Callable[[], Any]) -> tuple[float, float]:
    """Return the seconds that something takes, and the megabytes at its peak."""
    began = time.perf_counter()
    work()
    seconds = time.perf_counter() - began
    tracemalloc.start()
    work()
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    return seconds, peak / 1e6


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--minutes", type=float, default=60.0)
    minutes = parser.parse_args().minutes
    with tempfile.TemporaryDirectory() as place:
        folder = Path(place)
        make_recording(folder, minutes * 60)
        recording = read_recording(folder)
        size = (folder / SESSION_FILE).stat().st_size
        print(
            f"{minutes:g} minutes: {len(recording.entries)} lines, {size / 1e6:.1f} MB"
        )

        def replayed() -> None:
            entries = replay(recording)
            difference = find_difference(recording.entries, entries)
            assert difference is None, difference

        for name, work in (
            ("read", lambda: read_recording(folder)),
            ("replay and compare", replayed),
        ):
            seconds, megabytes = measure(work)
            print(f"{name:20} {seconds:6.2f} s   {megabytes:6.1f} MB at its peak")


if __name__ == "__main__":
    main()
