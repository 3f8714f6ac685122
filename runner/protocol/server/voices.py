"""The voices that the service has or had, by name.

All of them are spoken by the one local voice: clients that ask for a voice of the
service, of today or of an earlier era (the tutorial's among them), must get a session.
"""

from __future__ import annotations

_TODAY = """
    alba anna charles estelle eve george giovanni iris jane jean juergen lola mary
    michael paul rafael reid vera
"""
_FORMER = """
    ivy james tyler winter bella david kyle helen martha river emma victor eleanor
    arjun dmitri pierre giulia luca lucia mateo diego sam mia jack sophie oliver ethan
    mei lukas lena mina joon ren hana claire dawn josh grace pete autumn
"""

SERVICE_VOICES = tuple(_TODAY.split())
FORMER_VOICES = tuple(_FORMER.split())
