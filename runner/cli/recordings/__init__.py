"""Recorded calls for people: on a terminal, as JSON, as one page for a browser."""
