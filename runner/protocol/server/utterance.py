"""One reply as it is spoken: its words, and how far its sound has got.

Sound that was sent is the only measure of what was said: an interrupted reply keeps
the words whose share of their clause's sound had gone out.
"""

from __future__ import annotations

from dataclasses import dataclass

from runner.protocol.messages import TranscriptAgentDelta


@dataclass(frozen=True, slots=True)
class _Clause:
    words: tuple[str, ...]
    start_ms: float
    duration_ms: float


class Utterance:
    """Counts one reply's sound against its words; owned by the floor."""

    def __init__(
        self,
        reply_id: str,
        item_id: str,
        bytes_per_ms: float,
        *,
        is_greeting: bool = False,
    ) -> None:
        self.reply_id = reply_id
        self.item_id = item_id
        self.is_greeting = is_greeting
        self._bytes_per_ms = bytes_per_ms
        self._sent_bytes = 0
        self._planned_ms = 0.0  # where the next clause's sound begins
        self._clauses: list[_Clause] = []

    @property
    def sent_ms(self) -> float:
        """How much of the sound has gone out."""
        return self._sent_bytes / self._bytes_per_ms

    @property
    def text(self) -> str:
        """Every word that was begun to be spoken, and those that follow it."""
        return " ".join(word for clause in self._clauses for word in clause.words)

    def begin_clause(self, text: str, duration_ms: float) -> list[TranscriptAgentDelta]:
        """Add words whose sound follows now; return them with their estimated times."""
        words = tuple(text.split())
        # A clause whose sound came out shorter than planned does not shift the next.
        start = max(self._planned_ms, self.sent_ms)
        self._clauses.append(_Clause(words, start, duration_ms))
        self._planned_ms = start + duration_ms
        letters = sum(len(word) for word in words)
        deltas, spoken = [], 0
        for word in words:
            begins = start + duration_ms * spoken / letters
            spoken += len(word)
            ends = start + duration_ms * spoken / letters
            deltas.append(
                TranscriptAgentDelta(
                    f"{word} ", self.reply_id, self.item_id, round(begins), round(ends)
                )
            )
        return deltas

    def count(self, pcm: bytes) -> None:
        """Note that this sound has gone out."""
        self._sent_bytes += len(pcm)

    def spoken_text(self) -> str:
        """Return the words whose sound has gone out, by their share of letters."""
        spoken: list[str] = []
        for clause in self._clauses:
            spoken += _spoken_words(clause, self.sent_ms - clause.start_ms)
        return " ".join(spoken)


def _spoken_words(clause: _Clause, sent_ms: float) -> tuple[str, ...]:
    # Sound is sent in whole chunks, so the last one may end a little early.
    if sent_ms >= clause.duration_ms - 1:
        # Text without sound (output.type text) counts as said at once.
        return clause.words
    letters = sum(len(word) for word in clause.words)
    sounded = 0
    for index, word in enumerate(clause.words):
        sounded += len(word)
        # A word counts once its middle has been heard.
        if (sounded - len(word) / 2) * clause.duration_ms > sent_ms * letters:
            return clause.words[:index]
    return clause.words
