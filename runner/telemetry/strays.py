"""What other libraries log while a call goes on: caught, so that it tears no screen."""

from __future__ import annotations

import contextlib
import logging
from collections.abc import Callable, Iterator
from typing import TypeAlias

# Is told a line, its level and whose it is; on whatever thread it was logged.
Tell: TypeAlias = Callable[[str, int, str], None]
_NEVER = logging.CRITICAL + 1


class _Catcher(logging.Handler):
    """Hands every record on as one text; one that cannot be put into words, without."""

    def __init__(self, tell: Tell) -> None:
        super().__init__()
        self._tell = tell

    def emit(self, record: logging.LogRecord) -> None:
        try:
            text = record.getMessage()
            if record.exc_info and record.exc_info[1] is not None:
                error = record.exc_info[1]
                text += f": {type(error).__name__}: {error}"
        except Exception as error:  # arguments that do not fit, or a __str__ that fails
            text = f"a log line that cannot be written: {type(error).__name__}"
        self._tell(text, record.levelno, record.name)


@contextlib.contextmanager
def capture_library_logs(tell: Tell, level: int = logging.WARNING) -> Iterator[None]:
    """Tell what is logged at this level or above, warnings too, and do not print it.

    Without a handler Python prints warnings on stderr, in the middle of whatever is
    shown there.
    """
    root = logging.getLogger()
    before, catcher = root.level, _Catcher(tell)
    catcher.setLevel(level)
    root.addHandler(catcher)
    root.setLevel(min(level, before or _NEVER))
    logging.captureWarnings(True)
    try:
        yield
    finally:
        logging.captureWarnings(False)
        root.setLevel(before)
        root.removeHandler(catcher)
