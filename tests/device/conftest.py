"""Tests that need a sound card run only when they are asked for: `pytest -m device`.

The card must play into its own microphone: a loopback cable, or a null sink whose
monitor is the default source (PulseAudio, PipeWire).
"""

from pathlib import Path

import pytest

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
