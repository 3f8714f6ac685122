from __future__ import annotations

import json

import pytest

from runner.config.model import LocalConfig
from runner.doctor.handshake import Refused, shake_hands
from runner.errors import AuthenticationRejected, RemoteProtocolError, TransportError
from runner.server.door import EmbeddedServer
from runner.speech.loader import load_speech
from runner.transport import Dialer
from tests.doctor.services import Desk, attended

ERROR = json.dumps(
    {"type": "session.error", "code": "UNAUTHORIZED", "message": "no such key"}
)


async def test_a_session_is_opened_with_the_key_and_ended() -> None:
    desk = Desk()
    async with attended(desk) as url:
        seconds = await shake_hands(Dialer(url, lambda: "my-key"), 10)

    assert seconds > 0
    assert desk.heard == ["session.update", "session.end"]
    assert desk.keys == ["Bearer my-key"]


async def test_the_embedded_server_is_a_service_too() -> None:
    speech = load_speech(LocalConfig(), stand_ins=True)
    async with EmbeddedServer(speech, key="right") as server:
        assert await shake_hands(Dialer(server.url, lambda: "right"), 10) > 0
        with pytest.raises(Refused) as caught:
            await shake_hands(Dialer(server.url, lambda: "wrong"), 10)
    speech.close()

    assert (caught.value.code or "").lower() == "unauthorized"


async def test_an_error_of_the_service_is_a_refusal() -> None:
    async with attended(Desk(says=ERROR)) as url:
        with pytest.raises(Refused, match="no such key") as caught:
            await shake_hands(Dialer(url), 10)

    assert caught.value.code == "UNAUTHORIZED"


async def test_a_connection_that_is_closed_is_a_refusal() -> None:
    async with attended(Desk(close=(1008, "policy"))) as url:
        with pytest.raises(Refused, match="1008: policy") as caught:
            await shake_hands(Dialer(url), 10)

    assert caught.value.close_code == 1008


async def test_what_is_not_the_wire_is_told_as_such() -> None:
    async with attended(Desk(says="<html>")) as url:
        with pytest.raises(RemoteProtocolError):
            await shake_hands(Dialer(url), 10)


async def test_a_key_that_is_turned_down_at_the_door_is_told_as_such() -> None:
    async with attended(Desk(status=401)) as url:
        with pytest.raises(AuthenticationRejected):
            await shake_hands(Dialer(url), 10)


async def test_a_service_that_says_nothing_is_not_waited_for() -> None:
    async with attended(Desk(is_silent=True)) as url:
        with pytest.raises(TransportError, match="opened no session within 0.1 s"):
            await shake_hands(Dialer(url), 0.1)
