"""The page holds a call in a real browser; the far end is scripted at the wire."""

from __future__ import annotations

import base64
import re
from array import array
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import pytest
from playwright.sync_api import expect

from tests.hosting.page.conftest import ALLOW, FAKE_DEVICE, launch, watched
from tests.hosting.page.host import PAGE, Connection, Host

if TYPE_CHECKING:
    from playwright.sync_api import Page, Playwright

pytestmark = pytest.mark.slow

# Keeps what the widget reports of its playback.
PLAYED = """
window.played = [];
addEventListener("vagent-playback", ({ detail }) => window.played.push(detail));
"""


def call(page: Page, host: Host, path: str = "/support") -> Connection:
    """Opens the page and calls; returns the connection once the agent is ready."""
    page.goto(host.url + path)
    page.get_by_role("button", name="Call").click()
    connection = host.connection()
    connection.next()
    connection.ready()
    expect(state(page)).to_have_text("Listening")
    return connection


def state(page: Page) -> Any:
    return page.locator("[aria-live=polite]").first


def notice(page: Page) -> Any:
    return page.get_by_role("alert")


def log(page: Page) -> Any:
    return page.get_by_role("log")


def type_text(page: Page, text: str) -> None:
    page.get_by_label("Message").fill(text)
    page.keyboard.press("Enter")


def until(page: Page, is_true: Callable[[], bool]) -> None:
    """Lets the page run until the far end has seen something."""
    for _ in range(400):
        if is_true():
            return
        page.wait_for_timeout(50)
    raise AssertionError("the page did not do it")


# ------------------------------------------------------------------------ the call


def test_a_call_asks_for_the_microphone_then_a_token_then_opens_the_socket(
    page: Page, host: Host
) -> None:
    page.goto(host.url + "/support")
    expect(page.get_by_role("heading", name="Support")).to_be_visible()
    assert host.tokens == []
    assert page.evaluate("window.streams.length") == 0

    page.get_by_role("button", name="Call").click()
    connection = host.connection()

    assert page.evaluate("window.streams.length") == 1
    assert host.tokens == [{"agent": "support"}]
    assert connection.query == {"token": "token_1"}
    assert connection.next() == {
        "type": "session.update",
        "session": {"agent_id": "support"},
    }


def test_the_microphone_is_opened_with_echo_cancellation(
    page: Page, host: Host
) -> None:
    call(page, host)

    settings = page.evaluate("window.streams[0].getAudioTracks()[0].getSettings()")

    assert settings["echoCancellation"] is True
    assert settings["noiseSuppression"] is False
    assert settings["autoGainControl"] is True


def test_the_microphone_is_sent_as_24_khz_pcm_in_frames_of_40_ms(
    page: Page, host: Host
) -> None:
    connection = call(page, host)
    until(page, lambda: len(connection.of_type("input.audio")) >= 40)

    frames = [base64.b64decode(m["audio"]) for m in connection.of_type("input.audio")]
    samples = array("h", b"".join(frames[10:35]))  # one second

    assert {len(frame) for frame in frames} == {1920}
    rising = sum(a < 0 <= b for a, b in zip(samples, samples[1:], strict=False))
    assert 435 <= rising <= 445  # the tone of the file, at its pitch
    level = page.get_by_role("meter", name="Microphone level")
    assert int(level.get_attribute("aria-valuenow") or 0) > 50


def test_transcripts_appear_with_partials(page: Page, host: Host) -> None:
    connection = call(page, host)
    entries = log(page).locator(".entry")

    connection.send("input.speech.started")
    connection.send("transcript.user.delta", item_id="m1", text="Where is")
    expect(entries).to_have_text(["You: Where is"])
    expect(entries.first).to_have_attribute("aria-busy", "true")
    connection.send("transcript.user.delta", item_id="m1", text="Where is my order")
    expect(entries).to_have_text(["You: Where is my order"])
    connection.send("transcript.user", item_id="m1", text="Where is my order?")
    expect(entries).to_have_text(["You: Where is my order?"])
    expect(entries.first).to_have_attribute("aria-busy", "false")
    expect(state(page)).to_have_text("Thinking")

    connection.reply("r1", "It is on its way.", ms=600)
    expect(entries.last).to_have_text("Support: It is on its way.")
    expect(state(page)).to_have_text("Speaking")
    expect(state(page)).to_have_text("Listening")


@pytest.mark.parametrize(
    "deltas",
    [
        ["It", "costs", "4", "euros", ".", "Fine?"],
        ["It ", "costs ", "4 euros. ", "Fine?"],
    ],
)
def test_words_of_the_agent_are_joined_with_one_space(
    page: Page, host: Host, deltas: list[str]
) -> None:
    connection = call(page, host)

    connection.send("reply.started", reply_id="r1")
    for delta in deltas:
        connection.send("transcript.agent.delta", reply_id="r1", delta=delta)

    expect(log(page)).to_have_text("Support: It costs 4 euros. Fine?")


def test_text_is_shown_as_text(page: Page, host: Host) -> None:
    connection = call(page, host)
    text = "<img src=x onerror=alert(1)> & <b>bold</b>"

    connection.send("transcript.user", item_id="m1", text=text)

    expect(log(page)).to_have_text(f"You: {text}")
    assert log(page).locator("img, b").count() == 0


def test_playback_is_reported_as_it_is_played(page: Page, host: Host) -> None:
    connection = call(page, host)

    connection.reply("r1", "A second and a half.", ms=1500)
    until(
        page,
        lambda: any(
            m["played_ms"] == 1500 for m in connection.of_type("vagent.playback")
        ),
    )

    reports = connection.of_type("vagent.playback")
    played = [m["played_ms"] for m in reports]
    assert {m["reply_id"] for m in reports} == {"r1"}
    assert played == sorted(played)
    assert len(played) >= 6  # every 250 ms, and the end
    # The pace is that of the device.
    steps = [b - a for a, b in zip(played[1:], played[2:-1], strict=False)]
    assert all(240 <= step <= 260 for step in steps)


def test_an_interruption_stops_playback_and_strikes_the_unheard_words(
    page: Page, host: Host
) -> None:
    page.add_init_script(PLAYED)
    connection = call(page, host)
    text = "Your order left the warehouse on Monday and arrives on Thursday."
    connection.reply("r1", text, ms=5000, done=False)
    expect(state(page)).to_have_text("Speaking")
    until(page, lambda: len(connection.of_type("vagent.playback")) >= 3)

    connection.interrupt("r1", "Your order left")
    # Late audio of the interrupted reply is not played.
    connection.send(
        "reply.audio", reply_id="r1", data=base64.b64encode(b"\0" * 9600).decode()
    )
    expect(state(page)).to_have_text("Listening")

    struck = "the warehouse on Monday and arrives on Thursday."
    expect(log(page).locator("s")).to_have_text(struck)
    expect(log(page)).to_have_text(f"Support: Your order left {struck}")
    heard = page.evaluate("window.played.at(-1).playedMs")
    assert 300 <= heard < 4000
    connection.reply("r2", "Sorry.", ms=200)
    until(
        page,
        lambda: (
            {"reply_id": "r2", "played_ms": 200}.items()
            <= connection.of_type("vagent.playback")[-1].items()
        ),
    )
    reports = connection.of_type("vagent.playback")
    assert max(m["played_ms"] for m in reports if m["reply_id"] == "r1") == heard


def test_the_buffer_is_empty_within_50_ms_of_an_interruption(
    page: Page, host: Host
) -> None:
    """The best of five is compared: a busy machine delays single messages."""
    page.add_init_script("""
    window.delays = [];
    const Native = WebSocket;
    window.WebSocket = class extends Native {
      constructor(...given) {
        super(...given);
        this.addEventListener("message", ({ data }) => {
          if (data.includes("input.speech.started")) window.heard = performance.now();
        });
      }
    };
    addEventListener("vagent-playback", ({ detail }) => {
      if (detail.bufferedMs !== 0 || !window.heard) return;
      window.delays.push(performance.now() - window.heard);
      window.heard = 0;
    });
    """)
    connection = call(page, host)

    for number in range(1, 6):
        connection.reply(f"r{number}", "A long story.", ms=5000, done=False)
        expect(state(page)).to_have_text("Speaking")
        connection.send("input.speech.started")
        page.wait_for_function("n => window.delays.length === n", arg=number)

    assert min(page.evaluate("window.delays")) <= 50


def test_mute_sends_silence(page: Page, host: Host) -> None:
    connection = call(page, host)
    mute = page.get_by_role("button", name="Mute")
    until(page, lambda: len(connection.of_type("input.audio")) >= 3)

    mute.click()
    expect(mute).to_have_attribute("aria-pressed", "true")
    expect(state(page)).to_have_text("You are muted")
    count = len(connection.of_type("input.audio"))
    until(page, lambda: len(connection.of_type("input.audio")) >= count + 15)

    # Silence, not nothing: the service notices the end of the turn by it.
    last = base64.b64decode(connection.of_type("input.audio")[-1]["audio"])
    assert last == bytes(1920)
    mute.click()
    expect(mute).to_have_attribute("aria-pressed", "false")
    until(
        page,
        lambda: (
            base64.b64decode(connection.of_type("input.audio")[-1]["audio"])
            != bytes(1920)
        ),
    )


def test_typed_text_interrupts_the_agent_and_asks_for_a_reply(
    page: Page, host: Host
) -> None:
    connection = call(page, host)
    connection.reply("r1", "A long story.", ms=5000, done=False)
    expect(state(page)).to_have_text("Speaking")

    type_text(page, "  Stop that  ")

    content = {"type": "conversation.message", "role": "user", "content": "Stop that"}
    assert connection.next() == content
    assert connection.next() == {"type": "reply.create"}
    expect(log(page).locator(".user")).to_have_text("You: Stop that")
    expect(state(page)).to_have_text("Thinking")
    expect(page.get_by_label("Message")).to_have_value("")


def test_a_typed_call_needs_no_microphone(page: Page, host: Host) -> None:
    page.goto(host.url + "/support")

    type_text(page, "Hello")
    connection = host.connection()
    connection.next()
    expect(log(page).locator(".pending")).to_have_text("You: Hello")
    connection.ready()

    assert connection.next()["content"] == "Hello"
    assert connection.next() == {"type": "reply.create"}
    expect(log(page).locator(".pending")).to_have_count(0)
    expect(page.get_by_role("button", name="Mute")).to_be_disabled()
    assert page.evaluate("window.streams.length") == 0
    connection.reply("r1", "Hello to you.", ms=300)
    until(page, lambda: bool(connection.of_type("vagent.playback")))
    assert connection.of_type("input.audio") == []

    page.get_by_label("Microphone", exact=True).select_option("Default microphone")
    until(page, lambda: bool(connection.of_type("input.audio")))
    expect(page.get_by_role("button", name="Mute")).to_be_enabled()


def test_tool_calls_are_shown(page: Page, host: Host) -> None:
    connection = call(page, host)
    tool = {"call_id": "c1", "name": "lookup_order"}

    connection.send("vagent.tool", **tool, status="started")
    expect(log(page).locator(".tool")).to_have_text("lookup_order: running")
    connection.send("vagent.tool", **tool, status="failed")
    expect(log(page).locator(".tool")).to_have_text("lookup_order: failed")


def test_messages_of_an_unknown_type_are_ignored(page: Page, host: Host) -> None:
    connection = call(page, host)

    connection.send("vagent.future", something=[1])
    connection.send("transcript.user", item_id="m1", text="Still here")

    expect(log(page)).to_have_text("You: Still here")


# -------------------------------------------------------------------------- the end


def test_hanging_up_ends_the_session_and_releases_the_microphone(
    page: Page, host: Host
) -> None:
    connection = call(page, host)

    page.get_by_role("button", name="Hang up").click(delay=500)

    assert connection.next() == {"type": "session.end"}
    connection.send("session.ended")
    assert connection.closed.wait(20)
    expect(state(page)).to_have_text("Call ended")
    expect(page.get_by_role("button", name="Call")).to_be_visible()
    live = "window.streams[0].getAudioTracks()[0].readyState"
    assert page.evaluate(live) == "ended"


@pytest.mark.parametrize("leave", ["navigate", "close"])
def test_leaving_the_page_ends_the_session(page: Page, host: Host, leave: str) -> None:
    connection = call(page, host)

    if leave == "close":
        with page.expect_event("close"):
            page.close(run_before_unload=True)
    else:
        page.goto("about:blank")

    assert connection.next() == {"type": "session.end"}
    assert connection.closed.wait(20)


def test_a_double_click_does_not_hang_up(page: Page, host: Host) -> None:
    page.goto(host.url + "/support")

    page.evaluate("import('/call.js')")  # loaded, so the first click calls at once
    page.get_by_role("button", name="Call").dblclick(delay=20)
    connection = host.connection()
    connection.next()
    connection.ready()

    expect(state(page)).to_have_text("Listening")


def test_the_agents_last_words_are_played_after_it_hung_up(
    page: Page, host: Host
) -> None:
    page.add_init_script(PLAYED)
    connection = call(page, host)

    connection.reply("r1", "Goodbye!", ms=800)
    connection.send("session.ended")
    expect(state(page)).to_have_text("The agent ended the call")

    page.wait_for_function("() => window.played.at(-1)?.playedMs === 800")


def test_a_call_at_its_limit_says_so(page: Page, host: Host) -> None:
    connection = call(page, host)
    text = "The call reached its limit of 15 minutes."

    connection.send("session.error", code="session_expired", message=text)
    connection.send("session.ended")

    expect(state(page)).to_have_text("Call limit reached")
    expect(notice(page)).to_have_text(text)
    assert connection.closed.wait(20)


def test_a_server_that_leaves_says_so(page: Page, host: Host) -> None:
    connection = call(page, host)

    connection.send("session.error", code="leaving", message="the server shuts down")
    connection.send("session.ended")

    expect(state(page)).to_have_text("Service restarting")
    expect(notice(page)).to_have_text(
        "The service is restarting. Please call again later."
    )


# --------------------------------------------------------------------- refused calls


@pytest.mark.parametrize(
    ("status", "code", "text"),
    [
        (503, "all_busy", "All lines are busy. Please call again in 30 seconds."),
        (503, "leaving", "The service is restarting. Please call again in 30 seconds."),
        (429, "caller_limit", "Six calls an hour are allowed."),
        (403, "origin_refused", "Calls to this agent are not allowed from this site."),
        (401, "token_required", "Calls to this agent are not allowed from here."),
        (404, "agent_not_found", "This agent does not exist."),
        (503, None, "All lines are busy. Please call again later."),
        (403, None, "Calls to this agent are not allowed from this site."),
        (500, None, "The service cannot be reached or is busy."),
    ],
)
def test_a_refused_call_says_why(
    page: Page, host: Host, status: int, code: str | None, text: str
) -> None:
    body = {
        "code": code,
        "message": "Six calls an hour are allowed.",
        "retry_after": 30,
    }
    host.refusal = (status, body if code else {})
    page.goto(host.url + "/support")

    page.get_by_role("button", name="Call").click()

    expect(notice(page)).to_contain_text(text)
    expect(state(page)).to_have_text("Not connected")
    assert host.connections.empty()
    host.refusal = None
    page.get_by_role("button", name="Call").click()
    host.connection().ready()
    expect(state(page)).to_have_text("Listening")
    expect(notice(page)).to_have_text("")


@pytest.mark.parametrize(
    ("code", "text"),
    [
        ("agent_not_found", "This agent does not exist."),
        ("unauthorized", "The permission for this call is not valid or has expired."),
        ("invalid_value", "The variable 'name' is too long."),
        ("all_busy", "All lines are busy. Please call again later."),
    ],
)
def test_a_session_that_is_refused_says_why(
    page: Page, host: Host, code: str, text: str
) -> None:
    page.goto(host.url + "/support")
    page.get_by_role("button", name="Call").click()
    connection = host.connection()
    detail = "The variable 'name' is too long."

    connection.send("session.error", code=code, message=detail)
    connection.close(1008)

    expect(notice(page)).to_have_text(text)
    expect(state(page)).to_have_text("Not connected")


def test_a_socket_that_is_refused_ends_the_call(page: Page, host: Host) -> None:
    """Its reason is hidden from scripts by the browser."""
    host.accepts_sockets = False
    page.goto(host.url + "/support")

    page.get_by_role("button", name="Call").click()

    expect(notice(page)).to_contain_text("cannot be reached or is busy")
    expect(state(page)).to_have_text("Not connected")
    live = "window.streams[0].getAudioTracks()[0].readyState"
    assert page.evaluate(live) == "ended"


def test_an_agent_that_does_not_exist_is_reported_at_once(
    page: Page, host: Host
) -> None:
    page.goto(host.url + "/missing")

    expect(notice(page)).to_have_text("This agent does not exist.")


def test_a_refused_microphone_costs_no_token(
    playwright: Playwright, host: Host
) -> None:
    browser = launch(playwright, FAKE_DEVICE)  # nothing allows the microphone
    with watched(browser) as page:
        page.goto(host.url + "/support")
        page.get_by_role("button", name="Call").click()

        expect(notice(page)).to_contain_text("The microphone is blocked.")
        expect(state(page)).to_have_text("Not connected")
        assert host.tokens == []
        assert host.connections.empty()
        type_text(page, "Then I type")
        host.connection().ready()
        expect(state(page)).to_have_text("Thinking")
    browser.close()


def test_a_machine_without_a_microphone_says_so(
    playwright: Playwright, host: Host
) -> None:
    browser = launch(playwright, ALLOW)
    with watched(browser) as page:
        page.goto(host.url + "/support")
        # A machine with a sound card has one.
        page.evaluate("window.refused = 'NotFoundError'")
        page.get_by_role("button", name="Call").click()

        expect(notice(page)).to_contain_text("No microphone was found.")
        assert host.tokens == []
    browser.close()


# --------------------------------------------------------------------- reconnecting


def test_a_lost_connection_is_resumed_and_typed_text_is_kept(
    page: Page, host: Host
) -> None:
    connection = call(page, host)
    connection.send("transcript.user", item_id="m1", text="Before")

    host.is_reachable = False
    host.cut()
    expect(state(page)).to_have_text("Reconnecting")
    expect(notice(page)).to_contain_text("The connection was lost.")
    type_text(page, "One")
    type_text(page, "Two")
    expect(log(page).locator(".pending")).to_have_text(["You: One", "You: Two"])
    host.is_reachable = True

    resumed = host.connection()
    assert resumed.query == {"token": "resume_1"}
    assert resumed.next() == {"type": "session.resume", "session_id": "sess_1"}
    resumed.ready(token="resume_2")
    sent = [resumed.next() for _ in range(3)]
    assert [m.get("content") for m in sent] == ["One", "Two", None]
    assert sent[-1] == {"type": "reply.create"}
    expect(notice(page)).to_have_text("")
    expect(log(page).locator(".entry")).to_have_text(
        ["You: Before", "You: One", "You: Two"]
    )
    until(page, lambda: bool(resumed.of_type("input.audio")))

    host.cut()  # once more, with the new token
    again = host.connection()
    assert again.query == {"token": "resume_2"}
    again.ready()
    assert len(host.tokens) == 1


@pytest.mark.parametrize("code", [1001, 1006, 1011, 1012])
def test_a_socket_that_closes_within_a_call_is_opened_again(
    page: Page, host: Host, code: int
) -> None:
    connection = call(page, host)

    if code == 1006:
        host.cut()
    else:
        connection.close(code)

    assert host.connection().next()["type"] == "session.resume"


def test_a_session_that_is_gone_ends_the_call(page: Page, host: Host) -> None:
    call(page, host)
    host.cut()
    resumed = host.connection()

    resumed.send("session.error", code="session_not_found", message="no such session")
    resumed.close(1008)

    expect(state(page)).to_have_text("Connection lost")
    expect(notice(page)).to_contain_text("lost for too long")


def test_reconnecting_is_given_up_after_30_seconds(page: Page, host: Host) -> None:
    page.clock.install()
    call(page, host)

    host.is_reachable = False
    host.cut()
    expect(state(page)).to_have_text("Reconnecting")
    for _ in range(70):
        page.clock.run_for(500)
        page.wait_for_timeout(20)

    expect(state(page)).to_have_text("Connection lost")
    expect(page.get_by_role("button", name="Call")).to_be_visible()


# -------------------------------------------------------------------------- devices


def test_a_microphone_that_is_unplugged_is_replaced(page: Page, host: Host) -> None:
    connection = call(page, host)
    unplug = """() => {
      const track = window.streams.at(-1).getAudioTracks()[0];
      track.stop();
      track.dispatchEvent(new Event("ended"));
    }"""

    page.evaluate(unplug)
    page.wait_for_function("() => window.streams.length === 2")
    count = len(connection.of_type("input.audio"))
    until(page, lambda: len(connection.of_type("input.audio")) > count + 5)

    page.evaluate("window.refused = 'NotFoundError'")
    page.evaluate(unplug)
    expect(notice(page)).to_contain_text("The microphone was disconnected.")
    expect(state(page)).to_have_text("Listening")  # the call goes on
    type_text(page, "I type now")
    assert connection.next()["content"] == "I type now"


def test_microphones_are_listed_once_one_is_allowed(page: Page, host: Host) -> None:
    page.goto(host.url + "/support")
    choice = page.get_by_label("Microphone", exact=True)
    expect(choice.locator("option")).to_have_text(
        ["Default microphone", "No microphone, type only"]
    )

    page.get_by_role("button", name="Call").click()
    connection = host.connection()
    connection.ready()

    expect(choice.locator("option")).to_have_count(4)
    choice.select_option(index=1)
    page.wait_for_function("() => window.streams.length === 2")
    chosen = "window.streams[1].getAudioTracks()[0].getSettings().deviceId"
    assert page.evaluate(chosen) == choice.input_value()
    released = "window.streams[0].getAudioTracks()[0].readyState"
    page.wait_for_function(f"() => {released} === 'ended'")


# --------------------------------------------------------------------------- the page


def test_a_call_is_held_with_the_keyboard_alone(page: Page, host: Host) -> None:
    page.goto(host.url + "/support")
    expect(page.get_by_role("heading", name="Support")).to_be_visible()

    def focused() -> str:
        name = "document.activeElement.ariaLabel || document.activeElement.textContent"
        return str(page.evaluate(name))

    order = []
    for _ in range(5):
        page.keyboard.press("Tab")
        order.append(focused())
    assert order == ["Transcript", "Message", "Send", "Microphone", "Call"]
    page.keyboard.press("Enter")
    connection = host.connection()
    connection.next()
    connection.ready()

    expect(state(page)).to_have_text("Listening")
    assert focused() == "Hang up"
    page.wait_for_function("() => document.querySelector('.time').textContent !== ''")
    page.keyboard.press("Enter")
    assert connection.next() == {"type": "session.end"}
    assert focused() == "Call"


@pytest.mark.parametrize("width", [320, 800])
def test_nothing_moves_and_nothing_overflows(
    page: Page, host: Host, width: int
) -> None:
    page.set_viewport_size({"width": width, "height": 640})
    page.goto(host.url + "/support")
    expect(page.get_by_role("heading", name="Support")).to_be_visible()
    boxes = """() => ['header', '.log', 'form', 'select', '.call'].map((name) => {
      const { x, y, width } = document.querySelector(name).getBoundingClientRect();
      return [name, x, y, width];
    })"""
    first = page.evaluate(boxes)

    page.get_by_role("button", name="Call").click()
    connection = host.connection()
    connection.ready()
    connection.reply("r1", "word " * 200 + "x" * 300, ms=100)
    expect(log(page)).to_contain_text("xxx")
    assert page.evaluate(boxes) == first
    host.is_reachable = False
    host.cut()
    expect(notice(page)).to_contain_text("lost")
    assert page.evaluate(boxes) == first
    page.get_by_role("button", name="Hang up").click()
    assert page.evaluate(boxes) == first
    assert page.evaluate("document.documentElement.scrollWidth") == width


def test_a_page_below_a_prefix_uses_the_prefix(page: Page, host: Host) -> None:
    connection = call(page, host, "/voice/support")

    assert connection.path == "/voice/v1/ws"
    expect(page.get_by_role("heading", name="Support")).to_be_visible()


def test_the_files_are_small_and_refer_to_nothing_outside() -> None:
    names = ("page.html", "page.css", "call.js", "widget.js", "worklet.js")
    texts = [(PAGE / name).read_text("utf-8") for name in names]

    assert sum(len(text.encode()) for text in texts) < 60_000
    addresses = {each for text in texts for each in re.findall(r"https?://\w\S*", text)}
    assert addresses == {
        'http://www.w3.org/2000/svg"',  # names, not addresses
        'http://www.w3.org/1999/xhtml";',
        'https://HOST/widget.js"',  # in the comment that shows how to embed it
    }


# ---------------------------------------------------------------------------- the list


@pytest.mark.parametrize("prefix", ["/", "/voice/"])
def test_the_list_links_to_the_page_of_each_agent(
    page: Page, host: Host, prefix: str
) -> None:
    page.goto(host.url + prefix)

    expect(page.get_by_role("link")).to_have_text(["Support", "Booking"])
    page.get_by_role("link", name="Booking").click()

    expect(page.get_by_role("heading", name="Booking")).to_be_visible()
    assert page.url == f"{host.url}{prefix}booking"


def test_a_list_that_cannot_be_loaded_says_so(page: Page, host: Host) -> None:
    page.route("**/v1/agents", lambda route: route.fulfill(status=503))

    page.goto(host.url + "/")

    expect(page.get_by_role("status")).to_contain_text("cannot be loaded")
