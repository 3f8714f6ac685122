"""Typical weather of some cities, from a small table; no network.

The figures are long-term monthly averages, rounded to whole degrees and days, good to
about two of either. They say what a month is usually like and are no forecast; the
tool's answer says so too, so that the agent does not claim more.
"""

from __future__ import annotations

import difflib
import unicodedata
from datetime import date
from typing import Annotated

MONTHS = (
    "January",
    "February",
    "March",
    "April",
    "May",
    "June",
    "July",
    "August",
    "September",
    "October",
    "November",
    "December",
)

# City: average highs in °C, average lows in °C, days with rain or snow; from January.
CLIMATE = {
    "Amsterdam": (
        "6 7 10 14 18 20 22 22 19 14 10 7",
        "1 1 3 5 8 11 13 13 11 8 5 2",
        "17 14 14 12 12 12 13 13 15 16 18 18",
    ),
    "Athens": (
        "13 14 17 20 26 31 34 34 29 24 19 15",
        "7 7 9 12 17 21 24 24 20 16 12 9",
        "9 8 8 6 4 2 1 1 3 5 8 10",
    ),
    "Auckland": (
        "24 25 23 21 18 16 15 15 17 18 20 22",
        "16 17 15 13 11 9 8 8 10 11 13 15",
        "8 7 8 11 13 15 16 15 13 12 11 10",
    ),
    "Bangkok": (
        "33 34 35 36 35 34 33 33 33 33 33 32",
        "22 24 26 27 26 26 26 26 25 25 24 22",
        "2 2 4 7 15 16 18 20 21 18 6 2",
    ),
    "Barcelona": (
        "15 15 17 19 22 26 29 29 26 22 18 15",
        "7 7 9 11 15 19 22 22 19 15 11 8",
        "5 4 5 6 5 4 2 5 6 7 6 5",
    ),
    "Beijing": (
        "2 6 13 21 27 31 32 31 27 19 10 3",
        "-8 -5 1 9 15 20 23 22 16 9 0 -6",
        "2 2 3 5 6 10 13 11 7 5 3 2",
    ),
    "Berlin": (
        "4 5 9 15 19 23 25 25 20 14 8 4",
        "-1 0 2 5 9 13 15 15 11 7 3 0",
        "16 14 14 12 13 13 14 13 12 13 14 16",
    ),
    "Boston": (
        "3 4 8 14 19 25 28 27 23 17 11 6",
        "-5 -4 0 5 10 16 19 18 15 9 4 -2",
        "12 11 12 12 12 11 10 9 9 10 11 12",
    ),
    "Buenos Aires": (
        "30 29 27 23 20 17 16 18 20 23 26 29",
        "20 20 18 14 11 9 8 9 11 14 16 19",
        "9 8 9 9 7 7 7 6 7 10 10 9",
    ),
    "Cairo": (
        "19 21 24 28 32 35 35 35 33 30 25 20",
        "10 11 13 16 19 22 24 24 22 19 15 11",
        "3 3 2 1 0 0 0 0 0 0 1 2",
    ),
    "Cape Town": (
        "27 27 26 24 21 18 18 18 20 22 24 26",
        "17 17 15 13 11 9 8 9 10 12 14 16",
        "4 4 4 7 10 11 11 12 9 7 5 4",
    ),
    "Chicago": (
        "0 2 8 15 21 27 29 28 24 17 9 3",
        "-8 -6 0 5 11 17 20 19 15 8 2 -4",
        "11 9 11 12 12 11 10 9 8 10 10 11",
    ),
    "Copenhagen": (
        "4 4 6 12 16 20 22 22 18 13 8 5",
        "0 -1 1 4 8 12 14 14 11 8 4 1",
        "17 13 14 11 11 12 14 14 14 16 17 18",
    ),
    "Dubai": (
        "24 25 29 33 38 40 41 42 39 36 31 26",
        "15 16 18 22 26 28 31 31 28 25 20 17",
        "2 2 3 1 0 0 0 0 0 0 1 2",
    ),
    "Dublin": (
        "8 8 10 12 15 18 20 19 17 14 10 8",
        "2 2 3 4 7 10 12 11 9 7 4 3",
        "13 11 12 11 12 11 13 13 12 13 13 14",
    ),
    "Hong Kong": (
        "19 20 22 26 29 31 32 31 31 29 25 21",
        "15 15 18 21 25 27 27 27 26 24 20 16",
        "5 8 10 11 15 18 18 17 14 7 5 5",
    ),
    "Istanbul": (
        "9 9 11 16 21 26 28 29 25 20 15 11",
        "4 4 5 9 13 18 20 21 18 14 9 6",
        "17 15 13 10 8 6 4 5 7 11 13 17",
    ),
    "Lisbon": (
        "15 16 19 20 23 26 28 29 27 23 18 15",
        "8 9 11 12 14 17 18 19 18 15 12 10",
        "11 9 8 9 6 2 1 1 4 9 10 11",
    ),
    "London": (
        "8 9 12 15 18 21 24 23 20 16 11 9",
        "3 3 4 6 9 12 14 14 12 9 6 3",
        "12 10 10 9 9 8 8 9 8 11 12 12",
    ),
    "Los Angeles": (
        "20 20 21 22 23 25 28 29 28 26 23 20",
        "10 10 11 13 15 17 19 19 18 16 12 10",
        "6 6 6 3 1 1 0 0 1 2 3 5",
    ),
    "Madrid": (
        "10 12 17 19 24 30 33 32 27 20 14 10",
        "3 4 7 9 12 17 20 20 16 11 6 4",
        "6 5 5 7 7 3 1 2 3 7 7 7",
    ),
    "Melbourne": (
        "27 27 24 21 18 15 14 16 18 20 23 25",
        "16 16 15 12 10 8 7 8 9 11 13 14",
        "5 5 6 8 9 10 10 11 11 10 9 7",
    ),
    "Mexico City": (
        "22 24 26 27 27 25 24 24 23 23 22 22",
        "7 9 10 12 13 14 13 13 13 11 9 8",
        "2 2 4 7 13 18 22 21 19 10 4 2",
    ),
    "Montreal": (
        "-5 -3 2 11 19 24 27 26 21 13 6 -1",
        "-13 -12 -6 1 8 14 17 16 11 5 -1 -9",
        "17 13 13 13 13 13 13 12 12 14 15 17",
    ),
    "Moscow": (
        "-4 -3 3 11 19 23 25 23 16 8 2 -3",
        "-9 -9 -4 3 9 13 16 14 9 4 -2 -7",
        "18 15 15 13 13 14 14 14 14 16 17 18",
    ),
    "Mumbai": (
        "31 32 33 33 34 32 30 30 31 34 34 32",
        "17 18 21 24 27 26 25 25 24 23 21 18",
        "0 0 0 0 1 14 24 22 14 4 1 0",
    ),
    "Munich": (
        "4 5 10 14 19 22 24 24 19 14 8 4",
        "-3 -3 1 4 8 12 13 13 9 5 1 -2",
        "15 13 14 13 16 17 17 15 13 13 14 16",
    ),
    "Nairobi": (
        "26 27 27 25 24 23 22 23 25 26 24 24",
        "13 14 15 15 14 12 11 12 13 14 14 14",
        "5 4 8 15 12 5 3 4 4 8 15 9",
    ),
    "New York": (
        "4 6 10 16 22 27 30 29 25 18 12 7",
        "-2 -1 2 8 13 18 21 21 17 11 6 1",
        "11 10 11 11 11 11 10 10 9 9 9 11",
    ),
    "Oslo": (
        "0 1 5 11 17 21 23 21 16 10 4 1",
        "-5 -5 -2 2 7 11 13 12 8 4 0 -4",
        "10 8 9 9 10 12 13 13 11 13 13 11",
    ),
    "Paris": (
        "8 9 13 16 20 23 26 26 22 17 11 8",
        "3 3 6 8 11 15 17 16 13 10 6 4",
        "10 9 10 9 10 8 8 8 8 10 10 11",
    ),
    "Rome": (
        "12 13 16 19 24 28 31 32 27 22 17 13",
        "3 4 6 8 13 17 19 20 16 12 8 4",
        "7 7 7 8 6 4 2 3 6 8 9 8",
    ),
    "San Francisco": (
        "14 16 17 17 18 19 20 20 21 21 17 14",
        "8 9 9 10 11 12 13 13 13 12 10 8",
        "11 11 10 6 4 2 0 0 1 4 8 11",
    ),
    "Sao Paulo": (
        "28 29 28 26 23 22 23 24 25 26 27 28",
        "20 20 19 18 14 13 13 13 15 16 17 19",
        "17 14 12 7 7 5 5 4 7 10 11 15",
    ),
    "Seattle": (
        "8 10 12 15 19 22 26 26 22 15 11 8",
        "3 3 4 6 9 12 14 14 12 8 5 3",
        "18 15 17 14 11 9 5 5 8 14 18 18",
    ),
    "Seoul": (
        "2 5 11 18 24 28 29 30 26 20 12 4",
        "-6 -3 2 8 14 19 23 23 17 10 3 -3",
        "6 6 7 8 8 9 16 14 9 6 9 8",
    ),
    "Singapore": (
        "30 31 32 32 32 32 31 31 31 32 31 30",
        "24 24 25 25 26 26 25 25 25 25 24 24",
        "13 9 12 15 15 13 14 14 13 15 19 18",
    ),
    "Stockholm": (
        "1 1 5 10 16 20 23 21 16 10 5 2",
        "-3 -3 -1 3 7 12 14 13 9 5 2 -2",
        "10 8 7 7 8 9 10 10 9 10 11 11",
    ),
    "Sydney": (
        "27 27 25 23 20 18 17 19 21 23 24 26",
        "20 20 18 15 12 10 9 10 12 15 16 18",
        "12 12 13 11 11 11 9 8 8 10 11 11",
    ),
    "Tokyo": (
        "10 11 14 19 24 26 30 31 28 22 17 12",
        "1 2 5 10 15 19 23 25 21 15 9 4",
        "5 6 10 11 11 13 12 9 12 12 8 5",
    ),
    "Toronto": (
        "-1 0 5 12 19 24 27 26 22 14 8 2",
        "-7 -6 -2 4 10 15 18 17 13 7 2 -3",
        "15 12 12 12 12 11 10 10 10 12 13 14",
    ),
    "Vienna": (
        "4 6 11 17 21 25 27 27 21 15 9 4",
        "-1 0 3 7 11 15 17 16 12 7 4 0",
        "8 7 9 8 9 10 9 9 8 7 8 8",
    ),
    "Zurich": (
        "4 5 10 14 18 22 24 24 19 14 8 4",
        "-1 -1 2 5 9 13 14 14 11 7 3 0",
        "11 10 11 11 13 13 13 12 10 10 10 12",
    ),
}

# What people also call them.
ALIASES = {
    "kobenhavn": "Copenhagen",
    "la": "Los Angeles",
    "lisboa": "Lisbon",
    "moskva": "Moscow",
    "munchen": "Munich",
    "new york city": "New York",
    "nyc": "New York",
    "peking": "Beijing",
    "roma": "Rome",
    "wien": "Vienna",
}


def get_weather(
    location: Annotated[str, "Name of a city", {"examples": ["Tokyo", "Berlin"]}],
) -> dict[str, object]:
    """Tell what the weather in a city is typically like at this time of the year."""
    return typical_weather(location, date.today().month)


def typical_weather(location: str, month: int) -> dict[str, object]:
    """Return the averages of a city in a month (1 to 12); ValueError for others."""
    city = find_city(location)
    high, low, wet_days = (int(row.split()[month - 1]) for row in CLIMATE[city])
    # Short, because an agent reads it out.
    return {
        "city": city,
        "month": MONTHS[month - 1],
        "typical_high_celsius": high,
        "typical_low_celsius": low,
        "wet_days": wet_days,
    }


def find_city(location: str) -> str:
    """Return the table's name for what a caller said, such as "tokyo, Japan"."""
    names = {_plain(city): city for city in CLIMATE} | ALIASES
    said = _plain(location.partition(",")[0])
    if said in names:
        return names[said]
    near = difflib.get_close_matches(said, names, n=1, cutoff=0.7)
    if near:
        return names[near[0]]
    raise ValueError(f"the climate table has no city {location[:40]!r}")


def _plain(name: str) -> str:
    decomposed = unicodedata.normalize("NFKD", name.casefold())
    letters = (each for each in decomposed if not unicodedata.combining(each))
    return " ".join("".join(letters).replace("-", " ").split())
