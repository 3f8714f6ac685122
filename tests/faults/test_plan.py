"""Plans fed by hand: what comes of messages and of time, by which seed."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from runner.faults.fault import Direction
from runner.faults.grammar import parse_fault
from runner.faults.plan import Plan
from runner.faults.steps import (
    Abort,
    Close,
    Deliver,
    Freeze,
    Noted,
    Step,
    TurnAway,
)

UP, DOWN = Direction.UP, Direction.DOWN


def plan_of(*specs: str, seed: int = 0, epoch: float = 0.0) -> Plan:
    return Plan([parse_fault(spec) for spec in specs], seed, epoch=epoch)


def opened(*specs: str, **options: Any) -> Plan:
    """Return a plan with line 1 open since 100 s."""
    plan = plan_of(*specs, **options)
    assert plan.knock(100.0) == [] or specs
    plan.open(1, 100.0)
    return plan


def text(kind: str, **fields: Any) -> str:
    return json.dumps({"type": kind, **fields}, separators=(",", ":"))


def down(kind: str, line: int = 1) -> Deliver:
    return Deliver(line, DOWN, text(kind))


def said(plan: Plan, kind: str, now: float = 100.0, line: int = 1) -> list[Step]:
    """Let the service say something; leaves out what is for the operator."""
    return done(plan.carry(line, DOWN, text(kind), now))


def heard(plan: Plan, kind: str, now: float = 100.0) -> list[Step]:
    return done(plan.carry(1, UP, text(kind), now))


def done(steps: list[Step]) -> list[Step]:
    return [step for step in steps if not isinstance(step, Noted)]


def notes(steps: list[Step]) -> list[str]:
    return [step.did for step in steps if isinstance(step, Noted)]


# ---------------------------------------------------------------------- at messages


def test_without_faults_everything_passes_at_once() -> None:
    plan = opened()

    assert said(plan, "reply.started") == [down("reply.started")]
    assert heard(plan, "input.audio") == [Deliver(1, UP, text("input.audio"))]
    assert plan.carry(1, UP, b"\0", 100.0) == [Deliver(1, UP, b"\0")]
    assert plan.deadline is None
    assert plan.finish(1, 1000, 100.0) == [Close(1, 1000)]


def test_a_drop_comes_after_its_message_and_nothing_after_a_drop() -> None:
    plan = opened("drop on=reply.audio:2")

    assert said(plan, "reply.audio") == [down("reply.audio")]
    steps = plan.carry(1, DOWN, text("reply.audio"), 101.25)
    assert steps == [
        down("reply.audio"),
        Noted("drop on=reply.audio:2", "dropped the line", 1.25),
        Abort(1),
    ]
    assert said(plan, "reply.audio", 102.0) == []


def test_messages_are_counted_over_all_lines() -> None:
    plan = opened("drop on=reply.audio:3")
    plan.open(2, 100.0)

    said(plan, "reply.audio", line=1)
    said(plan, "reply.audio", line=2)
    assert said(plan, "reply.audio", line=2)[-1] == Abort(2)
    assert said(plan, "reply.audio", line=1) == [down("reply.audio")]


def test_every_and_times_say_how_often() -> None:
    plan = opened("lose on=tool.call:2 every=2 times=2")

    passed = [bool(said(plan, "tool.call")) for _ in range(8)]

    assert passed == [True, False, True, False, True, True, True, True]


def test_a_star_stands_for_every_type_of_its_direction() -> None:
    plan = opened("lose on=* times=2 direction=up")

    assert said(plan, "reply.started")
    assert heard(plan, "dance") == []
    assert plan.carry(1, UP, b"\0", 100.0)[1:] == []
    assert heard(plan, "input.audio")


def test_a_close_tells_its_code() -> None:
    plan = opened("close code=1011 on=reply.started")

    assert said(plan, "reply.started") == [down("reply.started"), Close(1, 1011)]
    assert said(plan, "reply.audio") == []


@pytest.mark.parametrize("spec", ["lose on=tool.result", "error code=x on=tool.result"])
def test_what_is_lost_or_answered_by_an_error_never_arrives(spec: str) -> None:
    plan = opened(spec)

    steps = heard(plan, "tool.result")

    assert not any(isinstance(s, Deliver) and s.direction is UP for s in steps)


def test_a_lost_message_can_take_the_line_with_it() -> None:
    plan = opened("lose on=tool.result", "drop on=tool.result")

    assert heard(plan, "tool.result") == [Abort(1)]


def test_an_error_says_its_code_and_when() -> None:
    plan = opened("error code=session_expired on=session.ready", epoch=1000.0)

    message, error, close = said(plan, "session.ready", 101.0)

    assert message == down("session.ready")
    assert isinstance(error, Deliver)
    content = json.loads(error.data)
    assert (content["type"], content["code"]) == ("session.error", "session_expired")
    assert content["timestamp"] == 1101.0
    assert close == Close(1, 1008)


def test_a_duplicate_follows_its_original_or_comes_later() -> None:
    plan = opened("duplicate on=tool.call", "duplicate on=reply.done by=2s")

    assert said(plan, "tool.call") == [down("tool.call"), down("tool.call")]
    assert said(plan, "reply.done") == [down("reply.done")]
    assert plan.deadline == 102.0
    assert plan.tick(102.0) == [down("reply.done")]


def test_a_late_message_is_overtaken_and_arrives_in_its_time() -> None:
    plan = opened("late on=reply.done by=500ms")

    assert said(plan, "reply.done") == []
    assert said(plan, "reply.started") == [down("reply.started")]
    assert plan.deadline == 100.5
    assert plan.tick(100.5) == [down("reply.done")]


def test_reordered_messages_change_places_if_the_next_comes_in_time() -> None:
    plan = opened("reorder on=reply.started times=2 within=1s")

    assert said(plan, "reply.started") == []
    assert said(plan, "reply.audio", 100.5) == [
        down("reply.audio"),
        down("reply.started"),
    ]
    assert said(plan, "reply.started", 101.0) == []
    assert plan.deadline == 102.0
    assert plan.tick(102.0) == [down("reply.started")]


def test_a_silent_reply_is_followed_by_one_that_sounds() -> None:
    plan = opened("silence on=reply.started:2")
    reply = ["reply.started", "reply.audio", "tool.call", "reply.done"]

    passed = [
        [kind for kind in reply if said(plan, kind)],
        [kind for kind in [*reply, "transcript.user"] if said(plan, kind)],
        [kind for kind in reply if said(plan, kind)],
    ]

    assert passed == [reply, ["reply.started", "transcript.user"], reply]


def test_a_flood_is_as_many_and_as_large_as_it_says() -> None:
    plan = opened("flood on=reply.started count=3 size=100")
    _, *flood = said(plan, "reply.started")
    assert [len(step.data) for step in flood if isinstance(step, Deliver)] == [100] * 3

    plan = opened("flood on=reply.audio count=2 of=copies")
    assert said(plan, "reply.audio") == [down("reply.audio")] * 3


# ------------------------------------------------------------------------- at times


def test_a_time_strikes_every_open_line_and_is_waited_for() -> None:
    plan = opened("drop at=5s")
    plan.open(2, 103.0)

    assert plan.deadline == 105.0
    assert done(plan.tick(104.9)) == []
    assert done(plan.tick(105.0)) == [Abort(1), Abort(2)]
    assert plan.deadline is None


def test_a_time_at_which_nobody_is_there_passes() -> None:
    plan = plan_of("drop at=5s every=10s")
    plan.knock(100.0)

    assert plan.deadline is None
    assert plan.open(1, 131.0) == []
    assert plan.deadline == 135.0
    assert done(plan.tick(135.0)) == [Abort(1)]


def test_of_the_times_that_passed_only_the_last_is_used_up() -> None:
    plan = plan_of("drop at=1s every=1s times=2")
    plan.knock(100.0)
    plan.open(1, 200.5)

    assert done(plan.tick(201.0)) == [Abort(1)]


def test_times_limit_what_time_does() -> None:
    plan = opened("garbage at=1s every=1s times=2 form=array")

    assert len(done(plan.tick(101.0))) == 1
    assert len(done(plan.tick(102.0))) == 1
    assert done(plan.tick(200.0)) == []
    assert plan.deadline is None


def test_what_is_overdue_happens_in_its_order() -> None:
    plan = opened("slow by=3s", "drop at=5s")
    said(plan, "session.updated", 101.0)
    said(plan, "session.ready", 103.0)

    assert done(plan.tick(110.0)) == [down("session.updated"), Abort(1)]


def test_an_outage_turns_clients_away_while_it_lasts() -> None:
    plan = opened("outage at=4s for=3s")

    assert done(plan.tick(104.0)) == [Abort(1)]
    assert done(plan.knock(106.9)) == [TurnAway(None)]
    assert plan.knock(107.0) == []


def test_an_outage_that_nobody_saw_begin_counts_from_its_beginning() -> None:
    plan = plan_of("outage at=4s for=3s")
    plan.knock(100.0)

    assert done(plan.knock(106.0)) == [TurnAway(None)]
    assert plan.knock(107.0) == []


def test_a_refusal_holds_for_its_time_or_its_number() -> None:
    plan = plan_of("refuse status=502 for=2s")
    assert done(plan.knock(100.0)) == [TurnAway(502)]
    assert done(plan.knock(101.9)) == [TurnAway(502)]
    assert plan.knock(102.0) == []

    plan = plan_of("refuse status=503 times=2", "refuse status=502 times=1")
    answers = [done(plan.knock(now)) for now in (100.0, 101.0, 150.0, 151.0)]
    assert answers == [[TurnAway(503)], [TurnAway(503)], [TurnAway(502)], []]


def test_a_half_open_line_carries_nothing_until_it_is_reset() -> None:
    plan = opened("half-open on=reply.started for=10s")

    assert said(plan, "reply.started") == [down("reply.started"), Freeze(1)]
    assert said(plan, "reply.audio", 101.0) == heard(plan, "input.audio", 101.0) == []
    assert plan.deadline == 110.0
    assert plan.tick(110.0) == [Abort(1)]


def test_a_half_open_line_that_the_service_leaves_is_reset_without_a_word() -> None:
    plan = opened("half-open on=reply.started")
    said(plan, "reply.started")

    assert plan.finish(1, 1000, 101.0) == [Abort(1)]
    assert plan.deadline is None


def test_what_a_half_open_line_would_have_carried_does_not_count() -> None:
    plan = opened("half-open on=reply.started for=10s", "lose on=tool.call")
    said(plan, "reply.started")

    assert plan.carry(1, DOWN, text("tool.call"), 101.0) == []
    plan.open(2, 101.0)
    assert said(plan, "tool.call", 101.0, line=2) == []


def test_what_is_on_its_way_goes_down_with_the_line() -> None:
    plan = opened("slow by=1s", "half-open at=500ms for=10s")
    said(plan, "reply.started")
    assert done(plan.tick(100.5)) == [Freeze(1)]
    assert plan.deadline == 110.5

    plan = opened("burst period=1s", "drop on=reply.done")
    said(plan, "reply.done", 100.1)
    said(plan, "reply.audio", 100.2)
    assert done(plan.tick(101.0)) == [down("reply.done"), Abort(1)]


# -------------------------------------------------------------------------- slowness


def test_a_slow_line_keeps_the_order_in_each_direction() -> None:
    plan = opened("slow by=1s jitter=1s for=50s")
    kinds = [f"kind.{number}" for number in range(200)]
    arrived: list[Step] = []
    for number, kind in enumerate(kinds):
        arrived += said(plan, kind, 100.0 + number / 100)
    early = len(arrived)
    arrived += plan.tick(150.0)

    assert arrived == [down(kind) for kind in kinds]
    assert 0 < early < 100


def test_a_slow_way_up_is_not_a_slow_way_down() -> None:
    plan = opened("slow by=1s direction=up for=10s")

    assert said(plan, "reply.started") == [down("reply.started")]
    assert heard(plan, "input.audio") == []
    assert plan.tick(101.0) == [Deliver(1, UP, text("input.audio"))]
    assert heard(plan, "input.audio", 110.0)


def test_bursts_come_at_their_times() -> None:
    plan = opened("burst period=1s at=0s")

    assert said(plan, "kind.a", 100.1) == said(plan, "kind.b", 100.9) == []
    assert plan.deadline == 101.0
    assert plan.tick(101.0) == [down("kind.a"), down("kind.b")]


def test_a_goodbye_follows_what_is_on_its_way() -> None:
    plan = opened("slow by=1s")
    said(plan, "session.ended")

    assert plan.finish(1, 1000, 100.5) == []
    assert plan.tick(101.0) == [down("session.ended")]
    assert plan.tick(101.5) == [Close(1, 1000)]


def test_a_client_that_left_is_still_heard_to_its_end() -> None:
    plan = opened("slow by=1s")
    heard(plan, "session.end")
    said(plan, "reply.audio")

    assert plan.forget(1, 100.5) == [Deliver(1, UP, text("session.end"))]
    assert plan.finish(1, 1000, 100.6) == [Close(1, 1000)]


# ------------------------------------------------------------------------- the seed

SPECS = [
    "drop on=* chance=0.05",
    "close code=1011 on=reply.audio:4 chance=0.5",
    "outage at=3s every=7s chance=0.5 for=1s",
    "refuse status=502 at=2s for=1s",
    "half-open on=reply.done chance=0.3 for=2s",
    "slow by=100ms jitter=900ms",
    "burst period=300ms direction=down at=5s",
    "late on=* chance=0.2 by=700ms",
    "duplicate on=* chance=0.2 by=100ms",
    "reorder on=* chance=0.3 direction=down",
    "lose on=* chance=0.1",
    "silence on=reply.started chance=0.5",
    "error code=internal_error on=session.update chance=0.5",
    "garbage at=1s every=1s",
    "flood on=tool.call count=3 of=copies",
]
KINDS = ["reply.started", "reply.audio", "reply.done", "tool.call", "session.update"]
Act = tuple[str, int, Direction, str]  # what is done, on which line, with which message
ACTS: st.SearchStrategy[Act] = st.tuples(
    st.sampled_from(["carry", "carry", "carry", "knock", "open", "finish", "forget"]),
    st.integers(1, 3),
    st.sampled_from(Direction),
    st.sampled_from(KINDS),
)
STORIES = st.lists(st.tuples(ACTS, st.floats(0, 2)), max_size=60)
CHOSEN = st.lists(st.sampled_from(SPECS), max_size=6)


def play(plan: Plan, act: Act, now: float) -> list[Step]:
    name, line, direction, kind = act
    match name:
        case "carry":
            return plan.carry(line, direction, text(kind), now)
        case "knock":
            return plan.knock(now)
        case "open":
            return plan.open(line, now)
        case "finish":
            return plan.finish(line, 1000, now)
        case _:
            return plan.forget(line, now)


def play_all(plan: Plan, story: list[tuple[Act, float]]) -> list[Step]:
    now = 50.0
    steps = plan.open(1, now)
    for act, pause in story:
        now += pause
        steps += play(plan, act, now)
    return steps


@given(CHOSEN, st.integers(), STORIES)
def test_the_same_seed_and_story_give_the_same_steps(
    specs: list[str], seed: int, story: list[tuple[Act, float]]
) -> None:
    first = play_all(plan_of(*specs, seed=seed), story)

    assert play_all(plan_of(*specs, seed=seed), story) == first


@given(CHOSEN, st.integers(), STORIES)
def test_nothing_comes_over_a_line_that_is_gone_and_no_deadline_is_missed(
    specs: list[str], seed: int, story: list[tuple[Act, float]]
) -> None:
    plan = plan_of(*specs, seed=seed)
    gone = {2, 3}
    now = 50.0
    plan.open(1, now)
    for act, pause in story:
        now += pause
        if act[0] == "open":
            plan.tick(now)  # what is due happens to the line before
            gone.discard(act[1])
        for step in play(plan, act, now):
            if isinstance(step, Deliver | Freeze):
                assert step.line not in gone
            elif isinstance(step, Abort | Close):
                gone.add(step.line)
        assert plan.deadline is None or plan.deadline > now


@given(STORIES)
def test_without_faults_a_plan_only_passes_on(
    story: list[tuple[Act, float]],
) -> None:
    for step in play_all(plan_of(), story):
        assert isinstance(step, Deliver | Close)


def test_another_seed_gives_other_faults_and_another_fault_changes_no_lots() -> None:
    def losses(*specs: str, seed: int) -> list[bool]:
        plan = opened(*specs, seed=seed)
        return [not said(plan, "tool.call") for _ in range(200)]

    once = losses("lose on=tool.call chance=0.5", seed=1)
    assert 60 < sum(once) < 140
    assert losses("lose on=tool.call chance=0.5", seed=2) != once
    assert losses("lose on=tool.call chance=0.5", "drop on=reply.done", seed=1) == once


def test_two_faults_of_the_same_chance_draw_their_own_lots() -> None:
    specs = ("lose on=tool.call chance=0.5", "lose on=reply.done chance=0.5")
    plan = opened(*specs)
    lost = [(said(plan, "tool.call"), said(plan, "reply.done")) for _ in range(100)]

    assert any(bool(one) != bool(other) for one, other in lost)


def test_every_fault_that_happens_is_noted_once() -> None:
    plan = plan_of("refuse status=502", "lose on=tool.call", "drop on=reply.done")

    steps = plan.knock(100.0)
    plan.open(1, 100.0)
    for kind in ("tool.call", "reply.done"):
        steps += plan.carry(1, DOWN, text(kind), 101.0)

    assert notes(steps) == [
        "answers new connections with HTTP 502 from now on",
        "answered HTTP 502",
        "lost tool.call",
        "dropped the line",
    ]
