from __future__ import annotations

from datetime import date

import pytest

from agents.tools.weather import (
    ALIASES,
    CLIMATE,
    MONTHS,
    find_city,
    get_weather,
    typical_weather,
)


@pytest.mark.parametrize("city", CLIMATE)
def test_a_city_s_figures_are_complete_and_possible(city: str) -> None:
    highs, lows, wet_days = (
        [int(figure) for figure in row.split()] for row in CLIMATE[city]
    )

    assert len(highs) == len(lows) == len(wet_days) == 12
    for high, low, wet in zip(highs, lows, wet_days, strict=True):
        assert -20 <= low < high <= 45
        assert 0 <= wet <= 28


@pytest.mark.parametrize(
    ("said", "city"),
    [
        ("Tokyo", "Tokyo"),
        ("tokyo, Japan", "Tokyo"),
        ("  NEW-YORK ", "New York"),
        ("São Paulo", "Sao Paulo"),
        ("München", "Munich"),
        ("Berln", "Berlin"),
    ],
)
def test_a_city_is_found_as_callers_say_it(said: str, city: str) -> None:
    assert find_city(said) == city


@pytest.mark.parametrize("said", ["Atlantis", "", ",", "x" * 1000])
def test_another_place_is_said_to_be_unknown(said: str) -> None:
    with pytest.raises(ValueError, match="the climate table has no city"):
        find_city(said)


def test_aliases_lead_to_cities_of_the_table() -> None:
    assert set(ALIASES.values()) <= CLIMATE.keys()


def test_the_answer_is_marked_as_invented() -> None:
    assert typical_weather("London", 7) == {
        "city": "London",
        "month": "July",
        "typical_high_celsius": 24,
        "typical_low_celsius": 14,
        "wet_days": 8,
    }


def test_the_month_is_the_current_one() -> None:
    before = date.today()
    told = get_weather("Oslo")["month"]

    assert told in {MONTHS[before.month - 1], MONTHS[date.today().month - 1]}
