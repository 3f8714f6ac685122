"""Tools that cannot keep still."""

from __future__ import annotations

print("loading the tools of the shop")


def lookup(most: int = 3) -> list[str]:
    """List the caller's last orders, at most so many."""
    return ["1234", "5678", "4321"][:most]
