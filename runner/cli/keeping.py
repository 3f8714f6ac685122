"""Whether and how a call is recorded: the command line before the settings."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from runner.errors import UsageError

if TYPE_CHECKING:
    from runner.keeping import RecordingOptions


def recording_options(
    record: Path | None, no_record: bool, record_audio: str | None, redact: bool
) -> RecordingOptions | None:
    """Return the wish for a recording; None for none.

    What was redacted has no sound unless it is asked for. Raises `UsageError`.
    """
    from runner.config.settings import load_call_settings
    from runner.keeping import RecordingOptions

    if record_audio not in (None, "on", "off"):
        raise UsageError(f"--record-audio takes on or off, not '{record_audio}'")
    if no_record:
        if record is not None or record_audio is not None or redact:
            raise UsageError("--no-record contradicts the other options of a recording")
        return None
    settings = load_call_settings(Path.cwd())
    into = record or settings.record
    if into is None:
        if record_audio is not None or redact:
            option = "--redact" if redact else "--record-audio"
            raise UsageError(
                f"{option} is about a recording, and there is none",
                hint="add --record FOLDER",
            )
        return None
    redacts = redact or settings.redact
    sound = settings.record_audio
    if record_audio is not None:
        sound = record_audio == "on"
    return RecordingOptions(
        into, sound=not redacts if sound is None else sound, redact=redacts
    )
