"""The sound card of a call: opens devices and recovers from their loss.

After a device was unplugged, suspended or changed, the same device or the default is
opened, while microphone and speaker stay the same objects and the call continues.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Awaitable, Callable, Mapping, Set
from dataclasses import dataclass, field, replace
from functools import partial
from typing import Self, TypeAlias

from runner.audio.devices import SAMPLE_RATE, Clock, LoopClock, Ticker
from runner.audio.echo import AudioProcessor
from runner.audio.portaudio.library import (
    NOUNS,
    DeviceName,
    Direction,
    KnownDevice,
    PortAudio,
    SoundDevice,
)
from runner.audio.portaudio.microphone import CardMicrophone
from runner.audio.portaudio.probe import find_sides
from runner.audio.portaudio.speaker import CardSpeaker
from runner.audio.portaudio.streams import (
    AudioWorker,
    PortAudioSession,
    StreamSession,
    Worker,
    describe_silence,
)
from runner.errors import AudioUnavailable


@dataclass(frozen=True, slots=True)
class SoundCardDependencies:
    """Dependencies of a card: clock, PortAudio thread and device search."""

    clock: Clock = field(default_factory=LoopClock)
    worker: Worker = field(default_factory=AudioWorker)
    search: Search = find_sides


class SoundCard:
    """The devices of a call, with the streams that microphone and speaker share.

    An async context manager; so are its microphone and its speaker, in any order.
    """

    def __init__(
        self,
        *,
        input: bool = True,
        output: bool = True,
        input_device: DeviceName = None,
        output_device: DeviceName = None,
        notice: Notice = lambda text: None,
        front_end: AudioProcessor | None = None,
        library: PortAudio | None = None,
        dependencies: SoundCardDependencies | None = None,
    ) -> None:
        """Creates a card with the requested directions.

        `notice` receives messages about changes of the devices while the card is open.
        `front_end` processes the microphone audio and receives all played audio.
        """
        requested: dict[Direction, DeviceName] = {}
        if input:
            requested["input"] = input_device
        if output:
            requested["output"] = output_device
        self.microphone = CardMicrophone(self, front_end)
        self.speaker = CardSpeaker(self, self._on_low, front_end)
        dependencies = dependencies or SoundCardDependencies()
        streams = StreamSession(self.microphone, self.speaker, self._on_recorded)
        self._supervisor = DeviceSupervisor(
            PortAudioSession(requested, library),
            DeviceRouter(self.microphone, self.speaker, dependencies.clock),
            streams,
            worker=dependencies.worker,
            search=dependencies.search,
            notifier=DeviceNotifier(notice),
        )
        self._users = 0  # entered contexts: card, microphone and speaker
        self._loop: asyncio.AbstractEventLoop | None = None
        self._task: asyncio.Task[None] | None = None  # while it is open

    @property
    def is_open(self) -> bool:
        """True from the first entered context to the last, even without a device.

        False also after the supervisor failed, see `raise_if_lost`.
        """
        return self._task is not None and not self._task.done()

    @property
    def glitches(self) -> int:
        """Number of blocks for which PortAudio reported an overflow or underflow."""
        return self._supervisor.streams.glitches

    def raise_if_lost(self) -> None:
        """Raises AudioUnavailable if the supervisor failed, which is a bug."""
        if self._task is None or not self._task.done():
            return
        if not self._task.cancelled() and (error := self._task.exception()):
            raise AudioUnavailable(f"the sound card failed: {error}") from error

    async def __aenter__(self) -> Self:
        if not self._users:
            self._loop = asyncio.get_running_loop()
            await self._supervisor.open()
            self._task = asyncio.create_task(self._supervisor.run(), name="sound card")
            self._task.add_done_callback(lambda _: self._wake())
        self._users += 1
        return self

    async def __aexit__(self, *exc: object) -> None:
        self._users -= 1
        if not self._users:
            task, self._task = self._task, None
            if task is not None:
                task.cancel()
                await asyncio.wait([task])
            self._wake()
            await self._supervisor.close()

    # The PortAudio thread runs the next three methods.

    def _on_recorded(self) -> None:
        self._call_loop(self.microphone.wake)

    def _on_low(self) -> None:
        self._call_loop(self.speaker.wake)

    def _call_loop(self, callback: Callable[[], None]) -> None:
        if self._loop is not None:
            # RuntimeError: the loop was closed before the card.
            with contextlib.suppress(RuntimeError):
                self._loop.call_soon_threadsafe(callback)

    def _wake(self) -> None:
        self.microphone.wake()
        self.speaker.wake()


_BLOCK_SECONDS = 0.02  # seconds of audio per block of a substitute
_BLOCK_BYTES = 2 * round(SAMPLE_RATE * _BLOCK_SECONDS)
_NO_DEVICE = SoundDevice(-1, "", "input", "", SAMPLE_RATE, 1)


class DeviceRouter:
    """Connects microphone and speaker to devices, or to substitutes.

    A substitute delivers silence and discards audio by the clock, so that the session
    continues without a device.
    """

    def __init__(
        self, microphone: CardMicrophone, speaker: CardSpeaker, clock: Clock
    ) -> None:
        self._microphone = microphone
        self._speaker = speaker
        self.clock = clock
        self._substitutes: dict[Direction, asyncio.Task[None]] = {}

    def connect(self, streams: StreamSession, side: Direction) -> None:
        """Connects the microphone or the speaker to its opened device."""
        self._stop_substitute(side)
        device = streams.devices[side]
        if side == "input":
            self._microphone.attach(device)
        else:
            self._speaker.attach(device, streams.latency(side))
        streams.start_audio(side)

    def substitute(self, side: Direction) -> None:
        """Connects a substitute for the device, unless one is connected."""
        if side in self._substitutes:
            return
        # The buffered audio of the speaker plays on inaudibly, so that later audio
        # keeps its time.
        work = self._deliver_silence() if side == "input" else self._discard_audio()
        self._substitutes[side] = asyncio.create_task(work, name=f"no {side}")

    def close(self) -> None:
        """Stops the substitutes."""
        for side in list(self._substitutes):
            self._stop_substitute(side)

    def _stop_substitute(self, side: Direction) -> None:
        task = self._substitutes.pop(side, None)
        if task is not None:
            task.cancel()

    async def _deliver_silence(self) -> None:
        self._microphone.attach(_NO_DEVICE)
        ticker = Ticker(self.clock, _BLOCK_SECONDS)
        while True:
            now = await ticker.tick()
            if self._microphone.capture(bytes(_BLOCK_BYTES), now - _BLOCK_SECONDS):
                self._microphone.wake()

    async def _discard_audio(self) -> None:
        self._speaker.attach(replace(_NO_DEVICE, direction="output"), 0.0)
        ticker = Ticker(self.clock, _BLOCK_SECONDS)
        while True:
            now = await ticker.tick()
            self._speaker.render(_BLOCK_BYTES, now)


# Seconds.
_WATCH_SECONDS = 0.1  # between two checks of running streams
_OPEN_CHECK_SECONDS = 0.02  # between two checks of streams that are starting
_RETRY_SECONDS = 0.5  # between two attempts without a device
# The buffered audio of the speaker is kept this long, in case the device comes back;
# then it is played by the clock, because an answer that is seconds late is of no use.
_HOLD_SECONDS = 1.0
# Time for an opened device to start. PulseAudio's null sinks take two seconds: with a
# limit of two, each was closed just before it started, and opened again.
_ATTEMPT_SECONDS = 3.0
# A sound server that restarts is back by then, and no notice is needed.
_NOTICE_SECONDS = 2.0
# Between two searches for a missing direction while the other one works; each search
# costs a subprocess of 0.2 s.
_SEARCH_SECONDS = 3.0
# An opened device that delivers nothing is opened again after these times, because each
# attempt interrupts the other direction, which works.
_RETRY_AFTER_SECONDS = (4.0, 8.0, 16.0, 30.0)
# A device that takes longer to close is left to the end of the process.
_CLOSING_SECONDS = 3.0

# Returns the directions that have devices now, without touching the streams.
Search: TypeAlias = Callable[[], Awaitable[Set[Direction]]]


class DeviceSupervisor:
    """Watches the streams of a sound card during a call and reopens lost devices."""

    def __init__(
        self,
        session: PortAudioSession,
        router: DeviceRouter,
        streams: StreamSession,
        *,
        worker: Worker,
        search: Search,
        notifier: DeviceNotifier,
    ) -> None:
        """`streams` is not open yet."""
        self.streams = streams
        self._session = session
        self._router = router
        self._clock = router.clock
        self._search = search
        self._notifier = notifier
        self._worker = worker

    async def open(self) -> None:
        """Opens the requested devices; raises AudioUnavailable, DeviceNotFound."""
        self.streams = self.streams.fresh()
        requested = dict(self._session.requested)
        try:
            await self._worker.run(partial(self._session.open, self.streams))
        except BaseException:  # including cancellation
            self._worker.stop(self._session.close)
            raise
        for side in self._wanted:
            self._router.connect(self.streams, side)
        self._notifier.begin(requested, self._in_use())

    async def close(self) -> None:
        """Closes the devices; call after `run` was cancelled."""
        self._router.close()
        self.streams.stop_audio()
        closing = self._worker.run(self._session.close)
        try:
            await asyncio.wait_for(closing, _CLOSING_SECONDS)
        except TimeoutError:
            self._session.abandon()
        self._worker.stop()

    async def run(self) -> None:
        """Watches and recovers the devices until it is cancelled."""
        failures = 0  # consecutive attempts after which a direction was missing
        while True:
            await self._watch(
                _RETRY_AFTER_SECONDS[min(failures, len(_RETRY_AFTER_SECONDS) - 1)]
            )
            await self._recover()
            is_whole = self.streams.active == self._wanted
            failures = 0 if is_whole else failures + 1

    @property
    def _wanted(self) -> frozenset[Direction]:
        return frozenset(self._session.requested)

    async def _watch(self, retry_after: float) -> None:
        """Returns when the devices need to be opened again."""
        now = self._clock.now()
        detectors = {side: StallDetector(side, now) for side in self._wanted}
        search_at, retry_at = now + _SEARCH_SECONDS, now + retry_after
        while not self.streams.has_ended:
            await self._clock.wait_until(now + _WATCH_SECONDS)
            now = self._clock.now()
            if self._connect_started():
                self._notifier.report(self._in_use())
            self._notifier.report_silence(self.streams)
            through, blocks = self.streams.active, self.streams.blocks
            if any(detectors[side].has_stalled(blocks[side], now) for side in through):
                return
            missing = self._wanted - self.streams.devices.keys()
            if missing and now >= search_at:
                if missing & await self._search():
                    return
                now = self._clock.now()
                search_at = now + _SEARCH_SECONDS
            if self._wanted - missing - through and now >= retry_at:
                return

    async def _recover(self) -> None:
        """Opens the devices again until at least one direction works."""
        lost_at = self._clock.now()
        self._notifier.is_interrupted = True
        while True:
            began = self._clock.now()
            self.streams.stop_audio()
            self.streams = self.streams.fresh()
            if "input" in self._wanted:
                self._router.substitute("input")
            await self._attempt(began, lost_at)
            if self.streams.active:
                return
            await self._clock.wait_until(began + _RETRY_SECONDS)

    async def _attempt(self, began: float, lost_at: float) -> None:
        """Opens the available devices and waits, within limits, for them to start."""
        reopening = asyncio.create_task(
            self._worker.run(partial(self._session.reopen, self.streams))
        )
        try:
            while True:
                now = self._clock.now()
                await self._clock.wait_until(now + _OPEN_CHECK_SECONDS)
                if reopening.done():
                    reopening.result()  # raises only for a bug
                    self._connect_started()
                self._handle_loss(now - lost_at)
                is_late = now >= began + _ATTEMPT_SECONDS
                if reopening.done() and (is_late or self._is_settled()):
                    break
        finally:
            reopening.cancel()
        if self.streams.active:
            self._notifier.report(self._in_use())
            if "output" not in self.streams.active:
                self._substitute_speaker()

    def _handle_loss(self, seconds: float) -> None:
        """Connects substitutes and notifies after a loss that lasts."""
        if seconds >= _HOLD_SECONDS and "output" not in self.streams.active:
            self._substitute_speaker()
        if seconds >= _NOTICE_SECONDS and not self.streams.active:
            self._notifier.report(self._in_use())

    def _is_settled(self) -> bool:
        """True if all opened devices work, or the streams ended."""
        return (
            self.streams.has_ended or self.streams.active == self.streams.devices.keys()
        )

    def _connect_started(self) -> bool:
        """Connects the directions whose devices have started; True if there are any."""
        streams = self.streams
        began = [
            side
            for side in streams.devices
            if side not in streams.active and has_begun(side, streams.blocks[side])
        ]
        for side in began:
            self._router.connect(streams, side)
        return bool(began)

    def _substitute_speaker(self) -> None:
        if "output" in self._wanted:
            self._router.substitute("output")

    def _in_use(self) -> InUse:
        streams = self.streams
        return {
            side: streams.devices[side] if side in streams.active else None
            for side in sorted(self._wanted)
        }


# Seconds without a block, of which there is one each 10 ms, after which a stream has
# stalled.
STALL_SECONDS = 1.0
# PulseAudio's null sink needs up to two seconds for its first block; a speaker there
# fills its buffer at once, and then waits as long.
FIRST_SECONDS = 4.0
# Number of blocks, more than a buffer holds, that proves that the device works.
_FIRST_BLOCKS: dict[Direction, int] = {"input": 1, "output": 20}


def has_begun(side: Direction, blocks: int) -> bool:
    """True if this number of blocks proves that the device works."""
    return blocks >= _FIRST_BLOCKS[side]


class StallDetector:
    """Detects from the number of blocks that one direction of a stream has stalled."""

    def __init__(self, side: Direction, now: float) -> None:
        self._side = side
        self._blocks = 0
        self._moved_at = now  # time of the last change of the count
        self._called_at = now

    def has_stalled(self, blocks: int, now: float) -> bool:
        """True if no block came for too long; `blocks` is the count so far.

        Call several times per second.
        """
        # A long pause between two calls proves nothing: the process was suspended, and
        # the stream with it.
        was_asleep = now - self._called_at >= STALL_SECONDS
        self._called_at = now
        if blocks != self._blocks or was_asleep:
            self._blocks = blocks
            self._moved_at = now
        limit = STALL_SECONDS if has_begun(self._side, blocks) else FIRST_SECONDS
        return now - self._moved_at >= limit


InUse: TypeAlias = Mapping[Direction, SoundDevice | None]
Notice: TypeAlias = Callable[[str], None]


class DeviceNotifier:
    """Reports each change of the devices once."""

    def __init__(self, notice: Notice) -> None:
        self.is_interrupted = False  # a stream stopped, which was not reported yet
        self._notice = notice
        self._reported: InUse = {}
        self._silent_microphones: set[str] = set()  # names of reported microphones

    def begin(self, requested: Mapping[Direction, DeviceName], devices: InUse) -> None:
        """Stores the devices in use; reports a saved device that is missing."""
        self._reported, self.is_interrupted = devices, False
        for side, name in requested.items():
            now = devices.get(side)
            if isinstance(name, KnownDevice) and now and now.known != name:
                noun = NOUNS[side]
                self._notice(f"{noun} '{name.name}' not found: using '{now.name}'")

    def report(self, devices: InUse) -> None:
        """Reports the devices in use, if they changed."""
        before, self._reported = self._reported, devices
        news = [
            describe_change(side, before.get(side), now)
            for side, now in devices.items()
            if _name(before.get(side)) != _name(now)
        ]
        if not news and self.is_interrupted and any(devices.values()):
            news = ["the sound card stopped and was reopened"]
        if news:
            self._notice("; ".join(news))
            self.is_interrupted = False

    def report_silence(self, streams: StreamSession) -> None:
        """Reports a microphone that delivers only silence, once."""
        if streams.silence.is_silent:
            name = streams.devices["input"].name
            if name not in self._silent_microphones:
                self._silent_microphones.add(name)
                self._notice(describe_silence(name))


def describe_change(
    side: Direction, before: SoundDevice | None, now: SoundDevice | None
) -> str:
    """Returns a message about a device that was lost, found or replaced."""
    noun = NOUNS[side]
    if now is None:
        name = f" '{before.name}'" if before else ""
        effect = "silence is sent" if side == "input" else "the agent is inaudible"
        return f"the {noun}{name} stopped: {effect} until a {noun} is available"
    if before is None:
        return f"using the {noun} '{now.name}'"
    return f"the {noun} '{before.name}' was lost: using '{now.name}'"


def _name(device: SoundDevice | None) -> str | None:
    return None if device is None else device.name
