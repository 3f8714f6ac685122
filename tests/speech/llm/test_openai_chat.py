import pytest

from runner.errors import SpeechError
from runner.speech.llm.openai import ChatEndpoint, PartialCall


def endpoint(url: str) -> ChatEndpoint:
    return ChatEndpoint(url, model=None, key=None, timeout=1)


@pytest.mark.parametrize(
    ("url", "address"),
    [
        ("http://localhost:11434/v1", "http://localhost:11434/v1"),
        ("http://localhost:11434/v1/", "http://localhost:11434/v1"),
        ("https://api.example.com/v1/chat/completions", "https://api.example.com/v1"),
        ("https://u:p@api.example.com/v1?key=k#f", "https://api.example.com/v1"),
    ],
)
def test_the_displayed_address_is_the_root_without_secrets(
    url: str, address: str
) -> None:
    chat = endpoint(url)
    assert chat.address == address
    chat.close()


@pytest.mark.parametrize(
    "url", ["", "localhost:1", "ftp://x/v1", "http://", "http:///v1"]
)
def test_an_invalid_url_is_rejected(url: str) -> None:
    with pytest.raises(SpeechError, match=r"is not an http\(s\) address"):
        endpoint(url)


def test_the_pieces_of_a_tool_call_are_joined() -> None:
    call = PartialCall(0)
    call.add(PartialCall(0, "find", '{"a"'))
    call.add(PartialCall(0, "", ": 1}"))
    assert (call.name, call.arguments) == ("find", '{"a": 1}')
