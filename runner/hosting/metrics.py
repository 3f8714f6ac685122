"""The metrics of a server of hosted agents, for Prometheus."""

from __future__ import annotations

from collections.abc import Iterable

from prometheus_client.core import GaugeMetricFamily, Metric

from runner.hosting.agents import AgentVersion, HostedAgent
from runner.hosting.host import CallHost
from runner.observers.events import Handler
from runner.observers.metrics import CallEventMetrics, CallInstruments, new_registry


class HostMetrics:
    """The metrics of all calls of a process, and of the process itself."""

    def __init__(self) -> None:
        self.registry = new_registry()
        self._instruments = CallInstruments(self.registry)
        self._host: CallHost | None = None
        self.registry.register(self)

    def watch(self, host: CallHost) -> None:
        """Reports the calls of this host from now on."""
        self._host = host

    def handler(self, agent: HostedAgent, version: AgentVersion) -> Handler:
        """Returns the handler of the events of a new call."""
        names = frozenset(each.name for each in version.registry.definitions())
        kind = "embedded" if agent.service.url is None else agent.service.name
        return CallEventMetrics(self._instruments, agent.name, kind, lambda: names).note

    def describe(self) -> Iterable[Metric]:
        """Returns the metric families without current values, for the registry."""
        return self._families(0.0, 0.0, 0.0)

    def collect(self) -> Iterable[Metric]:
        """Returns the current values, for the registry."""
        host = self._host
        if host is None:
            return self.describe()
        seats = host.admission.limits.calls
        return self._families(
            float(host.admission.live),
            float("inf") if seats is None else float(seats),
            host.loop_lag,
        )

    def _families(self, live: float, seats: float, lag: float) -> Iterable[Metric]:
        for name, text, value in (
            ("vagent_calls_live", "Calls that are live in this process.", live),
            ("vagent_seats", "Calls that this process takes at once.", seats),
            (
                "vagent_loop_lag_seconds",
                "The longest delay of the event loop in the last ten seconds.",
                lag,
            ),
        ):
            family = GaugeMetricFamily(name, text)
            family.add_metric([], value)
            yield family
