from __future__ import annotations

import pytest

from runner.cli.doctor_checks.process import known_secrets

SECRET = "s3cr3t-v4lu3"


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("ASSEMBLYAI_API_KEY", SECRET),
        ("VAGENT_SERVICE_KEY", f" {SECRET}\n"),
        ("ORDERS_TOKEN", SECRET),
        ("DB_PASSWORD", SECRET),
        ("https_proxy", f"http://jane:{SECRET}@proxy:8080"),
    ],
)
def test_secrets_of_the_environment_are_redacted(name: str, value: str) -> None:
    redact = known_secrets({name: value, "HOME": "/home/jane"})

    assert redact(f"it is {SECRET} in /home/jane") == "it is *** in /home/jane"


def test_values_like_keys_are_redacted_under_any_name() -> None:
    redact = known_secrets({"SETTING": "sk-abcdefghijklmnopqrstuvwx"})

    assert "abcdefghijklmnopqrstuvwx" not in redact("got sk-abcdefghijklmnopqrstuvwx")


def test_an_invalid_address_redacts_nothing() -> None:
    assert known_secrets({"http_proxy": "http://[::1"})("text") == "text"
