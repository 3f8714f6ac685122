"""The caller's words as sound: lines spoken into the microphone path."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field

from runner.audio.spoken import QueueMicrophone, SharedMicrophone
from runner.config.model import LocalConfig
from runner.speech.parts import Voice


@dataclass(slots=True)
class SpokenLines:
    """Delivers lines by the local voice; those that are known are spoken ahead.

    One worker thread: a voice speaks one line after the other.
    """

    microphone: QueueMicrophone | SharedMicrophone
    local: LocalConfig
    known: Sequence[str] = ()
    _voice: Voice | None = None
    _ahead: dict[str, asyncio.Future[bytes]] = field(default_factory=dict)
    _worker: ThreadPoolExecutor = field(
        default_factory=lambda: ThreadPoolExecutor(1, thread_name_prefix="voice")
    )

    def prepare(self) -> None:
        """Begin to speak the known lines; they are ready when their turn comes."""
        for line in self.known:
            self._ahead.setdefault(line, self._begin(line))

    async def deliver(self, line: str) -> None:
        """Speak a line into the microphone; return when its last sample went in.

        Raises:
            SpeechError: there is no voice on this machine, or it is not fetched.
        """
        waiting = self._ahead.get(line) or self._begin(line)
        await self.microphone.say(await waiting)

    def close(self) -> None:
        """Let the voice go."""
        self._worker.shutdown(wait=False, cancel_futures=True)

    def _begin(self, line: str) -> asyncio.Future[bytes]:
        loop = asyncio.get_running_loop()
        return loop.run_in_executor(self._worker, self._speak, line)

    def _speak(self, line: str) -> bytes:
        if self._voice is None:
            # Loads the speech engine: half a second, and only for who needs it.
            from runner.speech.assembly import load_voice

            self._voice = load_voice(self.local)
        return b"".join(self._voice.speak(line, lambda: False))
