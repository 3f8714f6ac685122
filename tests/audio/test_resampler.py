import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from runner.audio.pcm import to_pcm, to_samples
from runner.audio.resampler import Resampler, SteadyResampler, resample_pcm

RATES = st.sampled_from([8_000, 16_000, 22_050, 24_000, 44_100, 48_000, 96_000])


def tone(rate: int, seconds: float = 0.5, hertz: float = 440.0) -> np.ndarray:
    times = np.arange(round(rate * seconds)) / rate
    return (0.5 * np.sin(2 * np.pi * hertz * times)).astype(np.float32)


def test_equal_rates_hand_the_samples_through() -> None:
    samples = tone(24_000)
    resampler = Resampler(24_000, 24_000)
    assert resampler.process(samples) is samples
    assert not resampler.is_holding


@given(RATES, RATES, st.lists(st.integers(0, 3_000), max_size=8))
@settings(deadline=None)
def test_length_follows_the_rates_however_it_is_cut(
    from_rate: int, to_rate: int, lengths: list[int]
) -> None:
    resampler = Resampler(from_rate, to_rate)
    made = sum(len(resampler.process(np.zeros(n, np.float32))) for n in lengths)
    made += len(resampler.process(np.zeros(0, np.float32), last=True))
    assert abs(made - sum(lengths) * to_rate / from_rate) <= 1


@pytest.mark.parametrize(("from_rate", "to_rate"), [(44_100, 24_000), (24_000, 48_000)])
def test_pieces_equal_the_whole(from_rate: int, to_rate: int) -> None:
    samples = tone(from_rate)
    whole = Resampler(from_rate, to_rate).process(samples, last=True)
    resampler = Resampler(from_rate, to_rate)
    pieces = [resampler.process(piece) for piece in np.array_split(samples, 37)]
    pieces.append(resampler.process(samples[:0], last=True))
    assert np.allclose(np.concatenate(pieces), whole, atol=1e-5)


@pytest.mark.parametrize(("from_rate", "to_rate"), [(8_000, 24_000), (44_100, 24_000)])
def test_a_tone_keeps_its_pitch_and_level(from_rate: int, to_rate: int) -> None:
    out = Resampler(from_rate, to_rate).process(tone(from_rate, 1.0), last=True)
    middle = slice(to_rate // 10, -to_rate // 10)
    assert np.abs(out[middle] - tone(to_rate, 1.0)[middle]).max() < 1e-3


def test_what_is_above_the_new_band_is_removed() -> None:
    out = Resampler(48_000, 24_000).process(tone(48_000, hertz=15_000), last=True)
    assert np.abs(out[2_400:-2_400]).max() < 1e-3


def test_after_the_last_piece_a_new_stream_begins() -> None:
    resampler = Resampler(44_100, 24_000)
    first = resampler.process(tone(44_100), last=True)
    assert np.array_equal(resampler.process(tone(44_100), last=True), first)


def test_it_reports_when_output_is_held_back() -> None:
    resampler = Resampler(44_100, 24_000)
    empty = np.zeros(0, np.float32)
    resampler.process(empty)
    assert not resampler.is_holding
    resampler.process(tone(44_100))
    resampler.process(empty)
    assert resampler.is_holding
    resampler.process(empty, last=True)
    assert not resampler.is_holding


def test_a_whole_piece_of_pcm() -> None:
    pcm = to_pcm(tone(16_000))
    assert resample_pcm(pcm, 16_000, 16_000) is pcm
    out = to_samples(resample_pcm(pcm, 16_000, 24_000))
    assert np.abs(out - tone(24_000))[240:-240].max() < 2e-3


LIVE = [(48_000, 24_000), (44_100, 24_000), (24_000, 48_000), (24_000, 44_100)]


@pytest.mark.parametrize(("from_rate", "to_rate"), LIVE)
def test_live_audio_lags_evenly_and_by_little(from_rate: int, to_rate: int) -> None:
    resampler, block = SteadyResampler(from_rate, to_rate), from_rate // 100
    lags, output = [], 0
    for number in range(1, 101):
        output += len(resampler.process(np.zeros(block, np.float32)))
        lags.append(number * 10 - output * 1000 / to_rate)
    assert max(lags[10:]) - min(lags[10:]) < 1
    assert max(lags) < 15


@given(
    rates=st.tuples(*[st.sampled_from([8_000, 16_000, 24_000, 44_100, 48_000])] * 2),
    cuts=st.lists(st.integers(1, 3_000), min_size=1, max_size=20),
)
@settings(deadline=None)  # machines stall
def test_live_audio_keeps_its_length_however_it_is_cut(
    rates: tuple[int, int], cuts: list[int]
) -> None:
    resampler = SteadyResampler(*rates)
    output = sum(len(resampler.process(np.zeros(cut, np.float32))) for cut in cuts)
    output += len(resampler.process(np.zeros(0, np.float32), last=True))
    assert abs(output - sum(cuts) * rates[1] / rates[0]) <= 2


def test_steering_plays_faster_without_a_step() -> None:
    resampler = SteadyResampler(24_000, 48_000, is_steerable=True)
    tone = np.sin(2 * np.pi * 440 * np.arange(24_000) / 24_000).astype(np.float32)
    heard = []
    for number in range(100):
        resampler.steer(0.002 if number % 20 < 10 else -0.001, over=240)
        heard.append(resampler.process(tone[number * 240 : (number + 1) * 240]))
    heard.append(resampler.process(np.zeros(0, np.float32), last=True))
    output = np.concatenate(heard)
    assert len(output) == pytest.approx(48_000 / 1.0005, abs=48)
    assert np.abs(np.diff(output[480:-480])).max() < 1.01 * 2 * np.pi * 440 / 48_000


def test_steering_what_cannot_be_steered_is_refused() -> None:
    with pytest.raises(ValueError, match="not steerable"):
        SteadyResampler(48_000, 24_000).steer(0.001)
