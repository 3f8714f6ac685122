"""The composition root: the only file that knows everyone.

`open_call` builds what one call needs from an agent file and the wishes of whoever
started it; a `Call` holds it. Nothing is global, everything is handed over.
"""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import platform
import random
import re
from collections.abc import (
    AsyncIterator,
    Callable,
    Coroutine,
    Iterator,
    Mapping,
    Sequence,
)
from dataclasses import dataclass, field, replace
from datetime import datetime
from functools import partial
from pathlib import Path
from typing import Any, Protocol
from urllib.parse import parse_qsl, urlsplit

from runner import __version__
from runner.audio.virtual import InjectedMicrophone, MixedMicrophone
from runner.config.credentials import SECRET_NAME
from runner.config.diagnostics import Diagnostic
from runner.config.lint.secrets import credentials_in
from runner.config.model import AgentConfig
from runner.engine.agent import load_agent_and_tools
from runner.engine.audio_setup import AudioOptions, LocalEndpoint, Typing, open_near_end
from runner.engine.caller import (
    AnnouncementSynthesizer,
    Deliver,
    LocalSynthesizer,
    Notice,
    ScriptedCaller,
    SpokenInput,
)
from runner.engine.connection import Dial
from runner.engine.controls import Controls
from runner.engine.engine import Engine, Speak
from runner.engine.hot_reload import AgentFileWatcher, HotReloader
from runner.engine.services import Service, choose_service
from runner.engine.toolset import LiveToolset, build_client_config, build_toolset
from runner.engine.transports import Dialer, choose_library
from runner.errors import FileUnreadable, SpeechError
from runner.observers.call_stats import CounterObserver, Counters, collect_counters
from runner.observers.events import CallInterpreter, Observer
from runner.protocol.client.actions import Close
from runner.protocol.client.config import ClientConfig
from runner.protocol.client.events import HangUp, Say
from runner.protocol.client.session import ClientSession
from runner.recording.format import Header, RecordedAgent
from runner.recording.recorder import Recorder, new_folder
from runner.redaction import Redactor, find_password, strip_credentials


class View(Protocol):
    """Somebody who watches a call."""

    def observe(self, at: float, what: Any) -> None: ...

    def notice(self, text: str) -> None: ...

    def findings(self, found: Sequence[Diagnostic]) -> None: ...


@dataclass(frozen=True, slots=True)
class CallOptions:
    """What the command line asks for; None leaves it to what is there.

    `input` is mic, text, none or a sound file; `output` is speaker, null or a file to
    write; `lines` are spoken by the local voice, each after the agent has finished.
    With `watch` the call follows the agent file while it is edited.
    `transport` is a library for the wire, or auto. `seed` is that of the session's own
    lots; None draws it. With `keeping` the call is recorded, with `push_to_talk` the
    caller is heard only on request.
    """

    agent: Path
    input: str | None = None
    output: str | None = None
    lines: tuple[str, ...] = ()
    service: str | None = None
    variables: Mapping[str, str] = field(default_factory=dict)
    max_duration: float | None = None
    watch: bool = False
    transport: str = "auto"
    seed: int | None = None
    keeping: RecordingOptions | None = None
    desk: AudioOptions = AudioOptions()
    push_to_talk: bool = False


@dataclass(frozen=True, slots=True)
class CallSession:
    """A call that is ready to begin; `beside` runs as long as it does.

    `recorder` is None when the call is not recorded.
    """

    engine: Engine
    near_end: LocalEndpoint
    controls: Controls
    toolbelt: LiveToolset
    secrets: Redactor
    beside: Sequence[Callable[[], Coroutine[Any, Any, None]]]
    recorder: Recorder | None
    agent: str  # its name
    service: Service
    _tally: CounterObserver

    def hang_up(self, reason: str) -> None:
        """End the call politely, at once; on the event loop's thread."""
        self.engine.post(HangUp(reason))

    async def hold(self) -> Close:
        """Hold the call to its end.

        Raises:
            VagentError: a device, the voice or the input failed.
        """
        running = asyncio.create_task(self.engine.run())
        beside = [asyncio.create_task(work()) for work in self.beside]
        try:
            await asyncio.wait((running, *beside), return_when="FIRST_COMPLETED")
            for work in beside:
                if work.done() and not running.done():
                    work.result()  # raises what went wrong
            return await running
        finally:
            for task in (running, *beside):
                task.cancel()
            await asyncio.gather(running, *beside, return_exceptions=True)

    def counters(self) -> Counters:
        """Return what was counted so far; before the devices are closed."""
        devices = self.near_end.microphone, self.near_end.speaker
        return collect_counters(
            self._tally, self.engine.line.counts, *devices, self.toolbelt.hung
        )


@contextlib.asynccontextmanager
async def open_call(
    wishes: CallOptions,
    environment: Mapping[str, str],
    view: View,
    observers: Sequence[Observer] = (),
    events: CallInterpreter | None = None,
    typing: Typing | None = None,
    secrets: Redactor | None = None,
) -> AsyncIterator[CallSession]:
    """Build a call; everything that was opened is closed on leaving.

    `events` interprets the call, after `observers` and before the view. `typing` is
    what a person types, where the view reads the keyboard. What is to be hidden is
    added to `secrets` as soon as it is known.

    Raises:
        VagentError: the file, a tool, a device or the service cannot be had.
    """
    secrets = secrets or Redactor()
    events = events or CallInterpreter()
    load = partial(
        load_agent_and_tools, wishes.agent, wishes.variables, environment, secrets.add
    )
    files = AgentFileWatcher(wishes.agent)
    seen = files.look()  # before the file is read, so that no edit is missed
    agent, registry = load()
    service = choose_service(wishes.service, agent.service_url, environment)
    text = read_agent_text(wishes.agent)
    secrets.add(find_secrets(text, service))
    tools = build_toolset(registry)
    config = build_client_config(agent, tools, service, wishes.max_duration)
    seed = random.randrange(2**32) if wishes.seed is None else wishes.seed
    session = ClientSession(config, jitter=random.Random(seed).random)
    changes, tally = session.conversation.changes, CounterObserver(session)
    events.subscribe(tally.note)
    toolbelt = LiveToolset(tools, lambda: changes.current.tools, view.notice)
    async with contextlib.AsyncExitStack() as stack:
        stack.push_async_callback(toolbelt.close)
        opening = open_near_end(
            wishes.input, wishes.output, wishes.lines, view.notice, wishes.desk
        )
        near_end = replace(await stack.enter_async_context(opening), typing=typing)
        reaching = connect_service(service, agent, wishes.transport, view.notice)
        dial = await stack.enter_async_context(reaching)
        describe = partial(describe_call, agent, text, config, service.name, seed)
        keeping = record_call(wishes.keeping, describe, text, secrets, view.notice)
        recorder = stack.enter_context(keeping)
        watchers = (*observers, events.observe, tally.observe, view.observe)
        if recorder is not None:
            watchers = (recorder.observe, *watchers)
        voice = LocalSynthesizer(agent.local)
        stack.callback(voice.close)
        say = AnnouncementSynthesizer(voice.begin, view.notice).say
        engine = _engine(session, dial, near_end, toolbelt, say, watchers)
        deliver = _delivery(near_end, engine, voice, service, view.notice)
        caller = ScriptedCaller(engine, near_end.speaker, deliver, view.notice)
        controls = Controls(
            engine, view.notice, changes.current.session, wishes.push_to_talk
        )
        beside = [partial(near_end.drive, caller, controls)]
        if wishes.watch:
            edits = HotReloader(agent, load, toolbelt, controls, view)
            beside.append(partial(edits.follow, files, seen))
        parts = engine, near_end, controls, toolbelt, secrets, beside, recorder
        yield CallSession(*parts, agent.name, service, tally)


def _engine(
    session: ClientSession,
    dial: Dial,
    near_end: LocalEndpoint,
    toolbelt: LiveToolset,
    say: Speak,
    observers: Sequence[Observer],
) -> Engine:
    return Engine(
        session,
        dial,
        microphone=near_end.microphone,
        speaker=near_end.speaker,
        run_tool=toolbelt.run,
        voice=say,
        observers=(*observers, toolbelt.observe),
    )


def _delivery(
    near_end: LocalEndpoint,
    engine: Engine,
    voice: LocalSynthesizer,
    service: Service,
    notice: Notice,
) -> Deliver:
    """Return how a line of the caller's reaches the service: as text or as sound."""

    async def say_as_text(line: str) -> None:
        engine.post(Say(line))

    microphone, is_lines = near_end.microphone, bool(near_end.lines)
    if not isinstance(microphone, InjectedMicrophone | MixedMicrophone):
        return say_as_text
    if service.is_local and not is_lines:
        return say_as_text
    spoken = SpokenInput(microphone, voice, near_end.lines)
    spoken.prepare()

    async def speak(line: str) -> None:
        if engine.is_muted:
            notice(f"muted, so nobody would hear {line!r}: /unmute first")
            return
        try:
            await spoken.deliver(line)
        except SpeechError as error:
            if isinstance(microphone, InjectedMicrophone):
                raise  # there is no other way to speak
            notice(f"{error.message}: the line was not said")

    return speak


@contextlib.asynccontextmanager
async def connect_service(
    service: Service,
    agent: AgentConfig,
    transport: str,
    notice: Callable[[str], None],
    faults: Sequence[str] = (),
) -> AsyncIterator[Dial]:
    """Yield the way to a service; the local service is started, with these faults.

    Raises:
        UsageError: there is no such transport. SpeechError: no server came up.
    """
    library = choose_library(transport)
    notice(f"service: {service.name} ({service.why})")
    if service.url is not None:
        yield Dialer(service.url, lambda: service.key, library)
        return
    from runner.service.subprocess import embedded_server

    def listen(line: Mapping[str, Any]) -> None:
        if line.get("type") == "vagent.missing":
            notice(
                f"no {line['part']} ({line['reason']}): {line['instead']}; "
                f"to mend it: {line['command']}"
            )

    async with embedded_server(agent.local, listen, faults) as url:
        yield Dialer(url, lambda: service.key, library)


# How a call is kept: what its recording begins with, and what is hidden in it.


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
