"""Sets up a call under test: the real engine, a service and tools, without devices."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from random import Random

from runner.audio.devices import Microphone
from runner.audio.virtual import InjectedMicrophone, NullSpeaker
from runner.config.model import AgentConfig
from runner.engine.caller import (
    UNHEARD_SECONDS,
    AnnouncementSynthesizer,
    LocalSynthesizer,
    SpokenInput,
)
from runner.engine.compose import connect_service
from runner.engine.connection import Dial
from runner.engine.engine import Engine, Speak, ToolOutcome
from runner.engine.services import Service, choose_service
from runner.engine.toolset import build_client_config, build_toolset
from runner.errors import UsageError
from runner.observers.call_stats import CounterObserver, collect_counters
from runner.observers.events import CallInterpreter, Observer
from runner.protocol.client.config import ClientConfig
from runner.protocol.client.session import ClientSession
from runner.protocol.messages import ToolCall
from runner.service.faults.parser import load_faults
from runner.testing.call import CallObserver, CallUnderTest, Deliver
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
        observer = CallObserver()
        far = await stack.enter_async_context(_far_end(setup, agent, observer))
        speaker = await stack.enter_async_context(NullSpeaker())
        observer.speaker = speaker
        line = CuttableConnection(far.dial)
        config = build_client_config(
            agent, build_toolset(staged.registry), far.service, None
        )

        async def run_tool(call: ToolCall) -> ToolOutcome:
            return await staged.run(call.name, call.arguments)

        session = ClientSession(config, jitter=Random(setup.seed).random)
        tally = CounterObserver(session)
        events = CallInterpreter(tally.note, observer.note)
        engine = Engine(
            session,
            line,
            microphone=far.microphone,
            speaker=speaker,
            run_tool=run_tool,
            voice=far.voice,
            observers=(*observers, tally.observe, events.observe),
        )
        far.engine.append(engine)
        hung = staged.registry.hung
        counts = engine.connection.counts
        count = partial(collect_counters, tally, counts, far.microphone, speaker, hung)
        call = CallUnderTest(engine, speaker, observer, count, line, far.deliver)
        running = call.begin()
        try:
            yield call, CallFixture(staged, agent, config, far.service)
        finally:
            running.cancel()
            await asyncio.gather(running, return_exceptions=True)


@dataclass(frozen=True, slots=True)
class _FarEnd:
    service: Service
    dial: Dial
    microphone: Microphone
    deliver: Deliver
    voice: Speak | None = None  # None: the service announces tools itself
    engine: list[Engine] = field(default_factory=list)  # of the call, once it is made


@contextlib.asynccontextmanager
async def _far_end(
    setup: CallSetup, agent: AgentConfig, observer: CallObserver
) -> AsyncIterator[_FarEnd]:
    if setup.is_scripted:
        async with _scripted(setup) as far:
            yield far
    else:
        async with _spoken(setup, agent, observer) as far:
            yield far


@contextlib.asynccontextmanager
async def _scripted(setup: CallSetup) -> AsyncIterator[_FarEnd]:
    brain = ScriptedModel(setup.llm)
    faults = load_faults(setup.faults)
    async with ScriptedService(brain, faults=faults, fault_seed=setup.seed) as script:

        async def deliver(words: str) -> float:
            was_heard = await script.hear(words)
            now = asyncio.get_running_loop().time()
            return now - ENDPOINT_SECONDS if was_heard else now

        service = Service("the scripted service", None, "as asked")
        yield _FarEnd(service, script.dial, NullMicrophone(), deliver)


@contextlib.asynccontextmanager
async def _spoken(
    setup: CallSetup, agent: AgentConfig, observer: CallObserver
) -> AsyncIterator[_FarEnd]:
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
        far: _FarEnd

        async def deliver(words: str) -> float:
            await spoken.deliver(words)
            said_at = asyncio.get_running_loop().time()
            # The service needs this long to detect the end of the turn.
            with contextlib.suppress(TimeoutError):
                unsettled = far.engine[0].unsettled.wait()
                await asyncio.wait_for(unsettled, UNHEARD_SECONDS)
            return said_at

        far = _FarEnd(service, dial, impaired, deliver, said.say)
        try:
            yield far
        finally:
            voice.close()
