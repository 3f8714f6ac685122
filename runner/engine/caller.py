"""Somebody at the near end who speaks lines, from the command line or a keyboard."""

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

# Quiet for this long, and the agent has finished: it covers the gap between the last
# sound of a reply and what the far end may still do on its own.
FINISHED_SECONDS = 0.4
# A line that is not heard after this long is passed over, with a word.
UNHEARD_SECONDS = 4.0
# How long an answer may take before the next line is spoken all the same.
ANSWER_SECONDS = 45.0

Deliver = Callable[[str], Awaitable[None]]
Notice = Callable[[str], None]


@dataclass(frozen=True, slots=True)
class ScriptedCaller:
    """Delivers lines to a call, each after the agent has finished, then hangs up."""

    engine: Engine
    speaker: Speaker
    deliver: Deliver
    notice: Notice

    async def speak_in_turn(self, lines: AsyncIterator[str]) -> None:
        """Say each line when the agent has finished, hang up after the last answer."""
        async for line in lines:
            await self.finished()
            await self.deliver(line)
            await self._be_answered(line)
        await self.hang_up_when_quiet(FINISHED_SECONDS)

    async def speak_at_once(self, lines: AsyncIterator[str]) -> None:
        """Say each line as it comes; hang up when there are no more."""
        async for line in lines:
            await self.deliver(line)
        await self.hang_up_when_quiet(FINISHED_SECONDS)

    async def hang_up_when_quiet(self, seconds: float) -> None:
        """Hang up once the agent has finished and nothing follows for a while."""
        await self.finished(seconds)
        self.engine.post(HangUp("everything has been said", after_playback=True))

    async def finished(self, seconds: float = FINISHED_SECONDS) -> None:
        """Return when the agent has had nothing to say or do for this long."""
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

    async def _be_answered(self, line: str) -> None:
        if await self._stays_settled(UNHEARD_SECONDS):
            self.notice(f"nobody heard: {line!r}")
            return
        try:
            await asyncio.wait_for(self.engine.settled.wait(), ANSWER_SECONDS)
        except TimeoutError:
            self.notice(f"no answer after {ANSWER_SECONDS:.0f} s to: {line!r}")


# The voice of this machine, outside the local service: the caller's lines, spoken
# into the microphone path, and announcements that no service says.


@dataclass(slots=True)
class LocalSynthesizer:
    """Makes sound of texts on a worker thread, one after the other."""

    local: LocalConfig
    _voice: Synthesizer | None = None
    _worker: ThreadPoolExecutor = field(
        default_factory=lambda: ThreadPoolExecutor(1, thread_name_prefix="voice")
    )

    def begin(self, text: str) -> asyncio.Future[bytes]:
        """Begin to make sound of a text.

        The future raises SpeechError where there is no voice, or it is not fetched.
        """
        loop = asyncio.get_running_loop()
        return loop.run_in_executor(self._worker, self._speak, text)

    def close(self) -> None:
        """Let the voice go."""
        self._worker.shutdown(wait=False, cancel_futures=True)

    def _speak(self, text: str) -> bytes:
        if self._voice is None:
            # Loads the speech engine: half a second, and only for who needs it.
            from runner.speech.loader import load_synthesizer

            self._voice = load_synthesizer(self.local)
        return b"".join(self._voice.speak(text, lambda: False))


@dataclass(slots=True)
class SpokenInput:
    """Delivers the caller's lines; those that are known are spoken ahead."""

    microphone: InjectedMicrophone | MixedMicrophone
    voice: LocalSynthesizer
    known: Sequence[str] = ()
    _ahead: dict[str, asyncio.Future[bytes]] = field(default_factory=dict)

    def prepare(self) -> None:
        """Begin to speak the known lines; they are ready when their turn comes."""
        for line in self.known:
            self._ahead.setdefault(line, self.voice.begin(line))

    async def deliver(self, line: str) -> None:
        """Speak a line into the microphone; return when its last sample went in.

        Raises:
            SpeechError: there is no voice on this machine, or it is not fetched.
        """
        waiting = self._ahead.get(line) or self.voice.begin(line)
        await self.microphone.say(await waiting)


@dataclass(slots=True)
class AnnouncementSynthesizer:
    """Says announcements for the engine, each text made once; tells once if it cannot.

    An agent has as many texts as it has tools, so what was made is kept.
    """

    begin: Callable[[str], asyncio.Future[bytes]]  # `LocalVoice.begin`
    notice: Callable[[str], None]
    _made: dict[str, asyncio.Future[bytes]] = field(default_factory=dict)
    _is_mute: bool = False

    async def say(self, text: str) -> bytes:
        """Return a text as sound; empty where this machine has no voice."""
        if self._is_mute:
            return b""
        making = self._made.get(text)
        if making is None:
            making = self._made[text] = self.begin(text)
        try:
            return await asyncio.shield(making)
        except SpeechError as error:
            if not self._is_mute:
                self._is_mute = True
                hint = f" ({error.hint})" if error.hint else ""
                self.notice(f"{error.message}; no tools are announced by it{hint}")
            return b""
