"""Which service a call goes to, and that no key goes anywhere else."""

from __future__ import annotations

import pytest

from runner.engine.services import ASSEMBLYAI_URL, choose_service
from runner.errors import AuthenticationRejected, UsageError

KEYS = {"ASSEMBLYAI_API_KEY": "aai-key", "VAGENT_SERVICE_KEY": "own-key"}


@pytest.mark.parametrize(
    ("requested", "agent_url", "environment", "url"),
    [
        (None, None, {}, None),
        (None, None, KEYS, ASSEMBLYAI_URL),
        (None, "wss://file.example/ws", KEYS, "wss://file.example/ws"),
        ("local", "wss://file.example/ws", KEYS, None),
        ("assemblyai", "wss://file.example/ws", KEYS, ASSEMBLYAI_URL),
        ("ws://127.0.0.1:1/x", None, KEYS, "ws://127.0.0.1:1/x"),
    ],
)
def test_an_option_comes_before_the_file_and_the_file_before_the_key(
    requested: str | None,
    agent_url: str | None,
    environment: dict[str, str],
    url: str | None,
) -> None:
    assert choose_service(requested, agent_url, environment).url == url


@pytest.mark.parametrize(
    ("url", "key"),
    [
        ("wss://agents.assemblyai.com/v1/ws", "aai-key"),
        ("wss://agents.eu.assemblyai.com/v1/ws", "aai-key"),
        ("wss://assemblyai.com.evil.example/v1/ws", "own-key"),
        ("wss://evilassemblyai.com/v1/ws", "own-key"),
        ("ws://127.0.0.1:8765/v1/ws", "own-key"),
    ],
)
def test_the_key_of_assemblyai_goes_to_assemblyai_only(url: str, key: str) -> None:
    assert choose_service(url, None, KEYS).key == key


def test_a_key_is_not_part_of_what_is_printed() -> None:
    assert "aai-key" not in repr(choose_service("assemblyai", None, KEYS))


def test_assemblyai_without_a_key_is_refused_with_the_way_out() -> None:
    with pytest.raises(AuthenticationRejected) as caught:
        choose_service("assemblyai", None, {})

    assert caught.value.hint is not None
    assert "--service local" in caught.value.hint


@pytest.mark.parametrize("wish", ["asemblyai", "http://x/ws", "ws:", ""])
def test_what_is_not_a_service_is_refused(wish: str) -> None:
    with pytest.raises(UsageError):
        choose_service(wish, None, KEYS)


@pytest.mark.parametrize(
    ("wish", "is_local"),
    [
        (None, True),
        ("ws://127.0.0.1:8765/v1/ws", True),
        ("ws://[::1]:8765/v1/ws", True),
        ("wss://voice.example/ws", False),
        ("assemblyai", False),
    ],
)
def test_a_server_on_this_machine_is_known_by_its_address(
    wish: str | None, is_local: bool
) -> None:
    environment = KEYS if wish else {}
    assert choose_service(wish, None, environment).is_local is is_local


def test_it_is_said_why_the_embedded_server_is_used() -> None:
    assert choose_service(None, None, {}).why == "ASSEMBLYAI_API_KEY is not set"


@pytest.mark.parametrize(
    "url", ["ws://agents.assemblyai.com/v1/ws", "ws://10.0.0.7:8765/v1/ws", "WS://x/ws"]
)
@pytest.mark.parametrize("is_asked", [True, False])
def test_a_key_is_not_sent_without_encryption(url: str, is_asked: bool) -> None:
    asked, in_file = (url, None) if is_asked else (None, url)

    with pytest.raises(UsageError, match="is not encrypted") as caught:
        choose_service(asked, in_file, KEYS)

    assert caught.value.hint is not None
    assert "wss://" in caught.value.hint


def test_a_service_without_a_key_needs_no_encryption() -> None:
    assert choose_service("ws://10.0.0.7:8765/v1/ws", None, {}).key is None
