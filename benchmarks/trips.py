"""Files of `runner/` whose code runs on four trips: how far a reader has to walk.

    python benchmarks/trips.py [--list]

| trip       | from                                 | to                              |
|------------|--------------------------------------|---------------------------------|
| microphone | the sound card's callback            | the frame is on the wire        |
| tool call  | the message with the call            | the message with its result     |
| finding    | `vagent validate` of one broken file | its report                      |
| scenario   | `vagent test` of one scenario        | its report                      |

A file counts if one of its functions runs; what is only imported does not. The
service is a script in a process of its own, the sound card the fake one of the tests.
"""

from __future__ import annotations

import argparse
import asyncio
import inspect
import os
import subprocess
import sys
import tempfile
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, redirect_stderr, redirect_stdout
from pathlib import Path
from types import FrameType
from typing import Any

sys.path.insert(0, str(Path(__file__).parents[1]))

from runner.protocol.client.events import HangUp, Say
from runner.protocol.codec import decode_client, encode
from runner.protocol.messages import (
    InputAudio,
    ReplyCreate,
    ReplyDone,
    ReplyStarted,
    SessionEnd,
    SessionEnded,
    SessionReady,
    SessionUpdate,
    ToolCall,
    ToolResult,
)
from tests.audio.fakes import LAPTOP, FakePortAudio

PACKAGE = str(Path(__file__).parents[1] / "runner") + os.sep
AGENT = """\
version: 1
name: trips
prompt: Be brief.
tools:
  - python: tool.py:look
"""
TOOL = 'def look(at: str) -> str:\n    """Looks at something."""\n    return at\n'
SCENARIO = """\
agent: agent.yaml
scenarios:
  - name: one
    llm:
      - {user_says: hello, says: Good morning.}
    turns:
      - user: Hello
      - agent: {says: morning}
"""


class Walk:
    """Records the files whose functions run while it is on, in all threads."""

    def __init__(self) -> None:
        self.files: set[str] = set()
        self._is_on = False
        threading.setprofile(self._note)
        sys.setprofile(self._note)

    def _note(self, frame: FrameType, event: str, argument: Any) -> None:
        del argument
        code = frame.f_code
        # Bodies of modules and classes run once, when they are imported.
        if (
            self._is_on
            and event == "call"
            and code.co_flags & inspect.CO_OPTIMIZED
            and code.co_filename.startswith(PACKAGE)
        ):
            self.files.add(code.co_filename.removeprefix(PACKAGE))

    @contextmanager
    def on(self) -> Iterator[set[str]]:
        """Records for as long as the context lasts; yields the files."""
        self.files = set()
        self._is_on = True
        try:
            yield self.files
        finally:
            self._is_on = False


async def serve() -> None:
    """Serves one session: calls the tool when a reply is requested."""
    from websockets.asyncio.server import ServerConnection
    from websockets.asyncio.server import serve as listen

    async def session(connection: ServerConnection) -> None:
        async for text in connection:
            match decode_client(text):
                case SessionUpdate():
                    await connection.send(encode(SessionReady("sess_1")))
                case ReplyCreate():
                    for message in (
                        ReplyStarted("r1"),
                        ToolCall("call_1", "look", {"at": "it"}),
                        ReplyDone("r1"),
                    ):
                        await connection.send(encode(message))
                case SessionEnd():
                    await connection.send(encode(SessionEnded(1.0)))

    async with listen(session, "127.0.0.1", 0) as server:
        host, port = server.sockets[0].getsockname()
        print(f"ws://{host}:{port}/v1/ws", flush=True)
        await asyncio.to_thread(sys.stdin.read)


class Watcher:
    """A view of the call that keeps what it sees."""

    def __init__(self) -> None:
        self.seen: asyncio.Queue[object] = asyncio.Queue()

    def observe(self, at: float, what: Any) -> None:
        self.seen.put_nowait(getattr(what, "message", what))

    def notice(self, text: str) -> None:
        print(text, file=sys.stderr)

    def findings(self, found: Any) -> None:
        print(found, file=sys.stderr)


async def run_card(card: FakePortAudio) -> None:
    """Exchanges 10 ms of audio every 10 ms, as PortAudio's thread does."""
    while True:
        for stream in card.streams:
            if stream.is_running:
                await asyncio.to_thread(stream.exchange, bytes(960), 480)
        await asyncio.sleep(0.01)


async def call_trips(walk: Walk, agent: Path, url: str) -> dict[str, set[str]]:
    """Returns the files of the trips of a microphone frame and of a tool call."""
    from runner.engine.compose import CallOptions, open_call

    card = FakePortAudio(*LAPTOP)
    sys.modules["sounddevice"] = card  # type: ignore[assignment]  # its double
    watcher = Watcher()

    async def until(kind: type) -> None:
        async with asyncio.timeout(20):
            while not isinstance(await watcher.seen.get(), kind):
                pass

    options = CallOptions(agent, input="mic", service=url)
    trips: dict[str, set[str]] = {}
    async with open_call(options, os.environ, watcher) as call:
        holding = asyncio.create_task(call.run())
        await until(SessionReady)

        running = asyncio.create_task(run_card(card))
        for _ in range(4):  # frames before, so that nothing is new for the one counted
            await until(InputAudio)
        with walk.on() as files:
            await until(InputAudio)
        trips["microphone"] = set(files)
        running.cancel()
        await asyncio.sleep(0.1)  # for the audio that is on its way
        call.engine.post(Say("look"))
        with walk.on() as files:
            await until(ToolResult)
        trips["tool call"] = set(files)
        call.engine.post(HangUp("the trips are over"))
        await holding
    return trips


def command(*arguments: str) -> Callable[[], None]:
    def run() -> None:
        from runner.cli.main import build_app

        with (
            open(os.devnull, "w") as nothing,
            redirect_stdout(nothing),
            redirect_stderr(nothing),
        ):
            try:
                build_app(arguments[0])(list(arguments), standalone_mode=False)
            except SystemExit:
                pass
            except Exception as error:
                # Exit of a command with findings.
                if type(error).__name__ != "Exit":
                    raise

    return run


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--list", action="store_true", help="list the files")
    parser.add_argument("--serve", action="store_true", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.serve:
        asyncio.run(serve())
        return

    walk = Walk()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        (folder / "agent.yaml").write_text(AGENT)
        (folder / "tool.py").write_text(TOOL)
        (folder / "broken.yaml").write_text(AGENT.replace("prompt", "promt"))
        (folder / "agent.test.yaml").write_text(SCENARIO)
        far_end = subprocess.Popen(
            [sys.executable, __file__, "--serve"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        assert far_end.stdout is not None and far_end.stdin is not None
        url = far_end.stdout.readline().strip()
        try:
            trips = asyncio.run(call_trips(walk, folder / "agent.yaml", url))
        finally:
            far_end.stdin.close()
            far_end.wait()
        for trip, run in (
            ("finding", command("validate", str(folder / "broken.yaml"))),
            ("scenario", command("test", str(folder / "agent.test.yaml"))),
        ):
            with walk.on() as files:
                run()
            trips[trip] = set(files)
    print("| trip | files |\n|---|---|")
    for trip, names in trips.items():
        print(f"| {trip} | {len(names)} |")
        if options.list:
            print(*(f"    {each}" for each in sorted(names)), sep="\n")


if __name__ == "__main__":
    main()
