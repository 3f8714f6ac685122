"""El libro de reservas."""

from datetime import date, time
from typing import Annotated, TypedDict

LUNES = 0
MESAS = {2: 6, 4: 5, 6: 2}


class Mesa(TypedDict):
    """Lo que se sabe de una mesa."""

    libre: bool
    motivo: str


Dia = Annotated[date, "El día"]
Hora = Annotated[time, "La hora, en 24 horas", {"examples": ["14:30", "21:00"]}]
Personas = Annotated[int, "Cuántas personas", {"minimum": 1, "maximum": 12}]


def buscar_mesa(dia: Dia, hora: Hora, personas: Personas) -> Mesa:
    """Busca una mesa libre.

    Parameters
    ----------
    dia : date
        El día.
    hora : time
        La hora, en 24 horas.
    personas : int
        Cuántas personas.
    """
    if dia.weekday() == LUNES:
        return {"libre": False, "motivo": "cerrado los lunes"}
    if personas > max(MESAS):
        return {"libre": False, "motivo": "no hay mesas tan grandes"}
    return {"libre": hora.hour >= 13, "motivo": ""}


def reservar_mesa(dia: Dia, hora: Hora, personas: Personas, nombre: str) -> str:
    """Reserva una mesa."""
    return f"{nombre}: {personas} personas, {dia:%d-%m} a las {hora:%H:%M}"
