"""The sound card: a microphone and a speaker that last, whatever becomes of devices.

What was unplugged, suspended or changed is taken up again on the same device or on the
default, while both halves stay the same objects and a call goes on.
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
    """What a card stands on: time, a thread for PortAudio, a way to find devices."""

    pace: Clock = field(default_factory=LoopClock)
    worker: Worker = field(default_factory=AudioWorker)
    search: Search = find_sides


class SoundCard:
    """Opens the devices, and owns the streams that both halves share.

    Used as a context itself, or through its halves, in any order.
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
        ground: SoundCardDependencies | None = None,
    ) -> None:
        """Open only the sides that are asked for; devices by index, name or part.

        `notice` is told what becomes of them while the card is open. A front end
        stands between the microphone and its reader, and is told of all that the
        speaker plays.
        """
        wishes: dict[Direction, DeviceName] = {}
        if input:
            wishes["input"] = input_device
        if output:
            wishes["output"] = output_device
        self.microphone = CardMicrophone(self, front_end)
        self.speaker = CardSpeaker(self, self._on_low, front_end)
        ground = ground or SoundCardDependencies()
        opening = StreamSession(self.microphone, self.speaker, self._on_recorded)
        self._lasting = DeviceSupervisor(
            PortAudioSession(wishes, library),
            DeviceRouter(self.microphone, self.speaker, ground.pace),
            opening,
            worker=ground.worker,
            search=ground.search,
            herald=DeviceNotifier(notice),
        )
        self._users = 0  # contexts that are entered: the card itself and its halves
        self._loop: asyncio.AbstractEventLoop | None = None
        self._keeping: asyncio.Task[None] | None = None  # while it is open

    @property
    def is_open(self) -> bool:
        """True from the first entering to the last leaving, with a device or without.

        False, too, when keeping it failed, which `raise_if_lost` then tells.
        """
        return self._keeping is not None and not self._keeping.done()

    @property
    def glitches(self) -> int:
        """Blocks with which PortAudio reported lost or missing sound."""
        return self._lasting.opening.glitches

    def raise_if_lost(self) -> None:
        """Raise AudioUnavailable when the card could not be kept: by a bug of ours."""
        if self._keeping is None or not self._keeping.done():
            return
        if not self._keeping.cancelled() and (error := self._keeping.exception()):
            raise AudioUnavailable(f"the sound card was given up: {error}") from error

    async def __aenter__(self) -> Self:
        if not self._users:
            self._loop = asyncio.get_running_loop()
            await self._lasting.open()
            self._keeping = asyncio.create_task(self._lasting.run(), name="sound card")
            self._keeping.add_done_callback(lambda _: self._wake())
        self._users += 1
        return self

    async def __aexit__(self, *exc: object) -> None:
        self._users -= 1
        if not self._users:
            keeping, self._keeping = self._keeping, None
            if keeping is not None:
                keeping.cancel()
                await asyncio.wait([keeping])
            self._wake()
            await self._lasting.close()

    # PortAudio's thread runs the next three.

    def _on_recorded(self) -> None:
        self._call_loop(self.microphone.wake)

    def _on_low(self) -> None:
        self._call_loop(self.speaker.wake)

    def _call_loop(self, callback: Callable[[], None]) -> None:
        if self._loop is not None:
            # RuntimeError: the loop was closed without the card; nobody listens.
            with contextlib.suppress(RuntimeError):
                self._loop.call_soon_threadsafe(callback)

    def _wake(self) -> None:
        self.microphone.wake()
        self.speaker.wake()


# The two halves of a card, each on a device or on a stand-in that keeps its time.


_STEP = 0.02  # seconds of sound at a time
_STEP_BYTES = 2 * round(SAMPLE_RATE * _STEP)
_NOTHING = SoundDevice(-1, "", "input", "", SAMPLE_RATE, 1)


class DeviceRouter:
    """Joins the halves to what is there; they stay the same objects for a whole call.

    A stand-in gives silence and takes sound by the clock, so that the session at the
    other end of the halves goes on.
    """

    def __init__(
        self, microphone: CardMicrophone, speaker: CardSpeaker, pace: Clock
    ) -> None:
        self._microphone = microphone
        self._speaker = speaker
        self.pace = pace
        self._standing_in: dict[Direction, asyncio.Task[None]] = {}

    def join(self, opening: StreamSession, side: Direction) -> None:
        """Let the sound of this side pass between its half and its device."""
        self._dismiss(side)
        device = opening.devices[side]
        if side == "input":
            self._microphone.attach(device)
        else:
            self._speaker.attach(device, opening.latency(side))
        opening.let_through(side)

    def stand_in(self, side: Direction) -> None:
        """Put a stand-in in the place of this side's device, unless there is one."""
        if side in self._standing_in:
            return
        # At the half's own rate and channels where it matters: what the speaker was
        # yet to play goes on, unheard, and what is played later finds its place.
        work = self._give_silence() if side == "input" else self._take_sound()
        self._standing_in[side] = asyncio.create_task(work, name=f"no {side}")

    def close(self) -> None:
        """Dismiss the stand-ins."""
        for side in list(self._standing_in):
            self._dismiss(side)

    def _dismiss(self, side: Direction) -> None:
        task = self._standing_in.pop(side, None)
        if task is not None:
            task.cancel()

    async def _give_silence(self) -> None:
        self._microphone.attach(_NOTHING)
        ticker = Ticker(self.pace, _STEP)
        while True:
            now = await ticker.tick()
            if self._microphone.capture(bytes(_STEP_BYTES), now - _STEP):
                self._microphone.wake()

    async def _take_sound(self) -> None:
        self._speaker.attach(replace(_NOTHING, direction="output"), 0.0)
        ticker = Ticker(self.pace, _STEP)
        while True:
            now = await ticker.tick()
            self._speaker.render(_STEP_BYTES, now)


# Keeps a sound card going: sees that its devices stopped, and takes others up.


# Seconds.
_WATCH_STEP = 0.1  # between two looks at streams that run
_OPEN_STEP = 0.02  # between two looks at streams that are to begin
_RETRY = 0.5  # between two attempts while there is no device
# What the speaker was yet to play is held so long, in the hope that it plays on; then
# it goes by the clock, since an answer that is seconds late answers something else.
_HOLD = 1.0
# How long a device that was opened may take to begin. PulseAudio's null sinks take two:
# with no more than that, each was closed just before, and opened anew.
_ATTEMPT = 3.0
# A sound server that starts anew is back by then: no word of what is over.
_TELL = 2.0
# Between two searches for the one side that is missing, while the other goes on; each
# costs a process of 0.2 s.
_SEARCH = 3.0
# A device that was opened and gives nothing is opened anew, ever more rarely: the
# other side, which works, is cut short each time.
_PATIENCE = (4.0, 8.0, 16.0, 30.0)
# A device that hangs longer is left to the end of the process.
_CLOSING_SECONDS = 3.0

# Which sides have devices now, found out without touching the streams.
Search: TypeAlias = Callable[[], Awaitable[Set[Direction]]]


class DeviceSupervisor:
    """Runs beside a call, from the first opening of its card to the last closing."""

    def __init__(
        self,
        bench: PortAudioSession,
        sides: DeviceRouter,
        opening: StreamSession,
        *,
        worker: Worker,
        search: Search,
        herald: DeviceNotifier,
    ) -> None:
        """Begin with an opening that is not open yet."""
        self.opening = opening
        self._bench = bench
        self._sides = sides
        self._pace = sides.pace
        self._search = search
        self._herald = herald
        self._worker = worker

    async def open(self) -> None:
        """Open what is wished for; raises AudioUnavailable, DeviceNotFound."""
        self.opening = self.opening.again()
        wishes = dict(self._bench.wishes)
        try:
            await self._worker.run(partial(self._bench.open, self.opening))
        except BaseException:  # also when nobody waits any more
            self._worker.stop(self._bench.close)
            raise
        for side in self._wanted:
            self._sides.join(self.opening, side)
        self._herald.begin(wishes, self._in_use())

    async def close(self) -> None:
        """Close what is open; after `run` was cancelled."""
        self._sides.close()
        self.opening.shut()
        closing = self._worker.run(self._bench.close)
        try:
            await asyncio.wait_for(closing, _CLOSING_SECONDS)
        except TimeoutError:
            self._bench.abandon()
        self._worker.stop()

    async def run(self) -> None:
        """Keep what is open going, without end."""
        futile = 0  # attempts in a row after which a side was missing
        while True:
            await self._watch(_PATIENCE[min(futile, len(_PATIENCE) - 1)])
            await self._recover()
            is_whole = self.opening.is_through == self._wanted
            futile = 0 if is_whole else futile + 1

    @property
    def _wanted(self) -> frozenset[Direction]:
        return frozenset(self._bench.wishes)

    async def _watch(self, patience: float) -> None:
        """Return when something is to be done about the devices."""
        now = self._pace.now()
        hearts = {side: StallDetector(side, now) for side in self._wanted}
        search_at, impatient_at = now + _SEARCH, now + patience
        while not self.opening.has_ended:
            await self._pace.wait_until(now + _WATCH_STEP)
            now = self._pace.now()
            if self._join_what_began():
                self._herald.tell(self._in_use())
            self._herald.tell_silence(self.opening)
            through, blocks = self.opening.is_through, self.opening.blocks
            if any(hearts[side].has_stalled(blocks[side], now) for side in through):
                return
            missing = self._wanted - self.opening.devices.keys()
            if missing and now >= search_at:
                if missing & await self._search():
                    return
                now = self._pace.now()
                search_at = now + _SEARCH
            if self._wanted - missing - through and now >= impatient_at:
                return

    async def _recover(self) -> None:
        """Open the devices anew until at least one side has one that works."""
        lost_at = self._pace.now()
        self._herald.is_disturbed = True
        while True:
            began = self._pace.now()
            self.opening.shut()
            self.opening = self.opening.again()
            if "input" in self._wanted:
                self._sides.stand_in("input")
            await self._attempt(began, lost_at)
            if self.opening.is_through:
                return
            await self._pace.wait_until(began + _RETRY)

    async def _attempt(self, began: float, lost_at: float) -> None:
        """Open what is there, and wait until it works, but not for long."""
        reopening = asyncio.create_task(
            self._worker.run(partial(self._bench.reopen, self.opening))
        )
        try:
            while True:
                now = self._pace.now()
                await self._pace.wait_until(now + _OPEN_STEP)
                if reopening.done():
                    reopening.result()  # raises what is a bug
                    self._join_what_began()
                self._admit_the_loss(now - lost_at)
                is_late = now >= began + _ATTEMPT
                if reopening.done() and (is_late or self._is_settled()):
                    break
        finally:
            reopening.cancel()
        if self.opening.is_through:
            self._herald.tell(self._in_use())
            if "output" not in self.opening.is_through:
                self._stand_in_for_the_speaker()

    def _admit_the_loss(self, seconds: float) -> None:
        """Do without what is still missing so long after it was lost."""
        if seconds >= _HOLD and "output" not in self.opening.is_through:
            self._stand_in_for_the_speaker()
        if seconds >= _TELL and not self.opening.is_through:
            self._herald.tell(self._in_use())

    def _is_settled(self) -> bool:
        """Whether all that was opened works, or there is nothing to wait for."""
        return (
            self.opening.has_ended
            or self.opening.is_through == self.opening.devices.keys()
        )

    def _join_what_began(self) -> bool:
        """Join the sides whose devices have begun to work; tell whether any."""
        opening = self.opening
        began = [
            side
            for side in opening.devices
            if side not in opening.is_through and has_begun(side, opening.blocks[side])
        ]
        for side in began:
            self._sides.join(opening, side)
        return bool(began)

    def _stand_in_for_the_speaker(self) -> None:
        if "output" in self._wanted:
            self._sides.stand_in("output")

    def _in_use(self) -> InUse:
        opening = self.opening
        return {
            side: opening.devices[side] if side in opening.is_through else None
            for side in sorted(self._wanted)
        }


# Whether a stream still calls back, told from how many blocks there were.


# Seconds. Blocks come each 10 ms; whatever takes a hundred of them is no hiccup.
STALL_SECONDS = 1.0
# PulseAudio's null sink hands over its first block after up to two seconds; a speaker
# there fills its buffer at once, and then waits as long.
FIRST_SECONDS = 4.0
# More blocks than a buffer holds: so many prove that the device plays or records.
_FIRST_BLOCKS: dict[Direction, int] = {"input": 1, "output": 20}


def has_begun(side: Direction, blocks: int) -> bool:
    """Tell whether so many blocks prove that the device is at work."""
    return blocks >= _FIRST_BLOCKS[side]


class StallDetector:
    """Judges one side of one opening; asked several times a second."""

    def __init__(self, side: Direction, now: float) -> None:
        self._side = side
        self._blocks = 0
        self._moved_at = now  # when the count was last seen to change
        self._asked_at = now

    def has_stalled(self, blocks: int, now: float) -> bool:
        """Tell whether no block came for too long, given how many there were so far.

        A pause between two questions that is itself that long proves nothing: then
        this process stood still, and the stream with it.
        """
        was_asleep = now - self._asked_at >= STALL_SECONDS
        self._asked_at = now
        if blocks != self._blocks or was_asleep:
            self._blocks = blocks
            self._moved_at = now
        limit = STALL_SECONDS if has_begun(self._side, blocks) else FIRST_SECONDS
        return now - self._moved_at >= limit


# Words about devices that come and go, each change told once.


InUse: TypeAlias = Mapping[Direction, SoundDevice | None]
Notice: TypeAlias = Callable[[str], None]


class DeviceNotifier:
    """Tells what became of the devices, each change once."""

    def __init__(self, notice: Notice) -> None:
        self.is_disturbed = False  # something stopped, and nothing was said of it yet
        self._notice = notice
        self._told: InUse = {}
        self._silent: set[str] = set()  # microphones that were called out

    def begin(self, wishes: Mapping[Direction, DeviceName], devices: InUse) -> None:
        """Take note of what is known; say which remembered device is not there."""
        self._told, self.is_disturbed = devices, False
        for side, wish in wishes.items():
            now = devices.get(side)
            if isinstance(wish, KnownDevice) and now and now.known != wish:
                noun = NOUNS[side]
                self._notice(f"no {noun} '{wish.name}' here: it is '{now.name}' now")

    def tell(self, devices: InUse) -> None:
        """Say what is in use now, as far as that is news."""
        before, self._told = self._told, devices
        news = [
            describe_change(side, before.get(side), now)
            for side, now in devices.items()
            if _name(before.get(side)) != _name(now)
        ]
        if not news and self.is_disturbed and any(devices.values()):
            news = ["the sound card stopped and was taken up again"]
        if news:
            self._notice("; ".join(news))
            self.is_disturbed = False

    def tell_silence(self, opening: StreamSession) -> None:
        """Call a microphone out that gives nothing, once."""
        if opening.quiet.is_silent:
            name = opening.devices["input"].name
            if name not in self._silent:
                self._silent.add(name)
                self._notice(describe_silence(name))


def describe_change(
    side: Direction, before: SoundDevice | None, now: SoundDevice | None
) -> str:
    """Say in a sentence that another device is in use, or none, or one again."""
    noun = NOUNS[side]
    if now is None:
        lost = "you are not heard" if side == "input" else "the agent is not heard"
        name = f" '{before.name}'" if before else ""
        return f"the {noun}{name} stopped: {lost} until it or another is there"
    if before is None:
        return f"going on with the {noun} '{now.name}'"
    return f"the {noun} '{before.name}' is gone: going on with '{now.name}'"


def _name(device: SoundDevice | None) -> str | None:
    return None if device is None else device.name
