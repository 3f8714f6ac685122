"""Runs one scenario on one service and says what came of it."""

from __future__ import annotations

import asyncio
import hashlib
import re
import shutil
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import cast

from runner.config.diagnostics import Diagnostic, render
from runner.config.lint.secrets import agent_secrets
from runner.engine.compose import (
    RecordingOptions,
    describe_call,
    find_secrets,
    read_agent_text,
)
from runner.errors import ConfigError, FileUnreadable, VagentError
from runner.protocol.client.actions import Action, Outcome
from runner.protocol.client.events import Event
from runner.recording.recorder import Recorder
from runner.redaction import Redactor
from runner.testing.call import CallObserver
from runner.testing.impairments import Impairment
from runner.testing.mocks import MockedToolset
from runner.testing.options import SCRIPT, TestOptions
from runner.testing.results import Failure, ScenarioResult, Status
from runner.testing.scenarios.model import Scenario
from runner.testing.setup import CallFixture, CallSetup, open_call_under_test
from runner.testing.steps import ScenarioRun
from runner.testing.virtual_clock import run_virtually

__all__ = ["TestOptions", "format_error", "run_scenario"]


def run_scenario(
    scenario: Scenario, wishes: TestOptions, run: int = 0
) -> ScenarioResult:
    """Run a scenario in an event loop of its own, on virtual time where it is scripted.

    Whatever a scenario, an agent file, a tool or a service does is in the result.
    """
    result = ScenarioResult(scenario, wishes.service, Status.PASSED, run=run)
    if scenario.services and wishes.service not in scenario.services:
        where = ", ".join(scenario.services)
        return replace(result, status=Status.SKIPPED, error=f"it is for {where}")
    program = _try(result, wishes)
    try:
        if wishes.service == SCRIPT:
            return run_virtually(program)
        return asyncio.run(program)
    except VagentError as error:
        return replace(result, status=Status.ERROR, error=format_error(error))


async def _try(result: ScenarioResult, wishes: TestOptions) -> ScenarioResult:
    scenario = result.scenario
    setup, left_out = _prepare(scenario, wishes, result.run)
    began = asyncio.get_running_loop().time()
    evidence = FailureRecorder()
    observers = [evidence.observe] if wishes.keep else []
    async with open_call_under_test(setup, observers) as (call, stage):
        performance = ScenarioRun(call, wishes.judge, left_out)
        failure = await _perform(scenario, performance)
        seconds = asyncio.get_running_loop().time() - began
        status = Status.PASSED if failure is None else Status.FAILED
        result = replace(
            result,
            status=status,
            failure=failure,
            said=tuple(call.said),
            calls=tuple(call.calls),
            waits=tuple(call.witness.waits),
            interruptions=len(call.witness.interruptions),
            interrupted=tuple(each.what for each in call.witness.interruptions),
            ended_by=call.witness.ended_by,
            seconds=round(seconds, 3),
            left_out=tuple(performance.left_out),
            verdicts=tuple(performance.verdicts),
            seed=setup.seed,
        )
    result = _judged(_explained(result, call.witness), stage.tools)
    if wishes.keep is None or (
        result.status is Status.PASSED and not wishes.keep_passed
    ):
        return result
    try:
        folder = evidence.write(wishes.keep, result, stage, setup.seed)
    except FileUnreadable as error:  # what came of the scenario is worth more
        lost = f"its recording: {error.message}"
        return replace(result, left_out=(*result.left_out, lost))
    return replace(result, recording=folder)


async def _perform(scenario: Scenario, performance: ScenarioRun) -> Failure | None:
    for turn in scenario.turns:
        failure = await performance.perform(turn)
        if failure is not None:
            return failure
    if performance.has_ended:
        return None
    return await performance.finish(scenario.place)


def _explained(result: ScenarioResult, witness: CallObserver) -> ScenarioResult:
    """Say of a call that broke off why it did: else the agent would be blamed."""
    close, failure = witness.close, result.failure
    if failure is None or close is None or close.outcome is Outcome.CLEAN:
        return result
    if witness.ready_at:
        came = f"{failure.came}; the call had broken off: {close.reason}"
        return replace(result, failure=replace(failure, came=came))
    error = f"{close.reason}\n{close.hint}" if close.hint else close.reason
    return replace(result, status=Status.ERROR, failure=None, error=error)


def _judged(result: ScenarioResult, staged: MockedToolset) -> ScenarioResult:
    """A tool that could not be run makes whatever else came of no worth."""
    if not staged.refused:
        return result
    names = ", ".join(staged.refused)
    text = (
        f"{names} would call a URL, which a dry run does not: mock it, write "
        f"`mock: {{{staged.refused[0]}: live}}`, or use --live-tools"
    )
    return replace(result, status=Status.ERROR, error=text)


def _prepare(
    scenario: Scenario, wishes: TestOptions, run: int
) -> tuple[CallSetup, list[str]]:
    """Return the call's setup, and what this service cannot do of what is wished."""
    left_out: list[str] = []
    is_scripted = wishes.service == SCRIPT
    impairment = Impairment(wishes.noise_db, wishes.packet_loss)
    if is_scripted and not impairment.is_none:
        left_out.append("noise and packet loss: nothing is heard on script")
    if scenario.llm and not is_scripted:
        left_out.append("llm: only the scripted service uses it")
    faults = (*scenario.faults, *wishes.faults)
    if faults and wishes.service not in (SCRIPT, "local"):
        left_out.append("faults: only services of vagent's own make them")
        faults = ()
    setup = CallSetup(
        scenario.agent,
        wishes.service,
        variables={**scenario.variables, **wishes.variables},
        environment={**wishes.environment, **scenario.environment},
        mock=scenario.mock,
        llm=scenario.llm,
        faults=faults,
        seed=wishes.seed + scenario.seed + run,
        live_tools=wishes.live_tools,
        impairment=impairment,
        transport=wishes.transport,
    )
    return setup, left_out


def format_error(error: VagentError) -> str:
    """Return an error as a person reads it, with the findings of an agent file."""
    parts: Sequence[str] = [error.message]
    if isinstance(error, ConfigError):
        # The tree of errors stands below the findings and cannot name their type.
        findings = cast("tuple[Diagnostic, ...]", error.diagnostics)
        parts = [*parts, render(each for each in findings if each.is_error)]
    elif error.hint:
        parts = [*parts, error.hint]
    return "\n".join(parts).rstrip()


# Recordings of calls under test: noted while they go on, written when it is known
# that somebody will want to look at one.


_NO_NAME = re.compile(r"[^a-z0-9]+")
_LONGEST_NAME = 80  # far below what file systems take


class FailureRecorder:
    """Everything that happened in one call; an observer of the engine."""

    def __init__(self) -> None:
        self._happened: list[tuple[float, Event | Action]] = []

    def observe(self, at: float, what: Event | Action) -> None:
        """Note an event or an action."""
        self._happened.append((at, what))

    def write(
        self, into: Path, result: ScenarioResult, stage: CallFixture, seed: int
    ) -> Path:
        """Write a recording in place of the scenario's last one; return its folder.

        Raises:
            FileUnreadable: it cannot be written.
        """
        folder = into / _folder_name(result)
        agent, service = stage.agent, stage.service
        text = read_agent_text(agent.path)
        redactor = Redactor(agent_secrets(agent) | find_secrets(text, service))
        keeping = RecordingOptions(into)
        header = describe_call(agent, text, stage.config, service.name, seed, keeping)
        try:
            shutil.rmtree(folder, ignore_errors=True)
            folder.mkdir(parents=True)
        except OSError as error:
            raise FileUnreadable.from_os_error(folder, "written", error) from error
        with Recorder(
            folder, header, text, redactor=redactor, threaded=False
        ) as recorder:
            for at, what in self._happened:
                recorder.observe(at, what)
        return folder


def _folder_name(result: ScenarioResult) -> str:
    """Return a name that tells file, scenario and run; the same each time.

    Whatever letters cannot tell apart, the folder of the file included, a few figures
    do: no two scenarios write to the same place.
    """
    path, line = result.scenario.place.path, result.scenario.place.line
    stem, wanted = path.name.partition(".")[0], result.scenario.id
    name = _NO_NAME.sub("-", wanted.lower()).strip("-")[:_LONGEST_NAME].rstrip("-")
    if name.replace("-", " ") != wanted.lower() or path.name != path.as_posix():
        what = f"{path.as_posix()}::{wanted}"
        name += "-" + hashlib.sha256(what.encode("utf-8", "replace")).hexdigest()[:6]
    run = f"-{result.run + 1}" if result.run else ""
    return f"{stem}-{line}-{name.strip('-')}{run}"
