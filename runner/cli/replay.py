"""`vagent replay`: replays recorded calls with the current engine and compares."""

from __future__ import annotations

import json as json_format
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from runner.cli.output import escape_controls
from runner.errors import UsageError, counted

if TYPE_CHECKING:
    from collections.abc import Iterator

    from runner.recording.format import Entry
    from runner.testing.replay_result import ReplayResult, Step


def replay(
    recordings: Annotated[
        list[Path],
        typer.Argument(
            metavar="DIR...", help="Recorded calls, or folders of recorded calls."
        ),
    ],
    tools: Annotated[
        str,
        typer.Option(
            metavar="recorded|live",
            help="Results of tools. recorded: from the recording. live: the "
            "tools of the agent file run again.",
        ),
    ] = "recorded",
    update: Annotated[
        bool,
        typer.Option(
            "--update",
            help="Update the recordings with the behavior of the current engine.",
        ),
    ] = False,
    json: Annotated[
        bool,
        typer.Option("--json", help="Write one JSON object per recording to stdout."),
    ] = False,
) -> None:
    """Replay recorded calls with the current engine and compare.

    Service, caller and tools act as recorded; time is virtual, and no network is used.
    The comparison covers everything that this side does: the messages it sends and
    when, the tools it runs, the audio it plays after an interruption, and the end.

    Exits with 0 when all recordings are equal (or were updated), 1 when one differs, 2
    for wrong usage, 3 when one cannot be replayed.
    """
    if tools not in ("recorded", "live"):
        raise UsageError(f"invalid --tools '{tools}'", hint="use recorded or live")
    from runner.recording.reader import find_recordings
    from runner.testing.replay_result import replay_and_compare

    results = []
    for folder in find_recordings(recordings):
        result = replay_and_compare(folder, live_tools=tools == "live", update=update)
        results.append(result)
        if json:
            typer.echo(
                escape_controls(json_format.dumps(_object(result), ensure_ascii=False))
            )
        else:
            for line in describe(result):
                typer.echo(escape_controls(line))
    _print_summary(results)
    if any(each.difference is not None for each in results):
        raise typer.Exit(1)
    if any(each.problem is not None for each in results):
        raise typer.Exit(3)


def describe(result: ReplayResult) -> Iterator[str]:
    """Yields the lines of the report about one recording."""
    folder = result.folder.as_posix()
    cut = "" if result.is_complete else ", cut off there"
    length = f"{result.seconds:.1f} s{cut}"
    if result.problem is not None:
        yield f"{folder}: cannot be replayed: {result.problem}"
    elif result.was_updated:
        yield f"{folder}: updated ({length})"
    elif result.difference is None:
        yield f"{folder}: equal ({length})"
    else:
        difference = result.difference
        at = difference.then[0].at if difference.then else difference.now[0].at
        yield f"{folder}: differs at {at:.3f} s ({length})"
        yield from (f"    {_line(each)}" for each in difference.before)
        yield from (f"  - {_line(each)}" for each in difference.then)
        if not difference.then:
            yield "  - (the recording ends)"
        yield from (f"  + {_line(each)}" for each in difference.now)
        if not difference.now:
            yield "  + (the engine does nothing more)"
        if difference.further:
            places = counted(difference.further, "more place")
            yield f"    … and {places} after that"


def _line(step: Step) -> str:
    return f"{step.at:9.3f}  {_describe_entry(step.entry, step.content)}"


def _describe_entry(entry: Entry, content: dict[str, Any]) -> str:
    """Returns one entry of a call as a short line, without audio and long text."""
    from runner.cli.views.wire import describe_received, describe_sent, shorten
    from runner.protocol.client.actions import RunTool, Send
    from runner.protocol.client.events import Received
    from runner.recording.format import AudioSummary

    match entry:
        case Received(message):
            return f"← {describe_received(message)}"
        case Send(message):
            return f"→ {describe_sent(message)}"
        case RunTool(call):
            return f"run {describe_received(call).removeprefix('tool.call ')}"
        case AudioSummary():
            return f"audio: {_describe_audio(content['sound'])}"
        case _:
            name = content.get("on") or content.get("do") or ""
            rest = {k: v for k, v in content.items() if k not in ("on", "do") and v}
            text = json_format.dumps(rest, ensure_ascii=False) if rest else ""
            return f"{str(name).replace('_', ' ')} {shorten(text)}".rstrip()


def _describe_audio(audio: dict[str, Any]) -> str:
    from runner.audio.devices import BYTES_PER_MS  # loads asyncio

    own = [f"{key} {audio[key] / BYTES_PER_MS:.0f} ms" for key in ("mic", "sent")]
    parts = own if audio["mic"] or audio["sent"] else []
    for reply in audio["replies"]:
        received = reply["received"] / BYTES_PER_MS
        played = reply["played"] / BYTES_PER_MS
        of = f" of {reply['id']}" if reply["id"] else ""
        parts.append(f"received {received:.0f} ms{of}, played {played:.0f} ms")
    return "; ".join(parts)


def _object(result: ReplayResult) -> dict[str, Any]:
    content: dict[str, Any] = {
        "type": "vagent.replay",
        "folder": result.folder.as_posix(),
        "equal": result.is_equal,
        "updated": result.was_updated,
        "complete": result.is_complete,
        "seconds": round(result.seconds, 3),
    }
    if result.problem is not None:
        content["problem"] = result.problem
    if result.difference is not None:
        content["difference"] = {
            "step": result.difference.number,
            "further": result.difference.further,
            "recorded": [each.content for each in result.difference.then],
            "replayed": [each.content for each in result.difference.now],
        }
    return content


def _print_summary(results: list[ReplayResult]) -> None:
    counts = {
        "equal": sum(each.is_equal and not each.was_updated for each in results),
        "updated": sum(each.was_updated for each in results),
        "different": sum(each.difference is not None for each in results),
        "not replayed": sum(each.problem is not None for each in results),
    }
    summary = ", ".join(f"{count} {label}" for label, count in counts.items() if count)
    typer.echo(summary, err=True)
