"""A spoken call from a real browser to an agent with real speech behind it."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import wave
from collections.abc import Iterator
from pathlib import Path

import pytest

from runner.audio.resampler import resample_pcm
from runner.config.model import LocalConfig
from runner.recording.reader import read_recording

ROOT = Path(__file__).parents[3]
CHROMIUM = next(
    filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))),
    None,
)
pytestmark = [
    pytest.mark.speech,
    pytest.mark.skipif(CHROMIUM is None, reason="no Chromium"),
]


@pytest.fixture
def question(tmp_path: Path) -> Path:
    """A file of a caller who listens to the greeting, then asks for the weather."""
    from runner.speech.loader import load_synthesizer

    voice = load_synthesizer(LocalConfig())
    pcm = b"".join(voice.synthesize("What's the weather in London?", lambda: False))
    second = bytes(2 * 48_000)
    sound = 6 * second + resample_pcm(pcm, 24_000, 48_000) + 30 * second
    path = tmp_path / "question.wav"
    with wave.open(str(path), "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(48_000)
        file.writeframes(sound)
    return path


@pytest.fixture
def page_url(tmp_path: Path) -> Iterator[str]:
    """The page of the shipped agent, hosted with the local service."""
    command = [sys.executable, "-P", "-m", "runner", "serve", "agents/support.yaml"]
    options = ["--port", "0", "--service", "local", "--record", str(tmp_path / "calls")]
    process = subprocess.Popen(
        [*command, *options, "--show-tools"],
        stdout=subprocess.PIPE,
        text=True,
        cwd=ROOT,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
    )
    try:
        assert process.stdout is not None
        yield process.stdout.readline().strip()
    finally:
        with process:
            process.terminate()
            try:
                code = process.wait(10)
            except subprocess.TimeoutExpired:  # a failed test left its call
                process.terminate()
                code = process.wait(20)
        assert code == 0


def test_a_caller_asks_for_the_weather_in_a_browser(
    page_url: str, question: Path, tmp_path: Path
) -> None:
    from playwright.sync_api import expect, sync_playwright

    flags = [
        *("--no-sandbox", "--disable-quic", "--disable-background-networking"),
        *("--no-first-run", "--use-fake-device-for-media-stream"),
        "--use-fake-ui-for-media-stream",
        f"--use-file-for-fake-audio-capture={question}%noloop",
        "--autoplay-policy=no-user-gesture-required",
    ]
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=flags)
        page = browser.new_page()
        problems: list[str] = []
        page.on("pageerror", lambda error: problems.append(str(error)))
        page.goto(page_url)
        page.get_by_role("button", name="Call").click()
        log = page.get_by_role("log")
        expect(log).to_contain_text(re.compile("weather in London"), timeout=40_000)
        expect(log).to_contain_text("get_weather", timeout=40_000)
        expect(log).to_contain_text(
            re.compile("degrees|celsius", re.IGNORECASE), timeout=60_000
        )
        page.get_by_role("button", name="Hang up").click()
        expect(page.get_by_role("button", name="Call")).to_be_visible()
        browser.close()

    assert problems == []
    (folder,) = (each for each in (tmp_path / "calls").iterdir() if each.is_dir())
    recording = read_recording(folder)
    assert recording.header.agent.name == "support"
    assert recording.header.is_redacted
