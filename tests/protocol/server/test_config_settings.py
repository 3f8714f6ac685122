"""The settings of a server session."""

from __future__ import annotations

from runner.protocol.server.config import (
    Settings,
    apply_update,
    bytes_per_ms,
    default_settings,
)


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


def test_telephone_audio_has_one_byte_per_sample() -> None:
    assert bytes_per_ms("audio/pcm") == 48
    assert bytes_per_ms("audio/pcmu") == bytes_per_ms("audio/pcma") == 8


def test_an_interruption_takes_half_a_second_of_speech_by_default() -> None:
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


def test_settings_that_are_not_configured_have_the_services_defaults() -> None:
    settings = default_settings()

    assert settings.system_prompt == settings.greeting == ""
    assert settings.tools == ()
    assert settings.key_terms == ()
    assert settings.input_encoding == settings.output_encoding == "audio/pcm"
    assert settings.speaks
    assert settings.volume == 1.0
    assert settings.turn_detection.vad_threshold == 0.5
    assert settings.turn_detection.protected == frozenset()
    echo = settings.echo("s")
    assert echo["tools"] == echo["llm"] == echo["pre_connect_requests"] == []
    assert echo["input"]["type"] == echo["output"]["type"] == "audio"
    assert echo["system_prompt"] == ""


def test_what_was_configured_is_read_back() -> None:
    settings = configured(
        system_prompt="Be brief.",
        greeting="Hello.",
        input={
            "keyterms": ["Acme"],
            "format": {"encoding": "audio/pcmu"},
            "turn_detection": {
                "vad_threshold": 0.25,
                "min_silence": 200,
                "max_silence": 900,
                "interruption_delay": 300,
                "uninterruptible_turns": ["greeting"],
            },
        },
        output={"format": {"encoding": "audio/pcma"}},
    )

    detection = settings.turn_detection
    assert (settings.system_prompt, settings.greeting) == ("Be brief.", "Hello.")
    assert settings.key_terms == ("Acme",)
    assert settings.input_encoding == "audio/pcmu"
    assert settings.output_encoding == "audio/pcma"
    assert detection.vad_threshold == 0.25
    assert (detection.min_silence, detection.max_silence) == (0.2, 0.9)
    assert detection.interruption_delay == 0.3
    assert detection.protected == {"greeting"}
