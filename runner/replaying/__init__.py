"""Recorded calls played back to the engine of today."""
