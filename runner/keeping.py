"""How a call is kept: what its recording begins with, and what is hidden in it."""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import platform
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from urllib.parse import parse_qsl, urlsplit

from runner import __version__
from runner.config.confidential import credentials_in
from runner.config.credentials import SECRET_NAME
from runner.config.model import AgentConfig
from runner.engine.services import Service
from runner.errors import FileUnreadable
from runner.protocol.client.config import ClientConfig
from runner.recording.folders import new_folder
from runner.recording.header import Header, RecordedAgent
from runner.recording.recorder import Recorder
from runner.redaction import Redactor, find_password, strip_credentials


@dataclass(frozen=True, slots=True)
class RecordingOptions:
    """The wish for a recording, in a new folder inside `into`.

    With `redact`, figures and addresses are taken out of all that is said; `sound`
    cannot be redacted.
    """

    into: Path
    sound: bool = True
    redact: bool = False


def read_agent_text(path: Path) -> str:
    """Return an agent file's text; raises FileUnreadable."""
    try:
        return path.read_bytes().decode("utf-8", "replace")
    except OSError as error:
        raise FileUnreadable.from_os_error(path, "read", error) from error


def describe_call(
    agent: AgentConfig,
    text: str,
    config: ClientConfig,
    service: str,
    seed: int,
    keeping: RecordingOptions,
) -> Header:
    """Return the header of a recording that begins now.

    `text` is the agent file's, `service` the name of who answers.
    """
    return Header(
        agent=RecordedAgent(
            agent.name, str(agent.path), hashlib.sha256(text.encode()).hexdigest()
        ),
        service=strip_credentials(service) if "://" in service else service,
        config=config,
        seed=seed,
        started=datetime.now().astimezone().isoformat(timespec="milliseconds"),
        vagent=__version__,
        python=platform.python_version(),
        platform=platform.system(),
        variables=dict(agent.variables),
        has_sound=keeping.sound,
        is_redacted=keeping.redact,
    )


@contextlib.contextmanager
def record_call(
    keeping: RecordingOptions | None,
    describe: Callable[[RecordingOptions], Header],
    text: str,
    redactor: Redactor,
    notice: Callable[[str], None],
) -> Iterator[Recorder | None]:
    """Record a call in a new folder while the context lasts; None for no wish.

    To be entered on the event loop, where `notice` is called.

    Raises:
        FileUnreadable: the recording cannot be made.
    """
    if keeping is None:
        yield None
        return
    loop = asyncio.get_running_loop()
    header = describe(keeping)

    def tell(reason: str) -> None:
        # The recorder writes on its own thread, and views belong to the loop's.
        loop.call_soon_threadsafe(notice, reason)

    folder = new_folder(keeping.into, header.agent.name, datetime.now())
    with Recorder(folder, header, text, redactor=redactor, notice=tell) as recorder:
        yield recorder


def find_secrets(text: str, service: Service) -> frozenset[str]:
    """Return the keys in an agent file's text, and those to a service."""
    found = {*credentials_in(text), *_in_address(service.url or "")}
    if service.key:
        found.add(service.key)
    return frozenset(found)


def _in_address(url: str) -> Iterator[str]:
    if password := find_password(url):
        yield password
    for name, value in parse_qsl(urlsplit(url).query):
        if re.search(SECRET_NAME, name):
            yield value
