"""A tool that the files of this folder point at."""


def get_weather(location: str) -> str:
    """Return the weather."""
    return f"sunny in {location}"
