"""I mazzi del negozio."""

from datetime import date
from enum import Enum
from typing import Annotated, NamedTuple


class Occasione(str, Enum):  # noqa: UP042 - kept for Python 3.10
    """Per che cosa sono i fiori."""

    COMPLEANNO = "compleanno"
    MATRIMONIO = "matrimonio"
    LUTTO = "lutto"
    ALTRO = "altro"


class Mazzo(NamedTuple):
    """Un mazzo e il suo prezzo in euro."""

    nome: str
    euro: int


MAZZI = [Mazzo("peonie bianche", 45), Mazzo("ranuncoli", 30), Mazzo("fresie", 25)]


def proponi_mazzo(
    occasione: Annotated[Occasione, "Per che cosa"],
    euro: Annotated[int, "Quanto si vuole spendere", {"examples": [30, 50]}],
) -> list[str]:
    """Proponi mazzi per un'occasione e un prezzo."""
    adatti = [each for each in MAZZI if each.euro <= euro]
    if occasione is Occasione.LUTTO:
        adatti = [each for each in adatti if "bianche" in each.nome]
    return [f"{each.nome}, {each.euro} euro" for each in adatti[:2]]


def ordina_mazzo(
    mazzo: Annotated[str, "Quale", {"enum": [each.nome for each in MAZZI]}],
    giorno: Annotated[date, "Per quando"],
    nome: Annotated[str, "Nome del cliente", {"examples": ["Giulia Neri"]}],
) -> dict[str, str]:
    """Ordina un mazzo."""
    return {"mazzo": mazzo, "giorno": giorno.isoformat(), "nome": nome}
