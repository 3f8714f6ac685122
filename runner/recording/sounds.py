"""Sound as lines: counted from one other line to the next."""

from __future__ import annotations

from runner.protocol.client.actions import Action, Play, Send
from runner.protocol.client.events import Event, MicFrame, Received
from runner.protocol.messages import InputAudio, ReplyAudio
from runner.recording.lines import Entry, Sound

# The longest stretch that one line counts, in seconds.
LONGEST = 0.1


class SoundCount:
    """Turns events and actions into lines, sound summed up between the others."""

    def __init__(self) -> None:
        self._began = 0.0
        self._sound: Sound | None = None

    def note(self, at: float, what: Event | Action) -> list[tuple[float, Entry]]:
        """Return the lines that are finished with this."""
        if type(what) is MicFrame:
            done, sound = self._open(at)
            sound.mic += len(what.pcm)
        elif type(what) is Play:
            done, sound = self._open(at)
            sound.played += len(what.pcm)
        elif type(what) is Send and type(what.message) is InputAudio:
            done, sound = self._open(at)
            sound.sent += len(what.message.pcm)
        elif type(what) is Received and type(what.message) is ReplyAudio:
            reply_id = what.message.reply_id
            done, sound = self._open(at, reply_id)
            sound.reply_id = reply_id
            sound.received += len(what.message.pcm)
        else:
            assert not isinstance(what, MicFrame | Play), "sound has no line of its own"
            return [*self.cut(), (at, what)]
        return done

    def cut(self) -> list[tuple[float, Entry]]:
        """Return the line that was being counted, if there is one."""
        sound, self._sound = self._sound, None
        return [] if sound is None else [(self._began, sound)]

    def _open(
        self, at: float, reply_id: str | None = None
    ) -> tuple[list[tuple[float, Entry]], Sound]:
        """Return the line to count into, after those that are finished."""
        done: list[tuple[float, Entry]] = []
        sound = self._sound
        if sound is not None and (
            at - self._began > LONGEST
            or (sound.received and reply_id not in (None, sound.reply_id))
        ):
            done, sound = self.cut(), None
        if sound is None:
            self._began = at
            sound = self._sound = Sound(at)
        sound.until = at
        return done, sound
