"""The output of `vagent devices`."""

from __future__ import annotations

import json

import pytest

from runner.audio.portaudio.library import ListedDevice
from runner.audio.portaudio.probe import ProbeResult
from runner.cli.devices import missing_directions, show

MIC = ListedDevice(0, "Mic\x1b[31m", "ALSA", 2, 0, 44_100, ("input",))
OUT = ListedDevice(3, "Lautsprecher [x]", "ALSA", 0, 8, 192_000, ("output",))
BOTH = ListedDevice(5, "Headset", "ALSA", 1, 2, 16_000)
FOUND = [MIC, OUT, BOTH]
TRIALS = {
    0: [ProbeResult(0, "input", None)],
    3: [ProbeResult(3, "output", "it is busy")],
    5: [ProbeResult(5, "input", None), ProbeResult(5, "output", "it stopped at once")],
}


def test_the_plain_table_is_complete_and_has_no_control_characters(
    capsys: pytest.CaptureFixture[str],
) -> None:
    show(FOUND, TRIALS, as_json=False)
    out = capsys.readouterr().out
    lines = out.splitlines()
    assert "\x1b" not in out
    assert len(lines) == 4
    assert lines[1].split() == [
        "0",
        "Mic",
        "[31m",
        "ALSA",
        "2",
        "-",
        "44100",
        *(["in", "yes"]),
    ]
    assert lines[2].endswith("no: it is busy")
    assert lines[3].endswith("in: yes; out: it stopped at once")


def test_json_has_one_line_per_device(capsys: pytest.CaptureFixture[str]) -> None:
    show(FOUND, TRIALS, as_json=True)
    lines = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert [each["type"] for each in lines] == ["vagent.device"] * 3
    assert lines[2]["works"] == {"input": True, "output": False}
    assert lines[1]["reason"] == {"output": "it is busy"}


def test_an_untested_device_has_no_result(
    capsys: pytest.CaptureFixture[str],
) -> None:
    show(FOUND, {}, as_json=True)
    (first, *_) = capsys.readouterr().out.splitlines()
    assert json.loads(first)["works"] is None


@pytest.mark.parametrize(
    ("found", "trials", "lacking"),
    [
        (FOUND, TRIALS, ["output"]),
        (FOUND, {}, []),
        ([MIC], {}, ["output"]),
        ([], {}, ["input", "output"]),
    ],
)
def test_a_direction_without_a_working_device_is_missing(
    found: list[ListedDevice], trials: dict[int, list[ProbeResult]], lacking: list[str]
) -> None:
    assert missing_directions(found, trials) == lacking
