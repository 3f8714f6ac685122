"""The page of the Prometheus metrics, from the registries that a scrape reads."""

from __future__ import annotations

from prometheus_client import CollectorRegistry

from docs.generate.markdown import page, table
from runner.observers.metrics import CallMetrics, ServerMetrics, new_registry

_INTRODUCTION = """`vagent run --metrics PORT` and `vagent service --metrics PORT`
answer `GET http://127.0.0.1:PORT/metrics` in the Prometheus text format or in
OpenMetrics, whichever the scraper requests. Only this machine can connect.
`--metrics 0` selects a free port and prints it.
[Watch a call](../how-to/watch-a-call.md) shows the metrics in use."""

_CALLS = """Every metric of a call has the labels `agent` (the name in the file) and
`service` (the kind of service). Other labels:

| label | values |
|---|---|
| `by` | `caller`, `agent` |
| `direction` | `sent`, `received` |
| `outcome` of a call | `clean`, `failed`, `rejected` |
| `outcome` of a tool call | `ok`, `error`, `cancelled` |
| `place` of dropped audio | `microphone`, `no_connection`, `outbox`, `late_reply`, \
`interruption`, `playback` |
| `session` | `resumed`, `fresh` |
| `tool` | the name of the tool; `unknown` for a name that is not in the file |

No label contains a session id or anything that was said, so the number of time series
is limited. The metrics end with the process: a call that is shorter than the interval
of the scraper leaves none."""

_SERVICE = """The local service counts all its sessions. `vagent_service_turns` has the
label `speculative`: `true` if the answer was prepared before the turn had ended."""


def make_page() -> str:
    """Returns the page."""
    calls = new_registry()
    CallMetrics(calls, "agent", "service", lambda: (), lambda: None)
    service = new_registry()
    ServerMetrics(service)
    return page(
        "# Metrics",
        _INTRODUCTION,
        "## `vagent run`",
        _CALLS,
        _table(calls),
        "## `vagent service`",
        _SERVICE,
        _table(service),
    )


def _table(registry: CollectorRegistry) -> str:
    rows = []
    for each in sorted(registry.collect(), key=lambda metric: metric.name):
        suffix = "_total" if each.type == "counter" else ""
        rows.append((f"`{each.name}{suffix}`", each.type, each.documentation))
    return table(("metric", "type", "meaning"), rows)
