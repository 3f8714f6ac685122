"""What a capture shows: barge-ins, echo that is left, delays, clicks, words."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from benchmarks.desk.capture import Capture, Utterance, Wanted, ears_open
from benchmarks.desk.sounds import requests, story
from benchmarks.recognition import word_errors, words_of
from runner.audio.devices import SAMPLE_RATE
from runner.audio.resampler import Resampler
from runner.config.model import LlmConfig, LocalConfig
from runner.service.endpointing import TurnSignal
from runner.service.recognition import SpeechSegmenter
from runner.speech.interfaces import SPEECH_RATE, Recognizer
from runner.speech.loader import load_speech
from runner.speech.models import open_model_store
from runner.speech.vad import load_silero
from tests.device.acoustics import RATE
from tests.device.room import Log

_PIECE = 480  # samples at 24 kHz: 20 ms, what goes to a service at once
_KEPT_WITHIN = 1.0  # seconds from the onset of near speech to the decision
# After near speech its last decision may still come.
_AFTERMATH = 1.2
_SPAN = 60.0  # seconds that one row of a long run is about


@dataclass(frozen=True, slots=True)
class Branch:
    """What the local service's ears made of one side of a capture."""

    false: int  # decisions for speech in silence
    kept: int  # utterances that were taken for speech within a second
    delays: Sequence[float]  # of those, seconds from onset to decision
    errors: int = 0  # in words
    words: int = 0


@dataclass(frozen=True, slots=True)
class Span:
    """A minute of a run; times in ms."""

    pending: float  # of the playback buffer, the most
    underruns: int
    glitches: int
    dropped: float
    played_after: float  # from `play` to the loudspeaker; 0 in replies
    heard_after: float  # from the microphone to the front end
    erle: float  # dB by which the echo is quieter


@dataclass(frozen=True, slots=True)
class Result:
    """All figures of a capture."""

    clean: Branch
    raw: Branch
    utterances: int
    clicks: int
    loudest_click: float
    spans: Sequence[Span]
    missing: int
    refused: int
    longest_wait: float


def judge(
    capture: Capture, played: Log, heard: Log, wanted: Wanted, *, with_words: bool
) -> Result:
    """Look at a capture from all sides."""
    clicks, loudest = find_clicks(played.samples)
    return Result(
        clean=_listen(capture, capture.clean, 1, with_words),
        raw=_listen(capture, capture.raw, 0, with_words),
        utterances=len(capture.utterances),
        clicks=clicks,
        loudest_click=loudest,
        spans=_spans(capture, played, heard, wanted),
        missing=capture.faults.missing,
        refused=capture.faults.refused,
        longest_wait=capture.faults.longest_wait,
    )


def find_clicks(samples: NDArray[np.int16]) -> tuple[int, float]:
    """Count steps in speech of 24 kHz played at 44.1 kHz; return the loudest, too.

    Such speech has nothing above 12 kHz; a step has.
    """
    count, loudest, last = 0, 0.0, -RATE
    for start in range(0, len(samples), RATE * 10):
        above = _above(_full_scale(samples[start : start + RATE * 10]))
        loudest = max(loudest, float(np.abs(above).max(initial=0)))
        for place in np.flatnonzero(np.abs(above) > 0.003) + start:
            count += int(place - last > RATE // 50)
            last = int(place)
    return count, loudest


def _full_scale(pcm: NDArray[np.int16]) -> NDArray[np.float32]:
    return (pcm / 32_768).astype(np.float32)


def _above(samples: NDArray[np.float32]) -> NDArray[np.float64]:
    """Return what is above 14 kHz; the ends of a piece make clicks, so they are out."""
    spectrum = np.fft.rfft(samples * np.hanning(len(samples)) ** 0.1)
    spectrum[: int(14_000 / (RATE / 2) * len(spectrum))] = 0
    above = np.fft.irfft(spectrum, len(samples))
    above[:64] = above[-64:] = 0
    return above


@cache
def _silero() -> Path:
    path = open_model_store().find("silero-vad")
    if path is None:
        raise SystemExit("no weights of silero-vad: vagent models fetch")
    return path


def _recognizer() -> Recognizer:
    speech = load_speech(LocalConfig(llm=LlmConfig(name="rules")), threads=1)
    recognizer = speech.recognizer()
    if recognizer is None:
        raise SystemExit("no weights of whisper-base: vagent models fetch")
    return recognizer


def _listen(
    capture: Capture, pcm: NDArray[np.int16], column: int, with_words: bool
) -> Branch:
    """Let the server's ears hear it, as while the agent speaks."""
    ears = SpeechSegmenter(load_silero(_silero())(), "audio/pcm")
    times, counts = capture.stamps[:, 2], capture.stamps[:, column]
    opened, false = ears_open(capture), 0
    first: dict[int, float] = {}  # the first decision within each utterance
    for start in range(0, len(pcm) - _PIECE, _PIECE):
        signs = ears.process(
            pcm[start : start + _PIECE].tobytes(), agent_is_speaking=True
        )
        if not any(sign is TurnSignal.STARTED for sign, _ in signs):
            continue
        ears.reset_turn()
        index = min(int(np.searchsorted(counts, start + _PIECE)), len(times) - 1)
        at = float(times[index])
        turn = _turn_at(capture.utterances, at)
        if turn is not None:
            first.setdefault(turn, at - capture.utterances[turn].began)
        elif at >= opened:
            false += 1
    delays = list(first.values())
    kept = sum(delay <= _KEPT_WITHIN for delay in delays)
    errors, words = _misheard(capture, pcm, column) if with_words else (0, 0)
    return Branch(false, kept, delays, errors, words)


def _turn_at(utterances: Sequence[Utterance], at: float) -> int | None:
    """Return which utterance a decision at this time is about, if any."""
    for index, each in enumerate(utterances):
        if each.began <= at <= each.ended + _AFTERMATH:
            return index
    return None


def _misheard(capture: Capture, pcm: NDArray[np.int16], column: int) -> tuple[int, int]:
    """Count the words of the near speech that Whisper gets wrong, and all."""
    recognizer, said = _recognizer(), requests()
    times, counts = capture.stamps[:, 2], capture.stamps[:, column]
    errors = words = 0
    for utterance in capture.utterances:
        first = int(np.interp(utterance.began - 0.1, times, counts))
        last = int(np.interp(utterance.ended + 0.4, times, counts))
        piece = _full_scale(pcm[first:last])
        sound = Resampler(SAMPLE_RATE, SPEECH_RATE).process(piece, last=True)
        truth = words_of(said[utterance.number % len(said)][0])
        errors += word_errors(truth, words_of(recognizer.transcribe(sound)))
        words += len(truth)
    return errors, words


def _spans(capture: Capture, played: Log, heard: Log, wanted: Wanted) -> list[Span]:
    spans: list[Span] = []
    length = min(_SPAN, (capture.ended - capture.began) / 2)
    edges = np.arange(capture.began, capture.ended - length * 0.99, length)
    before = None
    for since in edges:
        standings = [s for s in capture.standings if since <= s.at < since + length]
        if not standings:
            continue
        first, last = before or standings[0], standings[-1]
        before = last
        spans.append(
            Span(
                pending=max(each.pending_ms for each in standings),
                underruns=last.underruns - first.underruns,
                glitches=last.glitches - first.glitches,
                dropped=last.dropped_ms - first.dropped_ms,
                played_after=_play_delay(capture, played, since + length / 2, wanted),
                heard_after=_hear_delay(capture, heard, since + length / 2),
                erle=_erle(capture, since, since + length),
            )
        )
    return spans


def _erle(capture: Capture, since: float, until: float) -> float:
    """Return by how much the cleaned audio is quieter than the raw, in dB."""
    times = capture.stamps[:, 2]
    low, high = np.searchsorted(times, (since, until))
    high = min(int(high), len(times) - 1)
    power = []
    for pcm, column in ((capture.raw, 0), (capture.clean, 1)):
        first, last = (int(capture.stamps[at, column]) for at in (int(low), high))
        power.append(float(np.mean(pcm[first:last].astype(np.float64) ** 2)) + 1e-9)
    return float(10 * np.log10(power[0] / power[1]))


def _hear_delay(capture: Capture, heard: Log, at: float) -> float:
    """Return how long a sample took from the microphone to the front end."""
    index = int(np.searchsorted(capture.stamps[:, 2], at))
    count = int(capture.stamps[index, 0])
    pattern = capture.raw[count - SAMPLE_RATE : count].astype(np.float64)
    # In the room's log it ends up to half a second before.
    ends = capture.stamps[index, 2]
    window, began = _window(heard, ends - 1.5, ends)
    if not len(window):
        return 0.0
    place = _find(pattern, window) + len(pattern)
    return float(1000 * (ends - began - place / SAMPLE_RATE))


def _play_delay(capture: Capture, played: Log, at: float, wanted: Wanted) -> float:
    """Return how long after it was handed over a sample left the loudspeaker."""
    if not wanted.is_continuous:
        return 0.0
    sound = story()
    size = len(sound) // 1200 * 1200
    # Handed over at real time, with a lead at the beginning.
    position = round((at - capture.began) * SAMPLE_RATE) % size
    if position + SAMPLE_RATE > size:
        position -= SAMPLE_RATE * 2
        at -= 2.0
    pattern = sound[position : position + SAMPLE_RATE].astype(np.float64)
    window, began = _window(played, at - 0.5, at + 3.5)
    if not len(window):
        return 0.0
    return float(1000 * (began + _find(pattern, window) / SAMPLE_RATE - at))


def _window(log: Log, since: float, until: float) -> tuple[NDArray[np.float64], float]:
    """Return a piece of a log at 24 kHz, and when it begins; nothing at the ends."""
    first = round((since - log.time_of(0)) * RATE)
    last = first + round((until - since) * RATE)
    if first < 0 or last > len(log.samples):
        return np.zeros(0), since
    piece = _full_scale(log.samples[first:last])
    window = Resampler(RATE, SAMPLE_RATE).process(piece, last=True)
    return window.astype(np.float64), log.time_of(first)


def _find(pattern: NDArray[np.float64], window: NDArray[np.float64]) -> int:
    """Returns the offset of the pattern in the window, by correlation."""
    size = len(pattern) + len(window)
    product = np.fft.rfft(window, size) * np.conj(np.fft.rfft(pattern, size))
    likeness = np.fft.irfft(product, size)[: max(1, len(window) - len(pattern) + 1)]
    return int(np.argmax(likeness))
