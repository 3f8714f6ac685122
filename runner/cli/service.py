"""`vagent service`: runs the local service, alone or as the child of `vagent run`."""

from __future__ import annotations

import contextlib
import json
import os
import sys
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from runner.cli.options import Metrics
from runner.cli.output import escape_controls
from runner.errors import counted

if TYPE_CHECKING:
    from runner.config.model import LlmConfig
    from runner.protocol.messages import JsonObject
    from runner.service.conversation import Report

_LLM_KEY = "VAGENT_LLM_KEY"
# The former names of variables: ignoring one would start a service without its key.
_RENAMED_VARIABLES = {
    "VAGENT_BRAIN_KEY": _LLM_KEY,
    "VAGENT_SERVE_KEY": "VAGENT_SERVICE_KEY",
}


def service(
    port: Annotated[
        int,
        typer.Option(
            min=0, max=65_535, metavar="PORT", help="Port; 0 for any free port."
        ),
    ] = 8765,
    host: Annotated[
        str, typer.Option(metavar="HOST", help="Address to listen on.")
    ] = "127.0.0.1",
    key: Annotated[
        str | None,
        typer.Option(
            envvar="VAGENT_SERVICE_KEY",
            metavar="KEY",
            help="Key that clients must send. Default: no key.",
        ),
    ] = None,
    origin: Annotated[
        list[str] | None,
        typer.Option(
            metavar="URL",
            help="Allow web pages of this origin to connect, and its host as a name of "
            "the service. Repeatable. Default: pages of this machine.",
        ),
    ] = None,
    max_sessions: Annotated[
        int | None,
        typer.Option(
            min=1,
            metavar="N",
            help="Limit of concurrent sessions. Default: one for every two cores.",
        ),
    ] = None,
    stt: Annotated[
        str | None,
        typer.Option(
            metavar="MODEL",
            help="Speech recognition: whisper-base, or a CTranslate2 folder. "
            "Default: whisper-base.",
        ),
    ] = None,
    llm: Annotated[
        str,
        typer.Option(
            envvar="VAGENT_LLM",
            metavar="MODEL",
            help="Language model: auto, rules, qwen-1.5b, qwen-0.5b, a .gguf file, or "
            f"the URL of an OpenAI-compatible endpoint (its key in {_LLM_KEY}).",
        ),
    ] = "auto",
    llm_model: Annotated[
        str | None,
        typer.Option(metavar="NAME", help="Name of the model at the --llm endpoint."),
    ] = None,
    tts: Annotated[
        str | None,
        typer.Option(
            metavar="VOICE",
            help="Speech synthesis: joe, or a Piper voice's .onnx file. Default: joe.",
        ),
    ] = None,
    agent: Annotated[
        list[str] | None,
        typer.Option(
            metavar="NAME=FILE",
            help="Store an agent, which clients name by its agent_id. Its tools are "
            "declared to the client, which runs them. Repeatable.",
        ),
    ] = None,
    no_models: Annotated[
        bool,
        typer.Option(
            "--no-models",
            help="Load no models: rules as the language model, tones as the voice.",
        ),
    ] = False,
    fault: Annotated[
        list[str] | None,
        typer.Option(
            metavar="SPEC|FILE.yaml",
            help="Inject a fault, to test clients. Repeatable; `help` lists them.",
        ),
    ] = None,
    fault_seed: Annotated[
        int, typer.Option(metavar="N", help="Seed of random faults.")
    ] = 0,
    metrics: Metrics = None,
    log_json: Annotated[
        bool,
        typer.Option("--log-json", help="Log to stdout, one JSON object per line."),
    ] = False,
    exit_with_parent: Annotated[
        bool, typer.Option("--exit-with-parent", help="Exit when stdin is closed.")
    ] = False,
) -> None:
    """Run the local service.

    It runs speech recognition, a language model and speech synthesis on this machine,
    needs no key, and speaks the protocol of the voice-agent service. `vagent run`
    starts one for each call; run it yourself for other clients, or to see its log.
    """

    from runner.config.model import LocalConfig
    from runner.event_loop import run_async
    from runner.hosts import is_this_machine
    from runner.service.app import LocalService, serve_until_stopped
    from runner.service.faults.parser import load_faults
    from runner.speech.loader import load_speech

    _check_variables()
    if fault and "help" in fault:
        from runner.service.faults.parser import describe_faults

        typer.echo(describe_faults())
        return
    faults = load_faults(fault or ())
    log = _report_json if log_json else _report_text
    if not is_this_machine(host):
        text = f"listening on {host}, which other machines can reach"
        log("vagent.warning", {"message": text})
    local = LocalConfig(stt, _llm_config(llm, llm_model), tts)
    speech = load_speech(local, fallbacks_only=no_models)
    try:
        with _with_metrics(log, metrics) as report:
            server = LocalService(
                speech,
                host=host,
                port=port,
                key=key,
                max_sessions=max_sessions,
                origins=origin or (),
                report=report,
                faults=faults,
                fault_seed=fault_seed,
                agents=_load_agents(agent or ()),
            )
            serving = serve_until_stopped(
                server, report, exit_with_parent=exit_with_parent
            )
            run_async(serving)
    finally:
        speech.close()


@contextlib.contextmanager
def _with_metrics(report: Report, port: int | None) -> Iterator[Report]:
    """Yields `report`; with a port, serves metrics and counts the reported events."""
    from runner.observers.options import read_port

    if read_port(port) is None or port is None:
        yield report
        return
    from runner.observers.metrics import (
        ServerMetrics,
        new_registry,
        render,
        serve_metrics,
    )

    registry = new_registry()
    metrics = ServerMetrics(registry)

    def report_and_count(kind: str, facts: Mapping[str, Any]) -> None:
        metrics.report(kind, facts)
        report(kind, facts)

    with serve_metrics(port, lambda accept: render(registry, accept)) as url:
        report("vagent.metrics", {"url": url})
        yield report_and_count


def _load_agents(pairs: Sequence[str]) -> Mapping[str, JsonObject]:
    """Returns the `session` objects of agent files by their names.

    Raises `UsageError`, and what loading an agent raises.
    """
    from runner.config.files import load_environment, resolve_agent
    from runner.config.model import session_fields
    from runner.engine.agent import load_agent_and_tools
    from runner.errors import UsageError

    found: dict[str, JsonObject] = {}
    for pair in pairs:
        name, equals, file = pair.partition("=")
        if not (name and equals and file):
            raise UsageError(
                f"invalid --agent '{pair}'", hint="write --agent NAME=FILE.yaml"
            )
        path = resolve_agent(Path(file))
        environment = load_environment(path.parent, os.environ)
        loaded, registry = load_agent_and_tools(path, {}, environment)
        found[name] = session_fields(loaded, registry.wire_definitions())
    return found


def _check_variables() -> None:
    """Raises UsageError if an environment variable has its former name."""
    from runner.errors import UsageError

    for old, new in _RENAMED_VARIABLES.items():
        if old in os.environ and new not in os.environ:
            raise UsageError(f"{old} is now {new}", hint=f"set {new} instead")


def _llm_config(llm: str, model: str | None) -> LlmConfig:
    from runner.config.model import LlmConfig
    from runner.errors import UsageError

    is_url = llm.startswith(("http://", "https://"))
    if model is not None and not is_url:
        raise UsageError(
            f"--llm-model '{model}' needs an endpoint",
            hint="pass the URL of the endpoint with --llm",
        )
    if not is_url:
        return LlmConfig(name=str(Path(llm)) if llm.endswith(".gguf") else llm)
    return LlmConfig(url=llm, model=model, key=os.environ.get(_LLM_KEY))


def _report_json(kind: str, facts: Mapping[str, Any]) -> None:
    typer.echo(escape_controls(json.dumps({"type": kind, **facts}, ensure_ascii=False)))
    sys.stdout.flush()


def _report_text(kind: str, facts: Mapping[str, Any]) -> None:
    typer.echo(escape_controls(_describe_event(kind, facts)), err=True)


def _describe_event(kind: str, facts: Mapping[str, Any]) -> str:
    """Returns an event as a line of the text log."""
    match kind:
        case "vagent.listening":
            return f"listening on {facts['url']} (Ctrl-C stops)"
        case "vagent.metrics":
            return f"metrics: {facts['url']}"
        case "vagent.missing":
            return (
                f"no {facts['part'].upper()}: {facts['reason']}; "
                f"fallback: {facts['instead']}\n  hint: {facts['command']}"
            )
        case "vagent.session.opened":
            return f"{facts['session_id']} opened"
        case "vagent.session.closed":
            spent = f"{facts['seconds']:.0f} s, {counted(facts['turns'], 'turn')}"
            return f"{facts['session_id']} closed after {spent}"
        case "vagent.fault":
            return f"fault at {facts['at']:.2f} s: {facts['did']} ({facts['fault']})"
        case "vagent.turn":
            waited = f"{facts['first_audio_ms'] / 1000:.2f} s"
            return f"{facts['session_id']} first audio after {waited}"
        case _:
            return str(facts.get("message", kind))
