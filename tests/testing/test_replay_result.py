"""Permitted differences of two calls (times, pieces of audio), and all others."""

from __future__ import annotations

from runner.protocol.client.actions import Close, Notify, Outcome, Send, StopPlayback
from runner.protocol.client.events import Connected, Disconnected, Received, Tick
from runner.protocol.messages import (
    InputSpeechStarted,
    ReplyDone,
    ReplyStarted,
    ToolResult,
)
from runner.recording.format import AudioSummary, Entry
from runner.testing.replay_result import Difference, find_difference

Lines = list[tuple[float, Entry]]

RESULT = Send(ToolResult("call_1", '"a"'))
CLOSE = Close(Outcome.CLEAN, "the caller hung up")
CALL: Lines = [
    (0.0, Connected()),
    (0.1, Received(ReplyStarted("resp_1"))),
    (
        0.2,
        AudioSummary(0.3, mic=10, sent=10, received=100, played=100, reply_id="resp_1"),
    ),
    (
        0.4,
        AudioSummary(0.5, mic=20, sent=20, received=60, played=60, reply_id="resp_1"),
    ),
    (0.6, Received(ReplyDone("resp_1", "completed"))),
    (0.6, RESULT),
    (0.7, Received(InputSpeechStarted())),
    (0.7, StopPlayback()),
    (0.9, CLOSE),
]


def changed(number: int, *instead: Entry) -> Lines:
    """Return the call with other lines in the place of one."""
    at = CALL[number][0]
    return [*CALL[:number], *((at, each) for each in instead), *CALL[number + 1 :]]


def found(now: Lines, then: Lines = CALL) -> Difference:
    difference = find_difference(then, now)
    assert difference is not None
    return difference


def test_a_call_is_equal_to_itself() -> None:
    assert find_difference(CALL, CALL) is None


def test_times_may_differ() -> None:
    assert find_difference(CALL, [(3 * at + 1, each) for at, each in CALL]) is None


def test_ticks_may_differ() -> None:
    now = [(0.05, Tick()), *CALL[:4], (0.55, Tick()), *CALL[4:]]

    assert find_difference(CALL, now) is None


def test_audio_may_arrive_in_other_pieces() -> None:
    whole = AudioSummary(
        0.5, mic=30, sent=30, received=160, played=160, reply_id="resp_1"
    )

    assert find_difference(CALL, [*CALL[:2], (0.2, whole), *CALL[4:]]) is None


def test_audio_of_the_caller_may_precede_or_follow_the_agents() -> None:
    apart: Lines = [
        (0.2, AudioSummary(0.2, received=160, played=160, reply_id="resp_1")),
        (0.5, AudioSummary(0.5, mic=30, sent=30)),
    ]

    assert find_difference(CALL, [*CALL[:2], *apart, *CALL[4:]]) is None


def test_an_entry_may_end_between_audio_and_its_playback() -> None:
    cut: Lines = [
        (0.4, AudioSummary(0.4, mic=20, sent=20, received=60, reply_id="resp_1")),
        (0.5, AudioSummary(0.5, played=60)),
    ]

    assert find_difference(CALL, [*CALL[:3], *cut, *CALL[4:]]) is None


def test_entries_after_the_end_may_differ() -> None:
    assert find_difference(CALL, [*CALL, (1.0, Disconnected("gone"))]) is None


def test_less_played_audio_differs() -> None:
    less = AudioSummary(0.5, mic=20, sent=20, received=60, played=59, reply_id="resp_1")

    assert found(changed(3, less)).number == 3


def test_audio_that_is_not_sent_differs() -> None:
    less = AudioSummary(0.5, mic=20, sent=0, received=60, played=60, reply_id="resp_1")

    assert found(changed(3, less)).number == 3


def test_audio_of_another_reply_differs() -> None:
    other = AudioSummary(
        0.5, mic=20, sent=20, received=60, played=60, reply_id="resp_2"
    )

    assert found(changed(3, other)).number == 3


def test_the_place_of_audio_between_messages_differs() -> None:
    now = [*CALL[:3], CALL[4], CALL[3], *CALL[5:]]

    assert found(now).number == 3


def test_the_content_of_a_message_differs() -> None:
    assert found(changed(5, Send(ToolResult("call_1", '"b"')))).number == 5


def test_a_message_that_passes_a_gate_early_differs() -> None:
    now = [*CALL[:4], CALL[5], CALL[4], *CALL[6:]]

    assert found(now).number == 4


def test_a_message_that_is_not_sent_differs() -> None:
    assert found(changed(5)).number == 5


def test_a_message_that_is_sent_twice_differs() -> None:
    assert found(changed(5, RESULT, RESULT)).number == 6


def test_playback_that_is_not_stopped_differs() -> None:
    assert found(changed(7)).number == 7


def test_a_notice_more_differs() -> None:
    assert found(changed(7, StopPlayback(), Notify("hm"))).number == 8


def test_another_end_differs() -> None:
    assert found(changed(8, Close(Outcome.FAILED, "the caller hung up"))).number == 8


def test_a_call_without_its_end_differs() -> None:
    difference = found(CALL[:-1])

    assert [each.entry for each in difference.then] == [CLOSE]
    assert difference.now == []


def test_a_call_that_goes_on_differs() -> None:
    difference = found(CALL, CALL[:-1])

    assert difference.then == []
    assert [each.entry for each in difference.now] == [CLOSE]


def test_the_first_difference_comes_with_its_surroundings() -> None:
    then: Lines = [(float(n), Notify(str(n))) for n in range(20)]
    now = [*then[:10], (10.0, Notify("x")), *then[11:]]

    difference = found(now, then)

    assert [each.at for each in difference.before] == [5.0, 6.0, 7.0, 8.0, 9.0]
    assert [each.at for each in difference.then] == [10.0, 11.0, 12.0]
    assert [each.entry for each in difference.now][:2] == [Notify("x"), then[11][1]]


def test_further_differences_are_counted() -> None:
    then: Lines = [(float(n), Notify(str(n))) for n in range(20)]
    now = [*then[:5], *then[6:10], (10.0, Notify("x")), *then[11:], (20.0, CLOSE)]

    assert found(now, then).further == 2
    assert found([*then[:5], *then[6:]], then).further == 0


def test_a_call_that_was_cut_off_may_end_anywhere() -> None:
    for length in range(len(CALL) + 1):
        assert find_difference(CALL[:length], CALL, is_complete=False) is None


def test_a_call_cut_off_during_audio_may_lack_some_of_it() -> None:
    half = AudioSummary(0.3, mic=10, sent=0)

    assert find_difference([*CALL[:2], (0.2, half)], CALL, is_complete=False) is None


def test_a_call_that_was_cut_off_differs_before_that() -> None:
    difference = find_difference(CALL[:8], changed(5), is_complete=False)

    assert difference is not None
    assert difference.number == 5
