"""Echo in simulated rooms, through the real canceller where it is installed."""

from __future__ import annotations

import numpy as np
import pytest

from runner.audio.devices import SAMPLE_RATE
from runner.audio.echo import (
    TAIL_SECONDS,
    AudioProcessor,
    EchoCanceller,
    HalfDuplexGate,
)
from runner.audio.pcm import Samples
from tests.audio.rooms import Card, Room, decibels, listen, meet, speechlike

pytest.importorskip("pywebrtc_audio", reason="the desk extra is not installed")

SECONDS = 5.0
AGENT = speechlike(SECONDS)
ALIKE = Card(), Card()


def cut(samples: Samples, begin: float, end: float) -> Samples:
    return samples[round(begin * SAMPLE_RATE) : round(end * SAMPLE_RATE)]


def cancelled(
    room: Room,
    speaker: Card,
    microphone: Card,
    begin: float = 2.0,
    end: float = SECONDS - 0.1,
) -> float:
    """Return by how many decibels the echo is quieter in this part of the call."""
    blocks = list(meet(room, AGENT, speaker, microphone))
    raw = listen(blocks, None, speaker, microphone)
    cleaned = listen(blocks, EchoCanceller(), speaker, microphone)
    return decibels(cut(raw, begin, end)) - decibels(cut(cleaned, begin, end))


@pytest.mark.parametrize("delay", [0.04, 0.12, 0.25])
@pytest.mark.parametrize("level", [-6.0, -20.0])
def test_echo_is_cancelled(delay: float, level: float) -> None:
    assert cancelled(Room(delay=delay, level=level), *ALIKE) > 20


def test_the_first_audio_of_the_agent_is_cancelled_already() -> None:
    assert cancelled(Room(), *ALIKE, begin=0.2, end=0.7) > 20


@pytest.mark.parametrize("drifts", [(200.0, 0.0), (-200.0, 200.0), (500.0, 0.0)])
def test_echo_is_cancelled_where_clocks_drift(drifts: tuple[float, float]) -> None:
    speaker, microphone = (Card(48_000, drift=drift) for drift in drifts)

    assert cancelled(Room(), speaker, microphone) > 20


@pytest.mark.parametrize(
    ("speaker", "microphone"),
    [
        (Card(44_100, jitter=0.01), Card(48_000, jitter=0.01)),
        (Card(wander=0.018, jitter=0.001), Card(44_100, wander=0.015)),
        (Card(48_000, block=0.1, latency=0.15), Card(16_000, block=0.064)),
    ],
    ids=["jitter", "wander as PulseAudio's", "large blocks"],
)
def test_echo_is_cancelled_where_times_are_poor(
    speaker: Card, microphone: Card
) -> None:
    assert cancelled(Room(), speaker, microphone) > 20


@pytest.mark.parametrize("bias", [-0.1, -0.03, 0.05, 0.1])
def test_times_that_are_wrong_throughout_are_borne(bias: float) -> None:
    assert cancelled(Room(), Card(bias=bias), Card()) > 20


@pytest.mark.parametrize("lost", [0.005, 0.01, 0.02, 0.04])
def test_recorded_audio_that_got_lost_spoils_half_a_second(lost: float) -> None:
    microphone = Card(slip=(3.0, lost), jitter=0.001)

    assert cancelled(Room(), Card(), microphone, begin=3.6) > 20


def test_the_echo_of_what_was_played_meanwhile_is_cancelled_too() -> None:
    """From a tenth of a second on, in which it is found out that audio was lost."""
    microphone = Card(slip=(3.0, 0.5), jitter=0.001)

    assert cancelled(Room(), Card(), microphone, begin=3.1, end=3.2) > 10


@pytest.mark.parametrize("still", [0.01, 0.02, 0.5])
def test_a_loudspeaker_that_stood_still_spoils_half_a_second(still: float) -> None:
    speaker = Card(pause=(3.0, still), jitter=0.001)

    assert cancelled(Room(), speaker, Card(), begin=3.6 + still) > 20


def test_without_echo_the_caller_is_left_as_is() -> None:
    near = speechlike(SECONDS, seed=5)
    blocks = list(meet(Room(), np.zeros_like(AGENT), *ALIKE, near))

    raw = listen(blocks, None, *ALIKE)
    cleaned = listen(blocks, EchoCanceller(), *ALIKE)

    assert decibels(cut(cleaned, 1, 4.9)) == pytest.approx(
        decibels(cut(raw, 1, 4.9)), abs=1.5
    )


@pytest.mark.parametrize(("louder", "lost"), [(0.0, 8.0), (6.0, 6.0)])
def test_a_caller_who_speaks_over_the_agent_is_heard(
    louder: float, lost: float
) -> None:
    """Of the same spectrum as the agent, which is the hardest case."""
    room = Room(level=-10.0)
    near = speechlike(SECONDS, seed=5, level=-20.0 + room.level + louder)
    near[: 2 * SAMPLE_RATE] = 0.0

    both = listen(meet(room, AGENT, *ALIKE, near), EchoCanceller(), *ALIKE)
    alone = listen(
        meet(room, np.zeros_like(AGENT), *ALIKE, near), EchoCanceller(), *ALIKE
    )

    both, alone = cut(both, 2.0, 4.9), cut(alone, 2.0, 4.9)
    assert decibels(both) > decibels(alone) - lost
    assert np.corrcoef(both, alone)[0, 1] > 0.5


def test_another_speaker_in_mid_call_is_opened() -> None:
    front_end, room = EchoCanceller(), Room()
    listen(meet(room, AGENT, *ALIKE), front_end, *ALIKE)
    later = Card(48_000), Card(44_100)
    blocks = list(meet(room, AGENT, *later))  # and its clock starts again

    raw, cleaned = listen(blocks, None, *later), listen(blocks, front_end, *later)

    reduced = decibels(cut(raw, 2, 4.9)) - decibels(cut(cleaned, 2, 4.9))
    assert reduced > 20


def test_noise_is_left_alone_unless_asked() -> None:
    quiet, room = np.zeros_like(AGENT), Room(noise=-45.0)
    blocks = list(meet(room, quiet, *ALIKE))

    raw = listen(blocks, None, *ALIKE)
    as_it_is = listen(blocks, EchoCanceller(), *ALIKE)
    suppressed = listen(blocks, EchoCanceller(noise=True), *ALIKE)

    level = decibels(cut(raw, 2, 4.9))
    assert decibels(cut(as_it_is, 2, 4.9)) == pytest.approx(level, abs=2)
    assert decibels(cut(suppressed, 2, 4.9)) < level - 5


def whole_length(front_end: AudioProcessor | None) -> float:
    blocks = list(meet(Room(), AGENT, Card(), Card(48_000)))
    return len(listen(blocks, front_end, Card(), Card(48_000))) / SAMPLE_RATE


def test_nothing_of_the_time_gets_lost() -> None:
    raw = whole_length(None)

    assert whole_length(EchoCanceller()) == pytest.approx(raw, abs=0.021)
    assert whole_length(HalfDuplexGate()) == raw


@pytest.mark.parametrize("delay", [0.04, 0.25])
def test_half_duplex_lets_no_echo_through(delay: float) -> None:
    blocks = list(meet(Room(delay=delay, decay=0.1, noise=-120), AGENT, *ALIKE))

    heard = listen(blocks, HalfDuplexGate(), *ALIKE)

    # Until the agent is heard at all, the microphone is open.
    assert np.abs(heard).max() < 10 ** (-50 / 20)


def test_half_duplex_listens_again_after_the_agent_and_its_echo() -> None:
    agent, near = AGENT.copy(), speechlike(SECONDS, seed=5)
    agent[2 * SAMPLE_RATE :] = 0.0
    blocks = list(meet(Room(), agent, *ALIKE, near))

    heard, raw = listen(blocks, HalfDuplexGate(), *ALIKE), listen(blocks, None, *ALIKE)

    assert not cut(heard, 0.2, 2.0 + TAIL_SECONDS - 0.1).any()
    open_again = 2.0 + TAIL_SECONDS + 0.1
    assert np.array_equal(cut(heard, open_again, 4.9), cut(raw, open_again, 4.9))


def test_half_duplex_does_not_stay_deaf_when_the_clock_starts_again() -> None:
    front_end = HalfDuplexGate()
    late = Card(bias=10_000.0)
    listen(meet(Room(), AGENT, late, late), front_end, late, late)
    near = speechlike(SECONDS, seed=5)
    blocks = list(meet(Room(), np.zeros_like(AGENT), *ALIKE, near))

    heard = listen(blocks, front_end, *ALIKE)

    assert np.array_equal(
        cut(heard, 0.5, 4.9), cut(listen(blocks, None, *ALIKE), 0.5, 4.9)
    )
