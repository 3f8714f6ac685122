"""What is heard in the rooms: spoken once by the local voice, then kept in files."""

from __future__ import annotations

import tempfile
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from benchmarks.recognition import REQUESTS
from runner.audio.devices import SAMPLE_RATE
from runner.audio.pcm import to_pcm, to_samples
from runner.audio.resampler import resample_pcm
from runner.config.model import LocalConfig
from runner.speech.loader import load_synthesizer
from tests.device.acoustics import RATE

# What an agent says: plain sentences of all lengths, without end.
_STORY = (
    "Thank you for calling. I can see your order here on my screen, and it left our "
    "warehouse in the early afternoon.",
    "It should be with you on Thursday, between nine and twelve o'clock.",
    "If nobody is at home, the driver leaves the parcel with a neighbour, or takes it "
    "to the nearest shop, where it is kept for ten days.",
    "Shall I send you a message when it is out for delivery?",
    "The blue one is in stock, the green one will be back in about two weeks.",
    "Returns are free within thirty days, as long as the seal has not been broken.",
    "I have looked at your bill, and you are right: one of the two charges was made by "
    "mistake. You will have the money back within five working days.",
    "Our shop in the old town opens at ten on weekdays, and at eleven on Sundays.",
    "To set the thermostat, hold the upper button until the light blinks twice, then "
    "turn the ring to the temperature that you would like to have.",
    "No, that is not a problem at all.",
    "The train at half past seven gets you there with time to spare; the next one runs "
    "at eight, but you would have to change on the way.",
    "I am sorry to hear that. Could you tell me what the label on the box says?",
)
_PEAK = 0.5
_PAUSE = 0.25  # seconds between two sentences
_FOLDER = Path(tempfile.gettempdir()) / "vagent-desk-sounds"


def story() -> NDArray[np.float32]:
    """Return what the agent says, 24 kHz, as loud as a full loudspeaker."""
    return _kept("story", " | ".join(_STORY), lambda: _speak(_STORY))


def requests() -> list[tuple[str, NDArray[np.float32]]]:
    """Return what a person says, text and audio at 24 kHz, without silence around."""
    return [
        (text, _trim(_kept(f"request-{number}", text, lambda t=text: _speak((t,)))))
        for number, text in enumerate(REQUESTS)
    ]


def level_of(samples: NDArray[np.float32]) -> float:
    """Return the effective value where it is speech: of its louder half."""
    blocks = samples[: len(samples) // 480 * 480].reshape(-1, 480)
    power = np.sort((blocks**2).mean(axis=1))
    return float(np.sqrt(power[len(power) // 2 :].mean()))


def for_the_room(samples: NDArray[np.float32]) -> bytes:
    """Return audio at 24 kHz as a room takes it."""
    return resample_pcm(to_pcm(samples), SAMPLE_RATE, RATE)


def _speak(sentences: tuple[str, ...]) -> NDArray[np.float32]:
    voice = load_synthesizer(LocalConfig())
    pause = bytes(2 * round(_PAUSE * SAMPLE_RATE))
    spoken = [
        b"".join(voice.synthesize(text, lambda: False)) + pause for text in sentences
    ]
    samples = to_samples(b"".join(spoken))
    return samples * np.float32(_PEAK / np.abs(samples).max())


def _trim(samples: NDArray[np.float32]) -> NDArray[np.float32]:
    loud = np.flatnonzero(np.abs(samples) > 0.01)
    return samples[loud[0] : loud[-1] + 1]


def _kept(name: str, text: str, make: object) -> NDArray[np.float32]:
    assert callable(make)
    _FOLDER.mkdir(exist_ok=True)
    # Another text is another file.
    key = f"{name}-{len(text)}-{sum(text.encode())}.s16"
    path = _FOLDER / key
    if not path.exists():
        unfinished = path.with_suffix(".part")
        unfinished.write_bytes(to_pcm(make()))
        unfinished.replace(path)
    return to_samples(path.read_bytes())
