"""Hosts agents for browsers and phones: server, sessions, limits, page."""
