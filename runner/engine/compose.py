"""The composition root: builds a call from an agent file and the options.

`open_call` creates all parts of a call and yields it as a `CallSession`. Nothing is
global, all dependencies are passed as arguments.
"""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import json
import platform
import random
import re
from collections.abc import (
    AsyncIterator,
    Callable,
    Coroutine,
    Iterable,
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
from runner.audio.devices import Microphone, Speaker
from runner.audio.virtual import (
    InjectedMicrophone,
    MixedMicrophone,
    NullSpeaker,
)
from runner.config.credentials import SECRET_NAME
from runner.config.diagnostics import Diagnostic
from runner.config.lint.secrets import credentials_in
from runner.config.model import AgentConfig, LlmConfig
from runner.engine.agent import load_agent_and_tools
from runner.engine.audio_setup import AudioOptions, LocalEndpoint, Typing, open_endpoint
from runner.engine.caller import (
    AnnouncementSynthesizer,
    LocalSynthesizer,
    Notice,
    SayLine,
    ScriptedCaller,
    SpokenInput,
)
from runner.engine.connection import Dial
from runner.engine.controls import Controls
from runner.engine.engine import Engine, RunToolCall, Speak
from runner.engine.hot_reload import AgentFileWatcher, HotReloader
from runner.engine.services import Service, choose_service
from runner.engine.toolset import LiveToolset, build_client_config, build_toolset
from runner.engine.transports import Dialer, choose_library
from runner.errors import FileUnreadable, SpeechError, counted
from runner.hosts import is_this_machine
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
    """Displays a call."""

    def observe(self, at: float, what: Any) -> None: ...

    def notice(self, text: str) -> None: ...

    def findings(self, found: Sequence[Diagnostic]) -> None: ...


@dataclass(frozen=True, slots=True)
class CallOptions:
    """Options of a call; None selects by what is available.

    `input` is mic, text, none or a sound file; `output` is speaker, null or a file to
    write; `lines` are spoken by the local TTS, each after the agent has finished.
    With `watch` the call follows reloader of the agent file. `transport` is a WebSocket
    library, or auto. `seed` is the seed of the session's random numbers; None: a random
    one. With `recording` the call is recorded, with `push_to_talk` microphone audio is
    sent only on request. With `reports_missing`, missing models of the local service
    are reported as notices.
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
    recording: RecordingOptions | None = None
    audio: AudioOptions = AudioOptions()
    push_to_talk: bool = False
    reports_missing: bool = True


@dataclass(frozen=True, slots=True)
class CallSession:
    """A call that is ready to start.

    `background` are coroutine functions that run during the call. `recorder` is None if
    the call is not recorded.
    """

    engine: Engine
    endpoint: LocalEndpoint
    controls: Controls
    toolset: LiveToolset
    secrets: Redactor
    background: Sequence[Callable[[], Coroutine[Any, Any, None]]]
    recorder: Recorder | None
    agent: str  # its name
    service: Service
    counters: Callable[[], Counters]  # call it before the devices are closed

    def hang_up(self, reason: str) -> None:
        """Ends the call now, with a handshake; call on the event loop."""
        self.engine.post(HangUp(reason))

    async def run(self) -> Close:
        """Runs the call to its end.

        Raises:
            VagentError: a device, the voice or the input failed.
        """
        running = asyncio.create_task(self.engine.run())
        background = [asyncio.create_task(work()) for work in self.background]
        try:
            await asyncio.wait((running, *background), return_when="FIRST_COMPLETED")
            for work in background:
                if work.done() and not running.done():
                    work.result()  # raises what went wrong
            return await running
        finally:
            for task in (running, *background):
                task.cancel()
            await asyncio.gather(running, *background, return_exceptions=True)


@dataclass(frozen=True, slots=True)
class CallParts:
    """The parts of a call that differ between users, tests and replays.

    `hung` returns the number of tool threads that still run after their timeout.
    `observers` are called first, `late_observers` last, and `events` interprets the
    call in between. `voice` synthesizes announcements; None: the service does it.
    """

    session: ClientSession
    dial: Dial
    microphone: Microphone
    speaker: Speaker
    run_tool: RunToolCall
    hung: Callable[[], int] = lambda: 0
    voice: Speak | None = None
    observers: Sequence[Observer] = ()
    events: CallInterpreter = field(default_factory=CallInterpreter)
    late_observers: Sequence[Observer] = ()
    timer_slack: float = 0.0


def new_session(config: ClientConfig, seed: int) -> ClientSession:
    """Returns a session whose random numbers come from `seed`."""
    return ClientSession(config, jitter=random.Random(seed).random)


def build_call(parts: CallParts) -> tuple[Engine, Callable[[], Counters]]:
    """Returns the engine of a call and the function that returns its counters."""
    counter = CounterObserver(parts.session)
    parts.events.subscribe(counter.note)
    observers = (
        *parts.observers,
        parts.events.observe,
        counter.observe,
        *parts.late_observers,
    )
    engine = Engine(
        parts.session,
        parts.dial,
        microphone=parts.microphone,
        speaker=parts.speaker,
        run_tool=parts.run_tool,
        voice=parts.voice,
        observers=observers,
        timer_slack=parts.timer_slack,
    )
    devices = parts.microphone, parts.speaker

    def count() -> Counters:
        unsent = engine.connection.counts
        return collect_counters(counter, unsent, *devices, parts.hung())

    return engine, count


@contextlib.asynccontextmanager
async def open_call(
    options: CallOptions,
    environment: Mapping[str, str],
    view: View,
    observers: Sequence[Observer] = (),
    events: CallInterpreter | None = None,
    typing: Typing | None = None,
    secrets: Redactor | None = None,
) -> AsyncIterator[CallSession]:
    """Builds a call; leaving the context closes all that was opened.

    `events` interprets the call, after `observers` and before the view. `typing` is
    the typed input if the view reads the keyboard. Secrets are added to `secrets` as
    soon as they are known.

    Raises:
        VagentError: the file, a tool, a device or the service is not available.
    """
    secrets = secrets or Redactor()
    events = events or CallInterpreter()
    load = partial(
        load_agent_and_tools, options.agent, options.variables, environment, secrets.add
    )
    files = AgentFileWatcher(options.agent)
    seen = files.poll()  # before the file is read, so that no edit is missed
    agent, registry = load()
    service = choose_service(options.service, agent.service_url, environment)
    text = read_agent_text(options.agent)
    secrets.add(find_secrets(text, service))
    if hosts := find_secret_hosts(agent, service):
        view.notice(f"values of the environment are sent to: {', '.join(hosts)}")
    tools = build_toolset(registry)
    async with contextlib.AsyncExitStack() as stack:
        opening = open_endpoint(
            options.input, options.output, options.lines, view.notice, options.audio
        )
        endpoint = replace(await stack.enter_async_context(opening), typing=typing)
        config = build_client_config(agent, tools, service, options.max_duration)
        if is_silent(endpoint, service, options):
            config = as_text(config)
        seed = random.randrange(2**32) if options.seed is None else options.seed
        session = new_session(config, seed)
        changes = session.conversation.changes
        toolset = LiveToolset(tools, lambda: changes.current.tools, view.notice)
        stack.push_async_callback(toolset.close)
        dialing = connect_service(
            service,
            agent,
            options.transport,
            view.notice,
            reports_missing=options.reports_missing,
        )
        dial = await stack.enter_async_context(dialing)
        describe = partial(describe_call, agent, text, config, service.name, seed)
        recording = record_call(options.recording, describe, text, secrets, view.notice)
        recorder = stack.enter_context(recording)
        voice = LocalSynthesizer(agent.local)
        stack.callback(voice.close)
        parts = CallParts(
            session,
            dial,
            endpoint.microphone,
            endpoint.speaker,
            toolset.run,
            hung=lambda: toolset.hung,
            voice=AnnouncementSynthesizer(voice.begin, view.notice).say,
            observers=((recorder.observe,) if recorder else ()) + tuple(observers),
            events=events,
            late_observers=(view.observe, toolset.observe),
        )
        engine, counters = build_call(parts)
        say = _choose_input(endpoint, engine, voice, service, view.notice)
        caller = ScriptedCaller(engine, endpoint.speaker, say, view.notice)
        if options.lines:
            view.notice(
                f"caller: says {counted(len(options.lines), 'line')} to "
                f"'{agent.name}', one after each answer, and hangs up; Ctrl-C ends "
                "the call"
            )
        controls = Controls(
            engine, view.notice, changes.current.session, options.push_to_talk
        )
        background = [partial(endpoint.drive, caller, controls)]
        if options.watch:
            reloader = HotReloader(agent, load, toolset, controls, view)
            background.append(partial(reloader.follow, files, seen))
        yield CallSession(
            engine,
            endpoint,
            controls,
            toolset,
            secrets,
            background,
            recorder,
            agent.name,
            service,
            counters,
        )


def is_silent(endpoint: LocalEndpoint, service: Service, options: CallOptions) -> bool:
    """True if no audio of the agent is played or recorded, and the service can write.

    Then its answers come as they are written, not at the pace of speech.
    """
    records = options.recording is not None and options.recording.audio
    is_mute = isinstance(endpoint.speaker, NullSpeaker)
    return service.url is None and endpoint.input == "text" and is_mute and not records


def as_text(config: ClientConfig) -> ClientConfig:
    """Returns the configuration of a session without audio of the agent."""
    output = {**config.session.get("output", {}), "type": "text"}
    return replace(config, session={**config.session, "output": output})


def _choose_input(
    endpoint: LocalEndpoint,
    engine: Engine,
    voice: LocalSynthesizer,
    service: Service,
    notice: Notice,
) -> SayLine:
    """Returns the function that delivers a line: as text or as audio."""

    async def say_as_text(line: str) -> None:
        engine.post(Say(line))

    microphone, is_lines = endpoint.microphone, bool(endpoint.lines)
    if not isinstance(microphone, InjectedMicrophone | MixedMicrophone):
        return say_as_text
    if service.is_local and not is_lines:
        return say_as_text
    spoken = SpokenInput(microphone, voice, endpoint.lines)
    spoken.prepare()

    async def speak(line: str) -> None:
        if engine.is_muted:
            notice(f"not sent while muted: {line!r}; hint: /unmute")
            return
        try:
            await spoken.speak(line)
        except SpeechError as error:
            if isinstance(microphone, InjectedMicrophone):
                raise  # the call has no other input
            notice(f"{error.message}: the line was not sent")

    return speak


@contextlib.asynccontextmanager
async def connect_service(
    service: Service,
    agent: AgentConfig,
    transport: str,
    notice: Callable[[str], None],
    faults: Sequence[str] = (),
    *,
    reports_missing: bool = True,
    max_sessions: int | None = None,
) -> AsyncIterator[Dial]:
    """Yields the dialer of a service; starts the local service, with these faults.

    `max_sessions` limits the sessions of the local service; None: by the machine.

    Raises:
        UsageError: the transport is unknown or not installed.
        SpeechError: the server did not start.
    """
    library = choose_library(transport)
    notice(f"service: {service.name} ({service.why})")
    if service.url is not None:
        yield Dialer(service.url, lambda: service.key, library)
        return
    from runner.service.subprocess import run_local_service

    def report_missing(event: Mapping[str, Any]) -> None:
        if reports_missing and event.get("type") == "vagent.missing":
            notice(
                f"no {event['part']} ({event['reason']}): {event['instead']}; "
                f"hint: {event['command']}"
            )

    running = run_local_service(
        agent.local, report_missing, faults, max_sessions=max_sessions
    )
    mentioning = asyncio.create_task(_mention_servers(agent, notice))
    try:
        async with running as url:
            yield Dialer(url, lambda: service.key, library)
    finally:
        mentioning.cancel()


async def _mention_servers(agent: AgentConfig, notice: Callable[[str], None]) -> None:
    """Mentions servers of better language models, in parallel to loading."""
    if agent.local.llm != LlmConfig():
        return
    from runner.speech.llm.servers import find_servers

    for server in await asyncio.to_thread(find_servers):
        notice(
            f"{server.name} answers at {server.url}; hint: the agent uses it with "
            f"the line {server.yaml}"
        )


@dataclass(frozen=True, slots=True)
class RecordingOptions:
    """Options of a recording, which goes to a new folder in `into`.

    With `redact`, numbers and addresses are removed from all text; `audio`
    cannot be redacted.
    """

    into: Path
    audio: bool = True
    redact: bool = False


def read_agent_text(path: Path) -> str:
    """Returns the text of an agent file; raises FileUnreadable."""
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
    options: RecordingOptions,
) -> Header:
    """Returns the header of a recording that starts now.

    `text` is the text of the agent file, `service` the name of the service.
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
        has_sound=options.audio,
        is_redacted=options.redact,
    )


@contextlib.contextmanager
def record_call(
    options: RecordingOptions | None,
    describe: Callable[[RecordingOptions], Header],
    text: str,
    redactor: Redactor,
    notice: Callable[[str], None],
) -> Iterator[Recorder | None]:
    """Records a call in a new folder; yields None without options.

    Enter on the event loop, where `notice` is called.

    Raises:
        FileUnreadable: the recording cannot be written.
    """
    if options is None:
        yield None
        return
    loop = asyncio.get_running_loop()
    header = describe(options)

    def report(reason: str) -> None:
        # The recorder writes on its own thread, and views belong to the event loop.
        loop.call_soon_threadsafe(notice, reason)

    folder = new_folder(options.into, header.agent.name, datetime.now())
    with Recorder(folder, header, text, redactor=redactor, notice=report) as recorder:
        yield recorder


def find_secrets(text: str, service: Service) -> frozenset[str]:
    """Returns the credentials in the text of an agent file and of a service."""
    found = {*credentials_in(text), *_in_address(service.url or "")}
    if service.key:
        found.add(service.key)
    return frozenset(found)


def find_secret_hosts(agent: AgentConfig, service: Service) -> list[str]:
    """Returns the hosts that receive a value of the environment from an agent file.

    This machine, and AssemblyAI as the service, are not among them.
    """
    receivers = [
        (json.dumps(tool.settings, default=str, ensure_ascii=False), tool.settings)
        for tool in agent.tools
    ]
    urls = [
        settings.get("url")
        for text, settings in receivers
        if isinstance(settings, Mapping) and _contains(text, agent.secrets)
    ]
    if service.url is not None and not service.name.startswith("AssemblyAI"):
        urls += [service.url] if _contains(service.url, agent.secrets) else []
    llm = agent.local.llm
    if service.url is None and _contains(f"{llm.url} {llm.key}", agent.secrets):
        urls.append(llm.url)
    hosts = [urlsplit(url).hostname or "" for url in urls if isinstance(url, str)]
    return sorted({each for each in hosts if each and not is_this_machine(each)})


def _contains(text: str, secrets: Iterable[str]) -> bool:
    # JSON text spells quotes and backslashes of a secret in another way.
    return any(
        each and (each in text or json.dumps(each, ensure_ascii=False)[1:-1] in text)
        for each in secrets
    )


def _in_address(url: str) -> Iterator[str]:
    if password := find_password(url):
        yield password
    for name, value in parse_qsl(urlsplit(url).query):
        if re.search(SECRET_NAME, name):
            yield value
