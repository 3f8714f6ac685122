"""Runs one scenario on one service and returns its result."""

from __future__ import annotations

import asyncio
import hashlib
import re
import shutil
from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import partial
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
from runner.event_loop import run_async
from runner.observers.events import Observer
from runner.protocol.client.actions import Action, Outcome, RunTool
from runner.protocol.client.events import Event, Received
from runner.protocol.messages import SessionReady, TranscriptAgent, TranscriptUser
from runner.recording.recorder import Recorder
from runner.redaction import Redactor
from runner.safe_files import make_private_folders, refuse_links
from runner.speech.llm.rule_based import NO_LANGUAGE_MODEL
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
    scenario: Scenario,
    options: TestOptions,
    run: int = 0,
    notice: Callable[[str], None] | None = None,
) -> ScenarioResult:
    """Runs a scenario in its own event loop; on the scripted service on virtual time.

    `notice` receives the state of the call: what was said last, and the running tool.

    Errors of the scenario, the agent file, tools and the service are in the result.
    """
    result = ScenarioResult(scenario, options.service, Status.PASSED, run=run)
    if scenario.services and options.service not in scenario.services:
        where = ", ".join(scenario.services)
        return replace(result, status=Status.SKIPPED, error=f"it is for {where}")
    program = _try(result, options, notice)
    try:
        if options.service == SCRIPT:
            return run_virtually(program)
        return run_async(program)
    except VagentError as error:
        return replace(result, status=Status.ERROR, error=format_error(error))


async def _try(
    result: ScenarioResult,
    options: TestOptions,
    notice: Callable[[str], None] | None,
) -> ScenarioResult:
    scenario = result.scenario
    setup, left_out = _prepare(scenario, options, result.run)
    began = asyncio.get_running_loop().time()
    evidence = FailureRecorder()
    observers: list[Observer] = [evidence.observe] if options.keep else []
    if notice is not None:
        observers.append(partial(_note_state, notice))
    async with open_call_under_test(setup, observers) as (call, stage):
        performance = ScenarioRun(call, options.judge, left_out)
        failure = await _perform(scenario, performance)
        seconds = asyncio.get_running_loop().time() - began
        status = Status.PASSED if failure is None else Status.FAILED
        result = replace(
            result,
            status=status,
            failure=failure,
            said=tuple(call.said),
            calls=tuple(call.calls),
            waits=tuple(call.observer.waits),
            interruptions=len(call.observer.interruptions),
            interrupted=tuple(each.what for each in call.observer.interruptions),
            ended_by=call.observer.ended_by,
            seconds=round(seconds, 3),
            left_out=tuple(performance.left_out),
            verdicts=tuple(performance.verdicts),
            seed=setup.seed,
        )
    result = _check_refused(_explain(result, call.observer), stage.tools)
    result = replace(result, hint=_hint(result))
    if options.keep is None or (
        result.status is Status.PASSED and not options.keep_passed
    ):
        return result
    try:
        folder = evidence.write(options.keep, result, stage, setup.seed)
    except FileUnreadable as error:  # the result matters more than its recording
        lost = f"its recording: {error.message}"
        return replace(result, left_out=(*result.left_out, lost))
    return replace(result, recording=folder)


def _note_state(notice: Callable[[str], None], at: float, what: Event | Action) -> None:
    """Reports what was said last, and the tool that runs."""
    del at
    match what:
        case Received(SessionReady()):
            notice("connected")
        case Received(TranscriptUser(text=text)):
            notice(f"caller: {text}")
        case Received(TranscriptAgent(text=text)):
            notice(f"agent: {text}")
        case RunTool(call):
            notice(f"tool {call.name}")
        case _:
            pass


async def _perform(scenario: Scenario, performance: ScenarioRun) -> Failure | None:
    for turn in scenario.turns:
        failure = await performance.perform(turn)
        if failure is not None:
            return failure
    if performance.has_ended:
        return None
    return await performance.finish(scenario.place)


def _explain(result: ScenarioResult, observer: CallObserver) -> ScenarioResult:
    """Adds the reason of an aborted call: the agent is not at fault."""
    close, failure = observer.close, result.failure
    if failure is None or close is None or close.outcome is Outcome.CLEAN:
        return result
    if observer.ready_at:
        came = f"{failure.came}; the call had broken off: {close.reason}"
        return replace(result, failure=replace(failure, came=came))
    error = f"{close.reason}\nhint: {close.hint}" if close.hint else close.reason
    return replace(result, status=Status.ERROR, failure=None, error=error)


_SCRIPT_HINT = (
    "`script` answers by fixed rules and does not test the prompt: write the replies "
    "under `llm:`, mock the tools, or use --service local"
)


def _hint(result: ScenarioResult) -> str | None:
    """Returns what to do where the scripted service can be the cause of a failure."""
    if result.status is not Status.FAILED or result.service != SCRIPT:
        return None
    fell_back = any(NO_LANGUAGE_MODEL in text for _, text in result.said)
    return _SCRIPT_HINT if fell_back or not result.scenario.llm else None


def _check_refused(result: ScenarioResult, staged: MockedToolset) -> ScenarioResult:
    """Makes the result an error if a tool was refused: nothing else counts then."""
    if not staged.refused:
        return result
    names = ", ".join(staged.refused)
    text = (
        f"{names} would call a URL, which a dry run does not: mock it, write "
        f"`mock: {{{staged.refused[0]}: live}}`, or use --live-tools"
    )
    return replace(result, status=Status.ERROR, error=text)


def _prepare(
    scenario: Scenario, options: TestOptions, run: int
) -> tuple[CallSetup, list[str]]:
    """Returns the call's setup, and the options that this service does not support."""
    left_out: list[str] = []
    is_scripted = options.service == SCRIPT
    impairment = Impairment(options.noise_db, options.packet_loss)
    if is_scripted and not impairment.is_none:
        left_out.append("noise and packet loss: script uses no audio")
    if scenario.llm and not is_scripted:
        left_out.append("llm: only the scripted service uses it")
    faults = (*scenario.faults, *options.faults)
    if faults and options.service not in (SCRIPT, "local"):
        left_out.append("faults: only script and local support them")
        faults = ()
    setup = CallSetup(
        scenario.agent,
        options.service,
        variables={**scenario.variables, **options.variables},
        environment={**options.environment, **scenario.environment},
        mock=scenario.mock,
        llm=scenario.llm,
        faults=faults,
        seed=options.seed + scenario.seed + run,
        live_tools=options.live_tools,
        impairment=impairment,
        transport=options.transport,
    )
    return setup, left_out


def format_error(error: VagentError) -> str:
    """Returns the message of an error, with the findings of an agent file."""
    parts: Sequence[str] = [error.message]
    if isinstance(error, ConfigError):
        # `errors` is below `config` and cannot name the type of its diagnostics.
        findings = cast("tuple[Diagnostic, ...]", error.diagnostics)
        parts = [*parts, render(each for each in findings if each.is_error)]
    elif error.hint:
        parts = [*parts, error.hint]
    return "\n".join(parts).rstrip()


# Recordings of calls under test: collected in memory, and written after a failure.


_NOT_IN_NAME = re.compile(r"[^a-z0-9]+")
_MAX_NAME_CHARACTERS = 80  # far below the limits of file systems


class FailureRecorder:
    """Collects the events and actions of a call; an observer of the engine."""

    def __init__(self) -> None:
        self._happened: list[tuple[float, Event | Action]] = []

    def observe(self, at: float, what: Event | Action) -> None:
        """Notes an event or an action."""
        self._happened.append((at, what))

    def write(
        self, into: Path, result: ScenarioResult, stage: CallFixture, seed: int
    ) -> Path:
        """Writes a recording over the scenario's last one; returns its folder.

        Raises:
            FileUnreadable: it cannot be written.
        """
        folder = into / _folder_name(result)
        agent, service = stage.agent, stage.service
        text = read_agent_text(agent.path)
        redactor = Redactor(agent_secrets(agent) | find_secrets(text, service))
        recording_options = RecordingOptions(into)
        header = describe_call(
            agent, text, stage.config, service.name, seed, recording_options
        )
        try:
            refuse_links(folder)
            shutil.rmtree(folder, ignore_errors=True)
            make_private_folders(folder)
        except OSError as error:
            raise FileUnreadable.from_os_error(folder, "written", error) from error
        with Recorder(
            folder, header, text, redactor=redactor, threaded=False
        ) as recorder:
            for at, what in self._happened:
                recorder.observe(at, what)
        return folder


def _folder_name(result: ScenarioResult) -> str:
    """Returns a stable folder name for a file, scenario and run.

    A hash is added where the letters are ambiguous (also the folder of the file), so
    that no two scenarios share a folder.
    """
    path, line = result.scenario.place.path, result.scenario.place.line
    stem, wanted = path.name.partition(".")[0], result.scenario.id
    name = (
        _NOT_IN_NAME.sub("-", wanted.lower())
        .strip("-")[:_MAX_NAME_CHARACTERS]
        .rstrip("-")
    )
    if name.replace("-", " ") != wanted.lower() or path.name != path.as_posix():
        what = f"{path.as_posix()}::{wanted}"
        name += "-" + hashlib.sha256(what.encode("utf-8", "replace")).hexdigest()[:6]
    run = f"-{result.run + 1}" if result.run else ""
    return f"{stem}-{line}-{name.strip('-')}{run}"
