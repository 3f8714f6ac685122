"""Replay bites: each rule of the tables that is broken is found on a recording.

The rules are broken in the live objects, one at a time; what is on trial is the
comparison, not the engine.
"""

from __future__ import annotations

from collections.abc import Callable

import pytest

from runner.engine.engine import Engine
from runner.protocol.client import turn_taking
from runner.protocol.client.actions import (
    Action,
    Close,
    Play,
    RunTool,
    Send,
    StopPlayback,
)
from runner.protocol.client.announcements import Announcements, IdlePrompter
from runner.protocol.client.conversation import Conversation, History
from runner.protocol.client.session import ClientSession
from runner.protocol.client.state import ERRORS, REFUSALS, TRANSITIONS, ConnectionState
from runner.protocol.client.state import Phase as P
from runner.protocol.client.state import Trigger as T
from runner.protocol.client.tool_calls import ToolCallTable
from runner.protocol.client.turn_taking import Floor, TurnManager
from runner.recording.reader import Recording, find_recordings, read_recording
from runner.testing.replay import replay
from runner.testing.replay_result import find_difference
from tests.testing.recorded_calls import CALLS, RECORDINGS

Patch = pytest.MonkeyPatch


def differing(names: list[str] | None = None) -> list[str]:
    found = []
    for name in names or list(CALLS):
        recording = read_recording(RECORDINGS / name)
        if find_difference(recording.entries, replay(recording)) is not None:
            found.append(name)
    return found


def row(before: P, trigger: T, after: P | None) -> Callable[[Patch], None]:
    def spoil(patch: Patch) -> None:
        if after is None:
            patch.delitem(TRANSITIONS, (before, trigger))
        else:
            patch.setitem(TRANSITIONS, (before, trigger), after)

    return spoil


def returns(owner: type, name: str, value: object) -> Callable[[Patch], None]:
    """Leave out what a method does."""

    def spoil(patch: Patch) -> None:
        patch.setattr(owner, name, lambda *args, **others: value)

    return spoil


def performs_no(kind: type[Action]) -> Callable[[Patch], None]:
    """Let the engine forget to do what its session wants."""
    whole = Engine._perform

    def perform(self: Engine, action: Action) -> None:
        if not isinstance(action, kind):
            whole(self, action)

    return lambda patch: patch.setattr(Engine, "_perform", perform)


def results_at_once(patch: Patch) -> None:
    def send(self: TurnManager, now: float) -> list[Action]:
        return [Send(result) for result in self.calls.take_results()]

    patch.setattr(TurnManager, "send_results", send)


def results_in_reverse(patch: Patch) -> None:
    whole = ToolCallTable.take_results
    patch.setattr(ToolCallTable, "take_results", lambda self: whole(self)[::-1])


def twice_is_run_twice(patch: Patch) -> None:
    whole = ToolCallTable.begin

    def begin(self: ToolCallTable, message, reply_id, rules):  # type: ignore[no-untyped-def]  # as the method it stands for
        self._calls.pop(message.call_id, None)
        return whole(self, message, reply_id, rules)

    patch.setattr(ToolCallTable, "begin", begin)


def calls_die_with_the_line(patch: Patch) -> None:
    whole = TurnManager.connection_lost

    def lose(self: TurnManager, unsent: tuple[str, ...] = ()) -> list[Action]:
        return [*whole(self, unsent), *self.forget_calls()]

    patch.setattr(TurnManager, "connection_lost", lose)


def greeting_counts_as_heard(patch: Patch) -> None:
    whole = Conversation.resume

    def resume(self: Conversation, now: float) -> list[Action]:
        self._was_heard = True
        return whole(self, now)

    patch.setattr(Conversation, "resume", resume)


def the_dead_speak(patch: Patch) -> None:
    patch.setattr(TurnManager, "play", lambda self, message, now: [Play(message.pcm)])


def speech_keeps_the_floor(patch: Patch) -> None:
    def stop(self: TurnManager) -> list[Action]:
        self.turn = Floor.USER
        return []

    patch.setattr(TurnManager, "stop_reply", stop)


def floor_is_not_taken(patch: Patch) -> None:
    patch.setattr(TurnManager, "stop_reply", lambda self: [StopPlayback()])


def changes_go_out_at_once(patch: Patch) -> None:
    def send(self: Conversation) -> list[Action]:
        from runner.protocol.messages import SessionUpdate

        if not self.changes.is_due:
            return []
        fields = self.changes.send()
        return [Send(SessionUpdate(fields))] if fields else self._adopt()

    patch.setattr(Conversation, "_send_change", send)


def results_of_the_dead_are_kept(patch: Patch) -> None:
    patch.setattr(ToolCallTable, "forget", lambda self, reply_id=None: [])


def pauses_are_longer(patch: Patch) -> None:
    whole = ConnectionState.pause
    patch.setattr(
        ConnectionState, "pause", lambda self, jitter: whole(self, jitter) + 1.0
    )


def goodbyes_are_shorter(patch: Patch) -> None:
    patch.setattr(turn_taking, "_SPOKE_ON", '{"error":"no"}')


def tools_run_in_silence(patch: Patch) -> None:
    patch.setattr(Announcements, "begin", lambda self, call_id, now: [])


def errors_like(code: str, other: str) -> Callable[[Patch], None]:
    return lambda patch: patch.setitem(ERRORS, code, ERRORS[other])


def refusals_like(status: int, other: int) -> Callable[[Patch], None]:
    return lambda patch: patch.setitem(REFUSALS, status, REFUSALS[other])


# What is broken, and a recording that must show it (others may, too).
BREAKS: dict[str, tuple[Callable[[Patch], None], str]] = {
    "tools run in silence": (tools_run_in_silence, "announced"),
    # the table of phases
    "a lost line ends the call": (row(P.LIVE, T.LOST, P.CLOSED), "resumed"),
    "a session that is gone is not replaced": (
        row(P.WAITING, T.RETRY_FRESH, P.CLOSED),
        "fresh",
    ),
    "a stale session is tried again": (
        row(P.RESUMING, T.STALE, P.WAITING),
        "not-found",
    ),
    "who speaks again is hung up on": (row(P.DRAINING, T.SPOKE_ON, None), "spoken-on"),
    "the last words are cut": (row(P.LIVE, T.FAREWELL, P.ENDING), "results-held"),
    "a hang-up waits for the speaker": (row(P.LIVE, T.HANG_UP, P.DRAINING), "typed"),
    # the table of errors
    "session_not_found is only told": (
        errors_like("session_not_found", "invalid_audio"),
        "not-found",
    ),
    "503 is final": (refusals_like(503, 404), "refused"),
    # the table of turns
    "results do not wait": (results_at_once, "results-held"),
    "results go out in reverse": (results_in_reverse, "results-held"),
    "an interruption does not stop playback": (speech_keeps_the_floor, "interrupted"),
    "an interruption does not take the floor": (floor_is_not_taken, "interrupted"),
    "sound of a dead reply is played": (the_dead_speak, "late-sound"),
    "calls of a dead reply run on": (
        returns(TurnManager, "_forget_reply", []),
        "interrupted",
    ),
    "results of a dead reply are sent": (results_of_the_dead_are_kept, "interrupted"),
    "a repeated call runs twice": (twice_is_run_twice, "asked-twice"),
    "a goodbye is not said": (returns(TurnManager, "_run_waiting", []), "results-held"),
    "who speaks on is told another thing": (goodbyes_are_shorter, "spoken-on"),
    "a reply that never ends is waited for": (
        returns(TurnManager, "reply_audio_timed_out", []),
        "never-done",
    ),
    "an answer that does not come is not asked for": (
        returns(TurnManager, "reply_timed_out", []),
        "unanswered",
    ),
    # lines and sessions come and go
    "calls die with the line": (calls_die_with_the_line, "resumed"),
    "doubtful answers are not repeated": (
        returns(ToolCallTable, "mark_unconfirmed", None),
        "answer-lost",
    ),
    "the greeting is not repeated": (greeting_counts_as_heard, "greeting-lost"),
    "a fresh session is told nothing": (returns(History, "messages", []), "fresh"),
    "pauses are a second longer": (pauses_are_longer, "resumed"),
    # what the agent is made to say, and to be
    "changes do not wait": (changes_go_out_at_once, "changed"),
    "silence is not asked about": (returns(IdlePrompter, "nudge", None), "silent"),
    "the last minute is not told": (
        returns(IdlePrompter, "last_minute", None),
        "limited",
    ),
    "nobody hears the caller": (returns(ClientSession, "_send_audio", []), "heard"),
    # what the engine does about it
    "the engine sends nothing": (performs_no(Send), "silent"),
    "the engine plays nothing": (performs_no(Play), "silent"),
    "the engine does not fall silent": (performs_no(StopPlayback), "interrupted"),
    "the engine runs no tools": (performs_no(RunTool), "results-held"),
    "the engine never ends": (performs_no(Close), "silent"),
}


def test_nothing_differs_while_nothing_is_broken() -> None:
    assert differing() == []


def test_every_recording_is_of_a_call_that_can_be_made_again() -> None:
    assert [path.name for path in find_recordings([RECORDINGS])] == sorted(CALLS)


@pytest.mark.parametrize(("spoil", "where"), BREAKS.values(), ids=BREAKS)
def test_it_is_found_that(
    monkeypatch: Patch, spoil: Callable[[Patch], None], where: str
) -> None:
    spoil(monkeypatch)

    assert differing([where]) == [where]


def test_a_replay_of_a_replay_is_equal() -> None:
    for name in CALLS:
        recording = read_recording(RECORDINGS / name)
        once = replay(recording)
        again = Recording(recording.folder, recording.header, once, True)

        assert find_difference(once, replay(again)) is None, name
