"""Both voices as a drawing: peaks of the sound, or the turns where there is none."""

from __future__ import annotations

from runner.cli.recordings.text import clock
from runner.observers.timeline import TimeLine
from runner.recording.voices import Envelope, Voices

_LANE = 84  # pixels a voice
_GAP = 12  # between them, for the tools
_HEIGHT = 2 * _LANE + _GAP
_PARTS_A_SECOND = 25  # of the outline
_PARTS = range(600, 12_001)  # of the whole of it
_TICKS = (1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 900, 1800, 3600)


def write_waveform(line: TimeLine, voices: Voices | None) -> str:
    """Return the drawing; every place in it is a share of the call's length."""
    seconds = max(line.seconds, 1e-3)
    lanes = []
    for index, speaker in enumerate(("caller", "agent")):
        top = index * (_LANE + _GAP)
        if voices is None:
            lanes.append(_blocks(line, speaker, top, seconds))
        else:
            voice = voices.caller if speaker == "caller" else voices.agent
            lanes.append(_outline(voice, speaker, top, seconds))
        lanes += _silent(line, speaker, top, seconds)
    return (
        f'<svg id="wave" width="100%" height="{_HEIGHT + 20}" role="img" '
        'aria-label="Both voices over time: the caller above, the agent below">\n'
        + "\n".join([*_ticks(seconds), *_drops(line, seconds), *lanes])
        + "\n".join(["", *_tools(line, seconds), *_cuts(line, seconds)])
        + f'\n<rect id="played" height="{_HEIGHT}" width="0"/>'
        f'<line id="head" x1="0" x2="0" y1="0" y2="{_HEIGHT}"/>\n</svg>'
    )


def tick_steps(seconds: float) -> tuple[int, int]:
    """Return how many seconds lie between two marks of the time, and two fine ones."""
    coarse, fine = (
        next((each for each in _TICKS if seconds / each <= most), _TICKS[-1])
        for most in (12, 400)
    )
    return coarse, fine


def _outline(voice: Envelope, speaker: str, top: int, seconds: float) -> str:
    parts = round(seconds * _PARTS_A_SECOND)
    parts = min(max(parts, _PARTS.start), _PARTS.stop - 1)
    # The ear hears ratios: the root lets a low voice be seen beside a loud one.
    heights = [
        round(100 * float(peak) ** 0.5) for peak in voice.envelope(parts, seconds)
    ]
    above = "".join(f"L{x} {100 - height}" for x, height in enumerate(heights))
    below = "".join(
        f"L{x} {100 + height}" for x, height in reversed(list(enumerate(heights)))
    )
    return (
        f'<svg y="{top}" width="100%" height="{_LANE}" viewBox="0 0 {parts} 200" '
        f'preserveAspectRatio="none"><path class="{speaker}" '
        f'd="M0 100{above}{below}Z"/></svg>'
    )


def _blocks(line: TimeLine, speaker: str, top: int, seconds: float) -> str:
    return "".join(
        f'<rect class="{speaker}" x="{_share(turn.start, seconds)}" '
        f'y="{top + _LANE // 4}" width="{_share(turn.end - turn.start, seconds)}" '
        f'height="{_LANE // 2}" rx="2"/>'
        for turn in line.turns
        if turn.speaker == speaker and not turn.silent
    )


def _silent(line: TimeLine, speaker: str, top: int, seconds: float) -> list[str]:
    return [
        f'<rect class="{speaker} silent" x="{_share(turn.start, seconds)}" '
        f'y="{top + _LANE // 2 - 4}" height="8" rx="4" '
        f'width="{_share(max(turn.end - turn.start, seconds / 200), seconds)}">'
        "<title>text without audio</title></rect>"
        for turn in line.turns
        if turn.speaker == speaker and turn.silent
    ]


def _ticks(seconds: float) -> list[str]:
    """Return the marks of the time: a dozen, and finer ones for a closer look."""
    coarse, fine = tick_steps(seconds)
    marks = []
    for at in range(0, int(seconds) + 1, fine):
        kind = "tick" if at % coarse == 0 else "tick fine"
        place = _share(at, seconds)
        marks.append(
            f'<line class="{kind}" x1="{place}" x2="{place}" y1="0" y2="{_HEIGHT}"/>'
        )
        if at < seconds * 0.96:
            marks.append(
                f'<text class="{kind}" x="{place}" y="{_HEIGHT + 15}" dx="3">'
                f"{clock(at, 0)}</text>"
            )
    return marks


def _drops(line: TimeLine, seconds: float) -> list[str]:
    return [
        f'<rect class="drop" x="{_share(drop.at, seconds)}" height="{_HEIGHT}" '
        f'width="{_share((drop.until or seconds) - drop.at, seconds)}">'
        "<title>the connection was lost</title></rect>"
        for drop in line.drops
    ]


def _tools(line: TimeLine, seconds: float) -> list[str]:
    return [
        f'<rect class="tool {run.state}" x="{_share(run.at, seconds)}" '
        f'y="{_LANE + _GAP // 2 - 2}" height="4" rx="2" '
        f'width="{_share(max(run.seconds or 0, seconds / 300), seconds)}"/>'
        for run in line.tools
    ]


def _cuts(line: TimeLine, seconds: float) -> list[str]:
    return [
        f'<line class="cut" x1="{_share(each.at, seconds)}" '
        f'x2="{_share(each.at, seconds)}" y1="0" y2="{_HEIGHT}">'
        "<title>the agent was interrupted</title></line>"
        for each in line.interruptions
    ]


def _share(at: float, seconds: float) -> str:
    return f"{100 * min(max(at / seconds, 0.0), 1.0):.3f}%"
