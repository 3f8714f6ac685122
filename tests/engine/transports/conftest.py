"""Every test of the wire runs once for each library that can carry it."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

import pytest

from runner.engine.transports import Dialer
from tests.engine.transports.conversation import Ear


@pytest.fixture(params=["websockets", "picows"])
def library(request: pytest.FixtureRequest) -> Any:
    pytest.importorskip(request.param, reason="the fast extra is not installed")
    return request.param


@pytest.fixture
def dialer(library: Any) -> Any:
    """Return a way to make dialers that use this library."""

    def make(url: str, **options: Any) -> Dialer:
        return Dialer(url, library=library, **options)

    return make


@pytest.fixture
async def ear() -> AsyncIterator[Ear]:
    """Return an ear whose connection is closed at the end."""
    ear = Ear()
    yield ear
    await ear.close()
