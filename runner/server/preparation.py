"""What a server does before it is asked: saying what is missing, warming the voice."""

from __future__ import annotations

from runner.errors import SpeechError
from runner.server.reply import FILLER
from runner.service.conversation import ServerContext


async def warm_up(house: ServerContext) -> None:
    """Report every missing part, and have the filler ready before it is needed."""
    try:
        missing = await house.workers.run("loading", house.speech.missing)
        for part in missing:
            facts = {
                "part": part.part,
                "reason": part.reason,
                "instead": part.instead,
                "command": part.command,
            }
            house.report("vagent.missing", facts)
        await house.larynx.prepare(FILLER)
    except SpeechError as error:
        house.report("vagent.warning", {"message": error.message})
