from __future__ import annotations

import pytest

from runner.config.credentials import find_environment_secrets
from runner.redaction import Redactor

SECRET = "s3cr3t-v4lu3"
ALWAYS = ("ASSEMBLYAI_API_KEY", "VAGENT_SERVICE_KEY")


def redact(environment: dict[str, str], text: str) -> str:
    found = find_environment_secrets(environment, ALWAYS)
    return Redactor(value for _, value in found).text(text)


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
def test_what_the_environment_keeps_secret_is_masked(name: str, value: str) -> None:
    environment = {name: value, "HOME": "/home/jane"}
    text = f"it is {SECRET} in /home/jane"

    assert redact(environment, text) == "it is *** in /home/jane"


def test_what_looks_like_a_key_is_masked_whatever_it_is_called() -> None:
    key = "sk-abcdefghijklmnopqrstuvwx"

    assert key[3:] not in redact({"SETTING": key}, f"got {key}")


def test_an_address_that_is_none_hides_nothing_and_breaks_nothing() -> None:
    assert redact({"http_proxy": "http://[::1"}, "text") == "text"
