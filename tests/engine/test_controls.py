"""Commands and edits as changes of a running session."""

from __future__ import annotations

import asyncio
import base64
import contextlib
from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import Any

from runner.engine.controls import (
    COMMANDS,
    Controls,
    ControlState,
    Help,
    InvalidCommand,
    Mute,
    PushToTalk,
    ToggleMute,
    Volume,
    VolumeStep,
)
from runner.engine.engine import Engine
from runner.protocol.client.config import ClientConfig
from runner.protocol.client.events import HangUp
from runner.protocol.client.session import ClientSession
from runner.protocol.messages import SessionEnded, SessionReady, ToolCall
from tests.fakes import FakeDialer, FakeMicrophone, FakeSpeaker, FakeTransport, Outcome

FILE: dict[str, Any] = {"system_prompt": "x", "output": {"voice": "alba"}}


@dataclass(frozen=True, slots=True)
class Running:
    controls: Controls
    wire: FakeTransport
    microphone: FakeMicrophone
    notices: list[str]

    async def change(self, number: int) -> Any:
        """Return the number-th change that is sent to the service, and apply it."""
        said = await self.wire.heard("session.update", number + 1)
        self.wire.peer_says('{"type":"session.updated"}')
        return said["session"]


@contextlib.asynccontextmanager
async def running() -> AsyncIterator[Running]:
    wire, microphone = FakeTransport(), FakeMicrophone()

    async def never(call: ToolCall) -> Outcome:
        raise AssertionError(call)

    engine = Engine(
        ClientSession(ClientConfig(FILE)),
        FakeDialer(wire),
        microphone=microphone,
        speaker=FakeSpeaker(),
        run_tool=never,
    )
    notices: list[str] = []
    ended = asyncio.create_task(engine.run())
    await wire.heard("session.update")
    wire.peer_says('{"type":"session.updated"}', SessionReady("s"))
    await engine.settled.wait()
    yield Running(Controls(engine, notices.append, FILE), wire, microphone, notices)
    engine.post(HangUp("the test is over"))
    await wire.heard("session.end")
    wire.peer_says(SessionEnded(1.0))
    async with asyncio.timeout(5):
        await ended


async def test_a_typed_volume_is_a_change_of_the_running_session() -> None:
    async with running() as call:
        call.controls.perform(Volume(30))

        assert await call.change(1) == {"output": {"volume": 30}}
        assert call.notices == ["volume 30 from the agent's next reply on"]


async def test_a_typed_volume_outlives_an_edit_that_says_nothing_of_it() -> None:
    async with running() as call:
        call.controls.perform(Volume(30))
        await call.change(1)
        call.controls.reconfigure({**FILE, "system_prompt": "y"}, {})

        assert await call.change(2) == {"system_prompt": "y"}


async def test_a_volume_that_the_file_names_again_has_the_last_word() -> None:
    async with running() as call:
        call.controls.perform(Volume(30))
        await call.change(1)
        edited = {**FILE, "output": {"voice": "alba", "volume": 70}}
        call.controls.reconfigure(edited, {})

        assert await call.change(2) == {"output": {"volume": 70}}


async def test_muted_the_service_hears_silence_and_then_the_caller_again() -> None:
    loud = b"\1\0" * 1200
    heard: list[bytes] = []
    async with running() as call:
        for is_muted in (True, False):
            call.controls.perform(Mute(is_muted))
            call.microphone.put(loud)
            sound = await call.wire.heard("input.audio", len(heard) + 1)
            heard.append(base64.b64decode(sound["audio"]))

    assert heard == [bytes(len(loud)), loud]
    assert [text.partition(":")[0] for text in call.notices] == ["muted", "not muted"]


async def test_help_lists_every_command_and_a_mistake_is_reported() -> None:
    async with running() as call:
        call.controls.perform(Help())
        call.controls.perform(InvalidCommand("no"))

    assert len(call.notices) == len(COMMANDS) + 1
    assert call.notices[-1] == "no"


async def test_push_to_talk_and_mute_are_seen_by_the_one_that_shows_them() -> None:
    async with running() as call:
        seen: list[ControlState] = []
        call.controls.report = seen.append

        call.controls.perform(PushToTalk())
        call.controls.perform(ToggleMute())
        call.controls.perform(VolumeStep(-10))
        await call.change(1)

        assert [each.is_muted for each in seen] == [True, False, False]
        assert seen[-1].volume == 90
        assert call.notices[0] == "not muted: microphone audio is sent"


async def test_a_volume_stays_within_its_scale_and_is_sent_once() -> None:
    async with running() as call:
        call.controls.perform(VolumeStep(10))
        assert await call.change(1) == {"output": {"volume": 100}}

        call.controls.perform(VolumeStep(10))

        assert call.notices[-1] == "the volume is already 100"
