"""A short run of `make fuzz`."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from tests.fuzz import codec, door, loader
from tests.fuzz.__main__ import Rejected, run
from tests.fuzz.mutilation import Mutilator

ROOT = Path(__file__).parents[2]


def test_spoiled_messages_are_read_or_refused() -> None:
    run(codec.CodecCheck(), codec.inputs(Mutilator(3)), 1_000)


def test_spoiled_files_are_explained(tmp_path: Path) -> None:
    mutilator = Mutilator(3, loader.YAML_TOKENS)

    run(loader.LoaderCheck(tmp_path), loader.inputs(mutilator), 100)


async def test_spoiled_sessions_do_not_disturb_others() -> None:
    reports: list[tuple[str, Mapping[str, Any]]] = []

    await door.attack(300, 3, reports)

    assert "vagent.bug" not in [kind for kind, _ in reports]


def test_an_input_that_fails_is_shown() -> None:
    def check(data: str) -> None:
        raise KeyError(data)

    with pytest.raises(Rejected, match="KeyError"):
        run(check, iter(["x"]), 1)


def test_a_rejected_input_leaves_no_alarm_behind() -> None:
    # An armed alarm would end the process a minute later, during another test.
    script = (
        "import faulthandler, time\n"
        "import tests.fuzz.__main__ as fuzz\n"
        "fuzz.HANG_SECONDS = 0.2\n"
        "def reject(data): raise ValueError\n"
        "try: fuzz.run(reject, iter([b'x']), 1)\n"
        "except fuzz.Rejected: pass\n"
        "time.sleep(0.5)\n"
    )
    done = subprocess.run([sys.executable, "-c", script], check=False, cwd=ROOT)
    assert done.returncode == 0
