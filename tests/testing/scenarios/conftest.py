from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from tests.testing.scenarios.reading import BESIDE

collect_ignore = ["bad"]  # pytest would take its scenario files for tests


@pytest.fixture(scope="session")
def suites(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the agents of these tests, for scenario files of any content."""
    home = tmp_path_factory.mktemp("suites")
    shutil.copytree(BESIDE, home, dirs_exist_ok=True)
    return home
