"""The widget on the page of another site, and createCall on a page of one's own."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING
from urllib.parse import quote

import pytest
from playwright.sync_api import expect

from tests.hosting.page.conftest import ALLOW, FAKE_DEVICE, launch, watched
from tests.hosting.page.host import Host

if TYPE_CHECKING:
    from playwright.sync_api import Page, Playwright

pytestmark = pytest.mark.slow


def open_site(page: Page, host: Host, attributes: str = 'data-agent="support"') -> None:
    page.goto(f"{host.foreign_url}/site/shop?attributes={quote(attributes)}")


def test_the_widget_calls_from_another_site(page: Page, host: Host) -> None:
    open_site(page, host)
    launcher = page.get_by_role("button", name="Call")
    box = launcher.bounding_box()
    assert box is not None
    assert 800 - box["x"] - box["width"] < 30
    assert 720 - box["y"] - box["height"] < 30

    launcher.click()
    connection = host.connection()
    assert connection.next()["session"] == {"agent_id": "support"}
    connection.ready()
    connection.reply("r1", "Welcome to the shop.", ms=300)

    expect(page.get_by_role("log")).to_have_text("Support: Welcome to the shop.")
    expect(page.get_by_role("heading", name="Support")).to_be_visible()
    page.get_by_role("button", name="Hang up").click(delay=500)
    assert connection.next() == {"type": "session.end"}


def test_the_widget_is_in_a_shadow_root(page: Page, host: Host) -> None:
    open_site(page, host)
    expect(page.get_by_role("button", name="Call")).to_be_visible()

    button = page.get_by_role("button", name="Call")
    size = "(node) => getComputedStyle(node).fontSize"
    assert page.evaluate("document.querySelector('vagent-call').shadowRoot !== null")
    assert button.evaluate(size) == "16px"  # the site has 40px
    assert page.locator("p").first.evaluate(size) == "40px"
    assert page.evaluate("document.adoptedStyleSheets.length") == 0


def test_a_page_that_only_embeds_the_widget_asks_the_host_for_nothing(
    page: Page, host: Host
) -> None:
    asked: list[str] = []
    page.on("request", lambda request: asked.append(request.url))

    open_site(page, host)
    expect(page.get_by_role("button", name="Call")).to_be_visible()

    assert [url.split("/")[-1] for url in asked[1:]] == ["widget.js"]


def test_the_widget_is_minimized_and_the_call_goes_on(page: Page, host: Host) -> None:
    open_site(page, host)
    page.get_by_role("button", name="Type").click()
    expect(page.get_by_label("Message")).to_be_focused()
    page.keyboard.type("Hello")
    page.keyboard.press("Enter")
    connection = host.connection()
    connection.next()
    connection.ready()
    assert connection.next()["content"] == "Hello"

    page.keyboard.press("Escape")
    launcher = page.get_by_role("button", name="In call")
    expect(launcher).to_be_focused()
    launcher.click()
    expect(page.get_by_role("log")).to_have_text("You: Hello")
    page.get_by_role("button", name="Minimize").click()
    expect(launcher).to_be_visible()
    assert not connection.closed.is_set()


def test_the_widget_takes_token_variables_and_label_from_its_attributes(
    page: Page, host: Host
) -> None:
    variables = json.dumps({"name": "Ada"})
    open_site(
        page,
        host,
        f'data-agent="support" data-token="minted" data-label="Ask us" '
        f"data-variables='{variables}'",
    )

    page.get_by_role("button", name="Ask us").click()
    connection = host.connection()

    assert connection.query == {"token": "minted"}
    session = connection.next()["session"]
    assert session == {"agent_id": "support", "variables": {"name": "Ada"}}
    assert host.tokens == []


@pytest.mark.parametrize("attribute", ["data-token-url", "data-tokenUrl"])
def test_the_widget_fetches_tokens_from_the_sites_own_backend(
    page: Page, host: Host, attribute: str
) -> None:
    open_site(page, host, f'data-agent="support" {attribute}="/site/token"')

    page.get_by_role("button", name="Call").click()

    assert host.connection().query == {"token": "from_the_site"}
    assert host.tokens == []


def test_the_widget_is_themed_by_variables(page: Page, host: Host) -> None:
    open_site(page, host)
    button = page.get_by_role("button", name="Call")
    color = "(node) => getComputedStyle(node).backgroundColor"

    page.evaluate(
        "document.querySelector('vagent-call').style"
        ".setProperty('--vagent-accent', 'rgb(1, 120, 60)')"
    )

    assert button.evaluate(color) == "rgb(1, 120, 60)"


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_the_theme_of_the_widget_can_be_fixed(
    page: Page, host: Host, theme: str
) -> None:
    page.emulate_media(color_scheme="dark" if theme == "light" else "light")
    open_site(page, host, f'data-agent="support" data-theme="{theme}"')
    page.get_by_role("button", name="Type").click()

    back = page.get_by_role("region", name="Voice call").evaluate(
        "(node) => getComputedStyle(node).backgroundColor"
    )

    assert back == ("rgb(255, 255, 255)" if theme == "light" else "rgb(22, 25, 31)")


def test_the_element_is_used_in_the_markup(page: Page, host: Host) -> None:
    open_site(page, host, "")
    page.evaluate(
        "document.body.insertAdjacentHTML('beforeend', "
        "'<vagent-call agent=booking layout=inline></vagent-call>')"
    )

    expect(page.get_by_role("heading", name="Booking")).to_be_visible()
    page.get_by_role("button", name="Call").click()
    connection = host.connection()
    assert connection.next()["session"] == {"agent_id": "booking"}
    page.evaluate("document.querySelector('vagent-call').remove()")
    assert connection.closed.wait(20)


def test_the_widget_reports_events_to_its_page(page: Page, host: Host) -> None:
    open_site(page, host)
    page.evaluate("""() => {
      window.heard = [];
      for (const event of ["state", "transcript", "ended"]) {
        addEventListener(`vagent-${event}`, ({ detail }) => window.heard.push(detail));
      }
    }""")

    page.get_by_role("button", name="Call").click()
    connection = host.connection()
    connection.ready()
    connection.send("transcript.user", item_id="m1", text="Hi")
    connection.send("session.ended")
    page.wait_for_function("() => window.heard.at(-1)?.reason")

    states = [each for each in page.evaluate("window.heard") if isinstance(each, str)]
    assert states == ["microphone", "connecting", "listening", "thinking", "ended"]
    entry = {
        "id": "m1",
        "role": "user",
        "text": "Hi",
        "final": True,
        "interrupted": False,
        "unheard": "",
        "pending": False,
    }
    assert entry in page.evaluate("window.heard")
    assert page.evaluate("window.heard.at(-1)") == {
        "reason": "agent",
        "code": None,
        "message": "",
    }


# ------------------------------------------------------------------------ createCall

OWN = """async (url) => {
  const { createCall } = await import(`${url}/call.js`);
  window.events = [];
  const log = (name) => (detail) => window.events.push([name, detail]);
  window.call = createCall({
    agent: "support",
    token: async () => "mine",
    variables: { name: "Ada" },
    microphone: false,
    onState: log("state"),
    onTranscript: () => { throw new Error("a mistake of the page"); },
    onError: log("error"),
    onEnded: log("ended"),
  });
  window.call.say("typed before the call is connected");
}"""


def test_a_page_of_ones_own_calls_by_create_call(page: Page, host: Host) -> None:
    page.goto(host.foreign_url + "/site/blank")
    errors: list[str] = []
    page.evaluate("addEventListener('error', (event) => event.preventDefault())")
    page.on("console", lambda message: errors.append(message.text))

    page.evaluate(OWN, host.url)
    connection = host.connection()
    assert connection.query == {"token": "mine"}
    assert connection.next()["session"]["variables"] == {"name": "Ada"}
    connection.ready()
    assert connection.next()["content"] == "typed before the call is connected"
    assert page.evaluate("window.call.state") == "thinking"

    page.evaluate("window.call.hangUp()")
    ended = {"reason": "hangup", "code": None, "message": ""}
    assert page.evaluate("window.events.at(-1)") == ["ended", ended]
    assert page.evaluate("window.call.state") == "ended"


def test_audio_that_the_browser_holds_back_starts_with_a_click(
    playwright: Playwright, host: Host
) -> None:
    browser = launch(
        playwright,
        FAKE_DEVICE,
        ALLOW,
        "--autoplay-policy=document-user-activation-required",
    )
    with watched(browser) as page:
        page.goto(host.foreign_url + "/site/caller")  # calls without a click
        connection = host.connection()
        connection.ready()
        page.wait_for_function("() => window.errors.includes('audio_suspended')")
        connection.reply("r1", "Hello", ms=200)

        page.mouse.click(100, 100)

        page.wait_for_function("() => window.played === 200")
    browser.close()
