"""The caller's sound at the door: refused when it is no bare sound or too fast."""

from __future__ import annotations

from runner.protocol.server.settings import bytes_per_ms

# Sound beyond real time that is taken before the rest is refused. The service says
# about one second and in practice lets a burst of 7 s at triple speed pass.
AUDIO_AHEAD_SECONDS = 10.0


class AudioRateLimiter:
    """Measures how far a session's incoming sound runs ahead of the clock."""

    def __init__(self) -> None:
        self.refusing = False  # the excess of a burst is dropped, and said once
        self._ahead = 0.0  # seconds
        self._at = 0.0  # nothing is ahead yet, so the first time does not matter

    def check(self, pcm: bytes, encoding: str, now: float) -> tuple[str, str] | None:
        """Return code and text of a complaint, or None; then ask `refusing`."""
        if pcm[:4] == b"RIFF" and pcm[8:12] == b"WAVE":
            # The service takes bare samples only.
            return "invalid_audio", "Invalid audio data"
        seconds = len(pcm) / bytes_per_ms(encoding) / 1000
        self._ahead = max(0.0, self._ahead - (now - self._at))
        self._at = now
        was_refusing = self.refusing
        self.refusing = self._ahead + seconds > AUDIO_AHEAD_SECONDS
        if not self.refusing:
            self._ahead += seconds
        elif not was_refusing:
            text = "Audio arrives faster than real time; the excess is dropped"
            return "audio_rate_violation", text
        return None
