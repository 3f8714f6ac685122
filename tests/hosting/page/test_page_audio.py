"""The audio thread's resampler and playback buffer, run in the browser without audio.

`Resampler` and `Playback` are fed here frame by frame: nothing depends on time.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import pytest

from tests.hosting.page.conftest import launch
from tests.hosting.page.host import Host

if TYPE_CHECKING:
    from playwright.sync_api import Page, Playwright

pytestmark = pytest.mark.slow

# Gains in dB of a sine at `frequency`: what is left of it, and everything else.
GAINS = """async ([from, to, frequency]) => {
  const { Resampler } = await import("/worklet.js");
  const resampler = new Resampler(from, to);
  const input = Float32Array.from({ length: from / 2 }, (_, n) =>
    0.5 * Math.sin((2 * Math.PI * frequency * n) / from));
  const output = [];
  // Pieces of an odd size: nothing depends on how the stream is cut.
  for (let k = 0; k < input.length; k += 101) {
    output.push(...resampler.push(input.subarray(k, k + 101)));
  }
  const tail = output.slice(-to / 5 - 500, -500); // whole periods of all frequencies
  const angle = (n) => (2 * Math.PI * frequency * n) / to;
  let [sine, cosine] = [0, 0];
  tail.forEach((y, n) => {
    sine += y * Math.sin(angle(n));
    cosine += y * Math.cos(angle(n));
  });
  sine *= 2 / tail.length;
  cosine *= 2 / tail.length;
  const isKept = frequency < Math.min(from, to) / 2;
  const rest = tail.map((y, n) =>
    isKept ? y - sine * Math.sin(angle(n)) - cosine * Math.cos(angle(n)) : y);
  const power = rest.reduce((sum, y) => sum + y * y, 0) / rest.length;
  const decibels = (amplitude) => 20 * Math.log10(amplitude / 0.5 + 1e-9);
  const kept = decibels(Math.hypot(sine, cosine));
  return [kept, decibels(Math.sqrt(2 * power)), output.length];
}"""

# Runs a script of pushes, flushes and rendered frames against a playback buffer.
PLAY = """async ([rate, steps]) => {
  const { Playback } = await import("/worklet.js");
  const reports = [];
  const playback = new Playback(rate, (report) => reports.push(report));
  const output = [];
  for (const [what, ...given] of steps) {
    if (what === "push") {
      const [reply, ms] = given;
      const samples = Int16Array.from({ length: 24 * ms }, (_, n) =>
        9000 * Math.cos((2 * Math.PI * 300 * n) / 24000));
      playback.push(reply, samples);
    } else if (what === "render") {
      for (let done = 0; done < (given[0] / 1000) * rate; done += 128) {
        const quantum = new Float32Array(128);
        playback.render(quantum);
        output.push(...quantum);
      }
    } else {
      playback[what]();
    }
  }
  return { reports, output, target: playback.targetMs };
}"""


@pytest.fixture(scope="module")
def page(playwright: Playwright) -> Iterator[Page]:
    browser = launch(playwright)
    with Host() as host:
        found = browser.new_page()
        found.goto(host.url + "/support")
        yield found
    browser.close()


def play(page: Page, *steps: tuple[Any, ...], rate: int = 48000) -> Any:
    return page.evaluate(PLAY, [rate, [list(step) for step in steps]])


def audible_ms(output: list[float], rate: int = 48000) -> float:
    last = max((k for k, value in enumerate(output) if abs(value) > 1e-4), default=-1)
    return (last + 1) / rate * 1000


# ------------------------------------------------------------------------ resampling


@pytest.mark.parametrize("rate", [8000, 16000, 32000, 44100, 48000, 96000, 192000])
@pytest.mark.parametrize("direction", ["capture", "playback"])
def test_a_sweep_is_resampled_without_aliases(
    page: Page, rate: int, direction: str
) -> None:
    source, target = (rate, 24000) if direction == "capture" else (24000, rate)
    limit = min(source, target) / 2
    for frequency in range(100, source // 2, max(700, source // 200 * 5)):
        kept, rest, _ = page.evaluate(GAINS, [source, target, frequency])

        if frequency <= 0.8 * limit:
            assert abs(kept) < 0.1
        assert rest < -75  # above the limit: removed instead of folded back


def test_a_stream_keeps_its_length(page: Page) -> None:
    for source, target in ((44100, 24000), (24000, 44100), (24000, 48000)):
        _, _, count = page.evaluate(GAINS, [source, target, 440])

        filter_delay = 40 * target / min(source, target)
        assert target / 2 - filter_delay <= count <= target / 2


# -------------------------------------------------------------------------- playback


def test_playback_starts_when_60_ms_are_buffered(page: Page) -> None:
    waiting = play(page, ("push", "a", 40), ("render", 20))
    started = play(page, ("push", "a", 40), ("push", "a", 20), ("render", 20))

    assert audible_ms(waiting["output"]) == 0
    assert audible_ms(started["output"]) > 15
    assert started["reports"][0]["kind"] == "started"


def test_a_short_reply_is_played_without_waiting_for_more(page: Page) -> None:
    complete = play(page, ("push", "a", 20), ("end",), ("render", 40))
    unfinished = play(page, ("push", "a", 20), ("render", 120))

    assert 20 <= audible_ms(complete["output"]) < 23
    assert 75 <= audible_ms(unfinished["output"]) < 90  # after 60 ms of waiting


def test_played_time_counts_the_samples_that_were_rendered(page: Page) -> None:
    result = play(
        page,
        ("push", "a", 500),
        ("render", 200),
        ("tick",),
        ("render", 400),
        rate=44100,
    )

    started, tick, drained = result["reports"]
    assert started == {"kind": "started", "reply": "a", "played": 0, "buffered": 500}
    assert abs(tick["played"] - 200) <= 3
    assert abs(tick["buffered"] - 300) <= 3
    assert drained == {"kind": "drained", "reply": "a", "played": 500, "buffered": 0}


def test_each_reply_is_counted_for_itself(page: Page) -> None:
    result = play(
        page, ("push", "a", 100), ("push", "b", 70), ("render", 200), ("tick",)
    )

    found = [(r["kind"], r["reply"], r["played"]) for r in result["reports"]]
    assert found == [("started", "a", 0), ("next", "a", 100), ("drained", "b", 70)]


@pytest.mark.parametrize("rate", [16000, 44100, 48000])
def test_a_flush_fades_out_within_5_ms(page: Page, rate: int) -> None:
    result = play(
        page,
        ("push", "a", 2000),
        ("render", 100),
        ("flush",),
        ("render", 100),
        rate=rate,
    )
    output = result["output"]
    quantum = 128 / rate * 1000

    assert audible_ms(output, rate) <= 100 + quantum + 5
    # A fade, not a click: no step is larger than those of the tone itself.
    tone = output[round(0.03 * rate) : round(0.09 * rate)]
    end = output[round(0.09 * rate) :]
    assert largest_step(end) <= 1.3 * largest_step(tone)
    flushed = result["reports"][-1]
    assert (flushed["kind"], flushed["buffered"]) == ("flushed", 0)
    assert 100 <= flushed["played"] <= 100 + quantum + 6


def largest_step(samples: list[float]) -> float:
    return max(abs(b - a) for a, b in zip(samples, samples[1:], strict=False))


def test_audio_that_waits_is_flushed_unheard(page: Page) -> None:
    result = play(page, ("push", "a", 40), ("flush",), ("render", 200))

    assert audible_ms(result["output"]) == 0
    assert result["reports"] == [
        {"kind": "flushed", "reply": "a", "played": 0, "buffered": 0}
    ]


def test_a_reply_after_a_flush_is_played_whole(page: Page) -> None:
    result = play(
        page,
        ("push", "a", 1000),
        ("render", 100),
        ("flush",),
        ("push", "b", 100),
        ("render", 300),
    )

    kinds = [(r["kind"], r["reply"]) for r in result["reports"]]
    assert kinds == [
        ("started", "a"),
        ("flushed", "a"),
        ("started", "b"),
        ("drained", "b"),
    ]
    assert result["reports"][-1]["played"] == 100


def test_the_buffer_grows_with_underruns_and_shrinks_again(page: Page) -> None:
    late = [("push", "a", 300), ("render", 340)]  # 40 ms too late, each time

    assert play(page, *late)["target"] == 60
    assert play(page, *late, *late)["target"] == 90
    assert play(page, *(late * 10))["target"] == 240
    calm = [*late, ("push", "a", 15000), ("render", 15000)]
    assert play(page, *calm)["target"] == 72


def test_a_pause_is_not_an_underrun(page: Page) -> None:
    pause = [("push", "a", 80), ("render", 1000), ("push", "a", 80)]
    done = [("push", "a", 80), ("end",), ("render", 120), ("push", "a", 80)]
    other = [("push", "a", 80), ("render", 120), ("push", "b", 80)]

    for steps in (pause, done, other):
        assert play(page, *steps)["target"] == 60
