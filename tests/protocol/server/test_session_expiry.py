"""The expiry of a session."""

from __future__ import annotations

from runner.protocol.server.session import (
    GRACE_SECONDS,
    LIFETIME_SECONDS,
    SessionExpiry,
)


def test_a_live_session_has_a_limit_and_a_dropped_one_a_grace() -> None:
    lifetime = SessionExpiry()
    assert lifetime.ends is None
    lifetime.begin(100.0)
    assert lifetime.ends == 100.0 + LIFETIME_SECONDS
    lifetime.drop(200.0)
    assert lifetime.ends == 200.0 + GRACE_SECONDS

    assert not lifetime.is_over(229.9)
    assert lifetime.is_over(230.0)


def test_an_outage_does_not_make_a_session_live_longer() -> None:
    lifetime = SessionExpiry()
    lifetime.begin(100.0)
    lifetime.drop(200.0)
    lifetime.resume()

    assert lifetime.ends == 100.0 + LIFETIME_SECONDS
    assert lifetime.age(260.0) == 160.0


def test_before_it_began_and_after_it_ended_nothing_runs_out() -> None:
    lifetime = SessionExpiry()
    assert lifetime.age(5.0) == 0.0
    assert not lifetime.is_over(1e9)
    lifetime.begin(0.0)
    lifetime.end()

    assert not lifetime.is_over(1e9)
