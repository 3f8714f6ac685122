"""Tests through the real PortAudio run only when asked for: `pytest -m device`.

They bring their own sound card, a simulated room, and need for it, on Debian:
pulseaudio, pulseaudio-utils, libasound2-plugins and libportaudio2.
"""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.device.acoustics import CABLE
from tests.device.room import NoRoom, Room, entered, open_room

HERE = Path(__file__).parent


def pytest_collection_modifyitems(
    config: pytest.Config, items: list[pytest.Item]
) -> None:
    asked = "device" in (config.getoption("-m") or "")
    for item in items:
        if HERE in item.path.parents:
            item.add_marker(pytest.mark.device)
            if not asked:
                item.add_marker(
                    pytest.mark.skip(reason="needs a sound card: -m device")
                )


@pytest.fixture(scope="session")
def building() -> Iterator[Room]:
    """The room of all tests; a daemon takes a second to start."""
    try:
        with open_room() as room:
            yield room
    except NoRoom as error:
        pytest.skip(str(error))


@pytest.fixture
def room(building: Room) -> Iterator[Room]:
    """The room; its devices are the default ones, connected by a cable at first."""
    building.be(CABLE)
    with entered(building):
        yield building
