"""Plans: the actions that follow from messages, times and seeds."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from runner.errors import RemoteProtocolError
from runner.protocol.codec import decode_server
from runner.protocol.messages import Unknown
from runner.service.faults.model import (
    FORMS,
    Abort,
    Action,
    Close,
    Deliver,
    Direction,
    FaultReported,
    Freeze,
    RejectConnection,
)
from runner.service.faults.parser import KINDS, FaultKind, parse_fault
from runner.service.faults.plan import Plan, describe, type_of

UP, DOWN = Direction.UP, Direction.DOWN


def plan_of(*specs: str, seed: int = 0, epoch: float = 0.0) -> Plan:
    return Plan([parse_fault(spec) for spec in specs], seed, epoch=epoch)


def opened(*specs: str, **options: Any) -> Plan:
    """Returns a plan with connection 1 open since 100 s."""
    plan = plan_of(*specs, **options)
    assert plan.request(100.0) == [] or specs
    plan.open(1, 100.0)
    return plan


def text(kind: str, **fields: Any) -> str:
    return json.dumps({"type": kind, **fields}, separators=(",", ":"))


def down(kind: str, connection: int = 1) -> Deliver:
    return Deliver(connection, DOWN, text(kind))


def send_down(
    plan: Plan, kind: str, now: float = 100.0, connection: int = 1
) -> list[Action]:
    """Sends a message of the service; returns the actions without the reports."""
    return without_reports(plan.transmit(connection, DOWN, text(kind), now))


def send_up(plan: Plan, kind: str, now: float = 100.0) -> list[Action]:
    return without_reports(plan.transmit(1, UP, text(kind), now))


def without_reports(actions: list[Action]) -> list[Action]:
    return [action for action in actions if not isinstance(action, FaultReported)]


def reports(actions: list[Action]) -> list[str]:
    return [action.did for action in actions if isinstance(action, FaultReported)]


# ---------------------------------------------------------------------- at messages


def test_without_faults_messages_arrive_at_once() -> None:
    plan = opened()

    assert send_down(plan, "reply.started") == [down("reply.started")]
    assert send_up(plan, "input.audio") == [Deliver(1, UP, text("input.audio"))]
    assert plan.transmit(1, UP, b"\0", 100.0) == [Deliver(1, UP, b"\0")]
    assert plan.deadline is None
    assert plan.close(1, 1000, 100.0) == [Close(1, 1000)]


def test_a_drop_follows_its_message_and_ends_the_connection() -> None:
    plan = opened("drop on=reply.audio:2")

    assert send_down(plan, "reply.audio") == [down("reply.audio")]
    actions = plan.transmit(1, DOWN, text("reply.audio"), 101.25)
    assert actions == [
        down("reply.audio"),
        FaultReported("drop on=reply.audio:2", "dropped the connection", 1.25),
        Abort(1),
    ]
    assert send_down(plan, "reply.audio", 102.0) == []


def test_messages_are_counted_over_all_connections() -> None:
    plan = opened("drop on=reply.audio:3")
    plan.open(2, 100.0)

    send_down(plan, "reply.audio", connection=1)
    send_down(plan, "reply.audio", connection=2)
    assert send_down(plan, "reply.audio", connection=2)[-1] == Abort(2)
    assert send_down(plan, "reply.audio", connection=1) == [down("reply.audio")]


def test_every_and_times_limit_repetitions() -> None:
    plan = opened("lose on=tool.call:2 every=2 times=2")

    passed = [bool(send_down(plan, "tool.call")) for _ in range(8)]

    assert passed == [True, False, True, False, True, True, True, True]


def test_a_star_matches_every_type_of_its_direction() -> None:
    plan = opened("lose on=* times=2 direction=up")

    assert send_down(plan, "reply.started")
    assert send_up(plan, "dance") == []
    assert plan.transmit(1, UP, b"\0", 100.0)[1:] == []
    assert send_up(plan, "input.audio")


def test_a_close_has_its_code() -> None:
    plan = opened("close code=1011 on=reply.started")

    assert send_down(plan, "reply.started") == [down("reply.started"), Close(1, 1011)]
    assert send_down(plan, "reply.audio") == []


@pytest.mark.parametrize("spec", ["lose on=tool.result", "error code=x on=tool.result"])
def test_messages_lost_or_answered_by_an_error_never_arrive(spec: str) -> None:
    plan = opened(spec)

    actions = send_up(plan, "tool.result")

    assert not any(isinstance(s, Deliver) and s.direction is UP for s in actions)


def test_a_lost_message_can_end_the_connection() -> None:
    plan = opened("lose on=tool.result", "drop on=tool.result")

    assert send_up(plan, "tool.result") == [Abort(1)]


def test_an_error_has_its_code_and_a_timestamp() -> None:
    plan = opened("error code=session_expired on=session.ready", epoch=1000.0)

    message, error, close = send_down(plan, "session.ready", 101.0)

    assert message == down("session.ready")
    assert isinstance(error, Deliver)
    content = json.loads(error.data)
    assert (content["type"], content["code"]) == ("session.error", "session_expired")
    assert content["timestamp"] == 1101.0
    assert close == Close(1, 1008)


def test_a_duplicate_follows_its_original_at_once_or_later() -> None:
    plan = opened("duplicate on=tool.call", "duplicate on=reply.done by=2s")

    assert send_down(plan, "tool.call") == [down("tool.call"), down("tool.call")]
    assert send_down(plan, "reply.done") == [down("reply.done")]
    assert plan.deadline == 102.0
    assert plan.tick(102.0) == [down("reply.done")]


def test_a_late_message_is_overtaken_and_arrives_at_its_time() -> None:
    plan = opened("late on=reply.done by=500ms")

    assert send_down(plan, "reply.done") == []
    assert send_down(plan, "reply.started") == [down("reply.started")]
    assert plan.deadline == 100.5
    assert plan.tick(100.5) == [down("reply.done")]


def test_reordered_messages_change_places_if_the_next_comes_in_time() -> None:
    plan = opened("reorder on=reply.started times=2 within=1s")

    assert send_down(plan, "reply.started") == []
    assert send_down(plan, "reply.audio", 100.5) == [
        down("reply.audio"),
        down("reply.started"),
    ]
    assert send_down(plan, "reply.started", 101.0) == []
    assert plan.deadline == 102.0
    assert plan.tick(102.0) == [down("reply.started")]


def test_a_silenced_reply_is_followed_by_a_complete_one() -> None:
    plan = opened("silence on=reply.started:2")
    reply = ["reply.started", "reply.audio", "tool.call", "reply.done"]

    passed = [
        [kind for kind in reply if send_down(plan, kind)],
        [kind for kind in [*reply, "transcript.user"] if send_down(plan, kind)],
        [kind for kind in reply if send_down(plan, kind)],
    ]

    assert passed == [reply, ["reply.started", "transcript.user"], reply]


def test_a_flood_has_the_given_count_and_size() -> None:
    plan = opened("flood on=reply.started count=3 size=100")
    _, *flood = send_down(plan, "reply.started")
    assert [len(action.data) for action in flood if isinstance(action, Deliver)] == [
        100
    ] * 3

    plan = opened("flood on=reply.audio count=2 of=copies")
    assert send_down(plan, "reply.audio") == [down("reply.audio")] * 3


# ------------------------------------------------------------------------- at times


def test_a_time_applies_to_every_open_connection() -> None:
    plan = opened("drop at=5s")
    plan.open(2, 103.0)

    assert plan.deadline == 105.0
    assert without_reports(plan.tick(104.9)) == []
    assert without_reports(plan.tick(105.0)) == [Abort(1), Abort(2)]
    assert plan.deadline is None


def test_a_time_without_an_open_connection_passes() -> None:
    plan = plan_of("drop at=5s every=10s")
    plan.request(100.0)

    assert plan.deadline is None
    assert plan.open(1, 131.0) == []
    assert plan.deadline == 135.0
    assert without_reports(plan.tick(135.0)) == [Abort(1)]


def test_of_the_times_that_passed_only_the_last_is_used_up() -> None:
    plan = plan_of("drop at=1s every=1s times=2")
    plan.request(100.0)
    plan.open(1, 200.5)

    assert without_reports(plan.tick(201.0)) == [Abort(1)]


def test_times_limit_what_time_does() -> None:
    plan = opened("garbage at=1s every=1s times=2 form=array")

    assert len(without_reports(plan.tick(101.0))) == 1
    assert len(without_reports(plan.tick(102.0))) == 1
    assert without_reports(plan.tick(200.0)) == []
    assert plan.deadline is None


def test_overdue_events_happen_in_order() -> None:
    plan = opened("slow by=3s", "drop at=5s")
    send_down(plan, "session.updated", 101.0)
    send_down(plan, "session.ready", 103.0)

    assert without_reports(plan.tick(110.0)) == [down("session.updated"), Abort(1)]


def test_an_outage_rejects_connections_while_it_lasts() -> None:
    plan = opened("outage at=4s for=3s")

    assert without_reports(plan.tick(104.0)) == [Abort(1)]
    assert without_reports(plan.request(106.9)) == [RejectConnection(None)]
    assert plan.request(107.0) == []


def test_an_outage_without_connections_counts_from_its_beginning() -> None:
    plan = plan_of("outage at=4s for=3s")
    plan.request(100.0)

    assert without_reports(plan.request(106.0)) == [RejectConnection(None)]
    assert plan.request(107.0) == []


def test_a_refusal_lasts_for_its_time_or_its_number() -> None:
    plan = plan_of("refuse status=502 for=2s")
    assert without_reports(plan.request(100.0)) == [RejectConnection(502)]
    assert without_reports(plan.request(101.9)) == [RejectConnection(502)]
    assert plan.request(102.0) == []

    plan = plan_of("refuse status=503 times=2", "refuse status=502 times=1")
    answers = [
        without_reports(plan.request(now)) for now in (100.0, 101.0, 150.0, 151.0)
    ]
    assert answers == [
        [RejectConnection(503)],
        [RejectConnection(503)],
        [RejectConnection(502)],
        [],
    ]


def test_a_half_open_connection_carries_nothing_until_it_is_reset() -> None:
    plan = opened("half-open on=reply.started for=10s")

    assert send_down(plan, "reply.started") == [down("reply.started"), Freeze(1)]
    assert (
        send_down(plan, "reply.audio", 101.0)
        == send_up(plan, "input.audio", 101.0)
        == []
    )
    assert plan.deadline == 110.0
    assert plan.tick(110.0) == [Abort(1)]


def test_a_half_open_connection_that_the_service_closes_is_reset() -> None:
    plan = opened("half-open on=reply.started")
    send_down(plan, "reply.started")

    assert plan.close(1, 1000, 101.0) == [Abort(1)]
    assert plan.deadline is None


def test_messages_on_a_half_open_connection_are_not_counted() -> None:
    plan = opened("half-open on=reply.started for=10s", "lose on=tool.call")
    send_down(plan, "reply.started")

    assert plan.transmit(1, DOWN, text("tool.call"), 101.0) == []
    plan.open(2, 101.0)
    assert send_down(plan, "tool.call", 101.0, connection=2) == []


def test_messages_in_flight_are_lost_with_the_connection() -> None:
    plan = opened("slow by=1s", "half-open at=500ms for=10s")
    send_down(plan, "reply.started")
    assert without_reports(plan.tick(100.5)) == [Freeze(1)]
    assert plan.deadline == 110.5

    plan = opened("burst period=1s", "drop on=reply.done")
    send_down(plan, "reply.done", 100.1)
    send_down(plan, "reply.audio", 100.2)
    assert without_reports(plan.tick(101.0)) == [down("reply.done"), Abort(1)]


# -------------------------------------------------------------------------- slowness


def test_a_slow_connection_keeps_the_order_in_each_direction() -> None:
    plan = opened("slow by=1s jitter=1s for=50s")
    kinds = [f"kind.{number}" for number in range(200)]
    arrived: list[Action] = []
    for number, kind in enumerate(kinds):
        arrived += send_down(plan, kind, 100.0 + number / 100)
    early = len(arrived)
    arrived += plan.tick(150.0)

    assert arrived == [down(kind) for kind in kinds]
    assert 0 < early < 100


def test_slowness_applies_to_its_direction_only() -> None:
    plan = opened("slow by=1s direction=up for=10s")

    assert send_down(plan, "reply.started") == [down("reply.started")]
    assert send_up(plan, "input.audio") == []
    assert plan.tick(101.0) == [Deliver(1, UP, text("input.audio"))]
    assert send_up(plan, "input.audio", 110.0)


def test_bursts_arrive_at_their_times() -> None:
    plan = opened("burst period=1s at=0s")

    assert send_down(plan, "kind.a", 100.1) == send_down(plan, "kind.b", 100.9) == []
    assert plan.deadline == 101.0
    assert plan.tick(101.0) == [down("kind.a"), down("kind.b")]


def test_a_close_follows_the_messages_in_flight() -> None:
    plan = opened("slow by=1s")
    send_down(plan, "session.ended")

    assert plan.close(1, 1000, 100.5) == []
    assert plan.tick(101.0) == [down("session.ended")]
    assert plan.tick(101.5) == [Close(1, 1000)]


def test_messages_of_a_disconnected_client_still_arrive() -> None:
    plan = opened("slow by=1s")
    send_up(plan, "session.end")
    send_down(plan, "reply.audio")

    assert plan.disconnect(1, 100.5) == [Deliver(1, UP, text("session.end"))]
    assert plan.close(1, 1000, 100.6) == [Close(1, 1000)]


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
MESSAGE_TYPES = [
    "reply.started",
    "reply.audio",
    "reply.done",
    "tool.call",
    "session.update",
]
Act = tuple[str, int, Direction, str]  # method, connection, direction, message type
ACTS: st.SearchStrategy[Act] = st.tuples(
    st.sampled_from(
        ["transmit", "transmit", "transmit", "request", "open", "close", "disconnect"]
    ),
    st.integers(1, 3),
    st.sampled_from(Direction),
    st.sampled_from(MESSAGE_TYPES),
)
STORIES = st.lists(st.tuples(ACTS, st.floats(0, 2)), max_size=60)
CHOSEN = st.lists(st.sampled_from(SPECS), max_size=6)


def play(plan: Plan, act: Act, now: float) -> list[Action]:
    name, connection, direction, kind = act
    match name:
        case "transmit":
            return plan.transmit(connection, direction, text(kind), now)
        case "request":
            return plan.request(now)
        case "open":
            return plan.open(connection, now)
        case "close":
            return plan.close(connection, 1000, now)
        case _:
            return plan.disconnect(connection, now)


def play_all(plan: Plan, story: list[tuple[Act, float]]) -> list[Action]:
    now = 50.0
    actions = plan.open(1, now)
    for act, pause in story:
        now += pause
        actions += play(plan, act, now)
    return actions


@given(CHOSEN, st.integers(), STORIES)
def test_the_same_seed_and_inputs_give_the_same_actions(
    specs: list[str], seed: int, story: list[tuple[Act, float]]
) -> None:
    first = play_all(plan_of(*specs, seed=seed), story)

    assert play_all(plan_of(*specs, seed=seed), story) == first


@given(CHOSEN, st.integers(), STORIES)
def test_closed_connections_carry_nothing_and_no_deadline_is_missed(
    specs: list[str], seed: int, story: list[tuple[Act, float]]
) -> None:
    plan = plan_of(*specs, seed=seed)
    gone = {2, 3}
    now = 50.0
    plan.open(1, now)
    for act, pause in story:
        now += pause
        if act[0] == "open":
            plan.tick(now)  # what is due happens to the connection before it
            gone.discard(act[1])
        for action in play(plan, act, now):
            if isinstance(action, Deliver | Freeze):
                assert action.connection not in gone
            elif isinstance(action, Abort | Close):
                gone.add(action.connection)
        assert plan.deadline is None or plan.deadline > now


@given(STORIES)
def test_a_plan_without_faults_only_delivers(
    story: list[tuple[Act, float]],
) -> None:
    for action in play_all(plan_of(), story):
        assert isinstance(action, Deliver | Close)


def test_the_seed_selects_the_faults_and_faults_are_independent() -> None:
    def losses(*specs: str, seed: int) -> list[bool]:
        plan = opened(*specs, seed=seed)
        return [not send_down(plan, "tool.call") for _ in range(200)]

    once = losses("lose on=tool.call chance=0.5", seed=1)
    assert 60 < sum(once) < 140
    assert losses("lose on=tool.call chance=0.5", seed=2) != once
    assert losses("lose on=tool.call chance=0.5", "drop on=reply.done", seed=1) == once


def test_faults_of_the_same_chance_use_separate_random_numbers() -> None:
    specs = ("lose on=tool.call chance=0.5", "lose on=reply.done chance=0.5")
    plan = opened(*specs)
    lost = [
        (send_down(plan, "tool.call"), send_down(plan, "reply.done"))
        for _ in range(100)
    ]

    assert any(bool(one) != bool(other) for one, other in lost)


def test_every_fault_that_happens_is_reported_once() -> None:
    plan = plan_of("refuse status=502", "lose on=tool.call", "drop on=reply.done")

    actions = plan.request(100.0)
    plan.open(1, 100.0)
    for kind in ("tool.call", "reply.done"):
        actions += plan.transmit(1, DOWN, text(kind), 101.0)

    assert reports(actions) == [
        "answers new connections with HTTP 502 from now on",
        "answered HTTP 502",
        "lost tool.call",
        "dropped the connection",
    ]


# ------------------------------------------------------------------------- messages


@pytest.mark.parametrize(
    ("data", "kind"),
    [
        ('{"type":"tool.call","call_id":"x"}', "tool.call"),
        ('{"call_id": "x", "type": "tool.call"}', "tool.call"),
        ('{"type": "dance"}', "dance"),
        ('{"type": 7}', ""),
        ("[1]", ""),
        ("{", ""),
        ("[" * 100_000, ""),
        (b'{"type":"tool.call"}', ""),
    ],
)
def test_the_type_is_read_in_any_spelling(data: str | bytes, kind: str) -> None:
    assert type_of(data) == kind


@pytest.mark.parametrize("form", [form for form in FORMS if form != "untyped"])
def test_garbage_cannot_be_decoded(form: str) -> None:
    plan = opened(f"garbage on=reply.started form={form}")

    _, garbage = send_down(plan, "reply.started")

    assert isinstance(garbage, Deliver)
    with pytest.raises(RemoteProtocolError):
        decode_server(garbage.data)


def test_garbage_without_a_form_has_any_form() -> None:
    plan = opened("garbage on=reply.started times=200")
    sent = [send_down(plan, "reply.started")[1] for _ in range(200)]

    assert len(set(sent)) == len(FORMS)


def test_a_flood_has_an_unknown_type() -> None:
    plan = opened("flood on=reply.started count=1 size=4096", "flood on=reply.done")

    _, padded = send_down(plan, "reply.started")
    _, *short = send_down(plan, "reply.done")

    assert isinstance(padded, Deliver)
    assert len(padded.data) == 4096
    assert isinstance(decode_server(padded.data), Unknown)
    assert len(short) == 1000
    assert isinstance(short[0], Deliver)
    assert json.loads(short[0].data)


# -------------------------------------------------------------------------- reports


@pytest.mark.parametrize(
    ("spec", "kinds", "did"),
    [
        ("drop at=1s", [Abort], "dropped the connection"),
        ("drop at=1s how=reset", [Abort], "reset the connection"),
        ("close code=1001 at=1s", [Close], "closed the connection with 1001"),
        ("half-open at=1s for=2s", [Freeze], "left the connection half open, for 2 s"),
        ("error code=x at=1s", [Deliver], "sent session.error x"),
        ("error code=x at=1s close=1008", [Deliver, Close], "sent session.error x"),
        ("garbage at=1s", [Deliver], "sent garbage"),
        ("flood at=1s count=2", [Deliver, Deliver], "sent 2 messages at once"),
    ],
)
def test_a_fault_is_a_report_and_actions_on_its_connection(
    spec: str, kinds: list[type], did: str
) -> None:
    plan = opened(spec)

    report, *actions = plan.tick(101.0)

    assert report == FaultReported(spec, did, 1.0)
    assert [type(action) for action in actions] == kinds


@pytest.mark.parametrize("kind", KINDS.values(), ids=KINDS)
def test_every_kind_has_a_report(kind: FaultKind) -> None:
    assert describe(parse_fault(kind.example), "tool.call")
