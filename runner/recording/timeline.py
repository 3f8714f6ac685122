"""A recorded call as one value: its turns, waits, tools, interruptions and losses.

Times are seconds since the call began. Where the sound was recorded, the beginning and
the end of speech are where it is heard; without it they are where the messages tell,
and for the caller that is when the service decided so.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from statistics import median
from typing import TYPE_CHECKING, Literal

from runner.recording.happenings import (
    Account,
    Drop,
    Ending,
    Losses,
    Outages,
    Remark,
    ToolRun,
    ToolRuns,
)
from runner.recording.lines import Entry, Sound
from runner.recording.turns import CallerTurn, CutOff, Reply, Speech, Word

if TYPE_CHECKING:
    from runner.recording.voices import Voices

# Before the service decides that the caller speaks he has spoken, and after he stopped
# it waits: in seconds, longer than any service is known to take for either.
_DECIDING = 2.5
_LATEST_STOP = 4.0
_SILENCE_SECONDS = 2.0  # how long after an interruption sound is looked for


@dataclass(frozen=True, slots=True)
class Turn:
    """What one side said, and when it was heard; `words` where their times are known.

    `interrupted` is the agent's; `typed` words of the caller's take no time. `silent`
    ones came without sound: typed, or handed over as text, as scripted callers do.
    """

    speaker: Literal["caller", "agent"]
    start: float
    end: float
    text: str
    interrupted: bool = False
    typed: bool = False
    silent: bool = False
    words: tuple[Word, ...] = ()


@dataclass(frozen=True, slots=True)
class Latency:
    """How long the caller waited: from his last sound to the first of the answer.

    `decided` is when the service held his turn to be over. `turn` is the answer's
    place in the list of turns.
    """

    at: float
    seconds: float
    decided: float
    turn: int


@dataclass(frozen=True, slots=True)
class Interruption:
    """The agent was cut off: decided at `at`, silent `seconds` later.

    `cut` is how much of its sound was thrown away, in seconds, and `heard` how much of
    the reply was heard, where the device said so.
    """

    at: float
    seconds: float
    by: Literal["voice", "text", "service"]
    cut: float
    heard: float | None = None


@dataclass(frozen=True, slots=True)
class TimeLine:
    """A call from its beginning to its end."""

    seconds: float
    turns: tuple[Turn, ...]
    tools: tuple[ToolRun, ...]
    latencies: tuple[Latency, ...]
    interruptions: tuple[Interruption, ...]
    drops: tuple[Drop, ...]
    remarks: tuple[Remark, ...]
    losses: Losses
    ending: Ending | None  # None: the recording ends before the call did
    is_heard: bool  # whether speech was found by its sound

    def talked(self, speaker: Literal["caller", "agent"]) -> float:
        """Return how many seconds one side talked."""
        total, until = 0.0, 0.0
        for turn in self.turns:  # in the order of their beginnings
            if turn.speaker == speaker:
                total += max(0.0, turn.end - max(turn.start, until))
                until = max(until, turn.end)
        return total

    @property
    def median_latency(self) -> float | None:
        """The middle one of the waits; None where nobody waited."""
        return (
            median(each.seconds for each in self.latencies) if self.latencies else None
        )


def trace(
    entries: Sequence[tuple[float, Entry]], voices: Voices | None = None
) -> TimeLine:
    """Return the time line of a recording's entries.

    They are in order; a time that goes back all the same is taken for the one before.
    """
    speech, tools, outages, account = Speech(), ToolRuns(), Outages(), Account()
    now = last = 0.0
    for at, what in entries:
        now = at = max(now, at)
        speech.note(at, what)
        tools.note(at, what)
        outages.note(at, what)
        account.note(at, what)
        last = max(last, what.until if isinstance(what, Sound) else at)
    if voices is not None:
        last = max(last, voices.caller.seconds, voices.agent.seconds)
    drafts = _draft(speech, last, voices)
    account.losses.agent_cleared = sum(each.cut for each in speech.replies)
    return TimeLine(
        last,
        tuple(turn for turn, _ in drafts),
        tools.list(),
        tuple(_latencies(drafts)),
        tuple(_interruption(each, voices) for each in speech.cut_offs),
        tuple(outages.drops),
        tuple(account.remarks),
        account.losses,
        account.ending,
        voices is not None,
    )


_Draft = tuple[Turn, CallerTurn | Reply]


def _draft(speech: Speech, last: float, voices: Voices | None) -> list[_Draft]:
    """Return the turns in order, each with what it was made of."""
    drafts: list[_Draft] = []
    before = 0.0  # when the caller's last turn was over
    for said in speech.caller:
        drafts.append((_caller_turn(said, before, last, voices), said))
        before = last if said.end is None else said.end
    for reply in speech.replies:
        if reply.start is not None or reply.said():
            drafts.append((_agent_turn(reply, last, voices), reply))
    return sorted(drafts, key=lambda draft: (draft[0].start, draft[0].end))


def _caller_turn(
    said: CallerTurn, before: float, last: float, voices: Voices | None
) -> Turn:
    start, end = said.start, last if said.end is None else said.end
    silent = said.typed
    if voices is not None and not said.typed and end > start:
        earliest = max(before, start - _DECIDING)
        heard = voices.caller.first_loud(earliest, end)
        until = voices.caller.last_loud(max(earliest, end - _LATEST_STOP), end)
        silent = heard is None
        if heard is not None:
            start = heard
        if until is not None:
            end = min(end, until)
    start = min(start, end)
    return Turn("caller", start, end, said.text, typed=said.typed, silent=silent)


def _agent_turn(reply: Reply, last: float, voices: Voices | None) -> Turn:
    # What was handed over at the very end would have been heard after it.
    start = min(last, reply.began if reply.start is None else reply.start)
    end = start if reply.start is None else max(start, min(reply.end, last))
    if voices is not None and reply.start is not None:
        heard = voices.agent.first_loud(start, end)
        until = voices.agent.last_loud(start, end)
        if heard is not None and until is not None:
            start, end = heard, max(heard, min(end, until))
    words = tuple(
        Word(min(word.start, last), min(word.end, last), word.text)
        for word in reply.timed_words()
    )
    return Turn("agent", start, end, reply.said(), reply.interrupted, words=words)


def _latencies(drafts: Iterable[_Draft]) -> Iterable[Latency]:
    """Pair what the caller said with the first sound of the answer to it."""
    waiting: tuple[float, float] | None = None  # until when he spoke, and when decided
    for index, (turn, said) in enumerate(drafts):
        if isinstance(said, CallerTurn):
            is_over = said.end is not None and (said.typed or said.end > said.start)
            waiting = (turn.end, said.end or turn.end) if is_over else None
        elif waiting is not None and said.start is not None:
            at, decided = waiting
            if said.began >= decided:  # not a reply that he spoke over
                yield Latency(at, max(0.0, turn.start - at), decided, index)
                waiting = None


def _interruption(cut_off: CutOff, voices: Voices | None) -> Interruption:
    at = cut_off.at
    reply = cut_off.reply
    silent = at
    if reply is not None and reply.start is not None:
        silent = max(at, min(reply.end, at + _SILENCE_SECONDS))
    if voices is not None:
        silent = min(voices.agent.quiet_from(at), at + _SILENCE_SECONDS)
    seconds = max(0.0, silent - at)
    if reply is None or reply.heard is None:
        return Interruption(at, seconds, cut_off.by, cut_off.cut)
    return Interruption(at, seconds, cut_off.by, reply.cut, reply.heard)
