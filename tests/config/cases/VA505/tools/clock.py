"""Time zones."""

from vagent import tool


def time_zone(city: str) -> str:
    """Find the time zone of a city."""
    return city


@tool(effect="terminal")
def hang_up() -> str:
    """End the call, once the caller has confirmed that nothing is left."""
    return "goodbye"
