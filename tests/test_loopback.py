"""Which hosts are this machine."""

from __future__ import annotations

import pytest

from runner.loopback import is_this_machine


@pytest.mark.parametrize(
    "host",
    [
        "localhost",
        "LOCALHOST.",
        "a.localhost",
        "127.0.0.1",
        "127.9.9.9",
        "::1",
        "[::1]",
    ],
)
def test_loopback_in_every_spelling_is_this_machine(host: str) -> None:
    assert is_this_machine(host)


@pytest.mark.parametrize(
    "host",
    ["", "0.0.0.0", "10.0.0.1", "localhost.example.com", "notlocalhost", "::", "::2"],
)
def test_everything_else_is_not(host: str) -> None:
    assert not is_this_machine(host)
