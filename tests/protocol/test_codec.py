"""The codec: encoding is exact, decoding is lenient."""

from __future__ import annotations

import json
from base64 import b64encode
from dataclasses import MISSING, fields
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from runner.errors import RemoteProtocolError
from runner.protocol.codec import (
    CLIENT_MESSAGES,
    SERVER_MESSAGES,
    decode_client,
    decode_server,
    encode,
    read_audio,
)
from runner.protocol.messages import (
    InputAudio,
    ReplyAudio,
    ReplyDone,
    SessionError,
    SessionReady,
    ToolCall,
    ToolResult,
    TranscriptUser,
    Unknown,
)

TEXT = st.text(st.characters(exclude_categories=["Cs"]), max_size=20)
JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-(10**9), 10**9) | TEXT,
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(TEXT, inner, max_size=3)
    ),
    max_leaves=8,
)
VALUES: dict[str, st.SearchStrategy[Any]] = {
    "str": TEXT,
    "str | None": st.none() | TEXT,
    "bool": st.booleans(),
    "int | None": st.none() | st.integers(-(2**53), 2**53),
    "float | None": st.none() | st.floats(allow_nan=False, allow_infinity=False),
    "JsonObject": st.dictionaries(TEXT, JSON, max_size=3),
    "bytes": st.binary(max_size=64),
}


@st.composite
def messages(draw: st.DrawFn, kinds: dict[str, type[Any]]) -> Any:
    kind = draw(st.sampled_from(sorted(kinds.values(), key=lambda k: k.TYPE)))
    values = {field.name: draw(VALUES[str(field.type)]) for field in fields(kind)}
    if kind is ToolCall:  # JSON text, in the place of arguments
        unreadable = draw(st.none() | st.integers() | st.lists(TEXT))
        values["unreadable"] = (
            None
            if unreadable is None
            else json.dumps(unreadable, separators=(",", ":"))
        )
        values["arguments"] = values["arguments"] if unreadable is None else {}
    return kind(**values)


@given(messages(CLIENT_MESSAGES))
def test_every_client_message_survives_the_wire(message: Any) -> None:
    assert decode_client(encode(message)) == message


@given(messages(SERVER_MESSAGES))
def test_every_server_message_survives_the_wire(message: Any) -> None:
    assert decode_server(encode(message)) == message


@given(messages(CLIENT_MESSAGES) | messages(SERVER_MESSAGES))
def test_what_is_written_is_one_line_of_json_with_a_type(message: Any) -> None:
    text = encode(message)

    assert "\n" not in text
    assert json.loads(text)["type"] == message.TYPE


@given(st.text() | st.binary() | JSON.map(json.dumps))
def test_any_text_is_a_message_or_a_remote_protocol_error(text: str | bytes) -> None:
    for decode in (decode_client, decode_server):
        try:
            message = decode(text)
        except RemoteProtocolError:
            continue
        assert message.TYPE or isinstance(message, Unknown)


@pytest.mark.parametrize("kind", [*CLIENT_MESSAGES.values(), *SERVER_MESSAGES.values()])
def test_a_missing_field_is_an_error_exactly_when_it_has_no_default(
    kind: type[Any],
) -> None:
    decode = decode_client if kind.TYPE in CLIENT_MESSAGES else decode_server
    required = [
        field
        for field in fields(kind)
        if field.default is MISSING and field.default_factory is MISSING
    ]
    if not required:
        assert decode(json.dumps({"type": kind.TYPE})) == kind()
        return
    with pytest.raises(RemoteProtocolError, match="is missing") as caught:
        decode(json.dumps({"type": kind.TYPE}))
    assert caught.value.message_type == kind.TYPE


def test_audio_has_another_key_in_each_direction() -> None:
    sound = b64encode(b"\1\0").decode()

    assert json.loads(encode(InputAudio(b"\1\0"))) == {
        "type": "input.audio",
        "audio": sound,
    }
    assert decode_server(f'{{"type":"reply.audio","data":"{sound}"}}') == ReplyAudio(
        b"\1\0"
    )


@pytest.mark.parametrize("audio", ["!", "AAA", "AA=A", "ü", " AAAA"])
def test_broken_base64_is_invalid_audio(audio: str) -> None:
    with pytest.raises(RemoteProtocolError) as caught:
        decode_client(json.dumps({"type": "input.audio", "audio": audio}))

    assert caught.value.code == "invalid_audio"
    assert caught.value.message == "Invalid audio data"


def test_client_defaults_are_left_out_and_server_fields_are_spelled() -> None:
    assert json.loads(encode(ToolResult("c", "1"))) == {
        "type": "tool.result",
        "call_id": "c",
        "result": "1",
    }
    assert json.loads(encode(SessionError("x", "y"))) == {
        "type": "session.error",
        "code": "x",
        "message": "y",
        "param": None,
        "session_id": None,
    }


def test_arguments_may_come_as_json_text_and_under_their_old_name() -> None:
    call = ToolCall("c", "look", {"at": 1})

    for spelling in (
        {"arguments": {"at": 1}},
        {"arguments": '{"at": 1}'},
        {"args": {"at": 1}},
    ):
        text = json.dumps({"type": "tool.call", "call_id": "c", "name": "look"})
        assert decode_server(json.dumps({**json.loads(text), **spelling})) == call


@pytest.mark.parametrize(
    "text",
    [
        '{"type":"error","code":"x"}',
        '{"code":"x"}',
        '{"type":"session.error","code":"x"}',
    ],
)
def test_an_error_is_an_error_under_each_of_its_names(text: str) -> None:
    assert decode_server(text) == SessionError("x")


def test_a_reply_that_is_done_without_a_status_is_completed() -> None:
    assert decode_server('{"type":"reply.done"}') == ReplyDone(status="completed")


def test_a_timestamp_that_is_not_a_number_is_ignored() -> None:
    text = '{"type":"transcript.user","text":"hi","timestamp":"2026-05-01T00:00:00Z"}'

    assert decode_server(text) == TranscriptUser("hi")


def test_null_stands_for_a_field_that_was_left_out() -> None:
    text = '{"type":"session.ready","session_id":"s","config":null,"resume_token":null}'

    assert decode_server(text) == SessionReady("s")


def test_an_unknown_type_from_the_server_is_kept_as_it_came() -> None:
    assert decode_server('{"type":"reply.sparkles","n":1}') == Unknown(
        "reply.sparkles", {"n": 1}
    )


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("{", "Invalid JSON format."),
        ("[]", "Invalid JSON format."),
        ('{"type":"x.y"}', "Unknown message type: x.y"),
        ("{}", "Unknown message type: None"),
    ],
)
def test_errors_have_the_text_of_the_service(text: str, message: str) -> None:
    with pytest.raises(RemoteProtocolError) as caught:
        decode_client(text)

    assert caught.value.message == message


def test_json_nested_without_end_is_refused_not_fatal() -> None:
    with pytest.raises(RemoteProtocolError):
        decode_server("[" * 100_000)


# Parts of valid and invalid audio messages.
KEYS = st.sampled_from(
    ["type", "data", "reply_id", "timestamp", "x", 'a"data', "d_a_t_a", "audio"]
)
SOUND = st.binary(max_size=12).map(lambda pcm: b64encode(pcm).decode())
AUDIO_VALUES: st.SearchStrategy[Any] = (
    st.just("reply.audio")
    | SOUND
    | st.sampled_from(["", "A", "AA=A", "AA==AA==", "AAA", "====", "A A=", "é", "\\"])
    | st.sampled_from([1.5, 7, True, None, [], {"data": "QUJD"}, "resp_1"])
    | JSON
)


@st.composite
def audio_texts(draw: st.DrawFn) -> str:
    """Draws a text that is a `reply.audio`, or nearly one."""
    pairs = draw(st.lists(st.tuples(KEYS, AUDIO_VALUES), max_size=5))
    if draw(st.booleans()):
        pairs += [("type", "reply.audio"), ("data", draw(SOUND))]
    pairs = draw(st.permutations(pairs))
    colon = draw(st.sampled_from([":", ": ", " : ", ":\n"]))
    comma = draw(st.sampled_from([",", ", ", ",\t"]))
    text = comma.join(
        json.dumps(key) + colon + json.dumps(value, ensure_ascii=draw(st.booleans()))
        for key, value in pairs
    )
    text = "{" + text.replace("d_a_t_a", "d\\u0061ta") + "}"
    if draw(st.booleans()):
        return text
    at = draw(st.integers(0, len(text)))
    odd = draw(
        st.sampled_from(['"', "\\", "{", "}", ",", ":", " ", "=", "", '"data":'])
    )
    return text[:at] + odd + text[at + draw(st.integers(0, 3)) :]


def outcome(wire: str | bytes) -> object:
    try:
        return decode_server(wire)
    except RemoteProtocolError as error:
        return (error.message, error.code, error.message_type)


@settings(max_examples=300)
@given(audio_texts())
def test_the_fast_path_for_audio_reads_what_the_general_path_reads(text: str) -> None:
    assert outcome(text) == outcome(text.encode())  # bytes take the general path


@pytest.mark.parametrize(
    "text",
    [
        '{"type":"reply.audio","x":{"data":"QUJD"},"data":"REVG"}',
        '{"type":"reply.audio","x":{"data":"QUJD"}}',
        '{"type":"reply.audio","a\\"data":"QUJD","data":"REVG"}',
        '{"type":"reply.audio","data":"QUJD","data":"REVG"}',
        '{"type":"reply.audio","data":"QUJD","d\\u0061ta":"REVG"}',
        '{"type":"reply.audio","data":"QU\\u004aD"}',
        '{"type":"reply.audio","data":"QU\\/D"}',
        '{"type":"reply.audio","data":"QUJD","reply_id":7}',
        '{"type":"reply.audio","data":"QUJD","reply_id":null}',
        '{"type":"reply.audio","data":"QUJD","timestamp":"2026-01-01"}',
        '{"type":"reply.audio","data":"QUJD","timestamp":true}',
        '{"type":"reply.audio","data":"QU JD"}',
        '{"type":"reply.audio","data":"QUI"}',
        '{"type":"reply.audio","data":""}',
        '{"type":"reply.audio","data":"QUJD"',
        '{"type":"reply.audio","data":"QUJD',
        '{"type":["reply.audio"],"data":"QUJD"}',
        '{"type":"input.audio","data":"QUJD"}',
        '{"code":"x","data":"QUJD"}',
        '["type","data":"QUJD"]',
        '["data","data"]',
    ],
)
def test_unusual_audio_messages_take_the_general_path(text: str) -> None:
    assert outcome(text) == outcome(text.encode())


@pytest.mark.parametrize(
    "text",
    [
        '{"type":"reply.audio","data":"QUJD"}',
        '{"type": "reply.audio", "data": "QUJD", "reply_id": "resp_1"}',
        '{"type":"reply.audio","reply_id":"resp_1","data":"QUJD","timestamp":1.5}',
        '{"timestamp":2,"data":"QUI=","type":"reply.audio"}',
    ],
)
def test_usual_audio_messages_take_the_fast_path(text: str) -> None:
    assert read_audio(text) == decode_server(text.encode())


@pytest.mark.parametrize(
    "text",
    [
        '{"type":"session.update","session":{"tools":%s}}' % ("[" * 99 + "]" * 99),
        '{"type":"new.thing","a":%s}' % ("[" * 99 + "]" * 99),
    ],
)
def test_only_what_can_be_written_again_from_anywhere_is_read(text: str) -> None:
    decode = decode_client if "session.update" in text else decode_server
    message: Any = decode(text)
    assert decode(encode(message)) == message

    with pytest.raises(RemoteProtocolError):
        decode(text.replace("[" * 99, "[" * 400).replace("]" * 99, "]" * 400))


def test_half_a_surrogate_pair_is_escaped() -> None:
    text = '{"type":"transcript.user","text":"\\ud800 \u00e9"}'

    message = decode_server(text)

    assert message == TranscriptUser("\ud800 \u00e9")
    assert decode_server(encode(message).encode()) == message


@pytest.mark.parametrize(
    "number", ["NaN", "Infinity", "-Infinity", "1e400", "-1e999", "9" * 400]
)
def test_numbers_that_cannot_be_measured_are_refused(number: str) -> None:
    with pytest.raises(RemoteProtocolError, match="Invalid JSON format."):
        decode_client(f'{{"type":"session.update","session":{{"a":{number}}}}}')
    with pytest.raises(RemoteProtocolError, match="Invalid JSON format."):
        decode_server(f'{{"type":"reply.audio","data":"","timestamp":{number}}}')


@pytest.mark.parametrize(
    ("arguments", "read"),
    [
        ('""', {}),
        ('" "', {}),
        ("null", {}),
        ('"null"', {}),
        ("{}", {}),
        ('"{}"', {}),
        ('"{\\"city\\": \\"Oslo\\"}"', {"city": "Oslo"}),
        ('"\\"{\\\\\\"city\\\\\\": \\\\\\"Oslo\\\\\\"}\\""', {"city": "Oslo"}),
        ('"```json\\n{\\"city\\": \\"Oslo\\"}\\n```"', {"city": "Oslo"}),
        ('"```\\n{\\"city\\": \\"Oslo\\"}```"', {"city": "Oslo"}),
    ],
)
def test_arguments_of_a_tool_call_are_read_in_every_form(
    arguments: str, read: dict[str, Any]
) -> None:
    text = f'{{"type":"tool.call","call_id":"c","name":"n","arguments":{arguments}}}'
    assert decode_server(text) == ToolCall("c", "n", read)


@pytest.mark.parametrize(
    "arguments", ["[]", "7", '"Oslo"', '"{"', '["a"]', "true", "[" * 150 + "]" * 150]
)
def test_arguments_that_are_not_an_object_are_kept_for_the_answer(
    arguments: str,
) -> None:
    text = f'{{"type":"tool.call","call_id":"c","name":"n","arguments":{arguments}}}'
    call = decode_server(text)
    assert isinstance(call, ToolCall)
    assert call.arguments == {}
    assert call.unreadable is not None
    assert decode_server(encode(call)) == call


def test_a_tool_call_has_a_text_id_and_name_whatever_their_types() -> None:
    text = '{"type":"tool.call","call_id":7,"name":["n"],"unreadable":"{"}'
    assert decode_server(text) == ToolCall("7", '["n"]', {})
    assert decode_server('{"type":"tool.call","call_id":"c"}') == ToolCall("c", "", {})


def test_a_tool_call_without_an_id_is_unreadable() -> None:
    with pytest.raises(RemoteProtocolError, match="'call_id' is missing"):
        decode_server('{"type":"tool.call","name":"n"}')
