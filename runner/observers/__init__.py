"""Observers of a call: they are fed by the engine or by a recording."""
