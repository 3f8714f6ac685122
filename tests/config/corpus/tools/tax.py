"""Rough income tax, and callbacks."""

import argparse
import re
import sys
from collections import namedtuple
from decimal import ROUND_HALF_UP, Decimal
from operator import attrgetter
from types import MappingProxyType
from typing import Annotated, Literal

Band = namedtuple("Band", ("up_to", "rate"))

CENT = Decimal("0.01")
CREDIT = MappingProxyType(
    {2024: Decimal(1875), 2025: Decimal(2000), 2026: Decimal(2000)}
)
BANDS = sorted(
    [
        Band(Decimal(44_000), Decimal("0.20")),
        Band(Decimal("Infinity"), Decimal("0.40")),
    ],
    key=attrgetter("up_to"),
)
PHONE = re.compile(r"^\+?(?:\d{2,5}[ -]?){2,4}\d$", re.ASCII)


def estimate_tax(
    income: float, year: int, status: Literal["single", "married"] = "single"
) -> dict[str, str | bool]:
    """Estimate the income tax of a year.

    Args:
        income: Income of the year in euros.
        year: Which year.
        status: Whether the caller is married.
    """
    rest, done, tax = Decimal(str(income)), Decimal(0), -CREDIT[year]
    for band in BANDS:
        width = band.up_to * (2 if status == "married" else 1) - done
        part = min(rest, width)
        tax, rest, done = tax + part * band.rate, rest - part, done + part
    rounded = max(tax, Decimal(0)).quantize(CENT, rounding=ROUND_HALF_UP)
    return {"tax": f"{rounded}", "estimate": True}


def request_callback(
    phone: Annotated[
        str,
        "Where to call",
        {"pattern": r"\+?(?:[0-9]{2,5} ?){2,4}", "examples": ["01 555 0142"]},
    ],
    about: Annotated[Literal["person", "firm"], "Whom it is about"],
) -> bool:
    """Ask an adviser to call back; the caller has confirmed the number."""
    return bool(PHONE.match(phone)) and about in ("person", "firm")


def main() -> None:
    """Estimate from the command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("income", type=float)
    parser.add_argument("--year", type=int, default=2026)
    options = parser.parse_args()
    sys.stdout.write(f"{estimate_tax(options.income, options.year)['tax']}\n")


if __name__ == "__main__":
    main()
