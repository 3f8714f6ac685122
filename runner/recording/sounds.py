"""Sound as lines: counted from one other line to the next."""

from __future__ import annotations

import json

from runner.protocol.client.actions import Action, Play, Send
from runner.protocol.client.announcements import is_audible
from runner.protocol.client.events import Event, MicFrame, Received
from runner.protocol.messages import InputAudio, ReplyAudio
from runner.recording.format import AudioSummary

# The longest stretch that one line counts, in seconds.
LONGEST = 0.1


def sound_text(at: float, sound: AudioSummary) -> str:
    """Return the line of a sound as JSON text: as `write_line` says it, and quicker.

    Of all lines of a recording nine in ten are these.
    """
    parts = []
    if sound.mic:
        parts.append(f'"mic":{sound.mic}')
    if sound.sent:
        parts.append(f'"sent":{sound.sent}')
    if sound.received:
        parts.append(f'"received":{sound.received}')
    if sound.audible:
        parts.append(f'"audible":{sound.audible}')
    if sound.played:
        parts.append(f'"played":{sound.played}')
    if sound.reply_id:
        parts.append(f'"reply_id":{json.dumps(sound.reply_id)}')
    inner = ",".join(parts)
    until = round(sound.until, 6)
    return f'{{"at":{round(at, 6)},"until":{until},"sound":{{{inner}}}}}'


class AudioCounter:
    """Sums up sound; `finished` lines wait there, each with its time, to be taken."""

    def __init__(self) -> None:
        self.finished: list[tuple[float, AudioSummary]] = []
        self._began = 0.0
        self._sound: AudioSummary | None = None

    def note(self, at: float, what: Event | Action) -> bool:
        """Count an event or action that is only sound; return whether it is that."""
        # Hundreds of these come a second: types are compared, not matched.
        kind = type(what)
        if kind is MicFrame:
            self._open(at).mic += len(what.pcm)  # type: ignore[union-attr]  # its type was compared
        elif kind is Play:
            self._open(at).played += len(what.pcm)  # type: ignore[union-attr]  # its type was compared
        elif kind is Send:
            message = what.message  # type: ignore[union-attr]  # its type was compared
            if type(message) is not InputAudio:
                return False
            self._open(at).sent += len(message.pcm)
        elif kind is Received:
            message = what.message  # type: ignore[union-attr]  # its type was compared
            if type(message) is not ReplyAudio:
                return False
            pcm = message.pcm
            sound = self._open_reply(at, message.reply_id)
            sound.received += len(pcm)
            if is_audible(pcm):
                sound.audible += len(pcm)
        else:
            return False
        return True

    def cut(self) -> None:
        """Finish the line that is being counted, if there is one."""
        if self._sound is not None:
            self.finished.append((self._began, self._sound))
            self._sound = None

    def _open(self, at: float) -> AudioSummary:
        """Return the line to count into."""
        sound = self._sound
        if sound is not None:
            if at - self._began <= LONGEST:
                sound.until = at
                return sound
            self.cut()
        self._began = at
        self._sound = sound = AudioSummary(at)
        return sound

    def _open_reply(self, at: float, reply_id: str) -> AudioSummary:
        if self._sound is not None and self._sound.reply_id not in ("", reply_id):
            self.cut()
        sound = self._open(at)
        sound.reply_id = reply_id
        return sound
