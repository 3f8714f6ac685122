"""Announcements said by the voice of this machine, or not."""

from __future__ import annotations

import asyncio

from runner.engine.caller import AnnouncementSynthesizer
from runner.errors import SpeechError


class Throat:
    """A local voice, as far as announcements use it."""

    def __init__(self, error: SpeechError | None = None) -> None:
        self.begun: list[str] = []
        self._error = error

    def begin(self, text: str) -> asyncio.Future[bytes]:
        self.begun.append(text)
        future: asyncio.Future[bytes] = asyncio.get_running_loop().create_future()
        if self._error is None:
            future.set_result(text.encode())
        else:
            future.set_exception(self._error)
        return future


async def test_each_text_is_made_once() -> None:
    throat, notices = Throat(), list[str]()
    announcements = AnnouncementSynthesizer(throat.begin, notices.append)

    said = [await announcements.say(text) for text in ("a", "b", "a")]

    assert said == [b"a", b"b", b"a"]
    assert throat.begun == ["a", "b"]
    assert notices == []


async def test_a_machine_without_a_voice_says_so_once() -> None:
    throat = Throat(SpeechError("no local voice: piper is not installed", hint="pip"))
    notices = list[str]()
    announcements = AnnouncementSynthesizer(throat.begin, notices.append)

    said = [await announcements.say(text) for text in ("a", "b")]

    assert said == [b"", b""]
    assert throat.begun == ["a"]
    assert notices == [
        "no local voice: piper is not installed: announcements are not spoken (pip)"
    ]


async def test_a_call_that_ends_meanwhile_spoils_nothing() -> None:
    loop = asyncio.get_running_loop()
    future: asyncio.Future[bytes] = loop.create_future()
    announcements = AnnouncementSynthesizer(lambda text: future, lambda text: None)
    first = asyncio.create_task(announcements.say("a"))
    await asyncio.sleep(0)
    first.cancel()
    await asyncio.gather(first, return_exceptions=True)

    future.set_result(b"a")

    assert await announcements.say("a") == b"a"
