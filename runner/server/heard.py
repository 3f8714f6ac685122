"""What is known of the caller's turn that is going on."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(slots=True)
class TurnInProgress:
    """One turn of the caller, from its onset to its commitment; kept by `SpeechPipeline`."""

    settled: str = ""  # recognised for good, its sound is gone
    text: str = ""  # of the sound that is kept
    covers: int = -1  # the text covers speech up to this frame
    shown: str = ""
    is_recognising: bool = False
    partial_at: float = 0.0  # no further partial before this, on the loop's clock
    is_paused: bool = False
    is_asked: bool = False  # long enough a pause to judge, once the models are free
    is_decided: bool = False  # over, as soon as the text covers all of it

    @property
    def whole_text(self) -> str:
        return f"{self.settled} {self.text}".strip()
