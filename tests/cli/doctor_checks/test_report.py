"""The complete output, compared with `golden/`."""

from __future__ import annotations

from pathlib import Path

import pytest

from runner.cli.doctor_checks.model import CheckResult, State, failed, passed, skipped
from runner.cli.doctor_checks.report import ReportStyle, render, summarize

GOLDEN = Path(__file__).parent / "golden"
RESULTS = [
    passed("python", "3.11.7 (CPython), /home/jane/venv/bin/python"),
    failed(
        "packages",
        "numpy is not installed; websockets 14.2 is too old: 15.0 or later",
        "python -m pip install --force-reinstall 'numpy>=1.26' 'websockets>=15.0'",
    ),
    skipped(
        "extra-otel",
        "not installed: traces of calls",
        "python -m pip install 'vagent[otel]'",
    ),
    failed(
        "portaudio",
        "sound needs the PortAudio library, which is not installed",
        "sudo apt install libportaudio2",
    ),
    passed("speaker", "'Lautsprecher (groß)' opens (ALSA, 48,000 Hz, 2 channels)"),
    passed(
        "loop",
        "heard at -31 dBFS, the room at -58 dBFS; round trip 143 ms; 2 blocks",
    ),
    passed("model-whisper-base", "speech to text, English, 148 MB, by its hash"),
    passed(
        "disk",
        "75.7 GB free in /home/jane/a-folder-whose-name-is-longer-than-the-terminal/is",
    ),
    skipped("online", "whether the service takes the key: not asked"),
    failed("service", "", None),
]


def page(style: ReportStyle) -> str:
    return "\n".join(render(each, style) for each in RESULTS) + "\n"


@pytest.mark.parametrize(
    ("name", "style"),
    [
        ("80", ReportStyle(80)),
        ("40", ReportStyle(40)),
        ("200", ReportStyle(200)),
        ("ascii", ReportStyle(80, has_marks=False)),
        ("ascii-40", ReportStyle(40, has_marks=False)),
    ],
)
def test_the_page_equals_its_golden_text(name: str, style: ReportStyle) -> None:
    assert page(style) == (GOLDEN / f"{name}.txt").read_text("utf-8")


@pytest.mark.parametrize("columns", [40, 80])
def test_only_commands_and_paths_are_wider_than_the_terminal(
    columns: int,
) -> None:
    for line in page(ReportStyle(columns)).splitlines():
        is_copied = "→" in line or len(line.split()) == 1
        assert is_copied or len(line) <= columns


def test_only_the_mark_is_colored() -> None:
    (line,) = render(
        passed("clock", "right ✓"), ReportStyle(has_color=True)
    ).splitlines()

    assert line == "\x1b[32m✓\x1b[0m clock              right ✓"


def test_control_characters_are_escaped() -> None:
    evil = failed("speaker", "'\x1b[2J' is busy", "say \x1b]0;x\x07")

    assert "\x1b" not in render(evil, ReportStyle())


def test_the_summary_counts_failures() -> None:
    assert summarize(RESULTS) == "3 of 10 checks failed"
    assert summarize([RESULTS[0]]) == "0 of 1 checks failed"


def test_a_result_has_stable_fields() -> None:
    assert CheckResult("key", State.SKIPPED, "not set", None).as_object() == {
        "type": "vagent.check",
        "name": "key",
        "state": "skipped",
        "detail": "not set",
        "fix": None,
    }
