"""The HTML page of a recorded call: complete, self-contained, shown by a browser."""

from __future__ import annotations

import base64
import io
import json
import re
import shutil
import struct
import subprocess
import zlib
from collections import Counter
from html.parser import HTMLParser
from pathlib import Path

import pytest
from hypothesis import given, settings

from runner.audio.files import load_pcm
from runner.cli.recordings.html import (
    AudioSizeLimits,
    embed,
    list_messages,
    write_messages,
    write_page,
)
from runner.cli.recordings.show import report, write_report
from runner.cli.recordings.terminal import make_console, render_call
from runner.observers.timeline import trace
from runner.recording.audio_tracks import read_voices
from runner.recording.format import Entry
from runner.recording.reader import Recording, read_recording
from tests.observers.test_timeline import calls
from tests.recording.samples import HEADER, write_order_call

BROWSER = next(
    filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))),
    None,
)
needs_browser = pytest.mark.skipif(
    BROWSER is None, reason="there is no Chromium on this machine"
)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_order_call(tmp_path_factory.mktemp("calls") / "order")


@pytest.fixture(scope="module")
def page(folder: Path) -> str:
    recording, voices = read_recording(folder), read_voices(folder)
    return write_page(recording, trace(recording.entries, voices), voices)


class Reader(HTMLParser):
    """Collects the elements of a page and its visible text."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.elements: list[tuple[str, dict[str, str | None]]] = []
        self.text = ""
        self._hidden = 0
        self.feed(page)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, dict(attrs)))
        self._hidden += tag in ("script", "style")

    def handle_endtag(self, tag: str) -> None:
        self._hidden -= tag in ("script", "style")

    def handle_data(self, data: str) -> None:
        self.text += "" if self._hidden else data


def test_the_page_is_complete_without_its_script(page: str) -> None:
    text = " ".join(Reader(page).text.split())

    for text_part in (
        "Hi, this is Acme. How can I help?",
        "interrupted by the caller's voice",
        'lookup_order(order_id="1234")',
        '"carrier": "<b>DHL</b>"',
        "cancelled after 1.50 s",
        "the connection was reset; resumed after 2.00 s",
        "4 answers, first audio after 0.85 s (median), 1.04 s (longest)",
        "2.00 s of microphone audio not sent",
        "reply.audio 300 ms",
        "microphone 1000 ms, not sent",
        "Audio: FLAC",
    ):
        assert text_part in text


def test_recorded_text_is_escaped(page: str) -> None:
    reader = Reader(page)

    assert "now?</script><script>alert(1)</script>" in reader.text
    assert [tag for tag, _ in reader.elements].count("script") == 2
    assert "alert(1)</script>" not in page.replace("&lt;/script&gt;", "")
    assert "\x1b" not in page


def test_the_page_needs_no_network(page: str) -> None:
    for _, attributes in Reader(page).elements:
        for name in ("src", "href", "action", "data", "poster", "srcset"):
            value = attributes.get(name)
            assert value is None or value.startswith(("#", "data:audio/"))
        assert not [name for name in attributes if name.startswith("on")]
        assert "style" not in attributes  # its own policy would refuse it
    policy = re.search('Content-Security-Policy" content="([^"]*)"', page)
    assert policy is not None
    assert policy[1].startswith("default-src 'none'; style-src 'sha256-")
    assert "unsafe" not in policy[1]


def test_every_control_has_a_name(page: str) -> None:
    inside = 0
    for part in re.findall(r"</?label|<(?:select|input|button)[^>]*", page):
        if part == "<label":
            inside += 1
        elif part == "</label":
            inside -= 1
        else:
            assert inside or "aria-label" in part


def test_audio_is_lossless_or_lossy_or_left_out_with_a_note(folder: Path) -> None:
    whole = embed(folder)
    assert whole.uri is not None
    assert whole.uri.startswith("data:audio/flac;base64,")
    assert "FLAC, lossless" in whole.note

    lossy = embed(folder, AudioSizeLimits(flac=1))
    assert lossy.uri is not None
    assert lossy.uri.startswith("data:audio/ogg;base64,")
    assert len(lossy.uri) < len(whole.uri)
    assert "Ogg Vorbis" in lossy.note

    for sizes in (AudioSizeLimits(flac=1, ogg=1), AudioSizeLimits(wave=1)):
        assert embed(folder, sizes).uri is None
        assert "too long for a page" in embed(folder, sizes).note


def test_missing_or_broken_audio_is_noted(tmp_path: Path) -> None:
    assert embed(tmp_path).note == "This call was recorded without audio."
    (tmp_path / "both.wav").write_bytes(b"not a WAVE file")
    assert embed(tmp_path).uri is None
    assert "The audio is left out: " in embed(tmp_path).note


def test_the_audio_of_the_page_is_that_of_the_recording(
    folder: Path, page: str, tmp_path: Path
) -> None:
    found = re.search('src="data:audio/flac;base64,([^"]*)"', page)
    assert found is not None
    copy = tmp_path / "copy.flac"
    copy.write_bytes(base64.b64decode(found[1]))

    assert load_pcm(copy) == load_pcm(folder / "both.wav")


def test_audio_messages_are_listed_by_milliseconds(folder: Path) -> None:
    entries = read_recording(folder).entries
    audio = [item for item in list_messages(entries) if item.kind == "audio"]

    assert audio
    assert all(re.search(r"[0-9]+ ms", item.text) for item in audio)
    sent = sum(
        int(item.text.split()[1]) for item in audio if item.text.startswith("input")
    )
    assert sent == sum(each.sent / 48 for _, each in entries if hasattr(each, "sent"))


@settings(max_examples=30, deadline=None)  # machines are slow at times
@given(calls())
def test_any_call_can_be_shown(entries: list[tuple[float, Entry]]) -> None:
    recording = Recording(Path("nowhere"), HEADER, entries, False, 2)
    line = trace(entries)

    page = write_page(recording, line, None)
    console = make_console(io.StringIO(), 40)
    text = render_call(console, recording, line, None)

    assert Counter(tag for tag, _ in Reader(page).elements)["script"] == 2
    told = write_report(report(recording, line))
    assert "\x1b" not in page + text + told
    assert json.loads(told)["seconds"] == round(line.seconds, 3)
    assert page.encode("utf-8", "replace").decode()
    assert all(len(each) <= 40 for each in text.splitlines())
    assert write_messages(entries).count("<li ") == len(list(list_messages(entries)))


def browse(page: Path, target: str, *options: str) -> bytes:
    """Open a page from the disk, with no way to a network, as it is after a second."""
    assert BROWSER is not None
    done = subprocess.run(
        [
            BROWSER,
            "--headless",
            "--no-sandbox",  # it is our own file, and root may have no sandbox
            "--disable-gpu",
            "--hide-scrollbars",
            "--virtual-time-budget=1000",
            "--host-resolver-rules=MAP * ~NOTFOUND",
            "--enable-logging=stderr",
            "--autoplay-policy=no-user-gesture-required",
            "--mute-audio",
            f"--user-data-dir={page.parent / 'profile'}",
            *options,
            page.as_uri() + target,
        ],
        stdin=subprocess.DEVNULL,
        capture_output=True,
        timeout=60,
        check=True,
    )
    assert b"CONSOLE" not in done.stderr, done.stderr.decode()
    return done.stdout


@needs_browser
def test_a_browser_shows_turns_waveform_and_messages(page: str, tmp_path: Path) -> None:
    path = tmp_path / "call.html"
    path.write_text(page, "utf-8")

    shown = browse(path, "#turn-2", "--dump-dom").decode()

    reader = Reader(shown)
    elements = reader.elements
    assert ("html", {"lang": "en", "data-ready": "yes"}) in elements
    turns = [
        each for _, each in elements if "turn" in (each.get("class") or "").split()
    ]
    assert len(turns) == 11
    # The position is the start of the turn in the address.
    assert [each["id"] for each in turns if "aria-current" in each] == ["turn-2"]
    now = [
        each for tag, each in elements if tag == "span" and each.get("class") == "now"
    ]
    assert [each["data-from"] for each in now] == ["6.360"]
    (head,) = (each for _, each in elements if each.get("id") == "head")
    assert head["x1"] == head["x2"] != "0"
    assert sum(tag == "path" and "d" in each for tag, each in elements) >= 2
    (track,) = (each for _, each in elements if each.get("id") == "track")
    assert (track["role"], track["aria-valuenow"]) == ("slider", "6")
    items = sum("data-kind" in each for _, each in elements)
    assert f"{items} of {items}" in reader.text


HAND = """
const audio = document.getElementById("audio");
const press = (key) => document.body.dispatchEvent(
  new KeyboardEvent("keydown", {key, bubbles: true, cancelable: true}));
const tell = (name) => { document.body.dataset[name] = audio.currentTime.toFixed(2); };
const use = () => {
  document.body.dataset.seconds = audio.duration.toFixed(2);
  document.querySelector("#turn-3 .at").click(); tell("turn");
  press("ArrowRight"); tell("on");
  press("k"); tell("back");
  document.querySelectorAll("#turn-3 span")[2].click(); tell("word");
  const track = document.getElementById("wave"), place = track.getBoundingClientRect();
  track.dispatchEvent(new MouseEvent("click", {
    bubbles: true, clientX: place.left + place.width / 2})); tell("middle");
  press(" "); document.body.dataset.plays = String(!audio.paused);
  press(" "); document.body.dataset.holds = String(audio.paused);
  const words = document.getElementById("words");
  words.value = "tool.call"; words.dispatchEvent(new Event("input", {bubbles: true}));
};
if (audio.readyState) use(); else audio.addEventListener("loadedmetadata", use);
"""


@needs_browser
def test_controls_move_through_the_call(page: str, tmp_path: Path) -> None:
    """Clicks and keys seek, space plays, the filter filters; by a script of ours."""
    path = tmp_path / "call.html"
    policy = re.compile("<meta http-equiv.*\n")  # it would refuse that script
    tried = policy.sub("", page).replace("</body>", f"<script>{HAND}</script></body>")
    path.write_text(tried, "utf-8")

    shown = browse(path, "", "--dump-dom").decode()

    elements = Reader(shown).elements
    (body,) = (each for tag, each in elements if tag == "body")
    assert body == {
        "data-seconds": "24.85",
        "data-turn": "8.76",
        "data-on": "10.76",
        "data-back": "9.30",  # the beginning of the turn before
        "data-word": "9.36",
        "data-middle": "12.43",
        "data-plays": "true",
        "data-holds": "true",
    }
    listed = [each for _, each in elements if "data-kind" in each]
    # Three messages and what was run for each: folded text is searched as well.
    assert sum("hidden" not in each for each in listed) == 6


@needs_browser
@pytest.mark.parametrize("size", ["800,520", "360,740"])
def test_a_browser_draws_both_sides(page: str, tmp_path: Path, size: str) -> None:
    path = tmp_path / "call.html"
    path.write_text(page, "utf-8")
    picture = tmp_path / "call.png"

    browse(path, "", f"--window-size={size}", f"--screenshot={picture}")

    rows = decode_png(picture.read_bytes())
    width, height = map(int, size.split(","))
    assert (len(rows), len(rows[0])) == (height, 3 * width)
    colours = Counter(row[i : i + 3] for row in rows for i in range(0, len(row), 3))
    assert len(colours) > 50  # letters have soft edges
    for voice in (b"\x2f\x66\x90", b"\xb0\x56\x2f"):
        assert colours[voice] > 300


def decode_png(data: bytes) -> list[bytes]:
    """Return the rows of a PNG of eight bits a colour, three or four bytes a pixel."""
    assert data[:8] == b"\x89PNG\r\n\x1a\n"
    at, packed, head = 8, b"", b""
    while at < len(data):
        (size,) = struct.unpack_from(">I", data, at)
        kind, body = data[at + 4 : at + 8], data[at + 8 : at + 8 + size]
        head = body if kind == b"IHDR" else head
        packed += body if kind == b"IDAT" else b""
        at += size + 12
    width, height, bits, colour = struct.unpack_from(">IIBB", head)
    assert bits == 8
    depth = {2: 3, 6: 4}[colour]
    flat, stride = zlib.decompress(packed), 1 + width * depth
    rows = [bytes(stride - 1)]
    for start in range(0, height * stride, stride):
        row = flat[start + 1 : start + stride]
        rows.append(_unfilter(flat[start], row, rows[-1], depth))
    if depth == 4:
        rows = [b"".join(row[i : i + 3] for i in range(0, len(row), 4)) for row in rows]
    return rows[1:]


def _unfilter(kind: int, row: bytes, above: bytes, depth: int) -> bytes:
    """Undo the filter of a row (the PNG specification, chapter 9)."""
    out = bytearray(depth) + row
    corners = bytes(depth) + above
    for index, up in enumerate(above if kind else b""):
        left, corner = out[index], corners[index]
        match kind:
            case 1:
                guess = left
            case 2:
                guess = up
            case 3:
                guess = (left + up) // 2
            case _:
                to_left, to_up = abs(up - corner), abs(left - corner)
                to_corner = abs(left + up - 2 * corner)
                guess = corner if to_corner < min(to_left, to_up) else up
                if to_left <= to_up and to_left <= to_corner:
                    guess = left
        out[index + depth] = (out[index + depth] + guess) & 255
    return bytes(out[depth:])
