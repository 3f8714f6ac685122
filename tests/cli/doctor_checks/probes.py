"""Checks that fail in different ways, imported by a child process."""

from __future__ import annotations

import os
import signal
import sys
import threading
from collections.abc import Iterator

from runner.cli.doctor_checks.model import CheckResult, DoctorOptions, passed


def fine(options: DoctorOptions) -> Iterator[CheckResult]:
    yield passed("fine", f"in {options.folder.name}")
    yield passed("fine-too", "a second line")


def hangs(options: DoctorOptions) -> Iterator[CheckResult]:
    yield passed("before", "said in time")
    threading.Event().wait()


def dies(options: DoctorOptions) -> Iterator[CheckResult]:
    yield from ()
    os.kill(os.getpid(), signal.SIGKILL)


def leaves(options: DoctorOptions) -> Iterator[CheckResult]:
    yield from ()
    os._exit(7)


def exits(options: DoctorOptions) -> Iterator[CheckResult]:
    yield from ()
    sys.exit("this tool wants a terminal")


def breaks(options: DoctorOptions) -> Iterator[CheckResult]:
    yield from ()
    raise LookupError(f"no such thing\nas {options.environment['SOME_TOKEN']}")


def talks(options: DoctorOptions) -> Iterator[CheckResult]:
    os.write(1, b"noise on stdout")
    os.write(2, b"noise on stderr")
    yield passed("talks", f"key {options.environment['SOME_TOKEN']}")


def quotes(options: DoctorOptions) -> Iterator[CheckResult]:
    ticket = options.environment["VOICE_TICKET"]
    yield passed("quotes", f"wss://voice.example/ws?ticket={ticket}")
