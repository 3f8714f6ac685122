"""Puts a server of hosted agents together from its options."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from runner.engine.compose import RecordingOptions
from runner.hosting.access import Access
from runner.hosting.agents import AgentSources, AgentVersion, HostedAgent, HostedAgents
from runner.hosting.asgi import HostingApp
from runner.hosting.call import HostedCall
from runner.hosting.host import CallHost, HostOptions
from runner.hosting.limits import Admission, Limits
from runner.hosting.metrics import HostMetrics
from runner.hosts import is_this_machine
from runner.observers.events import Handler
from runner.redaction import Redactor
from runner.service.http import AccessPolicy

Log = Callable[[str, HostedCall | None], None]


@dataclass(frozen=True, slots=True)
class HostingOptions:
    """What a server hosts and for whom; `host` is the address that it listens on."""

    agents: Sequence[Path]
    service: str | None = None
    variables: Mapping[str, str] = field(default_factory=dict)
    transport: str = "auto"
    host: str = "127.0.0.1"
    origins: Sequence[str] = ()
    limits: Limits = Limits()
    recording: RecordingOptions | None = None
    show_tools: bool = False
    token_key: bytes | None = None  # None: callers need no token


def build_app(
    options: HostingOptions,
    environment: Mapping[str, str],
    log: Log = lambda text, call: None,
) -> HostingApp:
    """Returns the application; its agents are loaded when it is opened.

    Raises:
        UsageError: an origin is not one.
    """
    limits = options.limits
    access = Access(
        AccessPolicy(options.host, options.origins),
        limits,
        token_key=options.token_key,
        is_local=is_this_machine(options.host),
    )
    metrics = HostMetrics()

    @contextlib.asynccontextmanager
    async def open_host() -> AsyncIterator[CallHost]:
        sources = AgentSources(
            options.agents,
            options.service,
            options.variables,
            options.transport,
            limits.calls,
        )
        redactor = Redactor()

        def notice(text: str) -> None:
            log(redactor.text(text), None)

        def write(text: str, call: HostedCall | None) -> None:
            log(redactor.text(text), call)

        def observe(
            call: HostedCall, agent: HostedAgent, version: AgentVersion
        ) -> list[Handler]:
            return [metrics.handler(agent, version)]

        async with HostedAgents(sources, environment, redactor, notice) as agents:
            host = CallHost(
                agents,
                Admission(limits),
                HostOptions(
                    limits.duration,
                    limits.idle,
                    options.show_tools,
                    options.recording,
                ),
                write,
                observe,
            )
            metrics.watch(host)
            measuring = asyncio.create_task(host.measure_lag())
            try:
                yield host
            finally:
                measuring.cancel()
                await host.end_all()

    return HostingApp(open_host, access, metrics.registry)
