"""Checks that go wrong in every way, for another process to import."""

from __future__ import annotations

import os
import signal
import sys
import threading
from collections.abc import Iterator

from runner.doctor.findings import Finding, passed
from runner.doctor.wishes import Wishes


def fine(wishes: Wishes) -> Iterator[Finding]:
    yield passed("fine", f"in {wishes.folder.name}")
    yield passed("fine-too", "a second line")


def hangs(wishes: Wishes) -> Iterator[Finding]:
    yield passed("before", "said in time")
    threading.Event().wait()


def dies(wishes: Wishes) -> Iterator[Finding]:
    yield from ()
    os.kill(os.getpid(), signal.SIGKILL)


def leaves(wishes: Wishes) -> Iterator[Finding]:
    yield from ()
    os._exit(7)


def exits(wishes: Wishes) -> Iterator[Finding]:
    yield from ()
    sys.exit("this tool wants a terminal")


def breaks(wishes: Wishes) -> Iterator[Finding]:
    yield from ()
    raise LookupError(f"no such thing\nas {wishes.environment['SOME_TOKEN']}")


def talks(wishes: Wishes) -> Iterator[Finding]:
    os.write(1, b"noise on stdout")
    os.write(2, b"noise on stderr")
    yield passed("talks", f"key {wishes.environment['SOME_TOKEN']}")
