"""Looks at a machine and says what a call would miss, and what mends it."""
