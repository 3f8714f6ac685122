"""Whole numbers between two bounds as GBNF."""

from __future__ import annotations

_DIGITS = 9  # an open side is cut to numbers of so many digits


def translate_interval(least: int | None, most: int | None) -> str:
    """Return a GBNF expression for exactly the whole numbers from `least` to `most`.

    An open side is cut at nine digits, or at as many as the other bound has. `least`
    must not be above `most`.
    """
    width = max(_DIGITS, *(len(str(abs(b))) for b in (least or 0, most or 0)))
    low = least if least is not None else min(1 - 10**width, most or 0)
    high = most if most is not None else max(10**width - 1, least or 0)
    parts = []
    if low < 0:
        negative = _magnitudes(max(1, -high), -low)
        parts += [f'"-" ({" | ".join(negative)})'] if negative else []
    if high >= 0:
        parts += _magnitudes(max(0, low), high)
    return "(" + " | ".join(parts) + ")"


def _magnitudes(low: int, high: int) -> list[str]:
    """Cover `low` to `high` (both at least 0) with patterns of digits."""
    parts = []
    while low <= high:
        # The longest block of numbers that share a prefix: low, with its last digits
        # running from 0 to 9.
        zeros = 0
        while low % 10 ** (zeros + 1) == 0 and low + 10 ** (zeros + 1) - 1 <= high:
            zeros += 1
            if low == 0:
                break
        zeros = 0 if low == 0 else zeros
        parts.append(_block(low, high, zeros))
        low = _after(low, high, zeros)
    return parts


def _block(low: int, high: int, zeros: int) -> str:
    prefix = low // 10**zeros
    last = _last_digit(low, high, zeros)
    head = f'"{prefix // 10}" ' if prefix >= 10 else ""
    first = prefix % 10
    digit = f"[{first}-{last}]" if last > first else f'"{first}"'
    tail = f" [0-9]{{{zeros}}}" if zeros else ""
    return head + digit + tail


def _last_digit(low: int, high: int, zeros: int) -> int:
    """How far the digit before the free ones may run, staying at or below `high`."""
    block = int(10**zeros)  # int() because a power may be a fraction for mypy
    prefix = low // block
    room = (high - low + 1) // block - 1
    return min(9, prefix % 10 + max(0, room))


def _after(low: int, high: int, zeros: int) -> int:
    block = int(10**zeros)
    steps = _last_digit(low, high, zeros) - low // block % 10 + 1
    return low + steps * block
