"""Observers of a call, fed by the engine or by a recording."""
