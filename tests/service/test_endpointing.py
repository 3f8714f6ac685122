"""When a turn begins, pauses and ends."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from runner.protocol.server.config import TurnDetection
from runner.service.endpointing import Timing, TurnDetector, TurnSignal

S, A, P, R, O, M, G = (  # noqa: E741  # O is the sign OVER, beside A for ASK
    TurnSignal.STARTED,
    TurnSignal.ASK,
    TurnSignal.PAUSED,
    TurnSignal.RESUMED,
    TurnSignal.OVER,
    TurnSignal.MUTTERED,
    TurnSignal.GREW,
)


def wanted(**given: Any) -> TurnDetection:
    values: dict[str, Any] = {
        "vad_threshold": 0.5,
        "min_silence": None,
        "max_silence": None,
        "interruptible": True,
        "interruption_delay": 0.5,
        **given,
    }
    return TurnDetection(**values)


def hear(
    detector: TurnDetector, frames: str, *, agent: bool = False, may: bool = True
) -> list[TurnSignal]:
    """Feed `x` for speech and `.` for silence; return the signs without growth."""
    signs = [
        detector.hear(float(f == "x"), agent_speaks=agent, may_start=may)
        for f in frames
    ]
    return [sign for sign in signs if sign is not None and sign is not TurnSignal.GREW]


def test_speech_starts_a_turn_after_four_frames_and_a_click_does_not() -> None:
    assert hear(TurnDetector(), "xxx.........") == []
    assert hear(TurnDetector(), "xx..xx") == [S]


def test_a_pause_is_recognised_then_judged_then_over() -> None:
    detector = TurnDetector()
    hear(detector, "xxxxxxxx")

    assert hear(detector, "..") == []
    assert hear(detector, ".") == [P]  # 96 ms
    assert hear(detector, "...") == [A]  # 192 ms
    assert hear(detector, "." * 18) == []
    assert hear(detector, ".") == [O]  # 800 ms
    assert hear(detector, "." * 50) == []


def test_speech_that_goes_on_takes_the_pause_back() -> None:
    detector = TurnDetector()

    assert hear(detector, "xxxx......xx...") == [S, P, A, R, P]


def test_one_loud_frame_in_a_pause_is_a_click() -> None:
    detector = TurnDetector()

    assert hear(detector, "xxxx...x...") == [S, P, A]


def test_half_a_second_of_speech_grows_the_partial_transcript() -> None:
    detector = TurnDetector()
    signs = [detector.hear(1.0) for _ in range(36)]

    assert [index for index, sign in enumerate(signs) if sign is G] == [15, 31]


def test_interrupting_takes_half_a_second_of_speech() -> None:
    assert hear(TurnDetector(), "x" * 15, agent=True) == []
    assert hear(TurnDetector(), "x" * 16, agent=True) == [S]


def test_a_cough_does_not_interrupt_and_a_short_word_is_worth_a_look() -> None:
    quiet = "." * 12

    assert hear(TurnDetector(), "xxxxx" + quiet, agent=True) == []
    assert hear(TurnDetector(), "xxxxxxxxxx" + quiet, agent=True) == [M]


def test_speech_waits_while_the_caller_may_not_start() -> None:
    detector = TurnDetector()

    assert hear(detector, "x" * 40, agent=True, may=False) == []
    assert hear(detector, "x") == [S]


def test_a_turn_goes_on_at_a_lower_threshold_than_it_began() -> None:
    detector = TurnDetector()
    hear(detector, "xxxx")

    assert [detector.hear(0.4) for _ in range(6)] == [None] * 6


@pytest.mark.parametrize(
    ("asked", "is_judged", "ask", "over"),
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
def test_the_client_decides_how_long_a_silence_is(
    asked: dict[str, object], is_judged: bool, ask: int, over: int
) -> None:
    timing = Timing.from_settings(wanted(**asked), is_judged=is_judged)

    assert (timing.ask, timing.over) == (ask, over)


def test_an_interruption_without_delay_still_needs_real_speech() -> None:
    timing = Timing.from_settings(wanted(interruption_delay=0.0), is_judged=True)

    assert timing.interrupt == 4


@pytest.mark.parametrize(("ask", "over"), [(2, 3), (3, 3), (4, 4), (6, 6), (2, 2)])
def test_the_shortest_silences_end_a_turn_too(ask: int, over: int) -> None:
    detector = TurnDetector(Timing(ask=ask, over=over))

    assert TurnSignal.OVER in hear(detector, "xxxx" + "." * 30)


def follows(signs: Iterable[TurnSignal]) -> bool:
    """Whether each sign may come after the one before it."""
    allowed = {
        None: {S, M},
        S: {P},
        P: {A, R, O},
        A: {R, O},
        R: {P},
        O: {R},
        M: {S, M},
    }
    before = None
    for sign in signs:
        if sign not in allowed[before]:
            return False
        before = sign
    return True


@given(st.lists(st.tuples(st.floats(0, 1), st.booleans(), st.booleans()), max_size=300))
def test_signs_come_in_an_order_that_makes_sense(
    frames: list[tuple[float, bool, bool]],
) -> None:
    detector = TurnDetector()
    signs = [
        detector.hear(probability, agent_speaks=agent, may_start=may)
        for probability, agent, may in frames
    ]

    assert follows(sign for sign in signs if sign is not None and sign is not G)
