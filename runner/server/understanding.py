"""What the models make of a stretch of the caller's sound: words, and whether the turn
is complete."""

from __future__ import annotations

from collections.abc import Sequence

from runner.service.workers import Workers
from runner.speech.interfaces import Samples, SpeechStack, Transcript, Vad

# Recognizers invent words for noise; above this nobody spoke (measured for Whisper).
_NOBODY = 0.6
_COMPLETE = 0.5
# Short words that are meant to interrupt; any other short sound under the agent's
# voice ("mhm", a cough) is let pass.
_STOP = "stop wait no hold hang pause enough cancel hey sorry"


class Understanding:
    """Asks recognizer and end-of-turn model, in threads; raises SpeechError."""

    def __init__(self, speech: SpeechStack, workers: Workers) -> None:
        self._speech = speech
        self._workers = workers

    async def make_vad(self) -> Vad:
        """Return a fresh detector of speech for one session."""
        return await self._workers.run("the speech detector", self._speech.vad)

    async def can_judge(self) -> bool:
        """Whether a model tells complete turns; waits until it is loaded."""
        task = "the end-of-turn model"
        return await self._workers.run(task, self._speech.endpointer) is not None

    async def is_complete(self, sound: Samples) -> bool:
        """Whether the turn that ends here sounds complete."""

        def work() -> float:
            endpointer = self._speech.endpointer()
            return 0.0 if endpointer is None else endpointer.completeness(sound)

        return await self._workers.run("the end-of-turn model", work) >= _COMPLETE

    async def transcribe(self, sound: Samples, key_terms: Sequence[str]) -> str:
        """Return what was said, or nothing where nobody spoke."""

        def work() -> Transcript:
            recognizer = self._speech.recognizer()
            if recognizer is None:
                return Transcript("")  # said at the start; messages still work
            return recognizer.transcribe(sound, key_terms=key_terms)

        transcript = await self._workers.run("speech recognition", work)
        return "" if transcript.no_speech > _NOBODY else transcript.text.strip()


def is_stop_phrase(text: str) -> bool:
    """Whether so short an utterance wants the agent to be silent."""
    words = {word.strip(".,!?").lower() for word in text.split()}
    return not words.isdisjoint(_STOP.split())
