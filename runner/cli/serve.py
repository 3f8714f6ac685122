"""`vagent serve`: the embedded server, for oneself or as the child of `vagent run`."""

from __future__ import annotations

import contextlib
import json
import os
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from runner.cli.run_options import Metrics

if TYPE_CHECKING:
    from runner.config.model import BrainConfig
    from runner.server.journal import Report

_BRAIN_KEY = "VAGENT_BRAIN_KEY"


def serve(
    port: Annotated[
        int, typer.Option(min=0, max=65_535, help="0 takes a free one.")
    ] = 8765,
    host: Annotated[str, typer.Option(help="Where to listen.")] = "127.0.0.1",
    key: Annotated[
        str | None,
        typer.Option(
            envvar="VAGENT_SERVE_KEY", help="Refuse clients with any other key."
        ),
    ] = None,
    max_sessions: Annotated[
        int | None,
        typer.Option(min=1, help="Calls at once; by default one for each two cores."),
    ] = None,
    brain: Annotated[
        str,
        typer.Option(
            help="auto, rules, qwen-1.5b, qwen-0.5b, a .gguf file, or the URL of an "
            f"OpenAI-compatible endpoint (its key in {_BRAIN_KEY})."
        ),
    ] = "auto",
    brain_model: Annotated[
        str | None, typer.Option(help="The model to ask for at the endpoint.")
    ] = None,
    voice: Annotated[
        str | None, typer.Option(help="joe, or a Piper voice's .onnx file.")
    ] = None,
    recognizer: Annotated[
        str | None, typer.Option(help="whisper-base, or a CTranslate2 folder.")
    ] = None,
    stand_ins: Annotated[
        bool, typer.Option("--stand-ins", help="Load no models: rules and tones.")
    ] = False,
    fault: Annotated[
        list[str] | None,
        typer.Option(
            metavar="SPEC|FILE.yaml",
            help="Misbehave on purpose, for clients to be tested; repeatable; "
            "`help` lists what can go wrong.",
        ),
    ] = None,
    fault_seed: Annotated[
        int, typer.Option(help="The same seed gives the same faults.")
    ] = 0,
    metrics: Metrics = None,
    log_json: Annotated[
        bool, typer.Option("--log-json", help="One JSON object a line on stdout.")
    ] = False,
    exit_with_parent: Annotated[
        bool, typer.Option("--exit-with-parent", help="Stop when stdin closes.")
    ] = False,
) -> None:
    """Serve voice agents on this machine: the same wire, no key, nothing leaves it."""
    import asyncio

    from runner.config.model import LocalConfig
    from runner.faults.sources import load_faults
    from runner.loopback import is_this_machine
    from runner.server.door import EmbeddedServer
    from runner.server.lifetime import serve_until_stopped
    from runner.speech.loader import load_speech

    if fault and "help" in fault:
        from runner.faults.grammar import describe_faults

        typer.echo(describe_faults())
        return
    faults = load_faults(fault or ())
    say = _say_json if log_json else _say_text
    if not is_this_machine(host):
        text = f"listening on {host}: anyone who can reach this machine can call"
        say("vagent.warning", {"message": text})
    local = LocalConfig(recognizer, _brain_config(brain, brain_model), voice)
    speech = load_speech(local, stand_ins=stand_ins)
    try:
        with _counted(say, metrics) as report:
            server = EmbeddedServer(
                speech,
                host=host,
                port=port,
                key=key,
                max_sessions=max_sessions,
                report=report,
                faults=faults,
                fault_seed=fault_seed,
            )
            serving = serve_until_stopped(
                server, report, exit_with_parent=exit_with_parent
            )
            asyncio.run(serving)
    finally:
        speech.close()


@contextlib.contextmanager
def _counted(say: Report, port: int | None) -> Iterator[Report]:
    """Yield how to say something that metrics are made of, if a port is asked for."""
    from runner.telemetry.wishes import read_port

    if read_port(port) is None or port is None:
        yield say
        return
    from runner.telemetry.metrics import ServerMetrics, new_registry, render
    from runner.telemetry.scraping import serve_metrics

    registry = new_registry()
    metrics = ServerMetrics(registry)

    def say_and_count(kind: str, facts: Mapping[str, Any]) -> None:
        metrics.report(kind, facts)
        say(kind, facts)

    with serve_metrics(port, lambda accept: render(registry, accept)) as url:
        say("vagent.metrics", {"url": url})
        yield say_and_count


def _brain_config(brain: str, model: str | None) -> BrainConfig:
    from runner.config.model import BrainConfig
    from runner.errors import UsageError

    is_url = brain.startswith(("http://", "https://"))
    if model is not None and not is_url:
        raise UsageError(
            f"--brain-model '{model}' needs an endpoint",
            hint="give --brain the endpoint's URL",
        )
    if not is_url:
        return BrainConfig(name=str(Path(brain)) if brain.endswith(".gguf") else brain)
    return BrainConfig(url=brain, model=model, key=os.environ.get(_BRAIN_KEY))


def _say_json(kind: str, facts: Mapping[str, Any]) -> None:
    typer.echo(json.dumps({"type": kind, **facts}, ensure_ascii=False))
    sys.stdout.flush()


def _say_text(kind: str, facts: Mapping[str, Any]) -> None:
    typer.echo(_line(kind, facts), err=True)


def _line(kind: str, facts: Mapping[str, Any]) -> str:
    """Return an event as a person reads it."""
    match kind:
        case "vagent.listening":
            return f"listening on {facts['url']} (Ctrl-C stops)"
        case "vagent.metrics":
            return f"metrics: {facts['url']}"
        case "vagent.missing":
            return (
                f"no {facts['part']}: {facts['reason']}; {facts['instead']} instead\n"
                f"  {facts['command']}"
            )
        case "vagent.session.opened":
            return f"{facts['session_id']} opened"
        case "vagent.session.closed":
            spent = f"{facts['seconds']:.0f} s, {facts['turns']} turns"
            return f"{facts['session_id']} closed after {spent}"
        case "vagent.fault":
            return f"fault at {facts['at']:.2f} s: {facts['did']} ({facts['fault']})"
        case "vagent.turn":
            waited = f"{facts['first_sound_ms'] / 1000:.2f} s"
            return f"{facts['session_id']} first sound after {waited}"
        case _:
            return str(facts.get("message", kind))
