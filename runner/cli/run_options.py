"""The options of `vagent run` that are about the desk, the view and the telemetry."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, TypeAlias

import typer

_DESK = "Microphone and speaker"
_SCREEN = "The terminal"
_INSIDE = "Seeing inside"

InputDevice: TypeAlias = Annotated[
    str | None,
    typer.Option(
        metavar="DEVICE",
        help="The microphone: its number in `vagent devices`, its name or a unique "
        "part of it. Default: the one that was remembered, else the system's.",
        rich_help_panel=_DESK,
    ),
]
OutputDevice: TypeAlias = Annotated[
    str | None,
    typer.Option(
        metavar="DEVICE",
        help="The speaker, likewise.",
        rich_help_panel=_DESK,
    ),
]
RememberDevices: TypeAlias = Annotated[
    bool,
    typer.Option(
        "--remember-devices",
        help="Use the devices that are named here in later runs, too.",
        rich_help_panel=_DESK,
    ),
]
ForgetDevices: TypeAlias = Annotated[
    bool,
    typer.Option(
        "--forget-devices",
        help="Use the system's devices again, now and later.",
        rich_help_panel=_DESK,
    ),
]
Echo: TypeAlias = Annotated[
    str,
    typer.Option(
        metavar="auto|on|off|half-duplex",
        help="The agent's voice in the microphone: cancelled, left in, or nobody "
        "listens while the agent speaks. auto cancels where the output is a speaker "
        "and the desk extra is installed, else is half duplex.",
        rich_help_panel=_DESK,
    ),
]
Headphones: TypeAlias = Annotated[
    bool,
    typer.Option(
        "--headphones",
        help="You wear headphones: nothing is done about echo.",
        rich_help_panel=_DESK,
    ),
]
NoiseSuppression: TypeAlias = Annotated[
    bool,
    typer.Option(
        "--noise-suppression",
        help="Take noise out of the microphone here; the service does its own.",
        rich_help_panel=_DESK,
    ),
]
View: TypeAlias = Annotated[
    str | None,
    typer.Option(
        metavar="chat|wire|plain",
        help="How the call is shown: as a chat with a line of state, message by "
        "message, or in whole sentences for screen readers. Default: chat at a "
        "terminal that can, else wire.",
        rich_help_panel=_SCREEN,
    ),
]
PushToTalk: TypeAlias = Annotated[
    bool,
    typer.Option(
        "--push-to-talk",
        help="The far end hears you only while you want it to: from one press of the "
        "space bar (or /talk) to the next.",
        rich_help_panel=_DESK,
    ),
]
Metrics: TypeAlias = Annotated[
    int | None,
    typer.Option(
        metavar="PORT",
        help="Tell Prometheus what happens at http://127.0.0.1:PORT/metrics; 0 takes a "
        "free port.",
        rich_help_panel=_INSIDE,
    ),
]
Otel: TypeAlias = Annotated[
    bool,
    typer.Option(
        "--otel",
        help="Send a trace of the call to an OpenTelemetry collector: the otel extra, "
        "set up by the variables OTEL_….",
        rich_help_panel=_INSIDE,
    ),
]
LogFile: TypeAlias = Annotated[
    Path | None,
    typer.Option(
        metavar="FILE",
        help="Append a log of the call to this file. Secrets are masked; words only "
        "with -v.",
        rich_help_panel=_INSIDE,
    ),
]
LogFormat: TypeAlias = Annotated[
    str | None,
    typer.Option(
        metavar="text|json",
        help="The log as text or as a JSON object a line; without --log-file on "
        "stderr. Default: text.",
        rich_help_panel=_INSIDE,
    ),
]
