"""A local service as a child process: started on a free port, gone with its owner.

The child leaves when its standard input closes, which happens on every system however
the owner ends.
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

START_SECONDS = 30.0
STOP_SECONDS = 3.0
LLM = "VAGENT_LLM"
LLM_KEY = "VAGENT_LLM_KEY"
SERVICE_KEY = "VAGENT_SERVICE_KEY"

Listener = Callable[[Mapping[str, Any]], None]


@contextlib.asynccontextmanager
async def embedded_server(
    local: LocalConfig,
    listen: Listener = lambda line: None,
    faults: Sequence[str] = (),
) -> AsyncIterator[str]:
    """Start a server and yield its address; it is stopped on leaving.

    `listen` is given every line that the server logs; `faults` are specs of what it
    is to do wrong.

    Raises:
        SpeechError: the server did not come up.
    """
    process = await asyncio.create_subprocess_exec(
        *python_command("runner", *_arguments(local, faults)),
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        env=_environment(local),
    )
    reader: asyncio.Task[None] | None = None
    try:
        url = await _read_address(process, listen)
        reader = asyncio.create_task(_read_on(process, listen))
        yield url
    finally:
        if reader is not None:
            reader.cancel()
        await _stop(process)


def _arguments(local: LocalConfig, faults: Sequence[str]) -> Sequence[str]:
    arguments = ["service", "--port", "0", "--log-json", "--exit-with-parent"]
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
    # The key that clients send elsewhere: this service takes calls of its owner only.
    environment.pop(SERVICE_KEY, None)
    environment.pop(LLM, None)
    if local.llm.url:
        environment[LLM] = local.llm.url
    if local.llm.key:
        environment[LLM_KEY] = local.llm.key
    return environment


async def _read_address(process: asyncio.subprocess.Process, listen: Listener) -> str:
    try:
        async with asyncio.timeout(START_SECONDS):
            async for line in _lines(process):
                listen(line)
                if line.get("type") == "vagent.listening":
                    return str(line["url"])
    except TimeoutError:
        raise SpeechError("the local service did not start in time") from None
    code = await process.wait()
    raise SpeechError(
        f"the local service stopped at once (exit code {code})",
        hint="run `vagent service` to see why",
    )


async def _read_on(process: asyncio.subprocess.Process, listen: Listener) -> None:
    async for line in _lines(process):
        listen(line)


async def _lines(
    process: asyncio.subprocess.Process,
) -> AsyncIterator[Mapping[str, Any]]:
    assert process.stdout is not None
    async for text in process.stdout:
        with contextlib.suppress(ValueError):
            line = json.loads(text)
            if isinstance(line, dict):
                yield line


async def _stop(process: asyncio.subprocess.Process) -> None:
    assert process.stdin is not None
    process.stdin.close()
    try:
        await asyncio.wait_for(process.wait(), STOP_SECONDS)
    except TimeoutError:
        with contextlib.suppress(ProcessLookupError):
            process.kill()
        await process.wait()
