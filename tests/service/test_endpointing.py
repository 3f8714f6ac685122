"""Start, pauses and end of a turn."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from runner.protocol.server.config import TurnDetection
from runner.service.endpointing import Timing, TurnDetector, TurnSignal

S, M, P, R, E, B, C = (
    TurnSignal.STARTED,
    TurnSignal.MAYBE_ENDED,
    TurnSignal.PAUSED,
    TurnSignal.RESUMED,
    TurnSignal.ENDED,
    TurnSignal.BACKCHANNEL,
    TurnSignal.CONTINUED,
)


def detection(**given: Any) -> TurnDetection:
    values: dict[str, Any] = {
        "vad_threshold": 0.5,
        "min_silence": None,
        "max_silence": None,
        "interruptible": True,
        "interruption_delay": 0.5,
        **given,
    }
    return TurnDetection(**values)


def process(
    detector: TurnDetector, frames: str, *, agent: bool = False, may: bool = True
) -> list[TurnSignal]:
    """Processes `x` as speech and `.` as silence; returns the signals without C."""
    signals = [
        detector.process(float(f == "x"), agent_is_speaking=agent, may_start=may)
        for f in frames
    ]
    return [
        signal
        for signal in signals
        if signal is not None and signal is not TurnSignal.CONTINUED
    ]


def test_speech_starts_a_turn_after_four_frames_and_a_click_does_not() -> None:
    assert process(TurnDetector(), "xxx.........") == []
    assert process(TurnDetector(), "xx..xx") == [S]


def test_a_pause_is_transcribed_then_checked_then_ends_the_turn() -> None:
    detector = TurnDetector()
    process(detector, "xxxxxxxx")

    assert process(detector, "..") == []
    assert process(detector, ".") == [P]  # 96 ms
    assert process(detector, "...") == [M]  # 192 ms
    assert process(detector, "." * 18) == []
    assert process(detector, ".") == [E]  # 800 ms
    assert process(detector, "." * 50) == []


def test_speech_after_a_pause_resumes_the_turn() -> None:
    detector = TurnDetector()

    assert process(detector, "xxxx......xx...") == [S, P, M, R, P]


def test_one_loud_frame_in_a_pause_is_a_click() -> None:
    detector = TurnDetector()

    assert process(detector, "xxxx...x...") == [S, P, M]


def test_half_a_second_of_speech_continues_the_turn() -> None:
    detector = TurnDetector()
    signals = [detector.process(1.0) for _ in range(36)]

    assert [index for index, signal in enumerate(signals) if signal is C] == [15, 31]


def test_an_interruption_needs_half_a_second_of_speech() -> None:
    assert process(TurnDetector(), "x" * 15, agent=True) == []
    assert process(TurnDetector(), "x" * 16, agent=True) == [S]


def test_a_cough_is_ignored_and_a_short_word_is_a_backchannel() -> None:
    quiet = "." * 12

    assert process(TurnDetector(), "xxxxx" + quiet, agent=True) == []
    assert process(TurnDetector(), "xxxxxxxxxx" + quiet, agent=True) == [B]


def test_speech_waits_while_the_caller_may_not_start() -> None:
    detector = TurnDetector()

    assert process(detector, "x" * 40, agent=True, may=False) == []
    assert process(detector, "x") == [S]


def test_a_turn_continues_at_a_lower_threshold_than_it_started() -> None:
    detector = TurnDetector()
    process(detector, "xxxx")

    assert [detector.process(0.4) for _ in range(6)] == [None] * 6


@pytest.mark.parametrize(
    ("asked", "has_endpointer", "min_silence", "max_silence"),
    [
        ({}, True, 6, 25),
        ({}, False, 6, 16),
        ({"min_silence": 0.6}, True, 19, 25),
        ({"min_silence": 1.0}, True, 31, 31),
        ({"max_silence": 1.5}, True, 6, 47),
        ({"min_silence": 0.6, "max_silence": 1.5}, True, 19, 47),
        ({"min_silence": 0.6, "max_silence": 1.5}, False, 19, 47),
    ],
)
def test_the_client_can_set_the_silences(
    asked: dict[str, object], has_endpointer: bool, min_silence: int, max_silence: int
) -> None:
    timing = Timing.from_settings(detection(**asked), has_endpointer=has_endpointer)

    assert (timing.min_silence, timing.max_silence) == (min_silence, max_silence)


def test_an_interruption_without_delay_still_needs_real_speech() -> None:
    timing = Timing.from_settings(
        detection(interruption_delay=0.0), has_endpointer=True
    )

    assert timing.interrupt == 4


@pytest.mark.parametrize(
    ("min_silence", "max_silence"), [(2, 3), (3, 3), (4, 4), (6, 6), (2, 2)]
)
def test_the_shortest_silences_end_a_turn_too(
    min_silence: int, max_silence: int
) -> None:
    detector = TurnDetector(Timing(min_silence=min_silence, max_silence=max_silence))

    assert TurnSignal.ENDED in process(detector, "xxxx" + "." * 30)


def follows(signals: Iterable[TurnSignal]) -> bool:
    """Returns True if each signal may follow the one before it."""
    allowed = {
        None: {S, B},
        S: {P},
        P: {M, R, E},
        M: {R, E},
        R: {P},
        E: {R},
        B: {S, B},
    }
    before = None
    for signal in signals:
        if signal not in allowed[before]:
            return False
        before = signal
    return True


@given(st.lists(st.tuples(st.floats(0, 1), st.booleans(), st.booleans()), max_size=300))
def test_signals_come_in_a_valid_order(
    frames: list[tuple[float, bool, bool]],
) -> None:
    detector = TurnDetector()
    signals = [
        detector.process(probability, agent_is_speaking=agent, may_start=may)
        for probability, agent, may in frames
    ]

    assert follows(
        signal for signal in signals if signal is not None and signal is not C
    )
