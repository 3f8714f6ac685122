"""What a tool prints goes to stderr: stdout belongs to the command's own data.

`contextlib.redirect_stdout` would take the prints of everyone else too, for as long as
any call runs. Here `sys.stdout` is replaced by a stream that asks a context variable on
each write who is speaking; tasks and worker threads inherit it from the call. Bytes
that a tool writes to file descriptor 1 itself (a child process) are out of reach.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any, TextIO

_in_tool: ContextVar[bool] = ContextVar("vagent_in_tool", default=False)


class SplitStdout:
    """Stands for `sys.stdout`; within `tool_output` it is stderr."""

    def __init__(self, stdout: TextIO) -> None:
        self._stdout = stdout

    def __getattr__(self, name: str) -> Any:
        return getattr(sys.stderr if _in_tool.get() else self._stdout, name)

    def restore(self) -> None:
        """Give the real stdout back, unless somebody else has taken it meanwhile."""
        if sys.stdout is self:
            sys.stdout = self._stdout


def split_stdout() -> SplitStdout | None:
    """Put a `SplitStdout` in place; None if one is there or stdout is closed."""
    stdout: object = sys.stdout
    if stdout is None or isinstance(stdout, SplitStdout):
        return None
    split = SplitStdout(sys.stdout)
    sys.stdout = split
    return split


@contextmanager
def tool_output() -> Iterator[None]:
    """Send to stderr what is printed inside, here and in what is started from here."""
    token = _in_tool.set(True)
    try:
        yield
    finally:
        _in_tool.reset(token)
