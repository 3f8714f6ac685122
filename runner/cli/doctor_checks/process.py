"""Runs the checks in a child process, so that none can stop the others.

If an audio library hangs, a native library crashes or a tool ends the process, the
check is reported as failed and the remaining checks run in a new process.
"""

from __future__ import annotations

import multiprocessing
import os
import signal
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing, suppress
from dataclasses import dataclass
from importlib import import_module
from multiprocessing.connection import Connection
from multiprocessing.context import SpawnProcess

from runner.cli.doctor_checks.model import CheckResult, DoctorOptions, failed
from runner.config.credentials import find_environment_secrets
from runner.engine.services import ASSEMBLYAI_KEY, OTHER_KEY
from runner.isolation import isolated_spawn, restore_environment
from runner.redaction import Redactor

# A slow machine under load with a cold disk.
_START_SECONDS = 30.0
_LOAD_SECONDS = 60.0  # libraries of hundreds of megabytes, from a cold disk
_HASH_SECONDS = 300.0  # gigabytes, from a slow disk
_AGENT_SECONDS = 30.0  # the tools of an agent can import anything
_ONLINE_SECONDS = 30.0  # twice the timeouts of the online checks
_HANGING_AUDIO = "unplug USB and Bluetooth audio, or restart the system's audio service"
_DEBUG = "VAGENT_DEBUG=1 shows the traceback"


@dataclass(frozen=True, slots=True)
class Check:
    """A check and its time limit; `name` is its line in the report if it fails.

    `run` names a function as `module:function`, called with the options and
    `arguments`. Only the child process imports it: what it needs can be broken.
    """

    name: str
    run: str
    seconds: float = 10.0
    fix: str | None = None  # the advice if it hangs or ends the process
    arguments: tuple[str, ...] = ()


LOOP = "loop"  # the check that plays tones
_IN = "runner.cli.doctor_checks"
# All checks, in the order of the report.
CHECKS = (
    Check("python", f"{_IN}.environment:check_python"),
    Check("packages", f"{_IN}.environment:check_required", _LOAD_SECONDS),
    *(
        Check(
            f"extra-{extra}",
            f"{_IN}.environment:check_extra",
            _LOAD_SECONDS,
            arguments=(extra,),
        )
        for extra in ("echo", "local", "fast", "otel")
    ),
    Check("portaudio", f"{_IN}.audio:check_portaudio", fix=_HANGING_AUDIO),
    Check("microphone", f"{_IN}.audio:check_microphone", fix=_HANGING_AUDIO),
    Check("speaker", f"{_IN}.audio:check_speaker", fix=_HANGING_AUDIO),
    Check(LOOP, f"{_IN}.audio:check_loop", 20.0, _HANGING_AUDIO),
    Check("models", f"{_IN}.resources:check_models", _HASH_SECONDS),
    Check("memory", f"{_IN}.resources:check_memory"),
    Check("disk", f"{_IN}.resources:check_disk"),
    Check("key", f"{_IN}.service:check_key"),
    Check("service", f"{_IN}.service:check_service"),
    Check("online", f"{_IN}.service:check_online", _ONLINE_SECONDS),
    Check("clock", f"{_IN}.environment:check_clock"),
    Check("clock-online", f"{_IN}.service:check_clock_online", _ONLINE_SECONDS),
    Check("proxy", f"{_IN}.service:check_proxy"),
    Check("llm-servers", f"{_IN}.resources:check_llm_servers"),
    Check("ports", f"{_IN}.resources:check_ports"),
    Check("terminal", f"{_IN}.environment:check_terminal"),
    Check("agent", f"{_IN}.agent:check_file"),
    Check("agent-tools", f"{_IN}.agent:check_tools", _AGENT_SECONDS),
)


def run_checks(
    checks: Sequence[Check],
    options: DoctorOptions,
    announce: Callable[[Check], None] = lambda check: None,
) -> Iterator[CheckResult]:
    """Yields results as they arrive; calls `announce` before each check."""
    remaining = list(checks)
    while remaining:
        with closing(_Child(remaining, options)) as child:
            while remaining and child.is_alive:
                check = remaining.pop(0)
                announce(check)
                yield from child.run(check)


class _Child:
    """The process that runs the checks, in order."""

    def __init__(self, checks: Sequence[Check], options: DoctorOptions) -> None:
        # Not forked: a copy of a process with threads can deadlock.
        context = multiprocessing.get_context("spawn")
        self._pipe, theirs = context.Pipe()
        self._process: SpawnProcess = context.Process(
            target=_work, args=(theirs, tuple(checks), options), daemon=True
        )
        with isolated_spawn():
            self._process.start()
        theirs.close()  # so that the end of the child closes the pipe
        self.is_alive = True
        self._is_ready = False  # its start takes seconds and counts for no check

    def close(self) -> None:
        """Ends the process."""
        self._pipe.close()
        self._process.kill()
        self._process.join()

    def run(self, check: Check) -> Iterator[CheckResult]:
        """Yields the results of the next check, or a failure if it does not end."""
        try:
            due = self._begin() + check.seconds
            while self._pipe.poll(max(0.0, due - time.monotonic())):
                result: CheckResult | None = self._pipe.recv()
                if result is None:
                    return
                yield result
            detail = f"no answer within {check.seconds:g} s"
        except (EOFError, OSError):
            self._process.join()
            detail = f"this check {_cause(self._process.exitcode)}"
        self.is_alive = False
        yield failed(check.name, detail, check.fix)

    def _begin(self) -> float:
        """Starts the next check; returns the time, also if the child is not ready."""
        if not self._is_ready:
            if not self._pipe.poll(_START_SECONDS):
                return time.monotonic()
            self._pipe.recv()
            self._is_ready = True
        self._pipe.send(None)
        return time.monotonic()


def _work(pipe: Connection, checks: Sequence[Check], options: DoctorOptions) -> None:
    """Runs the checks one by one, each when the parent requests it."""
    restore_environment()
    # Ctrl-C reaches the whole process group; the parent ends this process.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    if not options.environment.get("VAGENT_DEBUG"):
        _silence()
    environment = options.effective_environment()
    secrets = find_environment_secrets(environment, (ASSEMBLYAI_KEY, OTHER_KEY))
    redactor = Redactor(value for _, value in secrets)
    is_agent_read = False
    with suppress(EOFError, OSError):
        pipe.send(None)  # ready
        for check in checks:
            pipe.recv()
            if not is_agent_read:
                is_agent_read = True
                redactor.add(_agent_secrets(options))
            for result in _results(check, options):
                pipe.send(result.redacted(redactor.text))
            pipe.send(None)


def _agent_secrets(options: DoctorOptions) -> frozenset[str]:
    """Returns the values that the agent file takes from the environment, and its keys.

    Empty if the file cannot be read, which a check reports.
    """
    if options.agent is None:
        return frozenset()
    from runner.cli.doctor_checks.context import agent_of
    from runner.config.lint.secrets import agent_secrets

    with suppress(Exception):  # a bug, which the checks that read the agent report
        agent = agent_of(options)
        if agent is not None:
            return agent_secrets(agent)
    return frozenset()


def _results(check: Check, options: DoctorOptions) -> Iterator[CheckResult]:
    try:
        module, _, function = check.run.partition(":")
        yield from getattr(import_module(module), function)(options, *check.arguments)
    except ImportError as error:
        what = f"this check cannot be loaded: {error}"
        yield failed(check.name, " ".join(what.split()), "see the line `packages`")
    except (Exception, SystemExit) as error:  # a bug, or a tool of the agent
        what = f"this check failed: {type(error).__name__}: {error}".rstrip(": ")
        if options.environment.get("VAGENT_DEBUG"):
            import traceback

            traceback.print_exc()
        yield failed(check.name, " ".join(what.split()), check.fix or _DEBUG)


def _silence() -> None:
    """Discards the output of libraries and tools; ALSA writes a lot to stderr."""
    null = os.open(os.devnull, os.O_WRONLY)
    for stream in (1, 2):
        os.dup2(null, stream)


def _cause(exit_code: int | None) -> str:
    if exit_code is not None and exit_code < 0:
        with suppress(ValueError):
            return f"was killed by {signal.Signals(-exit_code).name}"
    return f"ended with exit code {exit_code}"
