"""Words about devices that come and go, each change told once."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TypeAlias

from runner.audio.opening import StreamSession
from runner.audio.portaudio.library import (
    NOUNS,
    DeviceName,
    Direction,
    KnownDevice,
    SoundDevice,
)
from runner.audio.stillness import describe_silence

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
