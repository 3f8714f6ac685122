"""The tables of errors, close codes and refusals."""

from __future__ import annotations

import pytest

from runner.protocol.client.state import (
    CLOSES,
    ERRORS,
    REFUSALS,
    UNKNOWN_CLOSE,
    UNKNOWN_REFUSAL,
    Phase,
    Recovery,
    rule_for_close,
    rule_for_error,
    rule_for_refusal,
)

# The tutorial's table, the wire schema's enumeration, and the documentation's codes.
KNOWN = [
    "UNAUTHORIZED",
    "FORBIDDEN",
    "session_not_found",
    "session_forbidden",
    "session_expired",
    "agent_init_failed",
    "agent_timeout",
    "invalid_format",
    "invalid_audio",
    "invalid_value",
    "immutable_field",
    "server_error",
    "agent_id_not_first",
    "agent_not_found",
    "at_capacity",
    "audio_rate_violation",
    "concurrency_exceeded",
    "INTERNAL_ERROR",
    "internal_error",
    "invalid_config",
    "invalid_webhook",
    "unauthorized",
]


@pytest.mark.parametrize("code", KNOWN)
def test_every_known_code_has_a_row(code: str) -> None:
    assert code.lower() in ERRORS


@pytest.mark.parametrize("phase", Phase)
def test_an_unknown_code_is_only_reported(phase: Phase) -> None:
    assert rule_for_error("brand_new").at(phase) is Recovery.REPORT


def test_only_a_key_or_an_expired_session_ends_a_live_conversation() -> None:
    ending = {code for code, rule in ERRORS.items() if rule.live is not Recovery.REPORT}

    assert ending == {"unauthorized", "forbidden", "session_expired"}


def test_what_ends_the_start_says_what_to_do() -> None:
    for code, rule in ERRORS.items():
        if rule.opening in (Recovery.REJECTED, Recovery.FATAL):
            assert rule.advice, code


def test_nothing_but_a_flood_is_fatal_while_a_session_may_be_resumed() -> None:
    final = (Recovery.REJECTED, Recovery.FATAL, Recovery.END)
    rows = [*ERRORS.items(), *CLOSES.items(), *REFUSALS.items()]
    assert [code for code, rule in rows if rule.resuming in final] == [1009]


def test_the_tables_have_these_rows_and_no_others() -> None:
    assert set(ERRORS) == {code.lower() for code in KNOWN}
    assert sorted(CLOSES) == [
        *range(1000, 1004),
        *range(1006, 1010),
        *range(1011, 1015),
    ]
    assert sorted(REFUSALS) == [401, 403, 404, 408, 425, 429, 500, 502, 503, 504]


def test_a_lost_connection_without_a_code_is_an_abnormal_closure() -> None:
    assert rule_for_close(None) is CLOSES[1006]
    assert rule_for_close(4999) is UNKNOWN_CLOSE


def test_a_proxy_without_its_service_is_tried_again_a_wrong_address_not() -> None:
    for status in (429, 500, 502, 503, 504):
        assert rule_for_refusal(status).opening is Recovery.RETRY
    assert rule_for_refusal(404).opening is Recovery.FATAL
    assert rule_for_refusal(None).opening is Recovery.FATAL
    assert rule_for_refusal(418) is UNKNOWN_REFUSAL


@pytest.mark.parametrize("phase", [Phase.DRAINING, Phase.ENDING])
def test_nothing_changes_an_end_that_is_decided(phase: Phase) -> None:
    rows = [*ERRORS.values(), *CLOSES.values(), *REFUSALS.values()]
    assert {rule.at(phase) for rule in rows} == {Recovery.REPORT}
