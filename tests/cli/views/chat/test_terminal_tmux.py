"""The chat as tmux keeps it: a real terminal that breaks lines again when resized.

`VAGENT_REWRITE_SCREENS=1 pytest tests/cli/chat` rewrites the kept screens.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import re
import shlex
import shutil
import sys
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from runner.protocol.messages import (
    InputSpeechStopped,
    ReplyAudio,
    ReplyDone,
    ReplyStarted,
    TranscriptAgent,
    TranscriptUser,
)
from tests.cli.views.chat.calls import tone
from tests.cli.views.chat.test_render_screens import agree
from tests.terminal import Service, service

pytestmark = pytest.mark.skipif(
    shutil.which("tmux") is None, reason="tmux is not installed"
)

AGENT = "version: 1\nname: tester\nprompt: You test.\nlocal: {tts: none.onnx}\n"


class Tmux:
    """A tmux server of its own with one window."""

    def __init__(self, socket: Path) -> None:
        self._socket = socket

    async def run(self, *arguments: str) -> str:
        process = await asyncio.create_subprocess_exec(
            *("tmux", "-f", os.devnull, "-S", str(self._socket), *arguments),
            stdout=asyncio.subprocess.PIPE,
            env={**os.environ, "LC_ALL": "C.UTF-8", "TERM": "xterm-256color"},
        )
        out, _ = await process.communicate()
        return out.decode()

    async def shows(self, text: str) -> str:
        """Return what is seen once it has this; also what was scrolled away."""
        async with asyncio.timeout(30):
            while text not in (seen := await self.run("capture-pane", "-p", "-S-")):
                pass  # each look takes tmux a few milliseconds
        # What differs from run to run: times, and the port of the far end.
        seen = re.sub(r"127\.0\.0\.1:\d+", "127.0.0.1:PORT", seen)
        seen = re.sub(r"\d\d:\d\d\b", "MM:SS", seen)
        seen = re.sub(r"(answer )?\d+\.\d+ s", r"\1N s", seen)
        lines = [line.rstrip() for line in seen.splitlines()]
        return "\n".join(line for line in lines if line) + "\n"


@contextlib.asynccontextmanager
async def in_tmux(tmp_path: Path, view: str) -> AsyncIterator[tuple[Tmux, Service]]:
    (tmp_path / "agent.yaml").write_text(AGENT, "utf-8")
    tmux = Tmux(tmp_path / "tmux")
    async with service() as (far_end, url):
        options = ("--service", url, "--text", "--output", "null", "--view", view)
        command = shlex.join(
            [sys.executable, "-m", "runner", "run", str(tmp_path / "agent.yaml")]
            + list(options)
        )
        # Nothing but the call: no shell, which would print a prompt of its own.
        variables = f"PYTHONPATH={shlex.quote(os.getcwd())} PYTHONUTF8=1"
        try:
            await tmux.run(
                *("new-session", "-d", "-x", "80", "-y", "20"),
                f"exec env -u NO_COLOR {variables} {command}",
            )
            yield tmux, far_end
        finally:
            await tmux.run("kill-server")


async def talk(far_end: Service) -> None:
    await far_end.say(
        InputSpeechStopped(),
        TranscriptUser("Where is my order, number 1234?"),
        ReplyStarted("a"),
        ReplyAudio(tone(0.1), "a"),
        TranscriptAgent("It left the warehouse this morning.", "a"),
        ReplyDone("a"),
    )


@pytest.mark.parametrize(
    ("view", "ready"),
    [("chat", "listening"), ("wire", "session.ready"), ("plain", "Connected.")],
)
async def test_a_view_in_tmux_looks_as_kept(
    tmp_path: Path, view: str, ready: str
) -> None:
    async with in_tmux(tmp_path, view) as (tmux, far_end):
        await tmux.shows(ready)
        await talk(far_end)
        if view == "chat":
            await tmux.shows("listening  you ▯▯▯▯  agent ▯▯▯▯  answer")
        end = {"wire": "reply.done", "plain": "Agent said", "chat": "line good"}

        agree(f"tmux-{view}", await tmux.shows(end[view]))


async def test_a_window_that_becomes_narrow_keeps_no_rest_of_the_wide_picture(
    tmp_path: Path,
) -> None:
    async with in_tmux(tmp_path, "chat") as (tmux, far_end):
        await tmux.shows("listening")
        await talk(far_end)
        await tmux.shows("listening  you ▯▯▯▯  agent ▯▯▯▯  answer")
        await tmux.run("resize-window", "-x", "40")

        agree("tmux-resized", await tmux.shows("listening  you ·"))
