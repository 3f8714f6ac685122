"""The table of error codes."""

from __future__ import annotations

import pytest

from runner.protocol.client.recovery import RULES, Recovery, rule_for

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
    assert code.lower() in RULES


def test_an_unknown_code_is_only_reported() -> None:
    rule = rule_for("brand_new")

    assert (rule.before_ready, rule.live) == (Recovery.REPORT, Recovery.REPORT)


def test_only_a_key_or_an_expired_session_ends_a_live_conversation() -> None:
    ending = {code for code, rule in RULES.items() if rule.live is not Recovery.REPORT}

    assert ending == {"unauthorized", "forbidden", "session_expired"}


def test_what_ends_the_start_says_what_to_do() -> None:
    for code, rule in RULES.items():
        if rule.before_ready in (Recovery.REJECTED, Recovery.RETRY):
            assert rule.advice, code
