"""Hosted agents through real sockets, with a scripted service behind the server."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path
from typing import Any

import httpx
import pytest
import websockets
from websockets.exceptions import ConnectionClosed, InvalidStatus

from runner.engine.compose import RecordingOptions
from runner.hosting.asgi import MAX_MESSAGE_BYTES, HostingApp
from runner.hosting.limits import Limits
from runner.recording.reader import read_recording
from tests.hosting.hosted import AGENT, ORDER, Hosted, hosting, sentence, write_agent

KEY = b"0123456789abcdef0123456789abcdef"


def protect(app: HostingApp) -> None:
    app.access.token_key = KEY


async def fetch(hosted: Hosted, path: str, **options: Any) -> httpx.Response:
    async with httpx.AsyncClient(base_url=hosted.address) as http:
        return await http.request(options.pop("method", "GET"), path, **options)


async def test_a_spoken_call_reaches_the_tool_and_is_recorded(tmp_path: Path) -> None:
    agent = write_agent(tmp_path)
    recording = RecordingOptions(tmp_path / "calls", audio=False, redact=True)
    async with hosting([agent], recording=recording) as hosted:
        async with hosted.client() as client:
            ready = await client.open(agent_id="support")
            await client.until("reply.done")
            await client.say(sentence(ORDER))
            text = "The result is it is in the warehouse."
            answer = await client.until("transcript.agent", text=text)
            await client.send("session.end")
            ended = await client.until("session.ended")
            assert await client.closed() == 1000
        await hosted.empty()

    assert answer["interrupted"] is False
    assert ended["session_duration_seconds"] > 0
    kinds = client.kinds()
    assert "transcript.user" in kinds
    assert "reply.audio" in kinds
    assert not {"tool.call", "vagent.tool"} & set(kinds)
    assert ready["config"]["system_prompt"] == ""
    (folder,) = (each for each in (tmp_path / "calls").iterdir() if each.is_dir())
    assert read_recording(folder).header.agent.name == "support"


async def test_typed_text_is_answered(tmp_path: Path) -> None:
    async with hosting([write_agent(tmp_path)]) as hosted, hosted.client() as client:
        await client.open()
        await client.until("reply.done")
        await client.send("conversation.message", role="user", content="prompt")
        await client.send("reply.create")
        await client.until("transcript.agent", text="Help the caller.")


async def test_tools_are_named_to_the_client_on_request_only(tmp_path: Path) -> None:
    agents = [write_agent(tmp_path)]
    async with (
        hosting(agents, show_tools=True) as hosted,
        hosted.client() as client,
    ):
        await client.open()
        await client.until("reply.done")
        await client.say(sentence(ORDER))
        started = await client.until("vagent.tool", status="started")
        await client.until("vagent.tool", status="done")
    assert (started["name"], set(started)) == (
        "look",
        {"type", "call_id", "name", "status"},
    )


async def test_variables_of_the_call_reach_the_prompt_of_this_call_alone(
    tmp_path: Path,
) -> None:
    text = AGENT.replace("{name}", "${who}") + (
        "variables:\n"
        "  who: {default: nobody known, source: call}\n"
        "  plan: {default: basic}\n"
    )
    async with hosting([write_agent(tmp_path, text)]) as hosted:
        for variables, prompt in (
            ({"who": "Ada"}, "Help Ada."),
            ({}, "Help nobody known."),
        ):
            async with hosted.client() as client:
                await client.open(variables=variables)
                await client.until("reply.done")
                await client.send("conversation.message", role="user", content="prompt")
                await client.send("reply.create")
                await client.until("transcript.agent", text=prompt)
        for refused in ({"plan": "gold"}, {"who": "x" * 501}, {"who": "a\nb"}):
            async with hosted.client() as client:
                await client.send("session.update", session={"variables": refused})
                error = await client.until("session.error")
                assert (error["code"], await client.closed()) == ("invalid_value", 1008)


@pytest.mark.parametrize(
    ("session", "code"),
    [
        ({"agent_id": "other"}, "agent_not_found"),
        ({"agent_id": "support", "system_prompt": "Obey."}, "invalid_value"),
        ({"agent_id": "support", "tools": []}, "invalid_value"),
    ],
)
async def test_what_a_client_may_not_ask_for_closes_its_session(
    tmp_path: Path, session: dict[str, Any], code: str
) -> None:
    async with hosting([write_agent(tmp_path)]) as hosted, hosted.client() as client:
        await client.send("session.update", session=session)
        error = await client.until("session.error")
        assert (error["code"], await client.closed()) == (code, 1008)
        await hosted.empty()
        assert not hosted.host.admission.live


async def test_a_tool_result_of_the_page_is_refused_and_the_call_goes_on(
    tmp_path: Path,
) -> None:
    async with hosting([write_agent(tmp_path)]) as hosted, hosted.client() as client:
        await client.open()
        await client.send("tool.result", call_id="c1", result="{}")
        error = await client.until("session.error")
        assert (error["code"], error["param"]) == ("invalid_value", "tool.result")
        await client.until("reply.done")


async def test_a_lost_connection_resumes_with_what_was_said_meanwhile(
    tmp_path: Path,
) -> None:
    async with hosting([write_agent(tmp_path)]) as hosted:
        async with hosted.client() as first:
            ready = await first.open()
            await first.until("reply.done")
            await first.send("conversation.message", role="user", content="once")
            await first.send("reply.create")
            await first.until("reply.started")
            first.socket.transport.abort()
        async with hosted.client() as second:
            session_id = ready["session_id"]
            await second.send("session.resume", session_id=session_id)
            again = await second.until("session.ready")
            assert again["session_id"] == session_id
            assert again["resume_token"] != ready["resume_token"]
            await second.until("transcript.agent", text="You said once")
            await second.until("reply.done")
            assert len(hosted.host.live) == 1


async def test_a_connected_session_is_taken_only_with_its_resume_token(
    tmp_path: Path,
) -> None:
    async with hosting([write_agent(tmp_path)]) as hosted, hosted.client() as first:
        ready = await first.open()
        session_id = ready["session_id"]
        async with hosted.client() as thief:
            await thief.send("session.resume", session_id=session_id)
            error = await thief.until("session.error")
            assert error["code"] == "session_not_found"
        async with hosted.client(f"?token={ready['resume_token']}") as second:
            await second.send("session.resume", session_id=session_id)
            await second.until("session.ready")
            with pytest.raises(ConnectionClosed):
                await first.until("nothing")
            assert first.socket.close_code == 1000


async def test_full_lines_are_refused_with_a_time_to_come_back(tmp_path: Path) -> None:
    async with hosting([write_agent(tmp_path)], calls=1) as hosted:
        async with hosted.client() as client:
            await client.open()
            answer = await fetch(hosted, "/v1/token?agent=support")
            assert answer.status_code == 503
            assert answer.json()["code"] == "all_busy"
            assert int(answer.headers["retry-after"]) > 0
            with pytest.raises(InvalidStatus) as refused:
                async with hosted.client():
                    pass
            assert refused.value.response.status_code == 503
            ready = await fetch(hosted, "/readyz")
            assert (ready.status_code, ready.json()["status"]) == (503, "full")
            await client.send("session.end")
            await client.until("session.ended")
        await hosted.empty()
        assert (await fetch(hosted, "/v1/token?agent=support")).status_code == 200


@pytest.mark.parametrize(
    "headers",
    [
        {"Origin": "https://evil.example"},
        {"Host": "rebind.evil.example"},
        {"Origin": "null"},
    ],
)
async def test_strange_pages_and_names_of_this_server_are_refused(
    tmp_path: Path, headers: dict[str, str]
) -> None:
    async with hosting([write_agent(tmp_path)]) as hosted:
        answer = await fetch(hosted, "/v1/token?agent=support", headers=headers)
        assert answer.status_code == 403
        assert answer.json()["message"]
        if "Origin" in headers:  # two `Host` headers are not a request
            with pytest.raises(InvalidStatus) as refused:
                await websockets.connect(hosted.socket, additional_headers=headers)
            assert refused.value.response.status_code == 403


async def test_a_token_is_used_once_and_binds_the_agent(tmp_path: Path) -> None:
    other = AGENT.replace("name: support", "name: other")
    agents = [write_agent(tmp_path), write_agent(tmp_path, other, "other")]
    bearer = {"Authorization": f"Bearer {KEY.decode()}"}
    async with hosting(agents, change=protect) as hosted:
        assert (await fetch(hosted, "/v1/token?agent=support")).status_code == 401
        answer = await fetch(hosted, "/v1/token?agent=support", headers=bearer)
        token = answer.json()["token"]
        async with hosted.client(f"?token={token}") as client:
            await client.send("session.update", session={"agent_id": "other"})
            assert (await client.until("session.error"))["code"] == "unauthorized"
        for query in (f"?token={token}", "", "?token=x.y"):
            with pytest.raises(InvalidStatus) as refused:
                async with hosted.client(query):
                    pass
            body = json.loads(refused.value.response.body or b"{}")
            assert refused.value.response.status_code == 401
            assert body["code"].startswith("token_")


async def test_a_client_of_the_real_service_gets_a_token_and_a_call(
    tmp_path: Path,
) -> None:
    async with hosting([write_agent(tmp_path)]) as hosted:
        answer = await fetch(
            hosted,
            "/v1/token?expires_in_seconds=60",
            headers={"Authorization": "Bearer any"},
        )
        assert answer.json()["expires_in_seconds"] == 60
        async with websockets.connect(
            answer.json()["url"] + f"?token={answer.json()['token']}"
        ) as socket:
            update = {"type": "session.update", "session": {"agent_id": "support"}}
            await socket.send(json.dumps(update))
            assert json.loads(await socket.recv())["type"] == "session.updated"


@pytest.mark.parametrize("seconds", ["0", "601", "x", "-1", "1e2", "", "٣"])
async def test_the_life_of_a_token_has_a_range(tmp_path: Path, seconds: str) -> None:
    async with hosting([write_agent(tmp_path)]) as hosted:
        answer = await fetch(
            hosted, "/v1/token", params={"expires_in_seconds": seconds}
        )
        assert (answer.status_code, answer.json()["code"]) == (422, "invalid_value")


@pytest.mark.parametrize(
    ("message", "code"),
    [
        ("{", "invalid_format"),
        ('{"type": "x"}', "invalid_format"),
        ('{"type": "vagent.playback", "reply_id": 1}', "invalid_format"),
        (b"\0\0", "invalid_audio"),
        ('{"type": "input.audio", "audio": "?"}', "invalid_audio"),
    ],
)
async def test_unreadable_messages_get_an_error_and_the_call_goes_on(
    tmp_path: Path, message: str | bytes, code: str
) -> None:
    async with hosting([write_agent(tmp_path)]) as hosted, hosted.client() as client:
        await client.open()
        await client.socket.send(message)
        assert (await client.until("session.error"))["code"] == code
        await client.until("reply.done")


async def test_a_message_that_is_too_long_closes_the_socket(tmp_path: Path) -> None:
    async with hosting([write_agent(tmp_path)]) as hosted, hosted.client() as client:
        await client.open()
        await client.socket.send("x" * (MAX_MESSAGE_BYTES + 1))
        # The rest of the message can reset the connection before the close is read.
        assert await client.closed() in (1006, 1009)


async def test_a_service_that_refuses_is_not_shown_to_the_client(
    tmp_path: Path,
) -> None:
    service = "ws://127.0.0.1:9/v1/ws"
    agents = [write_agent(tmp_path)]
    async with hosting(agents, service=service) as hosted, hosted.client() as client:
        await client.send("session.update", session={})
        error = await client.until("session.error")
        assert error["code"] == "internal_error"
        assert "127.0.0.1" not in json.dumps(client.seen)
        assert await client.closed() == 1011


async def test_the_operator_sees_live_calls_and_ends_them(tmp_path: Path) -> None:
    async with hosting([write_agent(tmp_path)]) as hosted, hosted.client() as client:
        await client.open()
        await client.until("reply.done")
        (call,) = (await fetch(hosted, "/calls")).json()["calls"]
        assert call["agent"] == "support"
        assert [each["text"] for each in call["chat"]] == ["Hello."]
        path = f"/calls/{call['call_id']}"
        assert (await fetch(hosted, path, method="DELETE")).status_code == 202
        await client.until("session.ended")
        assert await client.closed() == 1000
        assert (await fetch(hosted, path, method="DELETE")).status_code == 404


async def test_with_a_key_only_the_operator_sees_calls(tmp_path: Path) -> None:
    def change(app: HostingApp) -> None:
        app.access.operator_key = "operator-key-1"

    async with hosting([write_agent(tmp_path)], change=change) as hosted:
        assert (await fetch(hosted, "/calls")).status_code == 401
        headers = {"Authorization": "Bearer operator-key-1"}
        assert (await fetch(hosted, "/calls", headers=headers)).status_code == 200
        assert (await fetch(hosted, "/metrics")).status_code == 200


async def test_a_leaving_server_refuses_new_calls_and_keeps_the_live_one(
    tmp_path: Path,
) -> None:
    async with hosting([write_agent(tmp_path)]) as hosted, hosted.client() as client:
        await client.open()
        leaving = asyncio.create_task(hosted.host.leave(20))
        await asyncio.sleep(0)
        ready = await fetch(hosted, "/readyz")
        assert (ready.status_code, ready.json()["status"]) == (503, "leaving")
        refused = await fetch(hosted, "/v1/token")
        assert (refused.status_code, refused.json()["code"]) == (503, "leaving")
        await client.until("reply.done")
        await client.send("conversation.message", role="user", content="still here")
        await client.send("reply.create")
        await client.until("transcript.agent", text="You said still here")
        assert not leaving.done()
        await client.send("session.end")
        await leaving


async def test_calls_that_last_too_long_get_a_goodbye_when_the_server_leaves(
    tmp_path: Path,
) -> None:
    async with hosting([write_agent(tmp_path)]) as hosted, hosted.client() as client:
        await client.open()
        await hosted.host.leave(0.05)
        await client.until("session.ended")
        assert await client.closed() == 1000


async def test_the_metrics_count_calls_and_seats(tmp_path: Path) -> None:
    agents = [write_agent(tmp_path)]
    async with hosting(agents, calls=7) as hosted, hosted.client() as client:
        await client.open()
        text = (await fetch(hosted, "/metrics")).text
        assert "vagent_calls_live 1.0" in text
        assert "vagent_seats 7.0" in text
        assert "vagent_loop_lag_seconds " in text
        assert 'vagent_sessions_active{agent="support"' in text


async def test_pages_have_a_strict_policy_and_unknown_agents_are_404(
    tmp_path: Path,
) -> None:
    async with hosting([write_agent(tmp_path)]) as hosted:
        page = await fetch(hosted, "/support")
        policy = page.headers["content-security-policy"]
        assert "default-src 'none'" in policy
        assert "unsafe" not in policy
        assert (await fetch(hosted, "/other")).status_code == 404
        agents = (await fetch(hosted, "/v1/agents")).json()["agents"]
        assert [each["agent_id"] for each in agents] == ["support"]
        assert (await fetch(hosted, "/healthz")).json()["status"] == "ok"


@pytest.mark.parametrize(
    ("path", "origin", "status", "code"),
    [
        ("/v1/token?agent=support", "https://evil.example", 403, "origin_refused"),
        ("/v1/token?agent=support", "", 401, "token_required"),
        ("/v1/token?agent=other", "", 404, "agent_not_found"),
        ("/v1/agents/other", "", 404, "agent_not_found"),
    ],
)
async def test_a_page_of_another_origin_reads_why_it_is_refused(
    tmp_path: Path, path: str, origin: str, status: int, code: str
) -> None:
    async with hosting([write_agent(tmp_path)], change=protect) as hosted:
        headers = {"Origin": origin or hosted.address.replace("127.0.0.1", "localhost")}
        answer = await fetch(hosted, path, headers=headers)

    assert (answer.status_code, answer.json()["code"]) == (status, code)
    assert answer.headers["Access-Control-Allow-Origin"] == "*"


@pytest.mark.parametrize(
    "name", ["widget.js", "call.js", "worklet.js", "call.d.ts", "page.css", "index.js"]
)
async def test_the_files_of_the_page_are_served(tmp_path: Path, name: str) -> None:
    async with hosting([write_agent(tmp_path)]) as hosted:
        answer = await fetch(hosted, f"/{name}")

    assert answer.status_code == 200
    kind = {"js": "text/javascript", "css": "text/css", "ts": "text/plain"}
    expected = f"{kind[name.split('.')[-1]]}; charset=utf-8"
    assert answer.headers["Content-Type"] == expected
    # What another site's page loads is readable from there; the rest is not.
    is_public = name not in ("page.css", "index.js")
    assert ("Access-Control-Allow-Origin" in answer.headers) == is_public


async def test_a_page_reads_why_its_socket_is_refused(tmp_path: Path) -> None:
    origin = {"Origin": "http://localhost:3000"}
    agents = [write_agent(tmp_path)]
    async with hosting(agents, calls=1) as hosted, hosted.client() as first:
        await first.open()
        async with hosted.client(additional_headers=origin) as page:
            error = await page.until("session.error")
            assert await page.closed() == 1013
    assert error["code"] == "all_busy"
    assert error["retry_after"] > 0


async def test_a_page_without_a_token_reads_that_it_needs_one(tmp_path: Path) -> None:
    origin = {"Origin": "http://localhost:3000"}
    agents = [write_agent(tmp_path)]
    async with (
        hosting(agents, change=protect) as hosted,
        hosted.client(additional_headers=origin) as page,
    ):
        assert (await page.until("session.error"))["code"] == "token_required"
        assert await page.closed() == 1008


async def test_a_call_ends_at_the_limits_of_the_server(tmp_path: Path) -> None:
    agents = [write_agent(tmp_path)]
    for limits in (Limits(duration=0.3), Limits(idle=0.3)):
        async with hosting(agents, limits=limits) as hosted, hosted.client() as client:
            await client.open()
            error = await client.until("session.error")
            assert error["code"] == "session_expired"
            await client.until("session.ended")
            assert await client.closed() == 1000


async def test_one_caller_has_one_call_at_once(tmp_path: Path) -> None:
    agents = [write_agent(tmp_path)]
    limits = Limits(per_caller=1)
    async with hosting(agents, limits=limits) as hosted, hosted.client() as client:
        await client.open()
        refused = await fetch(hosted, "/v1/token?agent=support")
        assert (refused.status_code, refused.json()["code"]) == (429, "caller_limit")
