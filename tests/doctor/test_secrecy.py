from __future__ import annotations

import pytest

from runner.doctor.secrecy import known_secrets

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
def test_what_the_environment_keeps_secret_is_masked(name: str, value: str) -> None:
    mask = known_secrets({name: value, "HOME": "/home/jane"})

    assert mask(f"it is {SECRET} in /home/jane") == "it is *** in /home/jane"


def test_what_looks_like_a_key_is_masked_whatever_it_is_called() -> None:
    mask = known_secrets({"SETTING": "sk-abcdefghijklmnopqrstuvwx"})

    assert "abcdefghijklmnopqrstuvwx" not in mask("got sk-abcdefghijklmnopqrstuvwx")


def test_an_address_that_is_none_hides_nothing_and_breaks_nothing() -> None:
    assert known_secrets({"http_proxy": "http://[::1"})("text") == "text"
