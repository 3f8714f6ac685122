"""Limits of a server of hosted agents: who may begin a call, and how fast it may send.

All of it is pure: times come as arguments, in epoch seconds.
"""

from __future__ import annotations

import ipaddress
from collections import deque
from dataclasses import dataclass, field

_HOUR = 3_600.0
_DAY = 86_400.0
# Callers whose last hour is remembered; the one that called longest ago is forgotten.
_MAX_CALLERS = 50_000
_IPV6_PREFIX = 64
# A client sends 20 to 100 frames of audio a second, and a few other messages.
_MESSAGES_PER_SECOND = 150.0
_MESSAGE_BURST = 300.0


@dataclass(frozen=True, slots=True)
class Limits:
    """Limits of a server; None: no limit. Durations are seconds.

    `calls` and `per_caller` are calls at once. A caller is the subject of its token,
    else the network of its address.
    """

    calls: int | None = None
    per_caller: int | None = None
    per_caller_per_hour: int | None = None
    duration: float | None = None
    idle: float | None = None
    minutes_per_day: float | None = None


@dataclass(frozen=True, slots=True)
class Refusal:
    """A refused request: HTTP status, code and sentence; `retry_after` is seconds."""

    status: int
    code: str
    message: str
    retry_after: float | None = None


@dataclass(slots=True, eq=False)
class Seat:
    """The place of one live call; released once at its end."""

    caller: str
    began: float
    _admission: Admission
    _is_released: bool = False

    def release(self, now: float) -> None:
        """Frees the place; the call's time counts for its day."""
        if not self._is_released:
            self._is_released = True
            self._admission.leave(self, now)


@dataclass(slots=True)
class Admission:
    """Decides who may begin a call; counts calls at once, per hour and per day."""

    limits: Limits
    _seats: set[Seat] = field(default_factory=set)
    _recent: dict[str, deque[float]] = field(default_factory=dict)  # starts by caller
    _day: int = -1
    _used_seconds: float = 0.0  # of ended calls of this day

    @property
    def live(self) -> int:
        """The number of calls with a seat."""
        return len(self._seats)

    def refusal(self, caller: str, now: float) -> Refusal | None:
        """Returns why a call that begins now is refused, or None."""
        limits = self.limits
        if limits.calls is not None and self.live >= limits.calls:
            return Refusal(503, "all_busy", "All lines are busy", 10.0)
        mine = sum(seat.caller == caller for seat in self._seats)
        if limits.per_caller is not None and mine >= limits.per_caller:
            text = "You have another call with this server"
            return Refusal(429, "caller_limit", text, 10.0)
        recent = self._starts(caller, now)
        if (
            limits.per_caller_per_hour is not None
            and len(recent) >= limits.per_caller_per_hour
        ):
            wait = recent[0] + _HOUR - now
            text = "You have called too often in the last hour"
            return Refusal(429, "caller_limit", text, wait)
        budget = limits.minutes_per_day
        if budget is not None and self._spent_today(now) >= budget * 60:
            text = "The call time of this day is used up"
            return Refusal(503, "daily_limit", text, _DAY - now % _DAY)
        return None

    def admit(self, caller: str, now: float) -> Seat | Refusal:
        """Returns the seat of a call that begins now, or why it is refused."""
        refusal = self.refusal(caller, now)
        if refusal is not None:
            return refusal
        seat = Seat(caller, now, self)
        self._seats.add(seat)
        if self.limits.per_caller_per_hour is not None:
            recent = self._recent.pop(caller, None) or deque()
            recent.append(now)
            self._recent[caller] = recent  # at the end: the order is that of last calls
            if len(self._recent) > _MAX_CALLERS:
                del self._recent[next(iter(self._recent))]
        return seat

    def leave(self, seat: Seat, now: float) -> None:
        """Called by a seat that is released."""
        self._seats.discard(seat)
        self._begin_day(now)
        self._used_seconds += self._seconds_today(seat, now)

    def _starts(self, caller: str, now: float) -> deque[float]:
        recent = self._recent.get(caller)
        if recent is None:
            return deque()
        while recent and recent[0] <= now - _HOUR:
            recent.popleft()
        return recent

    def _spent_today(self, now: float) -> float:
        self._begin_day(now)
        live = sum(self._seconds_today(seat, now) for seat in self._seats)
        return self._used_seconds + live

    def _begin_day(self, now: float) -> None:
        day = int(now // _DAY)
        if day != self._day:
            self._day, self._used_seconds = day, 0.0

    def _seconds_today(self, seat: Seat, now: float) -> float:
        return max(0.0, now - max(seat.began, self._day * _DAY))


class MessageRate:
    """Bounds the messages per second of one client; it is read later, not refused."""

    def __init__(self, now: float) -> None:
        self._credit = _MESSAGE_BURST
        self._at = now

    def pause_seconds(self, now: float) -> float:
        """Returns how long not to read after a message that arrived now."""
        earned = (now - self._at) * _MESSAGES_PER_SECOND
        self._credit = min(_MESSAGE_BURST, self._credit + earned) - 1.0
        self._at = now
        return max(0.0, -self._credit / _MESSAGES_PER_SECOND)


def network_of(address: str) -> str:
    """Returns the network of a caller without a token; what is not an address as it is.

    An IPv6 customer has at least 64 bits of addresses.
    """
    try:
        parsed = ipaddress.ip_address(address)
    except ValueError:
        return address
    if isinstance(parsed, ipaddress.IPv6Address):
        if parsed.ipv4_mapped is not None:
            return str(parsed.ipv4_mapped)
        return str(ipaddress.ip_network((parsed, _IPV6_PREFIX), strict=False))
    return str(parsed)
