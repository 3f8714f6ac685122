from __future__ import annotations

import json

import pytest

from runner.cli.doctor_checks.service import Refused, open_test_session
from runner.config.model import LocalConfig
from runner.engine.transports import Dialer
from runner.errors import AuthenticationRejected, RemoteProtocolError, TransportError
from runner.service.app import LocalService
from runner.speech.loader import load_speech
from tests.cli.doctor_checks.services import FakeService, running

ERROR = json.dumps(
    {"type": "session.error", "code": "UNAUTHORIZED", "message": "no such key"}
)


async def test_a_session_is_opened_with_the_key_and_ended() -> None:
    fake = FakeService()
    async with running(fake) as url:
        seconds = await open_test_session(Dialer(url, lambda: "my-key"), 10)

    assert seconds > 0
    assert fake.heard == ["session.update", "session.end"]
    assert fake.keys == ["Bearer my-key"]


async def test_the_embedded_server_opens_a_session() -> None:
    speech = load_speech(LocalConfig(), fallbacks_only=True)
    async with LocalService(speech, key="right") as server:
        assert await open_test_session(Dialer(server.url, lambda: "right"), 10) > 0
        with pytest.raises(Refused) as caught:
            await open_test_session(Dialer(server.url, lambda: "wrong"), 10)
    speech.close()

    assert (caught.value.code or "").lower() == "unauthorized"


async def test_an_error_of_the_service_is_a_refusal() -> None:
    async with running(FakeService(says=ERROR)) as url:
        with pytest.raises(Refused, match="no such key") as caught:
            await open_test_session(Dialer(url), 10)

    assert caught.value.code == "UNAUTHORIZED"


async def test_a_connection_that_is_closed_is_a_refusal() -> None:
    async with running(FakeService(close=(1008, "policy"))) as url:
        with pytest.raises(Refused, match="1008: policy") as caught:
            await open_test_session(Dialer(url), 10)

    assert caught.value.close_code == 1008


async def test_another_protocol_is_an_error() -> None:
    async with running(FakeService(says="<html>")) as url:
        with pytest.raises(RemoteProtocolError):
            await open_test_session(Dialer(url), 10)


async def test_a_rejected_key_is_an_error() -> None:
    async with running(FakeService(status=401)) as url:
        with pytest.raises(AuthenticationRejected):
            await open_test_session(Dialer(url), 10)


async def test_a_silent_service_times_out() -> None:
    async with running(FakeService(is_silent=True)) as url:
        with pytest.raises(TransportError, match="opened no session within 0.1 s"):
            await open_test_session(Dialer(url), 0.1)
