"""Python child processes that import nothing from the current folder.

`python -m` and multiprocessing put the current folder first in `sys.path`. If it
contains a `yaml.py` or a `runner.py`, that file would run.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager

_SAFE_PATH = "PYTHONSAFEPATH"
# Any text switches the folder off; this one shows that vagent has set it.
_BY_VAGENT = "vagent"


def python_command(module: str, *arguments: str) -> list[str]:
    """Returns the command that runs a module in a new Python process."""
    return [sys.executable, "-P", "-m", module, *arguments]


@contextmanager
def isolated_spawn() -> Iterator[None]:
    """Isolates the processes that multiprocessing starts inside the block.

    It passes no flag to Python, only the environment, which each child restores with
    `restore_environment`.
    """
    if os.environ.get(_SAFE_PATH):
        yield
        return
    os.environ[_SAFE_PATH] = _BY_VAGENT
    try:
        yield
    finally:
        restore_environment()


def restore_environment() -> None:
    """Removes the setting, so that Python processes of tools do not inherit it."""
    if os.environ.get(_SAFE_PATH) == _BY_VAGENT:
        del os.environ[_SAFE_PATH]
