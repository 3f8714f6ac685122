"""The sound of a recording: caller.wav, agent.wav, and both.wav of the two."""

from __future__ import annotations

from pathlib import Path

from runner.audio.devices import SAMPLE_RATE
from runner.audio.recording import WavWriter
from runner.protocol.client.actions import Action, Close, Play, Send, StopPlayback
from runner.protocol.client.events import Event, MicFrame, Received
from runner.recording.audio_tracks import AgentTrack, CallerTrack, Stereo

# Written at least so often, in seconds of the call: where time leaps, as it does on a
# clock that is not real, silence must not be held in memory by the hour.
_STEP = 10.0
# What lies in the two files already may come into the third one later: in bytes of one
# of them, a quarter of a second.
_STEREO_EVERY = SAMPLE_RATE // 2


class WavFiles:
    """Writes the three files; each is whole and has its right length at every moment.

    The third follows the other two by a quarter of a second.

    Every method raises `AudioFileError` when the disk does not take it.
    """

    def __init__(self, folder: Path) -> None:
        self._caller, self._agent, self._stereo = CallerTrack(), AgentTrack(), Stereo()
        self._files = (
            WavWriter(folder / "caller.wav"),
            WavWriter(folder / "agent.wav"),
            WavWriter(folder / "both.wav", channels=2),
        )
        self._at = 0.0
        self._drains = False

    def open(self) -> None:
        """Make the files, without sound."""
        for file in self._files:
            file.open()
            file.write(b"")

    def note(self, at: float, what: Event | Action) -> None:
        """Take in an event or an action, seconds since the call began."""
        while at - self._at > _STEP:
            self._at += _STEP
            self.write()
        self._at = at
        kind = type(what)
        if kind is Received or kind is Send:  # most of all, and nothing for these files
            return
        if kind is MicFrame:
            self._caller.hear(at, what.pcm)  # type: ignore[union-attr]  # its type was compared
        elif kind is Play:
            self._agent.play(at, what.pcm)  # type: ignore[union-attr]  # its type was compared
        elif kind is StopPlayback:
            self._agent.stop(at)
        elif kind is Close:
            self._drains = what.drain  # type: ignore[union-attr]  # its type was compared

    def write(self) -> None:
        """Bring the files up to date."""
        self._agent.advance(self._at)
        self._caller.advance(self._at)
        self._write()

    def finish(self) -> float:
        """Write the end, last words included; return its time in seconds."""
        self._agent.advance(self._at)
        if self._drains:
            self._agent.finish()
        end = max(self._agent.position, self._caller.position)
        self._agent.fill(end)
        self._caller.finish(end)
        self._write()
        if self._stereo.pending:
            self._files[2].write(self._stereo.take())
        return end / SAMPLE_RATE

    def close(self) -> None:
        """Close the files; harmless when they are closed."""
        for file in self._files:
            file.close()

    def _write(self) -> None:
        caller, agent = self._caller.take(), self._agent.take()
        if caller:
            self._files[0].write(caller)
        if agent:
            self._files[1].write(agent)
        self._stereo.add(caller, agent)
        if self._stereo.pending >= _STEREO_EVERY:
            self._files[2].write(self._stereo.take())
