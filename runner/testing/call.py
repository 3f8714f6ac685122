"""One call under test: who speaks, what was said and done, how it ended."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any, TypeAlias

from runner.audio.devices import Speaker
from runner.counters import Counters
from runner.engine.caller import FINISHED_SECONDS, ScriptedCaller
from runner.engine.engine import Engine
from runner.losses import format_losses
from runner.protocol.client.actions import Close
from runner.protocol.client.events import HangUp
from runner.testing.results import CallSeen
from runner.testing.scenarios.model import Party
from runner.testing.scissors import CuttableConnection
from runner.testing.witness import CallObserver

# Speaks words into the call; returns when the last of them sounded (the loop's clock).
Deliver: TypeAlias = Callable[[str], Awaitable[float]]

# Longer than any reply, any tool's timeout by default, and any drop that is survived.
PATIENCE_SECONDS = 120.0


class ExpectationNotMet(AssertionError):
    """What a test waited for did not come; the message says what came instead."""


@dataclass(frozen=True, slots=True)
class CallEnd:
    """How a call ended, and who ended it."""

    by: Party
    reason: str
    is_clean: bool


class CallObservation:
    """What was seen of a call."""

    def __init__(self, witness: CallObserver, counters: Callable[[], Counters]) -> None:
        self.witness = witness
        self.counters = counters

    @property
    def said(self) -> Sequence[tuple[str, str]]:
        """The conversation so far: ("caller" or "agent", words)."""
        return [(each.speaker, each.text) for each in self.witness.said]

    @property
    def agent_said(self) -> str:
        """All that the agent has said so far."""
        return " ".join(text for speaker, text in self.said if speaker == "agent")

    @property
    def calls(self) -> Sequence[CallSeen]:
        """The tool calls so far, in their order."""
        return [call.seen for call in self.witness.calls.values()]

    def tool(self, name: str) -> CallSeen:
        """Return the last call of a tool; raises AssertionError if there was none."""
        for call in reversed(self.calls):
            if call.tool == name:
                return call
        names = ", ".join(call.tool for call in self.calls) or "none"
        raise ExpectationNotMet(f"{name} was not called; the calls were: {names}")

    def losses(self) -> Sequence[str]:
        """Return in words what was lost, but for the time without a line."""
        return format_losses(replace(self.counters(), connection_drops=0))


class CallUnderTest(CallObservation):
    """A call that is going on; made by `vagent_session`.

    Words are spoken when the agent has finished, unless they interrupt it.
    """

    def __init__(
        self,
        engine: Engine,
        speaker: Speaker,
        witness: CallObserver,
        counters: Callable[[], Counters],
        line: CuttableConnection,
        deliver: Deliver,
    ) -> None:
        super().__init__(witness, counters)
        self.engine = engine
        self._line = line
        self._deliver = deliver
        self._caller = ScriptedCaller(engine, speaker, self.speak, lambda text: None)
        self._running: asyncio.Task[Close] | None = None

    def begin(self) -> asyncio.Task[Close]:
        """Let the call begin; return what ends with it."""
        self._running = asyncio.create_task(self.engine.run())
        return self._running

    async def user(self, words: str, *, interrupts_after: float | None = None) -> str:
        """Speak, and return what the agent answered once it has finished.

        With `interrupts_after` the caller speaks into the agent's words, when so many
        seconds of them have sounded.
        """
        if interrupts_after is None:
            await self.agent_finished()
        else:
            await self.until_sounding(words, interrupts_after)
        so_far = len(self.witness.said)  # before the words: an answer may be quick
        self._expect_line(words)
        await self.speak(words)
        await self.agent_finished()
        said = self.witness.said[so_far:]
        if interrupts_after is not None and said and said[0].interrupted:
            said = said[1:]  # what was cut off is no answer
        return " ".join(each.text for each in said if each.speaker == "agent")

    async def say(self, words: str) -> None:
        """Speak when the agent has finished; return when the words are out."""
        await self.agent_finished()
        self._expect_line(words)
        await self.speak(words)

    async def interrupt(self, words: str, after: float) -> None:
        """Speak into the agent's words, when so many seconds of them have sounded.

        Raises:
            NeverHappened: the agent had finished by then, or never began.
        """
        await self.until_sounding(words, after)
        await self.speak(words)

    async def until_sounding(self, words: str, after: float) -> None:
        """Wait until it is time to interrupt with these words; as `interrupt`."""
        witness = self.witness

        def has_begun() -> bool:
            return witness.reply.sounded_at is not None and self._is_sounding

        what = f"{words!r} was to interrupt the agent"
        if not await self.waits_for(has_begun):
            raise ExpectationNotMet(f"{what}, and it said nothing")
        due = (witness.reply.sounded_at or 0.0) + after
        await self.wait(max(0.0, due - asyncio.get_running_loop().time()))
        if not self._is_sounding:
            raise ExpectationNotMet(
                f"{what} after {after:g} s, and it had finished before"
            )

    async def speak(self, words: str) -> None:
        """Speak now, whatever the agent does; return when the words are out."""

        async def speak() -> None:
            self.witness.quiet_at.append(await self._deliver(words))

        await self._before_the_end(speak())

    async def wait(self, seconds: float) -> None:
        """Say nothing for so long, or until the call is over."""
        await self._before_the_end(asyncio.sleep(seconds))

    def drop_line(self, seconds: float) -> None:
        """Cut the line, and let nobody through for so long."""
        self._line.cut(seconds)

    async def agent_finished(self) -> None:
        """Return when the agent has nothing more to say or do, or the call is over."""
        await self._before_the_end(self._caller.finished(FINISHED_SECONDS))

    async def waits_for(self, happened: Callable[[], bool]) -> bool:
        """Wait until something has happened; false when the agent finished without."""
        if happened():
            return True
        seen = asyncio.create_task(self.witness.until(happened))
        done = asyncio.create_task(self.agent_finished())
        try:
            await asyncio.wait((seen, done), return_when="FIRST_COMPLETED")
        finally:
            for task in (seen, done):
                task.cancel()
            await asyncio.gather(seen, done, return_exceptions=True)
        return happened()

    async def hang_up(self) -> None:
        """End the call from the caller's side, when the agent has finished.

        An agent that hangs up first has ended it.
        """
        await self.agent_finished()
        if self.witness.close is None:
            self.engine.post(HangUp("the caller hung up", after_playback=True))

    async def ended(self, within: float = PATIENCE_SECONDS) -> CallEnd:
        """Wait for the end of the call.

        Raises:
            NeverHappened: it still went on after `within` seconds.
            VagentError: it broke off on this side.
        """
        assert self._running is not None, "the call has not begun"
        await asyncio.wait((self._running,), timeout=within)
        if not self._running.done():
            raise ExpectationNotMet(f"the call still went on after {within:g} s")
        close, end = self._running.result(), self.witness.end
        assert end is not None, "the engine reports the end before it returns"
        return CallEnd(end.ended_by, close.reason, close.outcome.value == "clean")

    # ------------------------------------------------------------------- below

    @property
    def _is_sounding(self) -> bool:
        speaker = self.witness.speaker
        return speaker is not None and speaker.pending_ms > 0

    def _expect_line(self, words: str) -> None:
        close = self.witness.close
        if close is not None:
            raise ExpectationNotMet(
                f"the call was over before {words!r}: {close.reason}"
            )

    async def _before_the_end(self, work: Awaitable[Any]) -> None:
        """Await something, but not beyond the end of the call or all patience."""
        assert self._running is not None, "the call has not begun"
        task = asyncio.ensure_future(work)
        try:
            await asyncio.wait(
                (task, self._running),
                timeout=PATIENCE_SECONDS,
                return_when="FIRST_COMPLETED",
            )
            if not task.done() and not self._running.done():
                raise ExpectationNotMet(
                    f"the agent did not finish within {PATIENCE_SECONDS:g} s"
                )
            if task.done():
                task.result()
        finally:
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)
