from __future__ import annotations

import json
from pathlib import Path
from urllib.parse import quote

from runner.protocol.client.actions import Close, Notify, Outcome, RunTool, Send
from runner.protocol.client.events import Disconnected, Received, ToolFinished
from runner.protocol.messages import (
    SessionReady,
    SessionUpdate,
    ToolCall,
    ToolResult,
    Unknown,
)
from runner.redaction import Redactor
from tests.recording.calls import Happening, header, record

# Quotes, a newline, characters that URLs escape, and characters beyond ASCII.
SECRET = 'sk "live"\n\\key/ä=%7'


def everything_in(folder: Path) -> str:
    return "\n".join(path.read_text("utf-8") for path in sorted(folder.glob("*.*l*")))


def spellings(secret: str) -> set[str]:
    inner = json.dumps(secret)[1:-1]
    wide = json.dumps(secret, ensure_ascii=False)[1:-1]
    deep = json.dumps(json.dumps(secret, ensure_ascii=False))[1:-1]
    return {secret, inner, wide, deep.strip('\\"'), quote(secret), quote(secret, "")}


def test_a_secret_is_in_no_line_however_it_is_spelt(tmp_path: Path) -> None:
    result = json.dumps({"echo": SECRET, "nested": json.dumps([SECRET])})
    wide = json.dumps({"echo": SECRET}, ensure_ascii=False)
    happenings: list[Happening] = [
        (0.0, Send(SessionUpdate({"prompt": SECRET, SECRET: [{"deep": SECRET}]}))),
        (1.0, RunTool(ToolCall("call_1", "look", {"token": SECRET}))),
        (2.0, ToolFinished("call_1", result)),
        (2.0, Send(ToolResult("call_1", wide))),
        (3.0, Notify(f"GET https://example.org/?key={quote(SECRET, '')}")),
        (4.0, Disconnected(SECRET, unsent=[ToolResult("call_1", result)])),
        (5.0, Received(Unknown("new.kind", {"list": [SECRET]}))),
        (6.0, Close(Outcome.FAILED, SECRET, SECRET)),
    ]

    record(
        *(tmp_path, happenings, f"headers: {{X-Key: {json.dumps(SECRET)}}}"),
        header=header(variables={"key": SECRET}, service=SECRET),
        redactor=Redactor([SECRET]),
    )

    text = everything_in(tmp_path)
    assert text.count("***") >= 15
    for spelling in spellings(SECRET):
        assert spelling not in text
    assert "live" not in text


def test_a_resume_token_is_redacted_everywhere(tmp_path: Path) -> None:
    token = "token-of-half-a-minute"
    happenings: list[Happening] = [
        (0.0, Received(SessionReady("sess_1", {"echo": token}, resume_token=token))),
        (1.0, Notify(f"the service says {token}")),
        (2.0, Received(Unknown("session.renewed", {"resume_token": "another-one"}))),
    ]

    record(tmp_path, happenings)

    text = everything_in(tmp_path)
    assert token not in text
    assert "another-one" not in text
