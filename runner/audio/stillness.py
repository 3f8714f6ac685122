"""A microphone that gives nothing: no permission, muted, or the wrong one.

A real one has noise; digital silence means that somebody withholds the sound.
"""

from __future__ import annotations

import sys

# Long enough that a device has woken, short enough that nobody has given up yet.
PATIENCE_SECONDS = 5.0

_REASONS = {
    "darwin": "allow the terminal to use it in System Settings > Privacy & Security > "
    "Microphone",
    "win32": "allow desktop apps to use it in Settings > Privacy & security > "
    "Microphone",
}
_OTHER_REASON = "is it muted in the sound settings (pavucontrol, alsamixer)?"


class SilenceDetector:
    """Finds out whether a microphone gave nothing but digital silence from its start.

    Fed in the device's thread. Once there was any sound it costs nothing more: who
    falls silent later may have muted the microphone on purpose.
    """

    def __init__(self, rate: int, channels: int) -> None:
        self._frame_bytes = 2 * channels
        self._left = round(PATIENCE_SECONDS * rate) * self._frame_bytes
        self._has_sound = False
        self._still: bytes | None = None  # the frame that is repeated

    def feed(self, pcm: bytes) -> None:
        """Take in a block of interleaved PCM16."""
        if self._has_sound or self._left <= 0 or not pcm:
            return
        frame = pcm[: self._frame_bytes]
        if self._still is None:
            self._still = frame
        # A constant is silence, too: some devices have an offset.
        if pcm != self._still * (len(pcm) // self._frame_bytes):
            self._has_sound = True
        self._left -= len(pcm)

    @property
    def is_silent(self) -> bool:
        """True once there were 5 s of sound, all of it silence."""
        return self._left <= 0 and not self._has_sound


def describe_silence(name: str, system: str = sys.platform) -> str:
    """Say that a microphone gives nothing, and what to do about it here."""
    reason = _REASONS.get(system, _OTHER_REASON)
    return (
        f"the microphone '{name}' has given nothing but silence for "
        f"{PATIENCE_SECONDS:g} s: {reason}; or choose another with --input-device "
        "(vagent devices lists them)"
    )
