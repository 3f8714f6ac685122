"""The garage."""

from vagent import tool


def estimate(work: str) -> str:
    """Estimate what a repair costs."""
    return work


@tool(announce="I'm asking the supplier.")
def order_part(part: str) -> str:
    """Ask the supplier for a part."""
    return part
