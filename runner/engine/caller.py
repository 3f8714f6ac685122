"""A caller that speaks lines from the command line or the keyboard, by local TTS."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field

from runner.audio.devices import Speaker
from runner.audio.virtual import InjectedMicrophone, MixedMicrophone
from runner.config.model import LocalConfig
from runner.engine.engine import Engine
from runner.errors import SpeechError
from runner.protocol.client.events import HangUp
from runner.speech.interfaces import Synthesizer

# The agent has finished after this pause: it covers the gap between the end of a reply
# and another action of the service.
FINISHED_SECONDS = 0.4
# The next line follows with a notice if the service detects no speech for this long.
UNHEARD_SECONDS = 4.0
# The next line follows with a notice if the answer takes longer.
ANSWER_SECONDS = 45.0

SayLine = Callable[[str], Awaitable[None]]
Notice = Callable[[str], None]


@dataclass(slots=True)
class ScriptedCaller:
    """Delivers lines to a call, then hangs up with `hang_up_reason`."""

    engine: Engine
    speaker: Speaker
    say: SayLine
    notice: Notice
    hang_up_reason: str = "everything has been said"

    async def say_in_turn(self, lines: AsyncIterator[str]) -> None:
        """Delivers each line after the agent has finished; hangs up after the last."""
        async for line in lines:
            await self.finished()
            await self.say(line)
            await self._wait_for_answer(line)
        await self.hang_up_when_quiet(FINISHED_SECONDS)

    async def say_immediately(self, lines: AsyncIterator[str]) -> None:
        """Delivers each line immediately; hangs up after the last."""
        async for line in lines:
            await self.say(line)
        await self.hang_up_when_quiet(FINISHED_SECONDS)

    async def hang_up_when_quiet(self, seconds: float) -> None:
        """Hangs up once the agent has finished and `seconds` have passed."""
        await self.finished(seconds)
        self.engine.post(HangUp(self.hang_up_reason, after_playback=True))

    async def finished(self, seconds: float = FINISHED_SECONDS) -> None:
        """Returns when no reply or tool call was pending for `seconds`."""
        while True:
            await self.engine.settled.wait()
            await self.speaker.drained()
            if await self._stays_settled(seconds):
                return

    async def _stays_settled(self, seconds: float) -> bool:
        try:
            await asyncio.wait_for(self.engine.unsettled.wait(), seconds)
        except TimeoutError:
            return True
        return False

    async def _wait_for_answer(self, line: str) -> None:
        if await self._stays_settled(UNHEARD_SECONDS):
            self.notice(f"the service did not detect speech: {line!r}")
            return
        try:
            await asyncio.wait_for(self.engine.settled.wait(), ANSWER_SECONDS)
        except TimeoutError:
            self.notice(f"no answer after {ANSWER_SECONDS:.0f} s to: {line!r}")


@dataclass(slots=True)
class LocalSynthesizer:
    """Synthesizes texts with the local TTS on a worker thread, one after another."""

    local: LocalConfig
    _voice: Synthesizer | None = None
    _worker: ThreadPoolExecutor = field(
        default_factory=lambda: ThreadPoolExecutor(1, thread_name_prefix="voice")
    )

    def begin(self, text: str) -> asyncio.Future[bytes]:
        """Starts to synthesize a text.

        The future raises SpeechError if the voice is missing.
        """
        loop = asyncio.get_running_loop()
        return loop.run_in_executor(self._worker, self._speak, text)

    def close(self) -> None:
        """Stops the worker thread."""
        self._worker.shutdown(wait=False, cancel_futures=True)

    def _speak(self, text: str) -> bytes:
        if self._voice is None:
            # Imported here: loading the speech engine takes half a second.
            from runner.speech.loader import load_synthesizer

            self._voice = load_synthesizer(self.local)
        return b"".join(self._voice.synthesize(text, lambda: False))


@dataclass(slots=True)
class SpokenInput:
    """Speaks the caller's lines into a microphone; synthesizes known ones ahead."""

    microphone: InjectedMicrophone | MixedMicrophone
    voice: LocalSynthesizer
    known: Sequence[str] = ()
    _prepared: dict[str, asyncio.Future[bytes]] = field(default_factory=dict)

    def prepare(self) -> None:
        """Starts to synthesize the known lines."""
        for line in self.known:
            self._prepared.setdefault(line, self.voice.begin(line))

    async def speak(self, line: str) -> None:
        """Speaks a line into the microphone; returns when it was sent.

        Raises:
            SpeechError: the voice is not installed or not downloaded.
        """
        waiting = self._prepared.get(line) or self.voice.begin(line)
        await self.microphone.say(await waiting)


@dataclass(slots=True)
class AnnouncementSynthesizer:
    """Synthesizes announcements for the engine; a failure is reported once.

    The audio of each text is cached: there are as many texts as tools.
    """

    begin: Callable[[str], asyncio.Future[bytes]]  # `LocalSynthesizer.begin`
    notice: Callable[[str], None]
    _cache: dict[str, asyncio.Future[bytes]] = field(default_factory=dict)
    _has_failed: bool = False

    async def say(self, text: str) -> bytes:
        """Returns the audio of a text; empty if this machine has no voice."""
        if self._has_failed:
            return b""
        future = self._cache.get(text)
        if future is None:
            future = self._cache[text] = self.begin(text)
        try:
            return await asyncio.shield(future)
        except SpeechError as error:
            if not self._has_failed:
                self._has_failed = True
                hint = f" ({error.hint})" if error.hint else ""
                self.notice(f"{error.message}: announcements are not spoken{hint}")
            return b""
