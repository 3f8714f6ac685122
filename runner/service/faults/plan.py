"""A plan turns faults and a seed into actions on connections and messages.

It reads no clock and no sockets: the same inputs always give the same actions.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Sequence
from random import Random

from runner.protocol.codec import encode
from runner.protocol.messages import SessionError
from runner.service.faults.model import (
    FORMS,
    Abort,
    Action,
    Close,
    Data,
    Deliver,
    Direction,
    Fault,
    FaultReported,
    Freeze,
)
from runner.service.faults.network import (
    ActiveFault,
    LinkState,
    MessageTransit,
    Network,
    TriggeredFault,
)

# How each kind is reported; {name} is a parameter, {type} the type of the message.
_REPORTS = {
    "drop": "dropped the connection",
    "close": "closed the connection with {code}",
    "outage": "dropped all connections, for {for:g} s",
    "refuse": "answers new connections with HTTP {status} from now on",
    "half-open": "left the connection half open, for {for:g} s",
    "slow": "slows messages by {by:g} s from now on",
    "burst": "delivers in bursts every {period:g} s from now on",
    "late": "held {type} back for {by:g} s",
    "duplicate": "sent {type} twice",
    "reorder": "let {type} change places with the next",
    "lose": "lost {type}",
    "silence": "silenced a reply",
    "error": "sent session.error {code}",
    "garbage": "sent garbage",
    "flood": "sent {count} messages at once",
}
# Deeper than the stack of any JSON parser, and still a small message.
_NESTING_LEVELS = 20_000
_GARBAGE: dict[str, Data] = {
    "text": "<html><body>502 Bad Gateway</body></html>",
    "truncated": '{"type":"reply.audio","data":"AAAA',
    "nested": "[" * _NESTING_LEVELS,
    "array": '[{"type":"reply.started"}]',
    "untyped": '{"hello":"world"}',
    "mistyped": '{"type":"transcript.user","text":7,"item_id":null}',
    "binary": b"\x00\xff\xfe\x01" * 120,
}
# The spelling of our codec: most messages need not be parsed.
_TYPE = re.compile(r'\{"type":"([a-z._]+)"')


class Plan:
    """The faults of one server; the caller performs the actions, in order.

    `now` never decreases. The caller must call `tick` once `now` reaches `deadline`,
    and numbers the connections. `epoch` is the offset from `now` to seconds since 1970,
    for the timestamps of injected messages.
    """

    def __init__(
        self, faults: Sequence[Fault], seed: int = 0, *, epoch: float = 0.0
    ) -> None:
        self._active = [
            ActiveFault(fault, Random(f"{seed}/{index}"))
            for index, fault in enumerate(faults)
        ]
        self._network = Network()
        self._links: dict[int, LinkState] = {}
        self._began: float | None = None
        self._epoch = epoch

    @property
    def deadline(self) -> float | None:
        """When to call `tick`; None while no connection is open."""
        return self._next() if self._links else None

    def request(self, now: float) -> list[Action]:
        """A client requests a connection; the actions show if it is rejected."""
        actions = self._advance(now)
        rejected = self._network.reject(now)
        if rejected is not None:
            fault, rejection = rejected
            did = (
                "reset a new connection"
                if rejection.status is None
                else f"answered HTTP {rejection.status}"
            )
            actions += [self._report(fault, did, now), rejection]
        return actions

    def open(self, connection: int, now: float) -> list[Action]:
        """A connection is open."""
        actions = self._advance(now)
        self._links[connection] = LinkState()
        return actions

    def transmit(
        self, connection: int, direction: Direction, data: Data, now: float
    ) -> list[Action]:
        """A message is sent; it has arrived once an action delivers it."""
        actions = self._advance(now)
        link = self._links.get(connection)
        if link is None or link.is_frozen:
            return actions
        kind = type_of(data)
        transit = MessageTransit(Deliver(connection, direction, data))
        for active in self._active:
            if active.trigger.matches(direction, kind):
                actions += self._apply_to_message(active, transit, now, kind)
        link.send(transit, kind, self._network.arrival(direction, now))
        return actions + self._advance(now)

    def close(self, connection: int, code: int, now: float) -> list[Action]:
        """The service closes a connection: after the messages still in flight."""
        actions = self._advance(now)
        link = self._links.get(connection)
        if link is None:
            return [*actions, Close(connection, code)]  # nothing is in flight
        if link.is_frozen:
            del self._links[connection]
            return [*actions, Abort(connection)]
        due = self._network.arrival(Direction.DOWN, now)
        link.down.put([Close(connection, code)], due)
        return actions + self._advance(now)

    def disconnect(self, connection: int, now: float) -> list[Action]:
        """A connection is gone: its messages in flight to the service arrive now."""
        actions = self._advance(now)
        link = self._links.pop(connection, None)
        if link is not None and not link.is_frozen:
            actions += [item for item in link.up.flush() if isinstance(item, Deliver)]
        return actions

    def tick(self, now: float) -> list[Action]:
        """Time has passed."""
        return self._advance(now)

    # ------------------------------------------------------------------------- time

    def _next(self) -> float | None:
        """Returns when the next timed event is due."""
        times = [time for link in self._links.values() for time in link.times()]
        if self._began is not None:
            times += [
                self._began + active.trigger.due
                for active in self._active
                if active.trigger.due is not None
            ]
        return min(times, default=None)

    def _advance(self, now: float) -> list[Action]:
        """Performs the timed events that are due, in order."""
        if self._began is None:
            self._began = now
        if not self._links:
            for active in self._active:
                active.trigger.skip(now - self._began)
        actions: list[Action] = []
        while (due := self._next()) is not None and due <= now:
            actions += self._perform_due(due, self._began)
        return actions

    def _perform_due(self, now: float, began: float) -> Iterator[Action]:
        for connection in list(self._links):
            yield from self._arrive(connection, now)
        for active in self._active:
            due = active.trigger.due
            if due is not None and began + due <= now and active.trigger.fire():
                yield from self._apply(TriggeredFault(active, None, None), now)
        for connection, link in list(self._links.items()):
            if link.resets_at is not None and link.resets_at <= now:
                del self._links[connection]
                yield Abort(connection)

    def _arrive(self, connection: int, now: float) -> Iterator[Action]:
        link = self._links.get(connection)
        if link is None:
            return
        for item in [*link.up.arrive(now), *link.down.arrive(now)]:
            if self._links.get(connection) is not link or link.is_frozen:
                return  # messages in flight are lost with the connection
            if isinstance(item, TriggeredFault):
                yield from self._apply(item, now)
                continue
            if isinstance(item, Close):
                del self._links[connection]
            yield item

    # ----------------------------------------------------------------------- faults

    def _apply_to_message(
        self, active: ActiveFault, transit: MessageTransit, now: float, kind: str
    ) -> Iterator[Action]:
        """Applies a fault to a message, or schedules it after the message."""
        delivery, fault = transit.delivery, active.fault
        match fault.kind:
            case "late":
                transit.late += fault.parameters["by"]
            case "duplicate":
                transit.copies.append(fault.parameters["by"])
            case "reorder":
                transit.held = fault.parameters["within"]
            case "lose":
                transit.is_lost = True
            case "silence":
                transit.silences = True
            case _:
                if fault.kind == "error" and delivery.direction is Direction.UP:
                    transit.is_lost = True  # the error is its answer
                transit.after.append(
                    TriggeredFault(active, delivery.connection, delivery.data)
                )
                return
        yield self._report(fault, describe(fault, kind or "message"), now)

    def _apply(self, triggered: TriggeredFault, now: float) -> Iterator[Action]:
        """Applies a fault to its connection, or to all."""
        active = triggered.active
        fault, number = active.fault, triggered.connection
        if fault.kind in Network.KINDS:
            self._network.begin(fault, now, active.rng)
            yield self._report(fault, describe(fault), now)
            if fault.kind == "outage":
                for connection in list(self._links):
                    del self._links[connection]
                    yield Abort(connection)
            return
        targets = [
            connection
            for connection, link in self._links.items()
            if number in (None, connection) and not link.is_frozen
        ]
        if targets:
            yield self._report(fault, describe(fault), now)
        for connection in targets:
            if fault.kind == "half-open":
                self._links[connection].resets_at = now + fault.parameters["for"]
            for action in effect_on(triggered, connection, self._epoch + now):
                if isinstance(action, Abort | Close):
                    del self._links[connection]
                yield action

    def _report(self, fault: Fault, did: str, now: float) -> FaultReported:
        began = now if self._began is None else self._began
        return FaultReported(fault.spec, did, round(now - began, 3))


def describe(fault: Fault, message_type: str = "") -> str:
    """Returns the report of a fault that happened."""
    if fault.parameters.get("how") == "reset":
        return "reset the connection"
    return _REPORTS[fault.kind].format(**fault.parameters, type=message_type)


def effect_on(
    triggered: TriggeredFault, connection: int, timestamp: float
) -> Iterator[Action]:
    """Yields the actions on one connection; `timestamp` is seconds since 1970."""
    fault = triggered.active.fault
    parameters = fault.parameters
    match fault.kind:
        case "drop":
            yield Abort(connection, parameters["how"] == "reset")
        case "close":
            yield Close(connection, parameters["code"])
        case "half-open":
            yield Freeze(connection)
        case "error":
            message = SessionError(
                parameters["code"], parameters["message"], timestamp=timestamp
            )
            yield Deliver(connection, Direction.DOWN, encode(message))
            if parameters["close"] is not None:
                yield Close(connection, parameters["close"])
        case "garbage":
            form = parameters["form"] or triggered.active.rng.choice(FORMS)
            yield Deliver(connection, Direction.DOWN, _GARBAGE[form])
        case "flood":
            message_of_flood = _flood_message(fault, triggered.data)
            for _ in range(parameters["count"]):
                yield Deliver(connection, Direction.DOWN, message_of_flood)


def type_of(data: Data) -> str:
    """Returns the type of a message; empty if it cannot be read."""
    if isinstance(data, bytes):
        return ""
    found = _TYPE.match(data)
    if found is not None:
        return found[1]
    try:
        content = json.loads(data)
    except (ValueError, RecursionError):
        return ""
    name = content.get("type") if isinstance(content, dict) else None
    return name if isinstance(name, str) else ""


def _flood_message(fault: Fault, trigger: Data | None) -> Data:
    if fault.parameters["of"] == "copies" and trigger is not None:
        return trigger
    head, tail = '{"type":"vagent.flood","padding":"', '"}'
    size: int = fault.parameters["size"]
    return head + "x" * (size - len(head) - len(tail)) + tail
