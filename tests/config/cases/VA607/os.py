"""What the print shop prints with."""


def system() -> str:
    """Say which printing system the shop uses."""
    return "offset"
