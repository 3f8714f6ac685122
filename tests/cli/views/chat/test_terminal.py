"""The chat in a real pseudo-terminal, with the real command and a scripted far end."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import sys
from collections.abc import AsyncIterator, Callable
from pathlib import Path

import pyte
import pytest

from runner.protocol.messages import (
    InputSpeechStarted,
    InputSpeechStopped,
    ReplyAudio,
    ReplyDone,
    ReplyStarted,
    ToolCall,
    TranscriptAgent,
    TranscriptAgentDelta,
    TranscriptUser,
    TranscriptUserDelta,
)
from tests.cli.views.chat.calls import tone
from tests.terminal import Service, service

if sys.platform == "win32":
    pytest.skip("Windows has no pseudo-terminals", allow_module_level=True)

import fcntl
import struct
import termios

AGENT = """\
version: 1
name: tester
prompt: You test.
local: {tts: none.onnx}
tools:
  - name: where
    description: Where an order is.
    python: where.py:where
"""
TOOL = '''\
import logging, os, sys

def where(order: str) -> str:
    """Where an order is."""
    logging.getLogger("shop").warning("asked for %s", order)
    os.write(2, b"a library of C says this\\n")
    raise ValueError("the shop is closed")
'''
# A session leader that opens a terminal is controlled by it, and gets its Ctrl-C.
_LEAD = "import os, sys; os.open(os.ttyname(0), 2); os.execv(sys.argv[1], sys.argv[1:])"


class Desk:
    """A terminal with `vagent run` in it; `screen` is what a person sees."""

    def __init__(self, ours: int, process: asyncio.subprocess.Process) -> None:
        self.screen = pyte.HistoryScreen(80, 20, history=1000)
        self.process = process
        self.raw = b""
        self._stream = pyte.ByteStream(self.screen)
        self._ours = ours
        self._grown = asyncio.Event()
        asyncio.get_running_loop().add_reader(ours, self._read)

    def press(self, keys: bytes) -> None:
        os.write(self._ours, keys)

    def resize(self, columns: int) -> None:
        self.screen.resize(20, columns)
        size = struct.pack("HHHH", 20, columns, 0, 0)
        fcntl.ioctl(self._ours, termios.TIOCSWINSZ, size)

    @property
    def text(self) -> str:
        return "\n".join(line.rstrip() for line in self.screen.display).rstrip()

    async def shows(self, *texts: str) -> None:
        """Return once all of this is on the screen at one time."""
        await self.until(lambda: all(text in self.text for text in texts), str(texts))

    async def until(self, holds: Callable[[], bool], claim: str) -> None:
        try:
            async with asyncio.timeout(30):
                while not holds():
                    self._grown.clear()
                    await self._grown.wait()
        except TimeoutError:
            raise AssertionError(f"never: {claim}\n{self.text}") from None

    async def ended(self) -> int:
        async with asyncio.timeout(30):
            return await self.process.wait()

    def _read(self) -> None:
        try:
            data = os.read(self._ours, 65536)
        except OSError:  # the other end is closed
            data = b""
        if not data:
            asyncio.get_running_loop().remove_reader(self._ours)
        self.raw += data
        self._stream.feed(data)
        self._grown.set()


@contextlib.asynccontextmanager
async def at_the_desk(
    tmp_path: Path, *options: str, environment: dict[str, str] | None = None
) -> AsyncIterator[tuple[Desk, Service, int]]:
    (tmp_path / "agent.yaml").write_text(AGENT, "utf-8")
    (tmp_path / "where.py").write_text(TOOL, "utf-8")
    ours, theirs = os.openpty()
    fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", 20, 80, 0, 0))
    dropped = ("ASSEMBLYAI_API_KEY", "VAGENT_SERVICE_KEY", "NO_COLOR", "FORCE_COLOR")
    kept = {name: value for name, value in os.environ.items() if name not in dropped}
    async with service() as (far_end, url):
        arguments = ["run", str(tmp_path / "agent.yaml"), "--service", url]
        process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-c", _LEAD, sys.executable, "-m", "runner"),
            *(*arguments, "--text", "--output", "null", *options),
            stdin=theirs,
            stdout=theirs,
            stderr=theirs,
            start_new_session=True,
            env={
                **kept,
                "TERM": "xterm-256color",
                "PYTHONPATH": os.getcwd(),
                "PYTHONUTF8": "1",
                **(environment or {}),
            },
        )
        desk = Desk(ours, process)
        try:
            yield desk, far_end, theirs
        finally:
            if process.returncode is None:
                process.kill()
            await process.wait()
            asyncio.get_running_loop().remove_reader(ours)
            os.close(ours)
            os.close(theirs)


def mode(terminal: int) -> list[object]:
    return termios.tcgetattr(terminal)


async def test_a_call_at_the_desk(tmp_path: Path) -> None:
    async with at_the_desk(tmp_path) as (desk, far_end, theirs):
        before = mode(theirs)
        await desk.shows("listening", "> type your words")
        await far_end.say(InputSpeechStarted(), TranscriptUserDelta("where is"))
        await desk.shows("You    where is …", "hearing you")
        await far_end.say(
            InputSpeechStopped(),
            TranscriptUser("Where is it?"),
            ReplyStarted("a"),
            ToolCall("c1", "where", {"order": "1234"}),
            ReplyDone("a"),
        )
        await desk.shows("✗ where", "the shop is closed")
        await desk.shows("· a library of C says this", "asked for 1234")
        words = list("abcdefgh")
        await far_end.say(
            ReplyStarted("b"),
            ReplyAudio(tone(30.0), "b"),
            *(
                TranscriptAgentDelta(f"{word} ", "b", start_ms=index * 100)
                for index, word in enumerate(words)
            ),
        )
        await desk.shows("speaking", "Agent  a b c")
        desk.press(b"and wh\x7f\x7fwhen")
        await desk.shows("> and when", "speaking")
        desk.resize(40)
        await desk.shows("> and when", "agent █")
        await far_end.say(
            InputSpeechStarted(),
            TranscriptAgent("a b c", "b", interrupted=True),
            ReplyDone("b", "interrupted"),
            InputSpeechStopped(),
            TranscriptUser("Thanks."),
            ReplyStarted("d"),
            ReplyDone("d"),
        )
        await desk.shows("—", "You    Thanks.", "listening")
        desk.press(b"\x15\x14")
        await desk.shows("muted", "you off")
        desk.press(b"/end\r")
        assert await desk.ended() == 0
        await desk.until(lambda: "1 interruption" in desk.text, "a summary")
        assert mode(theirs) == before
        assert "type your words" not in desk.text


async def test_the_second_interrupt_restores_the_terminal(tmp_path: Path) -> None:
    async with at_the_desk(tmp_path) as (desk, far_end, theirs):
        before = mode(theirs)
        await desk.shows("listening")
        assert mode(theirs) != before
        await far_end.say(ReplyStarted("a"), ReplyAudio(tone(30.0), "a"))
        await desk.shows("speaking")
        desk.press(b"\x03")
        desk.press(b"\x03")

        assert await desk.ended() in (0, 130)
        assert mode(theirs) == before


async def test_color_can_be_turned_off(tmp_path: Path) -> None:
    refused = {"NO_COLOR": "1"}
    async with at_the_desk(tmp_path, environment=refused) as (desk, far_end, _):
        await far_end_says_hello(desk, far_end)
        cells = [cell for row in desk.screen.buffer.values() for cell in row.values()]

        assert {cell.fg for cell in cells} == {"default"}


async def test_a_dumb_terminal_gets_the_wire(tmp_path: Path) -> None:
    dumb = {"TERM": "dumb"}
    async with at_the_desk(tmp_path, environment=dumb) as (desk, far_end, _):
        await desk.shows("← session.ready")
        await far_end.say(TranscriptUser("Hello."))
        await desk.shows("You:    Hello.")


async def test_plain_is_read_out_and_typed_to_by_line(tmp_path: Path) -> None:
    async with at_the_desk(tmp_path, "--view", "plain") as (desk, far_end, _):
        await desk.shows("Connected.")
        await far_end.say(TranscriptUser("Hello."))
        await desk.shows("You said: Hello.")
        desk.press(b"/mute\n")
        await desk.shows("Note: muted: silence is sent until /unmute")
        desk.press(b"/end\n")
        assert await desk.ended() == 0
        assert b"\x1b" not in desk.raw


async def far_end_says_hello(desk: Desk, far_end: Service) -> None:
    await desk.shows("listening")
    await far_end.say(ReplyStarted("a"), TranscriptAgent("Hello.", "a"), ReplyDone("a"))
    await desk.shows("Agent  Hello.")


async def test_a_call_that_is_stopped_and_goes_on_takes_the_terminal_again(
    tmp_path: Path,
) -> None:
    async with at_the_desk(tmp_path) as (desk, far_end, theirs):
        before = mode(theirs)
        await desk.shows("listening")
        # Continues at once: the system does not stop an orphaned process group.
        desk.process.send_signal(signal.SIGTSTP)
        await desk.until(lambda: desk.raw.count(b"\x1b[?2004h") == 2, "taken again")

        assert desk.raw.count(b"\x1b[?2004l") == 1
        assert mode(theirs) != before
        await far_end_says_hello(desk, far_end)
