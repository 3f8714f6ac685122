"""A tool that does no harm, and would say so if it were imported."""


class Greeter:
    """Not a function."""


def greet(name: str) -> str:
    """Greet somebody."""
    return f"Hello {name}"


raise SystemExit("a check must never import a tool")
