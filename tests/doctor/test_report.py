"""The whole output, as it stands in `golden/`."""

from __future__ import annotations

from pathlib import Path

import pytest

from runner.doctor.findings import Finding, State, failed, passed, skipped
from runner.doctor.report import Manners, render, summarise

GOLDEN = Path(__file__).parent / "golden"
FINDINGS = [
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
        "loop", "heard at -31 dBFS, the room at -58 dBFS; round trip 143 ms; 2 blocks"
    ),
    passed("model-whisper-base", "speech to text, English, 148 MB, by its hash"),
    passed(
        "disk",
        "75.7 GB free in /home/jane/a-folder-whose-name-is-longer-than-the-terminal/is",
    ),
    skipped("online", "whether the service takes the key: not asked"),
    failed("service", "", None),
]


def page(manners: Manners) -> str:
    return "\n".join(render(each, manners) for each in FINDINGS) + "\n"


@pytest.mark.parametrize(
    ("name", "manners"),
    [
        ("80", Manners(80)),
        ("40", Manners(40)),
        ("200", Manners(200)),
        ("ascii", Manners(80, has_marks=False)),
        ("ascii-40", Manners(40, has_marks=False)),
    ],
)
def test_the_page_is_as_it_is_kept(name: str, manners: Manners) -> None:
    assert page(manners) == (GOLDEN / f"{name}.txt").read_text("utf-8")


@pytest.mark.parametrize("columns", [40, 80])
def test_no_line_but_a_command_or_a_path_is_wider_than_the_terminal(
    columns: int,
) -> None:
    for line in page(Manners(columns)).splitlines():
        is_copied = "→" in line or len(line.split()) == 1
        assert is_copied or len(line) <= columns


def test_colours_are_around_the_mark_only() -> None:
    (line,) = render(passed("clock", "right ✓"), Manners(has_colour=True)).splitlines()

    assert line == "\x1b[32m✓\x1b[0m clock              right ✓"


def test_nothing_in_a_line_steers_the_terminal() -> None:
    evil = failed("speaker", "'\x1b[2J' is busy", "say \x1b]0;x\x07")

    assert "\x1b" not in render(evil, Manners())


def test_the_last_word_counts_what_is_wrong() -> None:
    assert summarise(FINDINGS) == "3 of 10 to mend"
    assert summarise([FINDINGS[0]]) == "nothing to mend (1 lines)"


def test_a_finding_has_stable_fields() -> None:
    assert Finding("key", State.SKIPPED, "not set", None).as_object() == {
        "type": "vagent.check",
        "name": "key",
        "state": "skipped",
        "detail": "not set",
        "fix": None,
    }
