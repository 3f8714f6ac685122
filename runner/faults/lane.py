"""One direction of one line: what is on its way, in the order in which it arrives."""

from __future__ import annotations

import heapq
from collections.abc import Sequence
from typing import Generic, TypeVar

T = TypeVar("T")


class Lane(Generic[T]):
    """Holds parcels (items that arrive together) until they are due; knows no clock."""

    def __init__(self) -> None:
        self._ahead: list[tuple[float, int, Sequence[T]]] = []
        self._held: list[tuple[float, Sequence[T]]] = []  # until the next parcel
        self._last = 0.0  # when the last parcel that keeps its place arrives
        self._count = 0  # ties are broken by order of coming

    @property
    def due(self) -> float | None:
        """When something arrives next."""
        times = [until for until, _ in self._held]
        if self._ahead:
            times.append(self._ahead[0][0])
        return min(times, default=None)

    def place(self, due: float) -> float:
        """Return when a parcel for then would arrive if it kept its place."""
        return max(self._last, due)

    def put(self, parcel: Sequence[T], due: float) -> None:
        """Send a parcel that arrives then, and not before those sent earlier."""
        self._last = self.place(due)
        self._push(parcel, self._last)
        for _, held in self._held:
            self._push(held, self._last)
        self._held.clear()

    def put_late(self, parcel: Sequence[T], due: float) -> None:
        """Send a parcel that others overtake."""
        self._push(parcel, due)

    def hold(self, parcel: Sequence[T], until: float) -> None:
        """Keep a parcel until the next one has arrived, or until then."""
        self._held.append((until, parcel))

    def arrive(self, now: float) -> list[T]:
        """Take what is due, in order."""
        for until, parcel in [each for each in self._held if each[0] <= now]:
            self._held.remove((until, parcel))
            self._push(parcel, until)
        arrived: list[T] = []
        while self._ahead and self._ahead[0][0] <= now:
            arrived += heapq.heappop(self._ahead)[2]
        return arrived

    def flush(self) -> list[T]:
        """Take everything, in order."""
        return self.arrive(float("inf"))

    def _push(self, parcel: Sequence[T], due: float) -> None:
        self._count += 1
        heapq.heappush(self._ahead, (due, self._count, parcel))
