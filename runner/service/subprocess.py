"""Runs the local service in a child process, on a free port.

The child exits when its standard input closes, which happens on every system however
the parent ends.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from typing import Any

from runner.config.model import LocalConfig
from runner.errors import SpeechError
from runner.isolation import python_command
from runner.speech.threads import count_threads

START_SECONDS = 30.0
STOP_SECONDS = 3.0
LLM = "VAGENT_LLM"
LLM_KEY = "VAGENT_LLM_KEY"
SERVICE_KEY = "VAGENT_SERVICE_KEY"

OnLogEvent = Callable[[Mapping[str, Any]], None]


@contextlib.asynccontextmanager
async def run_local_service(
    local: LocalConfig,
    on_event: OnLogEvent = lambda event: None,
    faults: Sequence[str] = (),
    *,
    max_sessions: int | None = None,
) -> AsyncIterator[str]:
    """Starts the service, yields its URL, and stops it on exit.

    `on_event` receives each log event of the service; `faults` are fault
    specifications; `max_sessions` None: by the machine. Raises SpeechError if the
    service does not start, UsageError for an invalid VAGENT_THREADS.
    """
    count_threads()  # here its error is reported once, without that of the child
    process = await asyncio.create_subprocess_exec(
        *python_command("runner", *_arguments(local, faults, max_sessions)),
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        env=_environment(local),
    )
    reader: asyncio.Task[None] | None = None
    try:
        url = await _read_url(process, on_event)
        reader = asyncio.create_task(_read_events(process, on_event))
        yield url
    finally:
        if reader is not None:
            reader.cancel()
        await _stop(process)


def _arguments(
    local: LocalConfig, faults: Sequence[str], max_sessions: int | None
) -> Sequence[str]:
    arguments = ["service", "--port", "0", "--log-json", "--exit-with-parent"]
    if max_sessions is not None:
        arguments += ["--max-sessions", str(max_sessions)]
    llm = local.llm
    if llm.url:
        # The URL is in the environment: it can contain a secret, and the arguments of a
        # process are visible to all users of the machine.
        if llm.model:
            arguments += ["--llm-model", llm.model]
    elif llm.name != "auto":
        arguments += ["--llm", llm.name]
    if local.tts:
        arguments += ["--tts", local.tts]
    if local.stt:
        arguments += ["--stt", local.stt]
    for fault in faults:
        arguments += ["--fault", fault]
    return arguments


def _environment(local: LocalConfig) -> dict[str, str]:
    environment = dict(os.environ)
    # The key for another service; this one serves only its parent, without a key.
    environment.pop(SERVICE_KEY, None)
    environment.pop(LLM, None)
    if local.llm.url:
        environment[LLM] = local.llm.url
    if local.llm.key:
        environment[LLM_KEY] = local.llm.key
    return environment


async def _read_url(process: asyncio.subprocess.Process, on_event: OnLogEvent) -> str:
    try:
        async with asyncio.timeout(START_SECONDS):
            async for event in _log_events(process):
                on_event(event)
                if event.get("type") == "vagent.listening":
                    return str(event["url"])
    except TimeoutError:
        raise SpeechError("the local service did not start in time") from None
    code = await process.wait()
    raise SpeechError(
        f"the local service stopped at once (exit code {code})",
        hint="run `vagent service` to see why",
    )


async def _read_events(
    process: asyncio.subprocess.Process, on_event: OnLogEvent
) -> None:
    async for event in _log_events(process):
        on_event(event)


async def _log_events(
    process: asyncio.subprocess.Process,
) -> AsyncIterator[Mapping[str, Any]]:
    """Yields the JSON objects in the output; skips all other lines."""
    assert process.stdout is not None
    async for line in process.stdout:
        with contextlib.suppress(ValueError):
            event = json.loads(line)
            if isinstance(event, dict):
                yield event


async def _stop(process: asyncio.subprocess.Process) -> None:
    assert process.stdin is not None
    process.stdin.close()
    try:
        await asyncio.wait_for(process.wait(), STOP_SECONDS)
    except TimeoutError:
        with contextlib.suppress(ProcessLookupError):
            process.kill()
        await process.wait()
