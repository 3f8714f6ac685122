"""PortAudio's end of a sound card: which devices are opened, first and again.

All of it runs on the thread to which PortAudio belongs.
"""

from __future__ import annotations

import atexit
import contextlib
from collections.abc import Mapping

from runner.audio.opening import StreamSession
from runner.audio.portaudio.library import (
    DeviceName,
    Direction,
    KnownDevice,
    PortAudio,
    SoundDevice,
    find_device,
    load_portaudio,
    refresh,
)
from runner.errors import AudioError, DeviceNotFound


class PortAudioSession:
    """Holds the one opening there is at a time; the sound card's own.

    PortAudio is one for the process: two benches at a time would take each other's
    streams away when one of them looks for devices again.
    """

    def __init__(
        self, wishes: Mapping[Direction, DeviceName], library: PortAudio | None = None
    ) -> None:
        self.wishes = dict(wishes)
        self._library = library
        self._opening: StreamSession | None = None

    def open(self, opening: StreamSession) -> None:
        """Open what is wished for; raises AudioUnavailable, DeviceNotFound.

        From then on the same devices are meant, whatever their numbers become; who
        wished for the default gets what is the default then.
        """
        library = self._load()
        found = [self._find(library, side) for side in self.wishes]
        opening.open(library, found)
        self._opening = opening
        for device in found:
            if isinstance(self.wishes[device.direction], int | str):
                self.wishes[device.direction] = device.known

    def reopen(self, opening: StreamSession) -> None:
        """Close what is open, look for devices again, open what can be had of them.

        For each side the same device, else the default, else none: the opening says.
        """
        self.close()
        self._opening = opening
        library = self._load()
        try:
            refresh(library)
        except library.PortAudioError:
            return  # the sound system is not there just now
        devices = []
        for side in self.wishes:
            with contextlib.suppress(AudioError):
                devices.append(self._find(library, side))
        try:
            opening.open(library, devices)
        except AudioError:  # one of them is at fault, or all: each by itself
            for device in devices:
                self._open_alone(library, opening, device)

    def close(self) -> None:
        """Close what is open, if anything is."""
        opening, self._opening = self._opening, None
        if opening is not None:
            opening.close()

    def abandon(self) -> None:
        """Keep a device that hangs from holding up the end of the process, too."""
        if self._library is not None:
            atexit.unregister(self._library._exit_handler)

    def _load(self) -> PortAudio:
        if self._library is None:
            self._library = load_portaudio()
        return self._library

    def _find(self, library: PortAudio, side: Direction) -> SoundDevice:
        wish = self.wishes[side]
        try:
            return find_device(library, wish, side)
        except DeviceNotFound:
            if not isinstance(wish, KnownDevice):
                raise
            return find_device(library, None, side)

    def _open_alone(
        self, library: PortAudio, opening: StreamSession, device: SoundDevice
    ) -> None:
        with contextlib.suppress(AudioError):
            opening.open(library, [device])
            return
        with contextlib.suppress(AudioError):
            default = find_device(library, None, device.direction)
            if default.index != device.index:
                opening.open(library, [default])
