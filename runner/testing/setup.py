"""Sets up a call under test: the real engine, a service and tools, without devices."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

from runner.audio.devices import Microphone
from runner.audio.virtual import InjectedMicrophone, NullSpeaker
from runner.config.model import AgentConfig
from runner.engine.caller import (
    UNHEARD_SECONDS,
    AnnouncementSynthesizer,
    LocalSynthesizer,
    SpokenInput,
)
from runner.engine.compose import CallParts, build_call, connect_service, new_session
from runner.engine.connection import Dial
from runner.engine.engine import Engine, Speak, ToolOutcome
from runner.engine.services import Service, choose_service
from runner.engine.toolset import build_client_config, build_toolset
from runner.errors import UsageError
from runner.observers.events import CallInterpreter, Observer
from runner.protocol.client.config import ClientConfig
from runner.protocol.messages import ToolCall
from runner.service.faults.parser import load_faults
from runner.testing.call import CallObserver, CallUnderTest, SayLine
from runner.testing.impairments import (
    CuttableConnection,
    ImpairedMicrophone,
    Impairment,
    NullMicrophone,
)
from runner.testing.mocks import MockedToolset, load_staged_tools, load_test_agent
from runner.testing.options import SCRIPT
from runner.testing.scenarios.model import LlmRule, MockAnswer
from runner.testing.scripted_service import (
    ENDPOINT_SECONDS,
    ScriptedModel,
    ScriptedService,
)


@dataclass(frozen=True, slots=True)
class CallSetup:
    """The options of a call under test; see `vagent_session`.

    `environment` supplies `${env:…}`. On the scripted service unset names get a
    placeholder value, since nothing leaves the process.
    """

    agent: Path
    service: str = SCRIPT
    variables: Mapping[str, str] = field(default_factory=dict)
    environment: Mapping[str, str] = field(default_factory=dict)
    mock: Mapping[str, Sequence[MockAnswer] | None] = field(default_factory=dict)
    llm: Sequence[LlmRule] = ()
    faults: Sequence[str] = ()
    seed: int = 0
    live_tools: bool = False
    impairment: Impairment = field(default_factory=lambda: Impairment())
    transport: str = "auto"

    @property
    def is_scripted(self) -> bool:
        """True if the service is the scripted one."""
        return self.service == SCRIPT


@dataclass(frozen=True, slots=True)
class CallFixture:
    """The loaded tools, agent, configuration and service of a call under test."""

    tools: MockedToolset
    agent: AgentConfig
    config: ClientConfig
    service: Service


@contextlib.asynccontextmanager
async def open_call_under_test(
    setup: CallSetup, observers: Sequence[Observer] = ()
) -> AsyncIterator[tuple[CallUnderTest, CallFixture]]:
    """Starts a call; on exit it is aborted if it is still running.

    Raises:
        VagentError: the file, a tool or the service cannot be loaded or reached.
    """
    agent = load_test_agent(
        setup.agent, setup.variables, setup.environment, stand_ins=setup.is_scripted
    )
    allow_network = setup.live_tools or not setup.is_scripted
    staged = load_staged_tools(agent, setup.mock, allow_network=allow_network)
    async with contextlib.AsyncExitStack() as stack:
        stack.push_async_callback(staged.registry.close)
        service = await stack.enter_async_context(_open_service(setup, agent))
        speaker = await stack.enter_async_context(NullSpeaker())
        observer = CallObserver()
        observer.speaker = speaker
        connection = CuttableConnection(service.dial)
        config = build_client_config(
            agent, build_toolset(staged.registry), service.service, None
        )

        async def run_tool(call: ToolCall) -> ToolOutcome:
            return await staged.run(call.name, call.raw_arguments)

        parts = CallParts(
            new_session(config, setup.seed),
            connection,
            service.microphone,
            speaker,
            run_tool,
            hung=lambda: staged.registry.hung,
            voice=service.voice,
            observers=observers,
            events=CallInterpreter(observer.note),
        )
        engine, count = build_call(parts)
        say_line = service.bind_engine(engine)
        call = CallUnderTest(engine, speaker, observer, count, connection, say_line)
        running = call.begin()
        try:
            yield call, CallFixture(staged, agent, config, service.service)
        finally:
            running.cancel()
            await asyncio.gather(running, return_exceptions=True)


@dataclass(frozen=True, slots=True)
class _OpenService:
    """A service that runs, and the caller's way to speak to it.

    `bind_engine` returns the function that delivers a line of the caller.
    """

    service: Service
    dial: Dial
    microphone: Microphone
    bind_engine: Callable[[Engine], SayLine]
    voice: Speak | None = None  # None: the service announces tools itself


def _open_service(
    setup: CallSetup, agent: AgentConfig
) -> contextlib.AbstractAsyncContextManager[_OpenService]:
    return _script(setup) if setup.is_scripted else _connect(setup, agent)


@contextlib.asynccontextmanager
async def _script(setup: CallSetup) -> AsyncIterator[_OpenService]:
    model = ScriptedModel(setup.llm)
    faults = load_faults(setup.faults)
    async with ScriptedService(model, faults=faults, fault_seed=setup.seed) as script:

        async def say_line(text: str) -> float:
            was_detected = await script.hear(text)
            now = asyncio.get_running_loop().time()
            return now - ENDPOINT_SECONDS if was_detected else now

        service = Service("the scripted service", None, "as asked")
        microphone = NullMicrophone()
        yield _OpenService(service, script.dial, microphone, lambda engine: say_line)


@contextlib.asynccontextmanager
async def _connect(setup: CallSetup, agent: AgentConfig) -> AsyncIterator[_OpenService]:
    """Connects to a service that takes audio; the caller uses local synthesis."""
    service = choose_service(setup.service, agent.service_url, setup.environment)
    if setup.faults and service.url is not None:
        raise UsageError("faults can be made only by a service of vagent's own")
    async with (
        connect_service(
            service, agent, setup.transport, lambda text: None, setup.faults
        ) as dial,
        InjectedMicrophone() as microphone,
    ):
        voice = LocalSynthesizer(agent.local)
        said = AnnouncementSynthesizer(voice.begin, lambda text: None)
        spoken = SpokenInput(microphone, voice)
        impaired = ImpairedMicrophone(microphone, setup.impairment, setup.seed)

        async def say_line(engine: Engine, text: str) -> float:
            await spoken.speak(text)
            said_at = asyncio.get_running_loop().time()
            # The service needs this long to detect the end of the turn.
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(engine.unsettled.wait(), UNHEARD_SECONDS)
            return said_at

        def bind_engine(engine: Engine) -> SayLine:
            return partial(say_line, engine)

        try:
            yield _OpenService(service, dial, impaired, bind_engine, said.say)
        finally:
            voice.close()
