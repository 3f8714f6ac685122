"""Which library carries the wire."""

from __future__ import annotations

import sys

import pytest

from runner.engine.transports import choose_library
from runner.errors import UsageError


@pytest.fixture
def default_install(monkeypatch: pytest.MonkeyPatch) -> None:
    """Leave no way to find picows."""
    for name in [each for each in sys.modules if each.partition(".")[0] == "picows"]:
        monkeypatch.delitem(sys.modules, name)
    found = [path for path in sys.path if "site-packages" not in path]
    monkeypatch.setattr(sys, "path", found)


def test_the_fast_library_is_taken_when_it_is_there() -> None:
    pytest.importorskip("picows", reason="the fast extra is not installed")

    assert choose_library("auto") == "picows"
    assert choose_library("picows") == "picows"
    assert choose_library("websockets") == "websockets"


def test_the_default_install_needs_no_fast_library(default_install: None) -> None:
    assert choose_library("auto") == "websockets"


def test_a_library_that_is_not_installed_says_how_to_get_it(
    default_install: None,
) -> None:
    with pytest.raises(UsageError, match="picows is not installed") as caught:
        choose_library("picows")

    assert "vagent[fast]" in (caught.value.hint or "")


def test_a_wrong_name_is_wrong_usage() -> None:
    with pytest.raises(UsageError, match="'carrier pigeon' is not a transport"):
        choose_library("carrier pigeon")
