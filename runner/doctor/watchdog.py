"""Runs checks in a process of their own, so that none can stop the others.

A sound library that never answers, an engine that was built for another processor, a
tool whose import ends the program: the process is gone, its line says so, and the rest
goes on in a new one.
"""

from __future__ import annotations

import multiprocessing
import os
import signal
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from importlib import import_module
from multiprocessing.connection import Connection
from multiprocessing.context import SpawnProcess
from typing import Self

from runner.config.credentials import find_environment_secrets
from runner.doctor.findings import Finding, failed
from runner.doctor.wishes import Wishes
from runner.redaction import Redactor
from runner.services import ASSEMBLYAI_KEY, OTHER_KEY

# Seconds. A cold disk, a slow machine that others keep busy.
_START_SECONDS = 30.0
_DEBUG = "VAGENT_DEBUG=1 shows where it happened"


@dataclass(frozen=True, slots=True)
class Check:
    """Something to look at, for `seconds` at most; `name` is its line if it fails.

    `run` names a function, as `module:function`. Only the other process imports it:
    what it needs may be what is broken.
    """

    name: str
    run: str
    seconds: float = 10.0
    fix: str | None = None  # what is advised when it hangs or dies


def examine(
    checks: Sequence[Check],
    wishes: Wishes,
    announce: Callable[[Check], None] = lambda check: None,
) -> Iterator[Finding]:
    """Yield what is found, as it is found; `announce` is told before each check."""
    left = list(checks)
    while left:
        with _Patient(left, wishes) as patient:
            while left and patient.is_alive:
                check = left.pop(0)
                announce(check)
                yield from patient.undergo(check)


class _Patient:
    """The process that runs the checks, in their order."""

    def __init__(self, checks: Sequence[Check], wishes: Wishes) -> None:
        # Not forked: a copy of whatever threads the caller has would be half dead.
        context = multiprocessing.get_context("spawn")
        self._line, theirs = context.Pipe()
        self._process: SpawnProcess = context.Process(
            target=_work, args=(theirs, tuple(checks), wishes), daemon=True
        )
        self._process.start()
        theirs.close()  # so that its end is seen here
        self.is_alive = True
        self._is_ready = False  # it takes seconds to start, which no check has to give

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc: object) -> None:
        self._line.close()
        self._process.kill()
        self._process.join()

    def undergo(self, check: Check) -> Iterator[Finding]:
        """Yield what the process finds in its next check, or how it failed to."""
        try:
            due = self._begin() + check.seconds
            while self._line.poll(max(0.0, due - time.monotonic())):
                finding: Finding | None = self._line.recv()
                if finding is None:
                    return
                yield finding
        except (EOFError, OSError):
            self.is_alive = False
            self._process.join()
            yield failed(
                check.name,
                f"this check {_cause(self._process.exitcode)}",
                check.fix,
            )
        else:
            self.is_alive = False
            yield failed(check.name, f"no answer within {check.seconds:g} s", check.fix)

    def _begin(self) -> float:
        """Let the next check begin; return when it did, or could not."""
        if not self._is_ready:
            if not self._line.poll(_START_SECONDS):
                return time.monotonic()
            self._line.recv()
            self._is_ready = True
        self._line.send(None)
        return time.monotonic()


def _work(line: Connection, checks: Sequence[Check], wishes: Wishes) -> None:
    """Run one check after the other, each when it is told to."""
    # A Ctrl-C goes to the whole group; the process that asks ends this one.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    if not wishes.environment.get("VAGENT_DEBUG"):
        _silence()
    environment = wishes.effective_environment()
    secrets = find_environment_secrets(environment, (ASSEMBLYAI_KEY, OTHER_KEY))
    redactor = Redactor(value for _, value in secrets)
    with suppress(EOFError, OSError):
        line.send(None)  # ready
        for check in checks:
            line.recv()
            for finding in _findings(check, wishes):
                line.send(finding.masked(redactor.text))
            line.send(None)


def _findings(check: Check, wishes: Wishes) -> Iterator[Finding]:
    try:
        module, _, function = check.run.partition(":")
        yield from getattr(import_module(module), function)(wishes)
    except ImportError as error:
        what = f"this check cannot be loaded: {error}"
        yield failed(check.name, " ".join(what.split()), "see the line `packages`")
    except (Exception, SystemExit) as error:  # a bug, or what an agent's tool does
        what = f"this check failed: {type(error).__name__}: {error}".rstrip(": ")
        if wishes.environment.get("VAGENT_DEBUG"):
            import traceback

            traceback.print_exc()
        yield failed(check.name, " ".join(what.split()), check.fix or _DEBUG)


def _silence() -> None:
    """Keep libraries and tools from writing into the report: ALSA is talkative."""
    nowhere = os.open(os.devnull, os.O_WRONLY)
    for stream in (1, 2):
        os.dup2(nowhere, stream)


def _cause(exit_code: int | None) -> str:
    if exit_code is not None and exit_code < 0:
        with suppress(ValueError):
            return f"was killed by {signal.Signals(-exit_code).name}"
    return f"died with exit code {exit_code}"
