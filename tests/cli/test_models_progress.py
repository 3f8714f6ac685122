from __future__ import annotations

import io
from collections.abc import Sequence

import pytest

from runner.cli.models import PlainProgress, ProgressBars, megabytes, show_progress


def said(capsys: pytest.CaptureFixture[str]) -> Sequence[str]:
    captured = capsys.readouterr()
    assert captured.out == ""
    return captured.err.splitlines()


def test_plain_progress_has_a_line_per_quarter(
    capsys: pytest.CaptureFixture[str],
) -> None:
    lines = PlainProgress()

    lines.begin("joe/voice.onnx", 100_000_000, 0)
    for done in range(0, 100_000_001, 1_000_000):
        lines.advance(done)
    lines.end()

    assert said(capsys) == [
        "joe/voice.onnx: 100 MB",
        "joe/voice.onnx: 25%",
        "joe/voice.onnx: 50%",
        "joe/voice.onnx: 75%",
        "joe/voice.onnx: 100%",
    ]


def test_a_resumed_download_shows_its_start(
    capsys: pytest.CaptureFixture[str],
) -> None:
    lines = PlainProgress()

    lines.begin("joe/voice.onnx", 100_000_000, 60_000_000)
    lines.advance(100_000_000)

    assert said(capsys) == [
        "joe/voice.onnx: 100 MB, 60.0 MB of it downloaded already",
        "joe/voice.onnx: 100%",
    ]


def test_a_pipe_gets_lines_without_control_characters(
    capsys: pytest.CaptureFixture[str],
) -> None:
    with show_progress() as progress:
        progress.begin("joe/voice.onnx", 1000, 0)
        progress.advance(1000)
        progress.end()
        progress.say("hub.example [does] not answer")

    assert said(capsys)[-1] == "hub.example [does] not answer"


def test_a_terminal_gets_a_bar_with_sizes() -> None:
    from rich.console import Console
    from rich.progress import DownloadColumn, Progress, TextColumn

    screen = io.StringIO()
    console = Console(file=screen, force_terminal=True, width=80)
    columns = TextColumn("{task.description}", markup=False), DownloadColumn()

    with Progress(*columns, console=console) as progress:
        bars = ProgressBars(progress)
        bars.begin("joe/voice.onnx", 63_000_000, 0)
        bars.say("hub.example [does] not answer")
        bars.advance(63_000_000)
        bars.end()

    assert "63.0/63.0 MB" in screen.getvalue()
    assert "hub.example [does] not answer" in screen.getvalue()


@pytest.mark.parametrize(
    ("size", "text"),
    [
        (2_309, "2.3 kB"),
        (63_206_088, "63.2 MB"),
        (1_117_320_768, "1,117 MB"),
    ],
)
def test_sizes_are_decimal(size: int, text: str) -> None:
    assert megabytes(size) == text
