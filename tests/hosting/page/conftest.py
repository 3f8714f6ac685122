"""Fixtures of the page's tests: a scripted host, and a real browser.

Chromium is the system's; its microphone is a file. Each page is watched: an error of a
script or a violation of the content security policy fails the test.
"""

from __future__ import annotations

import math
import shutil
import wave
from array import array
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

import pytest

from tests.hosting.page.host import Host

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Page, Playwright

CHROMIUM = next(
    filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))),
    None,
)
FLAGS = [
    "--no-sandbox",
    "--disable-quic",
    "--disable-background-networking",
    "--no-first-run",
]
FAKE_DEVICE = "--use-fake-device-for-media-stream"
ALLOW = "--use-fake-ui-for-media-stream"
AUTOPLAY = "--autoplay-policy=no-user-gesture-required"
# Violations and streams of the microphone are kept for the tests.
WATCH = """
window.violations = [];
addEventListener("securitypolicyviolation", (event) =>
  window.violations.push(`${event.violatedDirective}: ${event.blockedURI}`));
window.streams = [];
const devices = navigator.mediaDevices;
const getUserMedia = devices?.getUserMedia.bind(devices);
if (devices) devices.getUserMedia = async (constraints) => {
  if (window.refused) throw new DOMException("", window.refused);
  const stream = await getUserMedia(constraints);
  window.streams.push(stream);
  return stream;
};
"""


@pytest.fixture
def host() -> Iterator[Host]:
    with Host() as running:
        yield running


@pytest.fixture(scope="module")
def playwright() -> Iterator[Playwright]:
    from playwright.sync_api import sync_playwright

    if CHROMIUM is None:
        pytest.skip("chromium is not installed")
    with sync_playwright() as running:
        yield running


def launch(playwright: Playwright, *flags: str) -> Browser:
    return playwright.chromium.launch(executable_path=CHROMIUM, args=[*FLAGS, *flags])


@pytest.fixture(scope="module")
def browser(
    playwright: Playwright, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Browser]:
    """A browser with a microphone that is allowed and hears a tone of 440 Hz."""
    path = tmp_path_factory.mktemp("microphone") / "tone.wav"
    with wave.open(str(path), "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(48000)
        one_second = (
            round(9000 * math.sin(2 * math.pi * 440 * k / 48000)) for k in range(48000)
        )
        file.writeframes(array("h", one_second).tobytes())
    microphone = f"--use-file-for-fake-audio-capture={path}"
    found = launch(playwright, FAKE_DEVICE, ALLOW, AUTOPLAY, microphone)
    yield found
    found.close()


@contextmanager
def watched(browser: Browser) -> Iterator[Page]:
    """Opens a page in a fresh profile; its errors and violations fail the test."""
    errors: list[str] = []
    context = browser.new_context(viewport={"width": 800, "height": 720})
    context.add_init_script(WATCH)
    page = context.new_page()
    page.on("pageerror", lambda error: errors.append(str(error)))
    yield page
    if not page.is_closed():
        assert page.evaluate("window.violations ?? []") == []
    assert errors == []
    context.close()


@pytest.fixture
def page(browser: Browser) -> Iterator[Page]:
    with watched(browser) as found:
        yield found
