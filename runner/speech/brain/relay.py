"""Runs a blocking source of pieces beside its reader, who may leave at any moment."""

from __future__ import annotations

import queue
import threading
from collections.abc import Callable, Iterator
from typing import TypeVar

from runner.speech.parts import Cancelled

T = TypeVar("T")
# How long a cancelled reader may still be held; an interruption has 100 ms in all.
_POLL = 0.02  # seconds


def relay(
    produce: Callable[[Callable[[T], bool]], None], cancelled: Cancelled
) -> Iterator[T]:
    """Yield what `produce` emits from a thread of its own.

    `produce` is given `emit(piece)`, which returns False once nobody listens any more:
    it must then return. The reader leaves within 20 ms of `cancelled` saying true, even
    while the source is silent. An exception of the source is raised to the reader.
    """
    pieces: queue.SimpleQueue[tuple[T] | BaseException | None] = queue.SimpleQueue()
    left = threading.Event()

    def emit(piece: T) -> bool:
        if left.is_set() or cancelled():
            return False
        pieces.put((piece,))
        return True

    def run() -> None:
        try:
            produce(emit)
        except BaseException as error:  # handed over whole: the reader raises it
            pieces.put(error)
        else:
            pieces.put(None)

    # A daemon: a source that hangs must not keep the process from ending.
    threading.Thread(target=run, name="brain", daemon=True).start()
    try:
        while not cancelled():
            try:
                piece = pieces.get(timeout=_POLL)
            except queue.Empty:
                continue
            if piece is None:
                return
            if isinstance(piece, BaseException):
                raise piece
            yield piece[0]
    finally:
        left.set()
