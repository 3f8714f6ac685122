"""How well and how fast speech is understood on this machine.

    python benchmarks/recognition.py [--recordings FOLDER] [--show] [--threads N]
                                     [--count N]

Two sets: 25 requests spoken by the local voice, and, with --recordings, people: every
`NAME.wav` of the folder that has a `NAME.txt` with the true words. Recordings
are cut into turns at pauses, as a call would be, in five ways. Errors are counted in
words after both sides' numbers were brought to digits; the time is from the end of a
turn to its text.
"""

from __future__ import annotations

import argparse
import statistics
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from runner.audio.devices import SAMPLE_RATE
from runner.audio.pcm import to_samples
from runner.audio.resampler import Resampler
from runner.config.model import LlmConfig, LocalConfig
from runner.speech.interfaces import (
    SPEECH_RATE,
    VAD_FRAME,
    Recognizer,
    Samples,
    SpeechStack,
    Vad,
)
from runner.speech.llm.text import spoken_tokens
from runner.speech.loader import load_speech

REQUESTS = (
    "Where is my order four five one two?",
    "I'd like to know whether you deliver to Portland.",
    "Can you tell me the weather in Chicago for tomorrow?",
    "Please cancel the appointment I made for Thursday afternoon.",
    "My parcel arrived damaged and I want a refund.",
    "Could you put me through to a person?",
    "Book a table for six people on Friday at half past seven.",
    "What are your opening hours on Sunday?",
    "I forgot my password and the reset link has expired.",
    "Turn off the lights in the living room, please.",
    "How much does the large one cost with shipping?",
    "My phone number is five five five, zero one nine eight.",
    "Do you have the blue jacket in a medium size?",
    "I was charged twice for the same subscription.",
    "Set the thermostat to nineteen degrees.",
    "Remind me to call my sister after lunch.",
    "Is there a direct train to Boston in the morning?",
    "The printer on the second floor is out of paper.",
    "I need to change the delivery address of my order.",
    "Which documents should I bring to the appointment?",
    "Thank you very much, that was very helpful.",
    "No, I meant the other account, the one I opened last year.",
    "Can I pay the invoice in three parts?",
    "Please spell the name of the street for me.",
    "That is all for today, goodbye.",
)

SILENCE_THAT_ENDS_A_TURN = 16  # VAD frames: half a second
# VAD frames kept before the first speech. Where exactly a turn is cut changes single
# words, so people's recordings are cut in each of these ways and counted together.
LEADS = (6, 8, 10, 12, 14)


@dataclass
class Tally:
    """What one set of utterances came to."""

    name: str
    words: int = 0
    errors: int = 0
    seconds: list[float] = field(default_factory=list)

    def row(self) -> str:
        times = [1000 * s for s in self.seconds]
        return (
            f"{self.name:<12}{len(times):>6}{self.words:>7}{self.errors:>8}"
            f"{self.errors / self.words:>8.1%}{statistics.median(times):>9.0f}"
            f"{max(times):>8.0f}"
        )


def main() -> None:
    options = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    options.add_argument("--recordings", type=Path, help="folder of .wav and .txt")
    options.add_argument("--threads", type=int, help="default: as a call would use")
    options.add_argument("--count", type=int, help="of the 25 requests; default: all")
    options.add_argument("--show", action="store_true", help="print what was misheard")
    chosen = options.parse_args()
    speech = load_speech(
        LocalConfig(llm=LlmConfig(name="rules")), threads=chosen.threads
    )
    recognizer = speech.recognizer()
    missing = [part for part in speech.missing() if part.part != "brain"]
    if recognizer is None or missing:
        for part in missing:
            print(f"{part.part}: {part.reason}; {part.command}")
        raise SystemExit(3)
    recognizer.transcribe(np.zeros(SPEECH_RATE, np.float32))  # warm up
    tallies = [_spoken_requests(speech, recognizer, chosen.show, chosen.count)]
    if chosen.recordings:
        tallies.append(
            _recordings(chosen.recordings, speech.vad(), recognizer, chosen.show)
        )
    print("set          turns  words  errors     WER  median     max  (ms)")
    for tally in tallies:
        print(tally.row())
    if not chosen.recordings:
        print("people       not measured: name a folder with --recordings")


def _spoken_requests(
    speech: SpeechStack, recognizer: Recognizer, show: bool, count: int | None
) -> Tally:
    tally, voice = Tally("local voice"), speech.synthesizer()
    for request in REQUESTS[:count]:
        pcm = b"".join(voice.synthesize(request, lambda: False))
        heard = _hear(_at_speech_rate(to_samples(pcm), SAMPLE_RATE), recognizer, tally)
        _count(request, heard, tally, show)
    return tally


def _recordings(folder: Path, vad: Vad, recognizer: Recognizer, show: bool) -> Tally:
    import soundfile

    tally = Tally("people")
    for truth in sorted(folder.glob("*.txt")):
        samples, rate = soundfile.read(truth.with_suffix(".wav"), dtype="float32")
        mono = samples if samples.ndim == 1 else samples.mean(axis=1)
        sound = _at_speech_rate(mono, rate)
        for lead in LEADS:
            vad.reset()
            turns = _turns(sound, vad, lead)
            heard = " ".join(_hear(turn, recognizer, tally) for turn in turns)
            _count(truth.read_text("utf-8"), heard, tally, show)
    if not tally.words:
        raise SystemExit(f"no .wav with a .txt beside it in '{folder}'")
    return tally


def _hear(samples: Samples, recognizer: Recognizer, tally: Tally) -> str:
    begun = time.perf_counter()
    text = recognizer.transcribe(samples)
    tally.seconds.append(time.perf_counter() - begun)
    return text


def _turns(samples: Samples, vad: Vad, lead: int) -> Iterator[Samples]:
    """Yield the stretches of speech between pauses."""
    frames = [
        samples[at : at + VAD_FRAME]
        for at in range(0, len(samples) - VAD_FRAME + 1, VAD_FRAME)
    ]
    speaking = [vad.probability(frame) >= 0.5 for frame in frames]
    start, quiet = None, 0
    for at, is_speech in enumerate([*speaking, *[False] * SILENCE_THAT_ENDS_A_TURN]):
        if is_speech:
            start = max(0, at - lead) if start is None else start
            quiet = 0
        elif start is not None:
            quiet += 1
            if quiet == SILENCE_THAT_ENDS_A_TURN:
                yield np.concatenate(frames[start : at + 1])
                start, quiet = None, 0


def _at_speech_rate(samples: Samples, rate: int) -> Samples:
    return Resampler(rate, SPEECH_RATE).process(samples, last=True)


def _count(truth: str, heard: str, tally: Tally, show: bool) -> None:
    said, understood = words_of(truth), words_of(heard)
    errors = word_errors(said, understood)
    tally.words += len(said)
    tally.errors += errors
    if show and errors:
        print(f"{errors} in: {' '.join(said)}\n  as: {' '.join(understood)}")


def words_of(text: str) -> list[str]:
    """Return the words, neighbouring numbers joined: 12 34 and 1234 are alike."""
    words: list[str] = []
    for token in spoken_tokens(text.replace("-", " ")):
        if token[0].isdigit() and words and words[-1][0].isdigit():
            words[-1] += token
        else:
            words.append(token)
    return words


def word_errors(said: Sequence[str], understood: Sequence[str]) -> int:
    """Return the edit distance in words (Levenshtein)."""
    row = list(range(len(understood) + 1))
    for i, word in enumerate(said, 1):
        diagonal, row[0] = row[0], i
        for j, other in enumerate(understood, 1):
            diagonal, row[j] = (
                row[j],
                min(row[j] + 1, row[j - 1] + 1, diagonal + (word != other)),
            )
    return row[-1]


if __name__ == "__main__":
    main()
