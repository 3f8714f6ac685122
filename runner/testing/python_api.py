"""Functions for tests written in Python: calls with agents, mocks, virtual time."""

from __future__ import annotations

import contextlib
import functools
import os
from collections.abc import AsyncIterator, Callable, Coroutine, Mapping, Sequence
from pathlib import Path
from typing import Any, ParamSpec, TypeAlias, TypeVar

from runner.testing.call import CallUnderTest
from runner.testing.options import SCRIPT
from runner.testing.scenarios.model import LlmRule, MockAnswer
from runner.testing.setup import CallSetup, open_call_under_test
from runner.testing.virtual_clock import run_virtually

P = ParamSpec("P")
T = TypeVar("T")

# One answer for every call, answers in order, or None: the tool itself runs.
Mock: TypeAlias = MockAnswer | Sequence[MockAnswer] | None


def returns(value: Any, *, delay: float = 0.0, times: int | None = None) -> MockAnswer:
    """Returns a mock answer: any JSON value, after `delay` seconds."""
    return MockAnswer(returns=value, delay=delay, times=times)


def raises(message: str, *, delay: float = 0.0, times: int | None = None) -> MockAnswer:
    """Returns a mock answer that fails with this message."""
    return MockAnswer(raises=message, delay=delay, times=times)


@contextlib.asynccontextmanager
async def vagent_session(
    agent: str | Path,
    *,
    mock: Mapping[str, Mock] | None = None,
    variables: Mapping[str, str] | None = None,
    environment: Mapping[str, str] | None = None,
    llm: Sequence[LlmRule] = (),
    faults: Sequence[str] = (),
    service: str = SCRIPT,
    live_tools: bool = False,
) -> AsyncIterator[CallUnderTest]:
    """Holds a call with an agent while the context lasts.

    The default, the scripted service, uses no audio, no language model and no network:
    `llm` defines the agent's replies; without it, fixed rules over the agent's tools
    do. There, HTTP tools must be mocked or `live_tools` be true. `service` may also be
    local, assemblyai or a URL. `environment` defaults to the process environment.

    Raises:
        VagentError: the file, a tool or the service cannot be loaded or reached.
    """
    setup = CallSetup(
        Path(agent),
        service,
        variables=variables or {},
        environment=os.environ if environment is None else environment,
        mock={name: _answers(answer) for name, answer in (mock or {}).items()},
        llm=llm,
        faults=faults,
        live_tools=live_tools,
    )
    async with open_call_under_test(setup) as (call, _):
        yield call


def virtual_time(
    test: Callable[P, Coroutine[Any, Any, T]],
) -> Callable[P, T]:
    """Wraps an asynchronous test so that it runs synchronously on virtual time."""

    @functools.wraps(test)
    def run(*args: P.args, **kwargs: P.kwargs) -> T:
        return run_virtually(test(*args, **kwargs))

    return run


def _answers(answer: Mock) -> Sequence[MockAnswer] | None:
    return (answer,) if isinstance(answer, MockAnswer) else answer
