from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import jsonschema
import pytest

from runner.config.model import AgentConfig, ToolConfig
from runner.errors import ToolError
from runner.tools.http import HttpKind
from runner.tools.registry import ToolRegistry
from runner.tools.tool import ToolOutcome
from tests.tools.farend import FarEnd, answer, far_end

SECRET = "k3y-of-the-shop"
AGENT = AgentConfig(path=Path("agent.yaml"), version=1, name="x", prompt="x")
ORDER = {
    "type": "object",
    "properties": {"order_id": {"type": "string"}, "day": {"type": "string"}},
    "required": ["order_id"],
}


@pytest.fixture
async def end() -> AsyncIterator[FarEnd]:
    async with far_end() as running:
        yield running


def config(url: str, **settings: Any) -> ToolConfig:
    common = {
        "headers": {"Authorization": f"Bearer {SECRET}"},
        "allow_private": True,
        "retries": 0,
    }
    return ToolConfig(
        kind="http",
        settings={"url": url, **common, **settings},
        name="look_up",
        description="Look up.",
        parameters=ORDER,
        timeout=20.0,
    )


async def call(url: str, **settings: Any) -> ToolOutcome:
    tool = HttpKind().load(
        config(url, **settings), replace(AGENT, secrets=frozenset((SECRET,)))
    )
    registry = ToolRegistry([tool], secrets=frozenset((SECRET,)))
    outcome = await registry.run("look_up", {"order_id": "12 34", "day": "today"})
    await registry.close()
    assert SECRET not in f"{outcome}"
    return outcome


def said(outcome: ToolOutcome) -> str:
    assert outcome.is_error
    text: str = json.loads(outcome.text)["error"]
    return text


async def test_an_endpoint_is_called_with_the_arguments(end: FarEnd) -> None:
    end.handler = lambda _: answer(b'{"status": "shipped"}')

    outcome = await call(end.url + "/orders/{order_id}")

    assert outcome == ToolOutcome('{"status":"shipped"}')
    assert end.requests[0].target == "/orders/12%2034?day=today"


@pytest.mark.parametrize(
    ("body", "kind", "result"),
    [
        (b"[1]", "application/json; charset=utf-8", [1]),
        (b'{"a": NaN}', "application/json", {"a": None}),
        (b'{"a": 1}', "application/hal+json", {"a": 1}),
        (b'{"a": 1}', "text/html", {"a": 1}),  # a wrong content type
        (b'{"a": 1}', None, {"a": 1}),
        (b"1234", "text/plain", "1234"),
        (b"sunny", "text/plain", "sunny"),
        (b"caf\xe9", "text/plain; charset=latin-1", "café"),
        (b"caf\xe9", "text/plain", "caf\ufffd"),  # invalid UTF-8
        (b"x", "text/plain; charset=nonsense", "x"),
        (b"<p>Hi</p>", "text/html", "<p>Hi</p>"),
        (b"", "application/json", {"status": 200}),
        (b'["caf\xe9"]', "application/json; charset=iso-8859-1", ["café"]),
        (b'{"a": 1}', "application/x-json", {"a": 1}),
        (b'{"a": 1}\n{"a": 2}', "application/x-ndjson", '{"a": 1}\n{"a": 2}'),
        (b"a: 1", "application/yaml", "a: 1"),
        (b"<a/>", "application/soap+xml", "<a/>"),
        (b"a=1", "application/x-www-form-urlencoded", "a=1"),
        (b"sunny", "application/octet-stream", "sunny"),
        (b"sunny", "application/vnd.shop", "sunny"),
    ],
)
async def test_a_response_is_a_value_or_text(
    end: FarEnd, body: bytes, kind: str | None, result: object
) -> None:
    end.handler = lambda _: answer(body, kind=kind)

    outcome = await call(end.url)

    assert not outcome.is_error
    assert json.loads(outcome.text) == result


@pytest.mark.parametrize(
    ("body", "kind"),
    [
        (b"<html>", "application/json"),
        (b'{"a": "\xff"}', "application/json"),
        (b"[" * 100_000, "application/json"),
    ],
)
async def test_invalid_json_is_an_error(end: FarEnd, body: bytes, kind: str) -> None:
    end.handler = lambda _: answer(body, kind=kind)

    assert said(await call(end.url)) == "127.0.0.1 answered something that is not JSON"


async def test_an_image_is_an_error(end: FarEnd) -> None:
    end.handler = lambda _: answer(b"\x89PNG", kind="image/png")

    assert said(await call(end.url)) == (
        "127.0.0.1 answered with image/png, which is not text"
    )


@pytest.mark.parametrize(
    ("status", "body", "kind", "text"),
    [
        ("404 Not Found", b'{"error": "no such order"}', "application/json",
         "404: no such order"),
        ("400 Bad Request", b'{"error": {"message": "bad day"}}', "application/json",
         "400: bad day"),
        ("409 Conflict", b"already booked\nmore", "text/plain", "409: already booked"),
        ("500 Internal Server Error", b"<html>long</html>", "text/html",
         "500: Internal Server Error"),
        ("401 Unauthorized", b'{"detail": "bad k3y-of-the-shop"}', "application/json",
         "401: bad ***"),
        ("422 Unprocessable Entity",
         b'{"detail": [{"loc": ["query", "day"], "msg": "field required"}]}',
         "application/json", "422: query.day: field required"),
        ("400 Bad Request", b'{"errors": [{"message": "a is wrong"}, "b, too"]}',
         "application/json", "400: a is wrong; b, too"),
        ("400 Bad Request",
         b'{"title": "invalid", "errors": {"day": ["is past", "is a Sunday"]}}',
         "application/problem+json", "400: invalid; day: is past; day: is a Sunday"),
        ("400 Bad Request", b'{"day": ["is past"], "code": 7}', "application/json",
         "400: day: is past"),
        ("400 Bad Request", b'{"error": "caf\xe9"}',
         "application/json; charset=iso-8859-1", "400: caf\xe9"),
        ("418 ", b"[1]", "application/json", "418"),
        ("304 Not Modified", b"", "text/plain", "304: Not Modified"),
    ],
)  # fmt: skip
async def test_an_error_response_gives_a_message_for_the_model(
    end: FarEnd, status: str, body: bytes, kind: str, text: str
) -> None:
    end.handler = lambda _: answer(body, kind=kind, status=status)

    assert said(await call(end.url)) == f"127.0.0.1 answered {text}"


@pytest.mark.parametrize("kind", ["text/plain", "application/json"])
@pytest.mark.parametrize("length", range(180, 252, 8))
async def test_no_part_of_a_secret_is_left_where_a_message_is_cut(
    end: FarEnd, kind: str, length: int
) -> None:
    text = "x" * length + SECRET
    body = text if kind == "text/plain" else json.dumps({"error": text})
    end.handler = lambda _: answer(body.encode(), kind=kind, status="400 Bad Request")

    assert SECRET[:2] not in said(await call(end.url))


@pytest.mark.parametrize("body", [b"\x00\x01", b"\xff\xfe\xfa", b"PK\x03\x04"])
async def test_bytes_of_an_unknown_type_that_are_not_text_are_an_error(
    end: FarEnd, body: bytes
) -> None:
    end.handler = lambda _: answer(body, kind="application/octet-stream")

    assert said(await call(end.url)).endswith("which is not text")


async def test_a_write_is_never_retried(end: FarEnd) -> None:
    end.handler = lambda _: answer(b"", status="503 Busy")
    settings = {"url": end.url, "allow_private": True, "method": "PUT"}
    tool = HttpKind().load(
        ToolConfig(kind="http", settings=settings, name="book", effect="write"), AGENT
    )
    registry = ToolRegistry([tool])

    assert (await registry.run("book", {})).is_error
    assert len(end.requests) == 1
    await registry.close()


@pytest.mark.parametrize(
    ("settings", "reason"),
    [
        ("https://example.com", "needs a url"),
        ({"method": "GET"}, "needs a url"),
        ({"url": "https://example.com/{nothing}"}, "has {nothing}"),
        (
            {"url": "https://example.com", "headers": {"a b": "c"}},
            "invalid header name",
        ),
    ],
)
def test_invalid_settings_are_refused(settings: Any, reason: str) -> None:
    config = ToolConfig(kind="http", settings=settings, name="x", parameters=ORDER)

    with pytest.raises(ToolError, match=reason):
        HttpKind().load(config, AGENT)


def test_the_schema_accepts_its_examples() -> None:
    schema = dict(HttpKind().schema)
    jsonschema.Draft202012Validator.check_schema(schema)

    jsonschema.validate(
        {"url": "https://example.com/{a}", "headers": {"A": "${env:B}"}}, schema
    )


def test_httpx_is_loaded_only_for_an_http_tool() -> None:
    program = (
        "import sys, runner.tools.registry, runner.tools.plugins as plugin\n"
        "plugin.installed_kinds()\n"
        "sys.exit('httpx' in sys.modules)"
    )

    assert subprocess.run([sys.executable, "-c", program], timeout=60).returncode == 0


@pytest.mark.parametrize("status", ["401 Unauthorized", "403 Forbidden"])
async def test_a_refused_token_is_named_with_its_variable_and_tool(
    end: FarEnd, status: str
) -> None:
    end.handler = lambda _: answer(b"", status=status)
    agent = replace(AGENT, secret_names={SECRET: "SHOP_TOKEN", "else": "OTHER"})
    registry = ToolRegistry([HttpKind().load(config(end.url), agent)])

    outcome = await registry.run("look_up", {"order_id": "12"})
    await registry.close()

    assert "check SHOP_TOKEN, which the tool 'look_up' sends" in str(outcome.detail)
    assert "SHOP_TOKEN" not in outcome.text, "the model does not need it"


async def test_a_tool_without_a_token_is_named_when_it_needs_one(end: FarEnd) -> None:
    end.handler = lambda _: answer(b"", status="401 Unauthorized")

    outcome = await call(end.url, headers={})

    assert "hint" not in outcome.text
    assert "add a token to the `headers` of the tool 'look_up'" in str(outcome.detail)
