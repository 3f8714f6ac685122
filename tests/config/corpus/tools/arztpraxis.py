"""Termine und Rezepte der Praxis."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from datetime import date
from typing import Annotated


@dataclass(frozen=True)
class Termin:
    """Ein freier Termin."""

    tag: str
    uhrzeit: str


def freie_termine(
    tag: Annotated[date, "Der gewünschte Tag"],
    vormittags: Annotated[bool, "Ob es am Vormittag sein soll"] = True,
) -> list[dict[str, str]]:
    """Freie Termine eines Tages suchen."""
    stunden = (8, 10) if vormittags else (14, 16)
    return [asdict(Termin(tag.isoformat(), f"{stunde}:15")) for stunde in stunden]


def rezept_bestellen(
    name: Annotated[str, "Vor- und Nachname", {"examples": ["Jana Groß"]}],
    geburtsdatum: Annotated[date, "Geburtsdatum", {"examples": ["1961-04-30"]}],
    medikament: Annotated[str, "Name und Stärke", {"examples": ["Ramipril 5 mg"]}],
) -> str:
    """Ein Rezept bestellen."""
    return f"{medikament} für {name}, geboren am {geburtsdatum:%d.%m.%Y}, ab morgen"
