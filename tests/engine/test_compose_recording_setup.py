from __future__ import annotations

import hashlib
import sys
from datetime import datetime
from pathlib import Path

import pytest

from runner import __version__
from runner.config.model import AgentConfig
from runner.engine.compose import (
    RecordingOptions,
    describe_call,
    find_secrets,
    read_agent_text,
)
from runner.engine.services import Service
from runner.errors import FileUnreadable
from runner.protocol.client.config import ClientConfig
from runner.redaction import Redactor

AGENT = AgentConfig(Path("agents/a.yaml"), 1, "a", "Hello.", variables={"x": "y"})


def test_a_header_says_what_ran_where() -> None:
    config = ClientConfig({"system_prompt": "Hello."})
    options = RecordingOptions(Path("kept"), audio=False, redact=True)

    header = describe_call(AGENT, "text", config, "AssemblyAI", 7, options)

    assert header.agent.name == "a"
    assert header.agent.sha256 == hashlib.sha256(b"text").hexdigest()
    assert (header.config, header.service, header.seed) == (config, "AssemblyAI", 7)
    assert header.variables == {"x": "y"}
    assert (header.has_sound, header.is_redacted) == (False, True)
    assert header.vagent == __version__
    assert header.python.startswith(f"{sys.version_info[0]}.{sys.version_info[1]}.")
    assert datetime.fromisoformat(header.started).tzinfo is not None


@pytest.mark.parametrize(
    ("service", "shown"),
    [
        ("AssemblyAI", "AssemblyAI"),
        ("wss://me:pw@h.org:8/v1?token=t", "wss://h.org:8/v1"),
        ("ws://127.0.0.1:8/v1/ws", "ws://127.0.0.1:8/v1/ws"),
    ],
)
def test_an_address_is_reported_without_keys(service: str, shown: str) -> None:
    header = describe_call(
        AGENT, "", ClientConfig(), service, 7, RecordingOptions(Path())
    )

    assert header.service == shown


def test_keys_to_the_service_are_found() -> None:
    url = "wss://me:pass-word@h.org/?api_key=key-1234&lang=english"

    found = find_secrets("plain text", Service(url, url, "as asked", "the-key"))

    assert found == {"pass-word", "key-1234", "the-key"}
    assert find_secrets("", Service("local", None, "")) == frozenset()


def test_a_file_that_is_gone_is_said(tmp_path: Path) -> None:
    with pytest.raises(FileUnreadable, match="cannot be read"):
        read_agent_text(tmp_path / "gone.yaml")


def test_secrets_stay_hidden_and_short_words_are_none() -> None:
    secrets = Redactor()
    secrets.add(frozenset({"hunter22", "short"}))
    secrets.add(frozenset({"another1"}))

    assert secrets.text("hunter22 another1 short") == "*** *** short"
