"""How the server reads what a client has configured."""

from __future__ import annotations

from runner.protocol.server.settings import Settings, bytes_per_ms, default_settings
from runner.protocol.server.updates import apply_update


def configured(**update: object) -> Settings:
    outcome = apply_update(default_settings(), update, first=True)
    assert isinstance(outcome, Settings)
    return outcome


def test_unset_options_are_echoed_as_null() -> None:
    echo = default_settings().echo("sess_1")

    assert echo["id"] == "sess_1"
    assert echo["greeting"] is None
    assert echo["input"]["keyterms"] is None
    assert echo["input"]["turn_detection"] is None
    assert echo["output"]["volume"] is None
    assert echo["input"]["format"] == {"encoding": "audio/pcm", "sample_rate": 24_000}


def test_telephone_sound_has_a_byte_a_sample() -> None:
    assert bytes_per_ms("audio/pcm") == 48
    assert bytes_per_ms("audio/pcmu") == bytes_per_ms("audio/pcma") == 8


def test_an_interruption_takes_half_a_second_of_speech_unless_told_otherwise() -> None:
    def delay(**listening: object) -> float:
        return configured(input=listening).turn_detection.interruption_delay

    assert delay() == 0.5
    assert delay(transcription_mode="min_latency") == 0.0
    assert delay(turn_detection={"interruption_delay": 200}) == 0.2
    assert (
        delay(
            transcription_mode="min_latency",
            turn_detection={"interruption_delay": 1000},
        )
        == 1.0
    )


def test_interruptions_are_on_unless_switched_off() -> None:
    def interruptible(value: object) -> bool:
        listening = {"turn_detection": {"interrupt_response": value}}
        return configured(input=listening).turn_detection.interruptible

    assert interruptible(None)
    assert interruptible(True)
    assert not interruptible(False)


def test_volume_is_a_share_of_full() -> None:
    assert configured().volume == 1.0
    assert configured(output={"volume": 0}).volume == 0.0
    assert configured(output={"volume": 25.5}).volume == 0.255


def test_a_tool_has_the_time_that_its_definition_gives() -> None:
    tool = {"type": "function", "name": "look", "timeout_seconds": 7}

    assert configured(tools=[tool]).tool_timeout("look") == 7
    assert configured(tools=[tool]).tool_timeout("other") == 120


def test_replies_can_be_text_alone() -> None:
    assert configured().speaks
    assert not configured(output={"type": "text"}).speaks
